"""`covey serve --models`: a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.waiting import wait_until

from .conftest import ModelServer, serving_models


def test_it_serves_features_beside_its_models(model_server: ModelServer) -> None:
    assert httpx.get(f"{model_server.url}/readyz").json() == {"ready": True, "role": "server"}
    body = {"features": ["traffic:flights"], "entities": {"dest": ["ATL"]}}
    assert httpx.post(f"{model_server.url}/get-online-features", json=body).status_code == 200


def test_the_command_prints_what_its_models_have_done(
    covey: Callable[..., tuple[int, str, str]], model_server: ModelServer
) -> None:
    body = {"entities": {"dest": ["ATL", "LAX"], "distance": [500, 900]}}
    assert httpx.post(f"{model_server.url}/predict/late", json=body).status_code == 200
    code, out, err = covey("serve", "--stats", model_server.url, "--json")
    assert code == 0, err
    late = next(one for one in json.loads(out) if one["model"] == "late")
    assert late["requests"] >= 1
    assert late["rows"] >= 2
    assert late["infer_ms"] > 0
    code, out, _ = covey("serve", "--stats", model_server.url)
    assert code == 0
    assert "late@v1" in out
    assert "rows/batch" in out


def test_the_statistics_of_a_server_without_models_are_refused(
    covey: Callable[..., tuple[int, str, str]], model_store: Path
) -> None:
    code, _, err = covey("serve", "--stats", "ftp://127.0.0.1")
    assert code == 1
    assert "a server of models has a URL with http or https" in err


def test_workers_count_together_and_any_of_them_answers_for_all(model_store: Path, tmp_path: Path) -> None:
    options = ("--models", "late", "--workers", "2")
    with serving_models(model_store, tmp_path / "log", options=options) as server:
        wait_until(lambda: server.log.read_text().count("late@v1 is ready") == 2)
        body = {"entities": {"dest": ["ATL"], "distance": [500]}}
        for _ in range(40):  # each over a connection of its own, which either worker accepts
            assert httpx.post(f"{server.url}/predict/late", json=body).status_code == 200
        for _ in range(10):
            assert counted(server) == 40


def counted(server: ModelServer) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    name = 'covey_model_requests_total{model="late",outcome="ok",version="1"} '
    return float(text.partition(name)[2].split()[0])
