"""A site's pull waits at the SuperLink: it gets a message as soon as one is pushed, and takes none when its site is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deployment.local import held_pulls
from deployment.local.held_pulls import MOST_WAIT_S, QUIET_S, HeldPulls, Message, Pushes, Receive, SeesPushes, Send

PULL, PUSH = "/v1/fleet/pull-messages", "/v1/runtime/push-object"


class Flower:
    """An application that hands out a message once, as Flower does."""

    def __init__(self) -> None:
        self.status, self.message, self.asked = 200, b"", list[bytes]()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        scope["path_params"] = "as Starlette changes it"
        self.asked.append((await receive()).get("body", b""))
        if scope["path"] == PUSH:
            self.message = b"a message"
        body = b""
        if scope["path"] == PULL:
            body, self.message = self.message, b""
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": body})


class Site:
    """One connection of a site."""

    def __init__(self, flower: Flower, pushes: Pushes) -> None:
        self.app, self.gone, self.sent = HeldPulls(flower, pushes), asyncio.Event(), list[Message]()
        self.bodies = [
            {"type": "http.request", "body": b"no", "more_body": True},
            {"type": "http.request", "body": b"de"},
        ]

    async def pull(self, wait: bytes | None = b"10", path: str = PULL) -> bytes | None:
        """What the site receives; None: nothing was sent."""

        async def receive() -> Message:
            if self.bodies:
                return self.bodies.pop(0)
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)

        headers = [] if wait is None else [(b"covey-wait", wait)]
        await self.app({"type": "http", "path": path, "headers": headers}, receive, send)
        return b"".join(one.get("body", b"") for one in self.sent) if self.sent else None


async def push(flower: Flower, pushes: Pushes, path: str = PUSH) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(_message: Message) -> None:
        return

    await SeesPushes(flower, pushes)({"type": "http", "path": path}, receive, send)


def running(test: Callable[[Flower, Pushes, Site], Awaitable[None]]) -> Flower:
    async def run() -> Flower:
        flower, pushes = Flower(), Pushes()
        async with asyncio.timeout(120):
            await test(flower, pushes, Site(flower, pushes))
        return flower

    return asyncio.run(run())


async def held(flower: Flower, pull: asyncio.Task[bytes | None]) -> None:
    """Return when Flower has answered the pull once, and the pull waits."""
    while not flower.asked:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not pull.done()


def test_a_pull_gets_a_message_that_is_there_at_once() -> None:
    async def test(flower: Flower, _pushes: Pushes, site: Site) -> None:
        flower.message = b"a message"
        assert await site.pull() == b"a message"

    assert running(test).asked == [b"node"]


def test_a_waiting_pull_gets_the_message_that_is_pushed_and_flower_sees_the_same_request_again() -> None:
    async def test(flower: Flower, pushes: Pushes, site: Site) -> None:
        pull = asyncio.create_task(site.pull())
        await held(flower, pull)
        await push(flower, pushes)
        assert await pull == b"a message"

    assert running(test).asked == [b"node", b"", b"node"]


def test_several_pushes_one_after_the_other_wake_once_when_all_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pushes take longer than the quiet that they wait for, and a busy machine may pause between two of them."""
    monkeypatch.setattr(held_pulls, "QUIET_S", 0.6)

    async def test(flower: Flower, pushes: Pushes, site: Site) -> None:
        pull = asyncio.create_task(site.pull())
        await held(flower, pull)
        for _ in range(4):
            await push(flower, pushes)
            await asyncio.sleep(0.2)
            assert not pull.done()
        assert await pull == b"a message"

    assert running(test).asked.count(b"node") == 2


def test_a_push_while_flower_answers_is_asked_for_at_once() -> None:
    async def test(flower: Flower, pushes: Pushes, site: Site) -> None:
        async def answers_slowly(scope: Any, receive: Any, send: Any) -> None:
            await flower(scope, receive, send)
            if flower.asked.count(b"node") == 1:
                await push(flower, pushes)
                await asyncio.sleep(2 * QUIET_S)

        assert await Site(answers_slowly, pushes).pull() == b"a message"  # type: ignore[arg-type]

    assert running(test).asked.count(b"node") == 2


def test_a_message_for_another_site_lets_the_pull_wait_on() -> None:
    async def test(flower: Flower, pushes: Pushes, site: Site) -> None:
        pull = asyncio.create_task(site.pull())
        await held(flower, pull)
        await push(flower, pushes)
        flower.message = b""  # the other site took it
        while flower.asked.count(b"node") < 2:
            await asyncio.sleep(QUIET_S)
        assert not pull.done()
        await push(flower, pushes)
        assert await pull == b"a message"

    running(test)


def test_a_site_that_is_gone_takes_no_message() -> None:
    async def test(flower: Flower, pushes: Pushes, site: Site) -> None:
        pull = asyncio.create_task(site.pull())
        await held(flower, pull)
        site.gone.set()
        assert await pull is None
        await push(flower, pushes)
        assert flower.message == b"a message"

    assert running(test).asked == [b"node", b""]


def test_a_pull_whose_time_is_over_and_one_of_a_stopping_superlink_end_empty() -> None:
    async def test(flower: Flower, pushes: Pushes, site: Site) -> None:
        assert await site.pull(b"0") == b""
        pull = asyncio.create_task(Site(flower, pushes).pull(b"19"))
        await asyncio.sleep(QUIET_S)
        pushes.close()
        assert await pull == b""
        assert await Site(flower, pushes).pull(b"19") == b""

    running(test)


@pytest.mark.parametrize("wait", [None, b"", b"-1", b"1e9", b"9999", "１".encode()])
def test_a_pull_that_names_no_wait_is_answered_at_once(wait: bytes | None) -> None:
    async def test(_flower: Flower, _pushes: Pushes, site: Site) -> None:
        assert await site.pull(wait) == b""

    running(test)


def test_a_caller_that_flower_refuses_does_not_wait_and_other_calls_do_not() -> None:
    async def test(flower: Flower, pushes: Pushes, site: Site) -> None:
        flower.status = 401
        assert await site.pull() == b""
        flower.status = 200
        assert await Site(flower, pushes).pull(path="/v1/fleet/get-run") == b""
        large = Site(flower, pushes)
        large.bodies = [{"type": "http.request", "body": bytes(5_000)}]
        assert await large.pull() is None

    assert MOST_WAIT_S < 30  # a site waits as long for the next bytes
    running(test)
