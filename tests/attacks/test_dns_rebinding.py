"""A web page reads the feature server on the machine of its visitor, by DNS rebinding or directly.

The attacker controls a web page that is open in a browser there. The browser puts the page's name into Host or Origin.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator

import pytest

from tests.covey.test_serve import ROUTE, serving
from tests.featurestore.making import fill
from tests.featurestore.server.odd_bodies import KEYS, VIEW

BODY = json.dumps({"features": ["delays:flights"], "entities": KEYS})
REQUESTS = [
    ("POST", ROUTE), ("GET", ROUTE), ("GET", "/health"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/redoc"),
    ("GET", "/openapi.json"), ("POST", "/v1/read/views"), ("GET", "/v1/watch?view=delays"), ("GET", "/no-such-path"),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    store = tmp_path_factory.mktemp("rebinding")
    fill(store, VIEW, 2)
    with serving(store, "--allowed-host", "features.example") as (_, host, port):
        yield host, port


def ask(server: tuple[str, int], method: str, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection(*server, timeout=30)
    connection.request(method, path, BODY if method == "POST" else None, headers)
    response = connection.getresponse()
    try:
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_rebound_page_reads_nothing(server: tuple[str, int], method: str, path: str) -> None:
    status, _, body = ask(server, method, path, Host=f"evil.example:{server[1]}")
    assert status == 421
    assert "ATL" not in body
    assert "epoch" not in body


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_page_of_another_site_reads_nothing(server: tuple[str, int], method: str, path: str, origin: str) -> None:
    assert ask(server, method, path, Origin=origin)[0] == 403


def test_readers_by_the_servers_own_names_and_its_own_page_read(server: tuple[str, int]) -> None:
    _, port = server
    for name in (f"127.0.0.1:{port}", f"localhost:{port}", "features.example"):
        assert ask(server, "POST", ROUTE, Host=name)[0] == 200
        assert ask(server, "POST", ROUTE, Host=name, Origin=f"http://{name}")[0] == 200
        assert ask(server, "GET", "/health", Host=name)[0] == 200


def test_the_page_of_the_interface_loads_nothing_from_elsewhere_and_runs_no_script(server: tuple[str, int]) -> None:
    status, headers, body = ask(server, "GET", "/docs")
    assert status == 200
    assert ROUTE in body
    assert headers["content-security-policy"].startswith("default-src 'none'; ")
    assert not re.search(r"<script|<link|<img|<iframe|src=|@import|url\(|https?://|//", body, re.IGNORECASE)
    assert ask(server, "GET", "/redoc")[0] == 404
