"""The slots of requests that compute: how many, of whom, and what becomes of those that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from covey.console import extension, slots
from covey.console.openapi import document
from covey.console.slots import EXPORTS, LIGHT, STREAMS, ComputingSlots, Slots
from covey.errors import ConsoleBusy

from .asking import Api, console_of


async def turns(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def have(slots: Slots, user: str, until: asyncio.Event) -> None:
    async with slots.of(user):
        await until.wait()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_one_user_leaves_slots_to_others_and_gets_their_own_back() -> None:
    async def main() -> None:
        slots, end = Slots(3, 2), asyncio.Event()
        async with AsyncExitStack() as two:
            for _ in range(2):
                await two.enter_async_context(slots.of("greedy"))
            third = asyncio.create_task(have(slots, "greedy", end))
            await turns()
            async with asyncio.timeout(30), slots.of("other"):
                pass
            assert not third.done()
            end.set()
        await third

    run(main())


def test_all_users_together_have_no_more_than_all_slots() -> None:
    async def main() -> None:
        slots = Slots(2, 2, patience_s=0)
        async with slots.of("a"), slots.of("b"):
            with pytest.raises(ConsoleBusy, match="try again in 2 s"):
                async with slots.of("c"):
                    pass
        async with slots.of("c"), slots.of("c"):
            pass

    run(main())


def test_those_that_wait_get_their_turns_in_order() -> None:
    async def main() -> None:
        slots, seen = Slots(1, 1), list[str]()

        async def note(user: str) -> None:
            async with slots.of(user):
                seen.append(user)

        async with slots.of("first"):
            tasks = [asyncio.create_task(note(user)) for user in "cab"]
            await turns()
            assert seen == []
        await asyncio.gather(*tasks)
        assert seen == ["c", "a", "b"]

    run(main())


def test_a_user_has_a_bounded_number_of_waiting_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "WAITING", 2)

    async def main() -> None:
        few, end = Slots(1, 1), asyncio.Event()
        tasks = [asyncio.create_task(have(few, "a", end)) for _ in range(3)]
        await turns()
        with pytest.raises(ConsoleBusy):
            await have(few, "a", end)
        other = asyncio.create_task(have(few, "b", end))
        end.set()
        await asyncio.gather(*tasks, other)

    run(main())


@pytest.mark.parametrize("late", [False, True])
def test_a_request_that_is_given_up_keeps_no_slot(late: bool) -> None:
    async def main() -> None:
        slots, never = Slots(1, 1), asyncio.Event()
        async with slots.of("a"):
            waiting = asyncio.create_task(have(slots, "b", never))
            await turns()
            if not late:
                waiting.cancel()
                await turns()
        waiting.cancel()  # if late: its turn has come, and it does not know yet
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(30), slots.of("c"):
            pass

    run(main())


def test_a_busy_console_answers_when_to_come_again_and_goes_on_with_light_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router, taken = APIRouter(prefix="/place"), ComputingSlots()
    taken._slots._patience_s = 0

    @router.get("/heavy", operation_id="heavy")
    async def heavy() -> None: ...

    @router.get("/light", operation_id="getPalette")
    async def light() -> None: ...

    @router.get("/export", operation_id="exportRows")
    async def export() -> Response:
        return StreamingResponse(iter([b"1"]))

    class Full(Slots):
        def _is_free(self, user: str) -> bool:
            return False

    monkeypatch.setattr(extension, "routers_of", lambda _: (router,))
    monkeypatch.setattr(extension, "ComputingSlots", lambda: taken)
    with console_of(tmp_path) as console:
        api = Api(console)
        for _ in range(20):  # each gives its slot back
            assert api.client.get("/console/api/place/heavy").status_code == 200
        taken._slots = Full(1, 1, patience_s=0)
        answer = api.client.get("/console/api/place/heavy")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "CONSOLE_BUSY", "2")
        assert api.client.get("/console/api/place/light").status_code == 200
        assert api.client.get("/console/api/place/export").text == "1"
        assert api.client.get("/console/api/about").status_code == 200


def test_the_named_operations_exist() -> None:
    operations = {one["operationId"] for item in document()["paths"].values() for one in item.values()}
    assert operations >= LIGHT | STREAMS | EXPORTS
