"""Requests of Feast's route that arrive in one piece get the answers that they get in parts, and cost no task."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
from uvicorn.server import ServerState

from featurestore.online.view_rows import Rows, StoredView
from featurestore.server import http_in_one
from featurestore.server.answer import Answer, Message, Receive, Send
from featurestore.server.connections import Connections
from featurestore.server.guard import Guard
from featurestore.server.hosts import Hosts
from featurestore.server.http_server import make_server
from featurestore.server.listen import open_socket
from featurestore.server.throttle import Limits
from tests.featurestore.making import fill

from .guarding import NO_LIMITS, ROUTE, Guarded
from .odd_bodies import VIEW

BODY = b'{"features": ["delays:flights"], "entities": {"dest": ["ATL", "XYZ", null]}}'
LOOP = "event loop"
_DATE = re.compile(rb"date: [^\r]+\r\n")


class Server:
    """A running server, and one connection to it."""

    def __init__(self, guarded: Guarded, client: socket.socket, key: str) -> None:
        self.guarded, self._client, self.key = guarded, client, key
        self._rest = b""

    def request(self, body: bytes = BODY, *headers: str, method: str = "POST", path: str = ROUTE) -> bytes:
        """The bytes of a request with the reader's key."""
        lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"x-api-key: {self.key}", *headers]
        return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body

    def send(self, *parts: bytes) -> list[tuple[int, bytes]]:
        """(status, head and body without the date) of each answer to requests that are sent in these parts, one after the other."""
        for part in parts:
            self._client.sendall(part)
            if part is not parts[-1]:
                self._settle()
        return [self._answer()]

    def answers(self, count: int) -> list[tuple[int, bytes]]:
        """The next answers."""
        return [self._answer() for _ in range(count)]

    def send_alone(self, data: bytes) -> None:
        """Send, and wait for nothing."""
        self._client.sendall(data)

    def beside(self) -> Server:
        """Another connection to the server."""
        return Server(self.guarded, socket.create_connection(self._client.getpeername(), timeout=60), self.key)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _settle(self) -> None:
        """Wait until the server has read what was sent: it answers another connection after that."""
        with socket.create_connection(self._client.getpeername(), timeout=60) as other:
            other.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            while other.recv(2**16):
                pass

    def _answer(self) -> tuple[int, bytes]:
        while b"\r\n\r\n" not in self._rest:
            self._receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].split()[0])
        while len(self._rest) < length:
            self._receive()
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(head.split()[1]), _DATE.sub(b"", head) + body

    def _receive(self) -> None:
        part = self._client.recv(2**16)
        assert part, "the server closed the connection"
        self._rest += part


@contextmanager
def running(directory: Path, limits: Limits = NO_LIMITS) -> Iterator[Server]:
    guarded = Guarded(directory)
    key = guarded.add("reader", limits)
    with open_socket("127.0.0.1", 0) as listening:
        server = make_server(guarded.app, Connections(10))
        thread = threading.Thread(target=server.run, args=([listening],), name=LOOP)
        thread.start()
        try:
            with socket.create_connection(listening.getsockname(), timeout=60) as client:
                yield Server(guarded, client, key)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    fill(tmp_path, VIEW, 2)
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def asgi(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the requests that take the way of ASGI."""
    seen: list[str] = []
    real = Guard.__call__

    async def noted(self: Guard, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == ROUTE:
            seen.append(scope["path"])
        await real(self, scope, receive, send)

    monkeypatch.setattr(Guard, "__call__", noted)
    return seen


ODD = {
    "values": BODY,
    "no JSON": b"{",
    "an unknown view": b'{"features": ["nothing:flights"], "entities": {"dest": ["ATL"]}}',
    "a wrong type": b'{"features": ["delays:flights"], "entities": {"dest": [1]}}',
    "an empty body": b"",
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in ODD.items()])
@pytest.mark.parametrize("accept", ["*/*", "application/vnd.apache.arrow.stream"])
def test_a_request_in_one_piece_is_answered_as_one_in_parts(
    server: Server, asgi: list[str], body: bytes, accept: str
) -> None:
    whole = server.request(body, f"accept: {accept}")
    at_once = server.send(whole)
    assert asgi == []
    head = whole.index(b"\r\n\r\n") + 4
    cuts = [10, head, *([head + len(body) // 2] if body else [])]
    for cut in cuts:
        assert server.send(whole[:cut], whole[cut:]) == at_once
    assert len(asgi) == len([cut for cut in cuts if head <= cut < len(whole)])
    assert server.send(whole) == at_once


def test_refusals_are_those_of_requests_in_parts(server: Server, asgi: list[str]) -> None:
    good = server.request()
    for odd, status in (
        (good.replace(server.key.encode(), b"nobody"), 401),
        (good.replace(b"host: localhost", b"host: evil.example"), 421),
        (good.replace(b"host: localhost", b"host: localhost\r\norigin: http://evil.example"), 403),
    ):
        at_once = server.send(odd)
        assert at_once[0][0] == status
        asgi.clear()
        assert server.send(odd[:-5], odd[-5:]) == at_once
        assert asgi == [ROUTE]


def test_requests_of_other_forms_take_the_way_of_asgi(server: Server, asgi: list[str]) -> None:
    at_once = server.send(server.request())
    chunked = server.request(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    for odd in (
        chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
        server.request(path=f"{ROUTE}?a=b"),
    ):
        asgi.clear()
        assert server.send(odd) == at_once
    assert server.send(server.request(b"", method="GET"))[0][0] == 405
    asgi.clear()
    client = server.send(server.request(BODY, "connection: close"))
    assert (client[0][0], asgi) == (200, [ROUTE])


def test_an_answer_comes_before_those_of_the_requests_that_were_sent_with_it(server: Server, asgi: list[str]) -> None:
    bodies = [BODY.replace(b'"XYZ"', b'"%d"' % at) for at in range(5)]
    alone = [server.send(server.request(body))[0] for body in bodies]
    assert asgi == []
    together = server.send(b"".join(map(server.request, bodies))) + server.answers(4)
    assert together == alone
    assert len(set(alone)) == 5
    assert len(asgi) == 4


def test_each_request_is_counted_once_and_takes_its_rows(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    with running(tmp_path, Limits(rows=6)) as server:
        head, body = server.request()[: -len(BODY)], BODY
        assert server.send(head + body)[0][0] == 200
        assert server.send(head, body)[0][0] == 200
        refused, answer = server.send(head + body)[0]
        assert (refused, b"retry-after: 1" in answer) == (429, True)
    text = server.guarded.ask("GET", "/metrics", server.guarded.add("scraper")).text
    assert counted(text) == 2
    assert "covey_rows_total 6" in text, text


@pytest.mark.parametrize("store_dir", ["rocksdb"], indirect=True)
def test_rows_on_a_disk_are_read_off_the_event_loop(
    store_dir: Path, monkeypatch: pytest.MonkeyPatch, asgi: list[str]
) -> None:
    fill(store_dir, VIEW, 2)
    threads: list[str] = []
    real = StoredView.rows

    def noted(self: StoredView, entities: Mapping[str, Sequence[Any]], count: int) -> Rows:
        threads.append(threading.current_thread().name)
        return real(self, entities, count)

    monkeypatch.setattr(StoredView, "rows", noted)
    with running(store_dir) as server:
        at_once = server.send(server.request())
        assert (at_once[0][0], len(threads)) == (200, 1)
        assert threads[0] != LOOP
        whole = server.request()
        assert server.send(whole[:-5], whole[-5:]) == at_once
        assert asgi == [ROUTE]  # the request in parts alone
    text = server.guarded.ask("GET", "/metrics", server.guarded.add("scraper")).text
    assert counted(text) == 2


def counted(text: str) -> int:
    """How many reads with status 200 the metrics have."""
    found = re.search(rf'covey_requests_total{{route="{ROUTE}",status="200"}} (\d+)', text)
    assert found is not None, text
    return int(found[1])


def test_clients_of_one_round_get_their_own_answers(tmp_path: Path, asgi: list[str]) -> None:
    fill(tmp_path, VIEW, 2)
    with running(tmp_path) as server:
        bodies = [BODY.replace(b'"XYZ"', b'"%d"' % at) for at in range(8)]
        expected = [server.send(server.request(body))[0] for body in bodies]
        for _ in range(20):
            others = [server.beside() for _ in bodies]
            for other, body in zip(others, bodies, strict=True):
                other.send_alone(server.request(body))
            assert [other.answers(1)[0] for other in others] == expected
            for other in others:
                other.close()
    assert asgi == []


def test_a_defect_of_the_guard_is_an_answer_and_the_connection_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("secret of the inside")

    good = server.send(server.request())
    with monkeypatch.context() as patched:
        patched.setattr(Hosts, "require", defect)
        status, answer = server.send(server.request())[0]
    assert (status, b"secret" in answer) == (500, False)
    assert "secret of the inside" in caplog.text
    assert server.send(server.request()) == good


class Waiting:
    """A connection whose answer takes a while."""

    def __init__(self, said: list[str], name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._said, self._name, self.loop = said, name, loop

    def take(self) -> Answer:
        self._said.append(f"take {self._name}")
        return Answer(200, b"")

    def write(self, _: Answer) -> None:
        self._said.append(f"write {self._name}")


@pytest.mark.parametrize(
    ("together", "order"),
    [(60.0, ["take a", "take b", "write a", "write b"]), (0.0, ["take a", "write a", "take b", "write b"])],
)
def test_answers_of_a_round_are_written_together_unless_they_take_long(
    monkeypatch: pytest.MonkeyPatch, together: float, order: list[str]
) -> None:
    monkeypatch.setattr(http_in_one, "TOGETHER_S", together)
    said: list[str] = []

    async def go() -> None:
        arrived, loop = http_in_one._Arrived(), asyncio.get_running_loop()
        for name in ("a", "b"):
            arrived.add(cast(http_in_one._InOne, Waiting(said, name, loop)))
        assert said == []
        await asyncio.sleep(0)

    asyncio.run(go())
    assert said == order


def test_a_server_that_stops_answers_the_request_that_waits(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    guarded = Guarded(tmp_path, with_keys=False)
    head = f"POST {ROUTE} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()

    async def go() -> list[Any]:
        config = make_server(guarded.app, Connections(10)).config
        config.load()
        connection: Any = config.http_protocol_class(config, ServerState(), {})  # a class that asyncio calls otherwise
        transport = Mock(**{"is_closing.return_value": False, "get_extra_info.return_value": None})
        connection.connection_made(transport)
        connection.data_received(head + BODY)
        assert transport.write.call_args_list == []
        connection.shutdown()
        said = [one for one in transport.method_calls if one[0] in ("write", "close")]
        await asyncio.sleep(0)
        assert transport.write.call_count == 1
        return said

    (write, (data,), _), (close, _, _) = asyncio.run(go())
    assert (write, close, data.split()[1]) == ("write", "close", b"200")
