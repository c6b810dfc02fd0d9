"""`/predict` of a real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from featurestore.store import Store
from tests.training.serving.conftest import ModelServer
from tests.waiting import wait_until

BODY: dict[str, Any] = {"entities": {"dest": ["ATL", "???", None], "distance": [1400, None, 250.5]}}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def http(model_server: ModelServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=model_server.url, trust_env=False, timeout=60) as client:
        yield client


@pytest.mark.parametrize("model", ["late", "trees"])
def test_it_predicts_what_the_command_predicts(http: httpx.Client, model_store: Path, model: str) -> None:
    from training.serving.in_process.opened_model import OpenedModel

    with Store.open(model_store) as store:
        expected = OpenedModel.open(store, model).predict(BODY["entities"])
        epoch = store.newest_snapshot().epoch
    answer = http.post(f"/predict/{model}", json=BODY)
    assert answer.status_code == 200
    found = answer.json()
    assert found.keys() == {"model", "version", "epoch", "predictions"}
    assert (found["model"], found["version"], found["epoch"]) == (model, 1, epoch)
    np.testing.assert_array_equal(np.float32(found["predictions"]), np.float32(expected.values))


def test_an_explained_answer_has_features_statuses_and_releases(http: httpx.Client, model_store: Path) -> None:
    found = http.post("/predict/late@v1?explain=true", json=BODY).json()
    features = found["features"]
    assert list(features) == ["traffic@v1:flights", "everywhere@v1:flights", "distance"]
    assert features["traffic@v1:flights"]["statuses"] == ["OK", "NOT_FOUND", "NOT_FOUND"]
    assert features["distance"] == {"values": [1400.0, None, 250.5], "se": [None] * 3, "statuses": ["GIVEN"] * 3}
    with Store.open(model_store) as store:
        table = store.get(["traffic:flights"], {"dest": ["ATL"]})
        newest = store.published("traffic", 0)[-1]
    assert features["traffic@v1:flights"]["values"] == [table["flights"][0].as_py(), None, None]
    assert features["traffic@v1:flights"]["se"][0] == table["flights__se"][0].as_py()
    assert {one["view"]: (one["release"], one["pane_end"]) for one in found["releases"]}["traffic"] == (
        newest.release_id.hex(),
        newest.pane_end,
    )


def test_the_list_of_models_has_an_example_that_works(http: httpx.Client) -> None:
    models = http.get("/predict").json()["models"]
    assert [(one["model"], one["ready"], one["version"]) for one in models] == [("late", True, 1), ("trees", True, 1)]
    for one in models:
        assert one["inputs"] == {"dest": "string", "distance": "float64"}
        assert one["example"]["entities"]["dest"] == ["ATL"]
        assert http.post(one["url"], json=one["example"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "error", "says"),
    [
        ("/predict/nothing", BODY, 404, "UnknownModel", "no model 'nothing' in this store; it has: late, trees"),
        ("/predict/LATE", BODY, 404, "UnknownModel", "no model 'LATE'"),
        ("/predict/late/more", BODY, 404, "UnknownModel", "no model 'late/more'"),
        ("/predict/late@v7", BODY, 404, "UnknownModel", "no model 'late@v7' in this store; it has: late@v1"),
        ("/predict/late@7", BODY, 404, "UnknownModel", "no model 'late@7'"),
        ("/predict/late@vx", BODY, 422, "BadRequest", "a version is a number"),
        ("/predict/late?explain=yes", BODY, 422, "BadRequest", "must be true or false"),
        ("/predict/late", b"{", 422, "BadRequest", "not JSON"),
        ("/predict/late", b'{"entities": {"dest": [NaN]}}', 422, "BadRequest", "not JSON"),
        ("/predict/late", {"entities": {}}, 422, "BadReference", "model late@v1 needs 'dest'; it takes: dest, distance"),
        ("/predict/late", {"entities": {"dest": [float(7)], "distance": [1]}}, 422, "BadReference", "holds float"),
        ("/predict/late", {"entities": {"dest": [["ATL"]], "distance": [1]}}, 422, "BadReference", "holds list"),
        ("/predict/late", {"entities": {"dest": ["ATL"], "distance": [1e39]}}, 422, "InputRefused", "beyond float32"),
        ("/predict/late", {"entities": {"dest": ["ATL"], "distance": []}}, 422, "InputRefused", "one length"),
        ("/predict/late", {"entities": {"dest": [], "distance": []}}, 422, "InputRefused", "no row"),
        ("/predict/late", {"entities": {"dest": ["A"] * 10_001, "distance": [1] * 10_001}}, 413, "RequestTooLarge", "10,001 rows"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_a_problem_that_names_the_mistake(
    http: httpx.Client, path: str, body: dict[str, Any] | bytes, status: int, error: str, says: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = http.post(path, content=content)
    found = answer.json()
    assert (answer.status_code, found["status"], found["error"]) == (status, status, error)
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in found["detail"]


def test_a_body_of_too_many_bytes_and_another_method_are_refused(http: httpx.Client) -> None:
    answer = http.post("/predict/late", content=b" " * (8 * 2**20 + 1))
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    answer = http.get("/predict/late")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_deadline_that_cannot_be_kept_is_a_timeout_and_one_that_can_is_none(http: httpx.Client) -> None:
    answer = http.post("/predict/late", json=BODY, headers={"Timeout": "1e-9"})
    assert (answer.status_code, answer.json()["error"]) == (504, "DeadlineMissed")
    assert http.post("/predict/late", json=BODY, headers={"Timeout": "30"}).status_code == 200
    assert http.post("/predict/late", json=BODY, headers={"Timeout": "soon"}).status_code == 422


def test_a_body_in_parts_and_one_of_many_rows_are_answered_like_one_in_a_piece(http: httpx.Client) -> None:
    rows = 3_000
    body = {"entities": {"dest": ["ATL", "LAX", "???"] * (rows // 3), "distance": [float(i) for i in range(rows)]}}
    whole = http.post("/predict/late", json=body).json()
    data = json.dumps(body).encode()

    def parts() -> Iterator[bytes]:
        for at in range(0, len(data), 10_000):
            yield data[at : at + 10_000]

    assert http.post("/predict/late", content=parts()).json() == whole
    one = http.post("/predict/late", json={"entities": {"dest": ["LAX"], "distance": [1.0]}}).json()
    assert one["predictions"] == pytest.approx(whole["predictions"][1:2], rel=1e-5)


def test_a_client_that_goes_away_costs_no_other_client_its_answer(
    http: httpx.Client, model_server: ModelServer
) -> None:
    body = json.dumps(BODY).encode()
    head = b"POST /predict/late HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    for sent in (body, body[:20]):
        for _ in range(20):
            with socket.create_connection((model_server.host, model_server.port)) as connection:
                connection.sendall(head % len(body) + sent)
    assert http.post("/predict/late", json=BODY).status_code == 200
    wait_until(lambda: http.get("/readyz").json()["ready"])


def test_requests_of_one_connection_are_answered_in_their_order(model_server: ModelServer) -> None:
    request = b"POST /predict/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s"  # two at once, on one connection
    body = json.dumps(BODY).encode()
    with socket.create_connection((model_server.host, model_server.port)) as connection:
        connection.sendall(b"".join(request % (name, len(body), body) for name in (b"trees", b"late")))
        connection.settimeout(60)
        received = b""
        while received.count(b'"predictions"') < 2:
            part = connection.recv(2**16)
            assert part, received
            received += part
    assert received.index(b'"model":"trees"') < received.index(b'"model":"late"')


def test_the_openapi_document_describes_every_answer(model_server: ModelServer) -> None:
    schema = schemathesis.openapi.from_url(f"{model_server.url}/openapi.json")
    operation, statuses = schema["/predict/{model}"]["POST"], set[int]()

    def conform(case: Any) -> None:
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    bounded = settings(
        max_examples=15,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        bounded(given(case=operation.as_strategy(generation_mode=mode))(conform))()
    for query in ({}, {"explain": "true"}):
        for body in (BODY, {"entities": {"dest": [1], "distance": [1]}}, {"entities": {}}):
            conform(
                operation.Case(path_parameters={"model": "late"}, query=query, body=body, media_type="application/json")
            )
    assert {200, 404, 422} <= statuses <= {200, 404, 405, 422, 504}
    listed = schema["/predict"]["GET"].Case()
    listed.validate_response(listed.call(), checks=CHECKS)
