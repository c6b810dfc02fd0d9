"""`covey serve --models`: a real server."""

from __future__ import annotations

import httpx

from .conftest import ModelServer


def test_it_serves_features_beside_its_models(model_server: ModelServer) -> None:
    assert httpx.get(f"{model_server.url}/readyz").json() == {"ready": True, "role": "server"}
    body = {"features": ["traffic:flights"], "entities": {"dest": ["ATL"]}}
    assert httpx.post(f"{model_server.url}/get-online-features", json=body).status_code == 200
