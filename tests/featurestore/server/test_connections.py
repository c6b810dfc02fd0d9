"""Clients that are slow, silent or too many, against a running server."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding

from base.tls.authority import DAYS, Authority
from base.tls.contexts import client_context
from base.tls.files import certificate_path, key_path
from base.tls.links import OwnCertificate
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from featurestore.server import handshake, http_connection
from featurestore.server.answer import Message, Receive, Send
from featurestore.server.connections import Connections
from featurestore.server.http_connection import protocol_of
from featurestore.server.http_server import make_server
from featurestore.server.listen import open_socket
from featurestore.server.tls import ServerTls
from tests.base.tls_world import operator
from tests.featurestore.making import fill
from tests.waiting import wait_until

from .guarding import ROUTE, Guarded
from .odd_bodies import VIEW

BODY = b'{"features": ["delays:flights"], "entities": {"dest": ["ATL"]}}'
HEAD = f"POST {ROUTE} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
SHORT_S = 0.2
PATIENCE_S = 60
"""How long a busy machine may take for what comes soon."""

Address = tuple[str, int]


@pytest.fixture
def clients() -> Connections:
    return Connections(2)


@pytest.fixture
def address(tmp_path: Path, clients: Connections, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """A server of two connections, which waits a fifth of a second for a slow client."""
    wait_for_clients(monkeypatch, SHORT_S)
    with running(tmp_path, clients, None) as found:
        yield found


def wait_for_clients(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set how long the server waits for a slow client. A test whose requests must be answered gives them a minute."""
    for limit in ("HEAD_S", "BODY_S", "ANSWER_S"):
        monkeypatch.setattr(http_connection, limit, seconds)


@contextmanager
def running(directory: Path, clients: Connections, tls: ServerTls | None) -> Iterator[Address]:
    fill(directory, VIEW, 2)
    guarded = Guarded(directory, with_keys=False)
    with open_socket("127.0.0.1", 0) as listening:
        server = make_server(guarded.app, clients, tls)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    operator(tmp_path / "keys", TlsRole.SERVER, TlsRole.PROVIDER)
    return tmp_path / "keys"


def tls_of(keys: Path, authority: Path | None = None) -> ServerTls:
    return ServerTls(certificate_path(keys, "server"), key_path(keys, "server"), authority)


@contextmanager
def secured(address: Address, keys: Path, role: TlsRole | None = None) -> Iterator[ssl.SSLSocket]:
    authority = Trust.parse(certificate_path(keys, "ca").read_bytes(), "ca")
    context = client_context(authority, None if role is None else OwnCertificate.load(keys, role))
    with connected(address) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        yield client


@contextmanager
def connected(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=PATIENCE_S) as client:
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
    end = time.monotonic() + PATIENCE_S
    while clients.open != count:
        assert time.monotonic() < end, f"{clients.open} connections are open"
        time.sleep(0.01)


def read(client: socket.socket) -> int:
    """One complete request on a connection that stays open."""
    client.sendall(HEAD + BODY)
    return status_of(answer_of(client))


def answer_of(client: socket.socket) -> bytes:
    """One answer to its end, in however many parts it comes."""
    found = b""
    while b"\r\n\r\n" not in found or len(found.partition(b"\r\n\r\n")[2]) < length_of(found):
        part = client.recv(2**16)
        assert part, f"the server closed the connection after {found!r}"
        found += part
    return found


def length_of(answer: bytes) -> int:
    """The length of a body by the head of its answer."""
    return int(answer.partition(b"content-length: ")[2].split(b"\r\n", 1)[0])


def read_until_closed(client: socket.socket) -> None:
    """Go on reading, so that the connection is never idle, until the server closes it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            client.sendall(HEAD + BODY)
            if not client.recv(2**16):
                return
        except OSError:
            return
        time.sleep(0.1)
    pytest.fail("the connection stays")


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
        client.settimeout(PATIENCE_S)
        with suppress(ConnectionResetError):  # the server has closed the connection, and a byte more was on its way
            answer += everything(client)
        return answer
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


def test_a_second_request_on_a_connection_may_not_be_slow_either(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_clients(monkeypatch, PATIENCE_S)
    with connected(address) as client:
        assert read(client) == 200
        wait_for_clients(monkeypatch, SHORT_S)
        assert status_of(dripping(client, HEAD)) == 408


def test_a_body_that_arrives_slowly_is_refused_by_name(address: Address) -> None:
    with connected(address) as client:
        client.sendall(HEAD)
        answer = dripping(client, BODY * 10)
    assert status_of(answer) == 408
    assert "a body must arrive with 1,024 bytes/s" in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]


def test_a_body_that_arrives_fast_enough_may_take_longer(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte gives it a second, so a busy machine may pause between two parts; the whole takes longer than `BODY_S`."""
    monkeypatch.setattr(http_connection, "MIN_BYTES_S", 1)
    monkeypatch.setattr(http_connection, "HEAD_S", PATIENCE_S)
    with connected(address) as client:
        assert read(client) == 200  # the time of a further request begins with its first bytes
        client.sendall(HEAD + BODY[:8])
        for at in range(8, len(BODY), 8):
            time.sleep(SHORT_S / 2)
            client.sendall(BODY[at : at + 8])
        assert status_of(answer_of(client)) == 200


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ",
        b"GET /",
        b"POST /health HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: ",
    ],
)
def test_a_head_without_end_is_refused_and_holds_up_no_other_client(
    address: Address, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that comes as trailers of a body."""
    wait_for_clients(monkeypatch, PATIENCE_S)
    sent = 0
    with connected(address) as other:
        with connected(address) as client, suppress(ConnectionError):
            client.sendall(begun)
            while sent < 64 * 2**20:
                client.sendall(b"a" * 2**16)
                sent += 2**16
        assert read(other) == 200
    assert sent < 16 * 2**20  # what the buffers of both sides hold, and no more


@pytest.mark.parametrize(("size", "status"), [(60_000, 200), (300_000, 431), (900_000, 431)])
def test_a_head_that_is_too_large_has_an_answer_and_a_usual_one_is_read(
    address: Address, size: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of a refused head reads the answer after all that it had to say: its connection is not reset before."""
    for limit in ("HEAD_S", "LINGER_S"):
        monkeypatch.setattr(http_connection, limit, PATIENCE_S)
    with connected(address) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ")
        for _ in range(size // 10_000):
            client.sendall(b"a" * 10_000)
        client.sendall(b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert status_of(everything(client)) == status


def test_a_refused_connection_is_read_for_a_bounded_time(
    address: Address, clients: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_S", PATIENCE_S)
    monkeypatch.setattr(http_connection, "LINGER_S", 1.0)  # long enough for what a busy client still sends
    with connected(address) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 100_000)
        assert status_of(everything(client)) == 431
        until(clients, 0)


def test_a_refused_connection_ends_its_request_while_it_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told at once, too: the request does not go on for as long as its connection is read."""
    monkeypatch.setattr(http_connection, "HEAD_S", 2.0)  # the body is looked at when this has passed
    monkeypatch.setattr(http_connection, "BODY_S", SHORT_S)
    monkeypatch.setattr(http_connection, "LINGER_S", 600.0)
    kinds: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        while not kinds or kinds[-1] != "http.disconnect":
            kinds.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    config = uvicorn.Config(app, http=protocol_of(Connections(2), None), lifespan="off", ws="none", log_config=None)
    server = uvicorn.Server(config)
    with open_socket("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            with connected(listening.getsockname()) as client:
                client.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\na")
                assert status_of(everything(client)) == 408
                wait_until(lambda: kinds[-1:] == ["http.disconnect"])
        finally:
            server.should_exit = True
            thread.join()


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


def test_too_many_connections_get_503_and_still_more_are_closed(
    address: Address, clients: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_clients(monkeypatch, PATIENCE_S)
    with ExitStack() as stack:
        two = [stack.enter_context(connected(address)) for _ in range(2)]
        assert [read(one) for one in two] == [200, 200]
        probe, third = (stack.enter_context(connected(address)) for _ in range(2))
        until(clients, 4)
        probe.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert status_of(answer_of(probe)) == 200
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


def test_clients_that_say_nothing_to_a_server_with_tls_are_counted_and_closed(
    tmp_path: Path, clients: Connections, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "HEAD_S", PATIENCE_S)
    with running(tmp_path, clients, tls_of(keys)) as address:
        with ExitStack() as stack:
            silent = [stack.enter_context(connected(address)) for _ in range(20)]
            for one in silent[4:]:
                with suppress(ConnectionResetError):
                    assert one.recv(1) == b""
            assert clients.open == 4  # all others were closed before the time of these was over
        until(clients, 0)
        monkeypatch.setattr(handshake, "HEAD_S", SHORT_S)
        with ExitStack() as stack:
            for one in [stack.enter_context(connected(address)) for _ in range(4)]:
                with suppress(ConnectionResetError):
                    assert one.recv(1) == b""
        until(clients, 0)
        monkeypatch.setattr(handshake, "HEAD_S", PATIENCE_S)
        with secured(address, keys) as client:
            assert read(client) == 200
        until(clients, 0)


def test_a_server_with_tls_refuses_slow_requests_as_one_without(
    tmp_path: Path, clients: Connections, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        http_connection, "HEAD_S", 1.0
    )  # TLS cannot wait for what a busy client sends after the refusal
    with running(tmp_path, clients, tls_of(keys)) as address, secured(address, keys) as client:
        client.sendall(b"GET /hea")
        assert status_of(everything(client)) == 408


def test_a_request_may_come_with_the_end_of_the_handshake(tmp_path: Path, clients: Connections, keys: Path) -> None:
    context = client_context(Trust.parse(certificate_path(keys, "ca").read_bytes(), "ca"))
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    spoken = context.wrap_bio(into, out, server_hostname="127.0.0.1")
    with running(tmp_path, clients, tls_of(keys)) as address, connected(address) as client:
        while True:
            try:
                spoken.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sendall(out.read())
                into.write(client.recv(2**16))
        spoken.write(HEAD + BODY)
        client.sendall(out.read())
        answer = b""
        while b"\r\n" not in answer:
            try:
                answer += spoken.read(2**16)
            except ssl.SSLWantReadError:  # what came were the session's tickets, or a part of the answer
                assert into.write(client.recv(2**16))
        assert status_of(answer) == 200


def test_kept_connections_end_when_the_authority_of_their_clients_changes_or_a_certificate_expires(
    tmp_path: Path, clients: Connections, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "HEAD_S", 60)
    authority = tmp_path / "clients.crt"
    authority.write_bytes(certificate_path(keys, "ca").read_bytes())
    reader = TlsRole.PROVIDER
    with running(tmp_path, clients, tls_of(keys, authority)) as address:
        with secured(address, keys, reader) as kept, connected(address) as half:
            assert read(kept) == 200
            until(clients, 2)
            other = operator(tmp_path / "other").certificate.found
            authority.write_bytes(other.public_bytes(Encoding.PEM))
            read_until_closed(kept)
            with suppress(ConnectionResetError):
                assert half.recv(1) == b""
        authority.write_bytes(certificate_path(keys, "ca").read_bytes())
        soon = datetime.now(UTC) - timedelta(days=DAYS) + timedelta(seconds=3)
        Authority.load(keys).issue(keys, reader, (), soon)
        with secured(address, keys, reader) as kept:
            assert read(kept) == 200
            read_until_closed(kept)
        until(clients, 0)
