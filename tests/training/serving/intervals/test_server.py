"""Intervals of a real server. Its store has no noise, so an interval is as narrow as its prediction."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.training.serving.conftest import ModelServer

BODY: dict[str, Any] = {"entities": {"dest": ["ATL", "???", "LAX"], "distance": [1400.0, None, 250.5]}}


@pytest.mark.parametrize("model", ["late", "trees"])
def test_an_answer_has_the_interval_of_each_prediction(model_server: ModelServer, model: str) -> None:
    answer = httpx.post(f"{model_server.url}/predict/{model}?interval=0.9", json=BODY, timeout=60)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    ends = [pytest.approx(one, rel=1e-6) for one in found["predictions"]]
    assert found["interval"] == {"level": 0.9, "lo": ends, "hi": ends}
    assert "interval" not in httpx.post(f"{model_server.url}/predict/{model}", json=BODY, timeout=60).json()


@pytest.mark.parametrize(
    ("level", "rows", "says"),
    [
        ("0.3", 1, "interval=0.3: a level must be above 0.5 and at most 0.999"),
        ("0.9999", 1, "at most 0.999"),
        ("0.9", 7000, "7,000 rows with an interval take 273,000 predictions"),
    ],
)
def test_what_has_no_interval_is_refused_by_name(model_server: ModelServer, level: str, rows: int, says: str) -> None:
    body = {"entities": {"dest": ["ATL"] * rows, "distance": [1.0] * rows}}
    answer = httpx.post(f"{model_server.url}/predict/late?interval={level}", json=body, timeout=60)
    assert answer.status_code == 422, answer.text
    assert says in answer.text
    assert "InputRefused" in answer.text


def test_features_that_a_client_brings_have_no_interval(model_server: ModelServer) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [10.0, 20.0, 5.0]}
    body = {"inputs": [tensor], "parameters": {"interval": 0.9}}
    answer = httpx.post(f"{model_server.url}/v2/models/late/infer", json=body, timeout=60)
    assert answer.status_code == 400, answer.text
    assert "an interval needs rows by key" in answer.json()["error"]
