"""Valid and invalid requests made from `/openapi.json`: none ends in a 500, and every answer matches the document."""

from __future__ import annotations

import re
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.training.serving.conftest import ModelServer
from training.serving.oip.infer_body import JSON_LENGTH
from training.serving.oip.openapi import PATHS

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = [
    pytest.param(path, method, marks=[pytest.mark.long] if "{version}" in path and method == "get" else [])
    for path, item in PATHS.items()
    for method in item
    if method != "parameters"
]
BOUNDED = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def document(model_server: ModelServer) -> Any:
    return schemathesis.openapi.from_url(f"{model_server.url}/openapi.json")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_described_and_none_is_a_defect(document: Any, path: str, method: str) -> None:
    statuses = set()

    def one(case: Any, parameters: dict[str, str]) -> None:
        case.path_parameters = {**(case.path_parameters or {}), **parameters}
        response = case.call()
        statuses.add(response.status_code)
        unavailable = response.status_code in (501, 503, 504)
        case.validate_response(response, checks=CHECKS if unavailable else [*CHECKS, not_a_server_error])

    operation = document[path][method.upper()]
    known = st.sampled_from([{}, {"name": "late"}] if "{name}" in path else [{}])
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        try:
            BOUNDED(given(case=operation.as_strategy(generation_mode=mode), parameters=known)(one))()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # a GET without parameters has no invalid requests
    assert statuses <= {200, 400, 404, 413, 501, 503, 504}


def test_the_headers_and_defects_of_a_prediction_are_described() -> None:
    for place in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        infer = PATHS[f"{place}/infer"]["post"]
        described = {one["name"].lower().encode() for one in infer["parameters"] if one["in"] == "header"}
        assert described == {b"timeout", JSON_LENGTH}
        assert {"500", "503", "504"} <= set(infer["responses"])


def test_a_prediction_is_as_described(document: Any, model_server: ModelServer) -> None:
    inputs = [
        {"name": "dest", "shape": [1], "datatype": "BYTES", "data": ["ATL"]},
        {"name": "distance", "shape": [1, 1], "datatype": "FP64", "data": [[100]]},
    ]
    body = {"id": "5", "inputs": inputs, "outputs": [{"name": name} for name in ("status", "se", "prediction")]}
    operation = document["/v2/models/{name}/infer"]["POST"]
    case = operation.Case(path_parameters={"name": "late"}, body=body, media_type="application/json")
    response = case.call()
    assert response.status_code == 200, response.text
    case.validate_response(response, checks=[*CHECKS, not_a_server_error])


PUBLISHED = {
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/{}/versions/{}/ready",
    "/v2",
    "/v2/models/{}/versions/{}",
    "/v2/models/{}/versions/{}/infer",
}
"""The paths of the published document (kserve/open-inference-protocol, open_inference_rest.yaml), without their last slash."""


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


TEXT, INTEGERS = {"type": "string"}, _list({"type": "integer"})
TENSOR = _object("name datatype shape", name=TEXT, datatype=TEXT, shape=INTEGERS)
DATA = _list({"anyOf": [{"type": "number"}, TEXT, {"type": "boolean"}, {"type": "array"}]})
ANSWERS = {
    "/v2": _object("name version extensions", name=TEXT, version=TEXT, extensions=_list(TEXT)),
    "/v2/models/late/versions/1": _object(
        "name platform", name=TEXT, versions=_list(TEXT), platform=TEXT, inputs=_list(TENSOR), outputs=_list(TENSOR)
    ),
}
"""The schemas of the published document, of answers to GET."""
INFERRED = _object(
    "model_name outputs",
    model_name=TEXT,
    model_version=TEXT,
    id=TEXT,
    parameters={"type": "object"},
    outputs=_list(_object("name shape datatype data", name=TEXT, shape=INTEGERS, datatype=TEXT, data=DATA)),
)


def test_the_published_paths_and_answers_are_ours(model_server: ModelServer) -> None:
    assert {re.sub(r"{\w+}", "{}", path) for path in PATHS} >= PUBLISHED
    for path, schema in ANSWERS.items():
        jsonschema.validate(httpx.get(f"{model_server.url}{path}", timeout=60).json(), schema)
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    found = httpx.post(
        f"{model_server.url}/v2/models/late/versions/1/infer", json={"inputs": [tensor]}, timeout=60
    ).json()
    jsonschema.validate(found, INFERRED)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    body=st.binary(max_size=120),
    length=st.integers(0, 130),
    coding=st.sampled_from(["identity", "gzip", "deflate", "br"]),
)
def test_hostile_bytes_are_named_mistakes_only(
    model_server: ModelServer, body: bytes, length: int, coding: str
) -> None:
    headers = {"Inference-Header-Content-Length": str(length), "Content-Encoding": coding}
    found = httpx.post(f"{model_server.url}/v2/models/late/infer", content=body, headers=headers, timeout=60)
    assert found.status_code == 400
    assert isinstance(found.json()["error"], str)
