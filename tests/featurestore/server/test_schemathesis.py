"""Valid and invalid requests made from `/openapi.json`: none ends in a 5xx, and every answer matches the document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from featurestore.server.answer import App
from featurestore.server.throttle import Limits
from tests.featurestore.making import fill

from .guarding import ROUTE, Guarded, ask
from .odd_bodies import AREA, ODD, VIEW

OPERATIONS = [(ROUTE, "POST"), *((path, "GET") for path in ("/metrics", "/health", "/healthz", "/readyz"))]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
"""A fixed set of requests, equal in every run."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    directory = tmp_path_factory.mktemp("described")
    fill(directory, VIEW, 2)
    fill(directory, AREA, 2)
    return Guarded(directory, with_keys=False)


def conform(app: App, described: App, operation: tuple[str, str], checks: Sequence[Any]) -> set[int]:
    """Check the answers of one operation. Returns their statuses."""
    path, method = operation
    schema, statuses = schemathesis.openapi.from_asgi("/openapi.json", described), set()

    def one(case: Any) -> None:
        response = case.call(app=app)
        statuses.add(response.status_code)
        case.validate_response(response, checks=checks)

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        try:
            cases = schema[path][method].as_strategy(generation_mode=mode)
            BOUNDED(given(case=cases)(one))()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # a GET without parameters has no invalid requests
    return statuses


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_is_as_described_and_none_is_a_server_error(server: Guarded, operation: tuple[str, str]) -> None:
    statuses = conform(server.app, server.app, operation, CHECKS)
    assert statuses <= ({404, 413, 422} if operation[0] == ROUTE else {200})
    assert operation[0] != ROUTE or statuses >= {404, 422}


def test_an_answer_with_values_is_as_described_and_so_is_each_odd_bodys(server: Guarded) -> None:
    read = schemathesis.openapi.from_asgi("/openapi.json", server.app)[ROUTE]["POST"]
    features = ["delays:late", "delays:delay_hist", "delays@v1:late__status", "area:flights", "delays:coverage_3h"]
    more = {"full_feature_names": True, "include_feature_view_version_metadata": True}
    good = {"features": features, "entities": {"dest": ["ATL", "JFK", None]}, **more}
    for body, status in [(good, 200), *((body, status) for body, status, _, _ in ODD if isinstance(body, dict))]:
        response = read.Case(body=body, media_type="application/json").call(app=server.app)
        assert response.status_code == status
        read.Case(body=body, media_type="application/json").validate_response(response, checks=CHECKS)


@pytest.mark.parametrize("operation", OPERATIONS[:2])
def test_so_is_every_refusal(server: Guarded, operation: tuple[str, str]) -> None:
    closed = Guarded(server.directory)
    assert conform(closed.app, server.app, operation, CHECKS) == {401}
    slow = Guarded(server.directory, with_keys=False, default=Limits(requests=1))
    slow.read()
    assert conform(slow.app, server.app, operation, CHECKS) == {429}


def test_the_document_describes_the_routes_that_fastapi_does_not_see(server: Guarded) -> None:
    document = ask(server.app, "GET", "/openapi.json").json()
    named = {(path, method.upper()) for path, operations in document["paths"].items() for method in operations}
    assert named >= set(OPERATIONS)
