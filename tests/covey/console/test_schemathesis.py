"""Valid and invalid requests made from the API's document, as a reader and as an operator: every answer is as described, none is a defect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
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

from covey.console.gate import HEADER
from covey.console.openapi import document

from .server import serving_console
from .world import HOSTILE_KEYS, World

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT: Final = document()
KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "view": ("area_delay", "dest_delay", "shops"),
    "feature": ("late", "late_24h", "flights", "arr_delay_mean"),
    "key": ("NYC", "ATL", *HOSTILE_KEYS),
    "owner": ("operator", "site-1"),
    "name": ("late", "odd"),
    "model": ("late", "odd"),
    "version": ("1", "3"),
    "run": ("001", "002"),
}
"""Values of parameters that lead to something; the others are made up."""
_STREAM: Final = "text/event-stream"
_NO_HTTP: Final = b"Invalid HTTP request received."
_LONG_HEAD: Final = 431
"""Of the server's connections, to a request that is too long. A path with a line break is none of the console's, so the feature server answers it."""


@dataclass(frozen=True)
class Caller:
    """A session of a console."""

    url: str
    cookies: dict[str, str]
    page_token: str

    @classmethod
    def of(cls, url: str, token: str | None) -> Caller:
        opened = httpx.post(f"{url}api/session", json={"token": token}, timeout=60)
        assert opened.status_code == 200
        return cls(url, dict(opened.cookies), opened.json()["csrf"])


def operations() -> list[tuple[str, str]]:
    """(path, method) of every operation that ends: a stream of events does not."""
    found = []
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            streams = any(_STREAM in one.get("content", {}) for one in operation["responses"].values())
            if not streams and not path.endswith("/events"):
                found.append((path, method.upper()))
    return found


@pytest.fixture(scope="module")
def callers(console_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Caller]]:
    """A reader and an operator of a console on a copy, which they may change."""
    folder = tmp_path_factory.mktemp("changed")
    with serving_console(console_world.copied(folder / "world"), folder / "log") as server:
        yield {"reader": Caller.of(server.url, None), "operator": Caller.of(server.url, server.token)}


@pytest.mark.parametrize(
    ("path", "method", "role"),
    [
        pytest.param(path, method, role, marks=[pytest.mark.long] if (method, role) == ("GET", "reader") else [])
        for path, method in operations()
        for role in ("reader", "operator")
    ],
)
def test_no_request_is_answered_by_a_defect(
    callers: Mapping[str, Caller], path: str, method: str, role: str, request: pytest.FixtureRequest
) -> None:
    caller = callers[role]
    bounded = settings(
        max_examples=60 if request.config.getoption("--full") else 4,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    named = {one["name"]: one["in"] for one in DOCUMENT["paths"][path][method.lower()].get("parameters", [])}
    known = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in KNOWN.items() if name in named}
    )

    def one(case: Any, chosen: dict[str, str]) -> None:
        for name, value in chosen.items():
            part = case.path_parameters if named[name] == "path" else case.query
            part[name] = value
        cookies = {} if path.endswith("/session") else caller.cookies
        response = case.call(
            base_url=caller.url.removesuffix("/console/"), headers={HEADER: caller.page_token}, cookies=cookies
        )
        foreign = (
            response.content == _NO_HTTP
            or response.status_code == _LONG_HEAD
            or "%0A" in urlsplit(response.request.url).path
        )
        case.validate_response(response, checks=[not_a_server_error] if foreign else CHECKS)

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        try:
            bounded(given(case=operation.as_strategy(generation_mode=mode), chosen=known)(one))()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # a GET without parameters has no invalid requests
