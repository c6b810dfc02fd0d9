"""Clients that are slow, silent or too many, against a running server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from featurestore.server import http_server
from featurestore.server.connections import Connections
from featurestore.server.http_server import make_server
from featurestore.server.listen import open_socket
from tests.featurestore.making import fill

from .guarding import ROUTE, Guarded
from .odd_bodies import VIEW

BODY = b'{"features": ["delays:flights"], "entities": {"dest": ["ATL"]}}'
HEAD = f"POST {ROUTE} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
SHORT_S = 0.2

Address = tuple[str, int]


@pytest.fixture
def clients() -> Connections:
    return Connections(2)


@pytest.fixture
def address(tmp_path: Path, clients: Connections, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """A server of two connections, which waits a fifth of a second for a slow client."""
    for limit in ("HEAD_S", "BODY_S", "ANSWER_S"):
        monkeypatch.setattr(http_server, limit, SHORT_S)
    fill(tmp_path, VIEW, 2)
    guarded = Guarded(tmp_path, with_keys=False)
    with open_socket("127.0.0.1", 0) as listening:
        server = make_server(guarded.app, clients)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join()


@contextmanager
def connected(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as client:
        yield client


def everything(client: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    parts = []
    while part := client.recv(2**16):
        parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def until(clients: Connections, count: int) -> None:
    end = time.monotonic() + 10
    while clients.open != count:
        assert time.monotonic() < end, f"{clients.open} connections are open"
        time.sleep(0.01)


def read(client: socket.socket) -> int:
    """One complete request on a connection that stays open."""
    client.sendall(HEAD + BODY)
    return status_of(client.recv(2**16))


def dripping(client: socket.socket, data: bytes) -> bytes:
    """Send the data a byte at a time, slower than the server waits in all, and return its answer."""
    client.settimeout(SHORT_S / 10)
    for at in range(len(data)):
        try:
            client.sendall(data[at : at + 1])
            answer = client.recv(2**16)
        except TimeoutError:
            continue
        except OSError:
            return b""
        client.settimeout(10)
        return answer + everything(client)
    pytest.fail("the server waited for all of it")


def test_a_head_that_arrives_slowly_is_refused_by_name(address: Address, clients: Connections) -> None:
    with connected(address) as client:
        answer = dripping(client, HEAD)
    assert status_of(answer) == 408
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"].startswith("the head of a request took longer")
    until(clients, 0)


@pytest.mark.parametrize("sent", [b"", b"GET /hea", HEAD, HEAD + BODY[:10]])
def test_a_client_that_sends_nothing_more_is_refused_by_name(
    address: Address, clients: Connections, sent: bytes
) -> None:
    with connected(address) as client:
        client.sendall(sent)
        assert status_of(everything(client)) == 408
    until(clients, 0)


def test_a_second_request_on_a_connection_may_not_be_slow_either(address: Address) -> None:
    with connected(address) as client:
        assert read(client) == 200
        assert status_of(dripping(client, HEAD)) == 408


def test_a_body_that_arrives_slowly_is_refused_by_name(address: Address) -> None:
    with connected(address) as client:
        client.sendall(HEAD)
        answer = dripping(client, BODY * 10)
    assert status_of(answer) == 408
    assert "a body must arrive with 1,024 bytes/s" in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]


def test_a_body_that_arrives_fast_enough_may_take_longer(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MIN_BYTES_S", 20)
    with connected(address) as client:
        client.sendall(HEAD)
        for at in range(0, len(BODY), 8):
            client.sendall(BODY[at : at + 8])
            time.sleep(SHORT_S / 2)
        assert status_of(client.recv(2**16)) == 200


def test_a_client_that_reads_nothing_of_its_answer_is_closed(address: Address, clients: Connections) -> None:
    rows = b'{"features": ["delays:flights"], "entities": {"dest": [' + b",".join([b'"ATL"'] * 10_000) + b"]}}"
    request = f"POST {ROUTE} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(rows)}\r\n\r\n".encode() + rows
    with connected(address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(1)
        try:
            for _ in range(200):
                client.sendall(request)
        except OSError:  # the buffers are full, or the server has closed the connection already
            pass
        until(clients, 0)


def test_too_many_connections_get_503_and_still_more_are_closed(address: Address, clients: Connections) -> None:
    with ExitStack() as stack:
        two = [stack.enter_context(connected(address)) for _ in range(2)]
        assert [read(one) for one in two] == [200, 200]
        probe, third = (stack.enter_context(connected(address)) for _ in range(2))
        until(clients, 4)
        probe.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert status_of(probe.recv(2**16)) == 200
        third.sendall(HEAD + BODY)
        head, _, body = everything(third).partition(b"\r\n\r\n")
        assert status_of(head) == 503
        assert {b"retry-after: 1", b"connection: close"} <= set(head.split(b"\r\n"))
        assert json.loads(json.loads(body))["message"] == "the server has 2 open connections, its limit"
        assert [read(one) for one in two] == [200, 200]
    until(clients, 0)
    with ExitStack() as stack:
        many = [stack.enter_context(connected(address)) for _ in range(5)]
        until(clients, 4)
        with suppress(ConnectionResetError):
            assert many[4].recv(1) == b""
