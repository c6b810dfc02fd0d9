"""Routes of an extension: their answers may be promised, in one piece and through ASGI."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from base.metrics import READY, Sample
from featurestore.server.answer import Answer, Promised
from featurestore.server.app import FeatureServer
from featurestore.server.connections import Connections
from featurestore.server.extension import NoExtension
from featurestore.server.guard import Guard
from featurestore.server.http_server import make_server
from featurestore.server.listen import open_socket
from featurestore.server.refusal import Refused
from featurestore.server.whole_routes import WholeRequest, WholeRoute
from tests.featurestore.making import fill
from tests.waiting import wait_until

from .guarding import Guarded
from .odd_bodies import VIEW
from .test_http_in_one import Server

URL = "/predict/late?explain=true"


class Echo(NoExtension):
    """Answers `/predict/…` with what it got; a body `wait` is answered by `keep`."""

    name = "/predict"
    max_body = 1_000

    def __init__(self) -> None:
        self.loop: Any = None
        self.waiting: list[Promised] = []
        self.withdrawn = 0
        self.busy = False
        self.urls: list[bytes] = []
        self.end: Callable[[], None] = lambda: None

    def find(self, url: bytes) -> WholeRoute | None:
        return self if url.startswith(b"/predict/") else None

    def turned_away(self, url: bytes) -> Answer | None:
        return Answer(429, b"busy") if self.busy else None

    def answer(self, request: WholeRequest, charge: Callable[[int], None]) -> Answer | Promised:
        self.loop = asyncio.get_running_loop()
        self.urls.append(request.url)
        charge(3)
        if request.body == b"defect":
            raise ValueError("a defect")
        if request.body.startswith(b"pause"):
            return Answer(429, request.body, pause_s=0.05)
        if not request.body.startswith(b"wait"):
            return Answer(200, request.body)
        promised = Promised(self._gone)
        self.waiting.append(promised)
        return promised

    def refusal(self, refused: Refused) -> Answer:
        return Answer(refused.status, b"refused")

    def samples(self) -> list[Sample]:
        return [Sample(READY, (), 7.0)]

    def keep(self, at: int, body: bytes) -> None:
        """Give a promised answer, from the test's thread."""
        wait_until(lambda: len(self.waiting) > at)
        self.loop.call_soon_threadsafe(self.waiting[at].give, Answer(200, body))

    def _gone(self) -> None:
        self.withdrawn += 1


@contextmanager
def running(directory: Path) -> Iterator[tuple[Server, Echo]]:
    guarded, echo = Guarded(directory), Echo()
    key = guarded.add("reader")
    guarded.app = Guard(
        FeatureServer(guarded.store, extension=echo), guarded.app._hosts, guarded.app._gate, dict, process=echo.samples
    )
    import socket

    with open_socket("127.0.0.1", 0) as listening:
        server = make_server(guarded.app, Connections(10))
        echo.end = lambda: setattr(server, "should_exit", True)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            with socket.create_connection(listening.getsockname(), timeout=60) as client:
                yield Server(guarded, client, key), echo
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, Echo]]:
    fill(tmp_path, VIEW, 2)
    with running(tmp_path) as found:
        yield found


def in_parts(request: bytes) -> tuple[bytes, bytes]:
    """A request whose body arrives later than its head: it is answered through ASGI."""
    return request[:-1], request[-1:]


def counts(server: Server) -> dict[str, float]:
    total = server.guarded.app._counts.total()
    return {"rows": total[-1]}


def test_an_answer_may_come_at_once_or_later_in_one_piece_and_in_parts(served: tuple[Server, Echo]) -> None:
    server, echo = served
    whole = server.request(b"hello", path=URL)
    ((status, body),) = server.send(whole)
    assert (status, body.endswith(b"hello")) == (200, True)
    assert server.send(*in_parts(whole)) == [(status, body)]
    for number, parts in enumerate([[server.request(b"wait", path=URL)], in_parts(server.request(b"wait", path=URL))]):
        server.send_alone(parts[0])
        if len(parts) > 1:
            server._settle()
            server.send_alone(parts[1])
        echo.keep(number, b"later")
        ((status, body),) = server.answers(1)
        assert (status, body.endswith(b"later")) == (200, True)
    assert set(echo.urls) == {URL.encode()}
    assert counts(server) == {"rows": 12}


def test_requests_behind_a_promised_answer_keep_their_order(served: tuple[Server, Echo]) -> None:
    server, echo = served
    first, second = server.request(b"wait 1", path=URL), server.request(b"second", path=URL)
    server.send_alone(first + second + server.request())
    server._settle()
    echo.keep(0, b"first")
    bodies = [body for _, body in server.answers(3)]
    assert bodies[0].endswith(b"first")
    assert bodies[1].endswith(b"second")
    assert b"feature_names" in bodies[2]


def test_two_promised_answers_of_one_connection_keep_their_order(served: tuple[Server, Echo]) -> None:
    server, echo = served
    server.send_alone(server.request(b"wait 1", path=URL))
    wait_until(lambda: len(echo.waiting) == 1)
    server.send_alone(server.request(b"wait 2", path=URL))
    server._settle()
    echo.keep(0, b"first")
    ((_, body),) = server.answers(1)
    assert body.endswith(b"first")
    echo.keep(1, b"second")
    ((_, body),) = server.answers(1)
    assert body.endswith(b"second")


@pytest.mark.parametrize("whole", [True, False])
def test_a_client_that_goes_away_withdraws_its_request(served: tuple[Server, Echo], whole: bool) -> None:
    server, echo = served
    other = server.beside()
    request = server.request(b"wait", path=URL)
    for part in [request] if whole else in_parts(request):
        other.send_alone(part)
        server._settle()
    wait_until(lambda: len(echo.waiting) == 1)
    other.close()
    wait_until(lambda: echo.withdrawn == 1)
    echo.keep(0, b"too late")
    assert server.send(server.request(b"hello", path=URL))[0][0] == 200


def test_a_client_that_goes_away_withdraws_a_request_although_others_are_behind_it(
    served: tuple[Server, Echo], caplog: pytest.LogCaptureFixture
) -> None:
    server, echo = served
    other = server.beside()
    other.send_alone(server.request(b"wait", path=URL) * 3)
    wait_until(lambda: len(echo.waiting) == 1)
    other.close()
    echo.keep(0, b"first")  # the connection is not read before
    wait_until(lambda: len(echo.waiting) == 2 and echo.withdrawn == 1)
    assert server.send(server.request(b"hello", path=URL))[0][0] == 200
    assert not caplog.records


def test_refusals_of_the_guard_have_the_form_of_the_route(served: tuple[Server, Echo]) -> None:
    server, _ = served
    good = server.request(b"hello", path=URL)
    odd = good.replace(server.key.encode(), b"nobody")
    ((status, body),) = server.send(odd)
    assert (status, body.endswith(b"refused")) == (401, True)


def test_a_body_is_bounded_and_a_defect_is_an_answer(served: tuple[Server, Echo]) -> None:
    server, echo = served
    too_large = server.request(b"x" * (echo.max_body + 1), path=URL)
    for parts in ((too_large,), in_parts(too_large)):
        ((status, body),) = server.send(*parts)
        assert (status, body.endswith(b"refused")) == (413, True)
    for parts in ((server.request(b"defect", path=URL),), in_parts(server.request(b"defect", path=URL))):
        ((status, body),) = server.send(*parts)
        assert (status, body.endswith(b"refused")) == (500, True)


def test_a_request_that_is_turned_away_is_answered_before_its_body_arrives(served: tuple[Server, Echo]) -> None:
    server, echo = served
    echo.busy = True
    server.send_alone(server.request(b"hello", path=URL)[:-1])
    ((status, body),) = server.answers(1)
    assert (status, body.endswith(b"busy")) == (429, True)
    assert echo.urls == []


def test_a_connection_rests_after_a_refusal_and_is_then_read_again(served: tuple[Server, Echo]) -> None:
    server, _ = served
    server.send_alone(server.request(b"pause 1", path=URL))
    assert server.answers(1)[0][0] == 429
    assert server.send(server.request(b"hello", path=URL))[0][1].endswith(b"hello")


def test_a_client_that_sends_its_body_in_parts_waits_for_a_refusal(
    served: tuple[Server, Echo], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = served
    slept, sleep = list[float](), asyncio.sleep

    async def watched(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", watched)
    assert server.send(*in_parts(server.request(b"pause", path=URL)))[0][0] == 429
    assert 0.05 in slept


def test_a_server_that_ends_gives_the_answers_that_it_has_promised(served: tuple[Server, Echo]) -> None:
    server, echo = served
    server.send_alone(server.request(b"wait", path=URL))
    wait_until(lambda: len(echo.waiting) == 1)
    echo.end()
    wait_until(lambda: not listens(server))
    echo.keep(0, b"last")
    ((_, body),) = server.answers(1)
    assert body.endswith(b"last")
    assert server._client.recv(1) == b""


def listens(server: Server) -> bool:
    try:
        server.beside().close()
    except OSError:
        return False
    return True
