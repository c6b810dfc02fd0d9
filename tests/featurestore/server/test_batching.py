"""Concurrent small reads of a view on a disk or behind a network become one read of the online store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from featurestore.define.entities import Entity
from featurestore.errors import BadReference, OnlineUnavailable
from featurestore.online.blocks import open_blocks
from featurestore.online.interface import OnlineEpoch
from featurestore.online.view_rows import Rows, StoredView
from featurestore.server.app import FeatureServer
from featurestore.server.batching import Batcher
from featurestore.store import Store
from tests.featurestore.making import HOUR, a_view, fill

COUNT = 40
VIEW = a_view(entity=Entity(["dest", "hour"], [(f"d{i}", i) for i in range(COUNT)]))
stored = pytest.mark.parametrize("store_dir", ["rocksdb", "valkey"], indirect=True)


class Recorded:
    """The online store of an epoch. It records how many keys each `get` reads, and blocks each `get` until it is released."""

    def __init__(self, online: OnlineEpoch) -> None:
        self._online = online
        self.calls: list[int] = []
        self.may_go = threading.Event()
        self.fails: Exception | None = None

    def holds(self, view_id: int, seq: int) -> bool:
        return self._online.holds(view_id, seq)

    def get(self, view_id: int, seq: int, keys: Sequence[bytes]) -> list[bytes | None]:
        self.calls.append(len(keys))
        assert self.may_go.wait(60)
        if self.fails is not None:
            raise self.fails
        return self._online.get(view_id, seq, keys)


def recorded(directory: Path) -> tuple[StoredView, Recorded]:
    fill(directory, VIEW, 1)
    view = open_blocks(directory).snapshot.find("delays")
    assert isinstance(view, StoredView)
    online = Recorded(view.online)
    return replace(view, online=online), online


def key(i: int) -> dict[str, list[Any]]:
    return {"dest": [f"d{i}"], "hour": [i]}


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def found(rows: Rows) -> list[bool]:
    flags: list[bool] = (rows.place >= 0).tolist()
    return flags


@stored
def test_what_comes_while_a_read_is_under_way_is_read_together(store_dir: Path) -> None:
    view, online = recorded(store_dir)

    async def test() -> None:
        batcher = Batcher()
        first = asyncio.create_task(batcher.rows(view, key(0), 1))
        await until(lambda: online.calls == [1])
        others = [asyncio.create_task(batcher.rows(view, key(i % 30), 1)) for i in range(1, COUNT)]
        two = asyncio.create_task(batcher.rows(view, {"dest": ["d3", "no"], "hour": [3, 3]}, 2))
        await asyncio.sleep(0)
        assert online.calls == [1]
        online.may_go.set()
        answers = await asyncio.gather(first, *others)
        assert online.calls == [1, 31]  # 30 distinct keys, and one without a row
        for i, rows in enumerate(answers):
            alone = view.rows(key(i % 30), 1)
            assert rows.numbers[rows.place].tobytes() == alone.numbers[alone.place].tobytes()
        assert found(await two) == [True, False]

    run(test())


@stored
def test_a_read_that_is_wrong_fails_alone(store_dir: Path) -> None:
    view, online = recorded(store_dir)

    async def test() -> None:
        batcher = Batcher()
        reads: list[dict[str, list[Any]]] = [
            key(0),
            {"dest": ["d1"]},
            {"dest": [1], "hour": [1]},
            {"dest": [None], "hour": [2**70]},
            key(4),
        ]
        tasks = [asyncio.create_task(batcher.rows(view, keys, 1)) for keys in reads]
        await asyncio.sleep(0)
        online.may_go.set()
        got = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in got] == [Rows, BadReference, BadReference, Rows, Rows]
        assert [found(one) for one in got if isinstance(one, Rows)] == [[True], [False], [True]]
        assert online.calls == [2]

    run(test())


@stored
def test_a_read_whose_request_is_gone_harms_nobody(store_dir: Path) -> None:
    view, online = recorded(store_dir)

    async def test() -> None:
        batcher = Batcher()
        under_way = [asyncio.create_task(batcher.rows(view, key(i), 1)) for i in range(3)]
        await until(lambda: online.calls == [3])
        waiting = [asyncio.create_task(batcher.rows(view, key(i), 1)) for i in range(3, 6)]
        await asyncio.sleep(0)
        for task in (under_way[0], waiting[1]):
            task.cancel()
        online.may_go.set()
        got = await asyncio.gather(*under_way, *waiting, return_exceptions=True)
        gone = [isinstance(one, asyncio.CancelledError) for one in got]
        assert gone == [True, False, False, False, True, False]
        assert all(found(one) == [True] for one in got if isinstance(one, Rows))
        assert found(await batcher.rows(view, key(6), 1)) == [True]

    run(test())


@stored
def test_a_store_that_is_away_is_everybodys_error_and_the_next_read_asks_again(store_dir: Path) -> None:
    view, online = recorded(store_dir)

    async def test() -> None:
        batcher = Batcher()
        online.fails = OnlineUnavailable("away")
        online.may_go.set()
        got = await asyncio.gather(*(batcher.rows(view, key(i), 1) for i in range(3)), return_exceptions=True)
        assert [type(one) for one in got] == [OnlineUnavailable] * 3
        online.fails = None
        assert found(await batcher.rows(view, key(0), 1)) == [True]
        assert online.calls == [3, 1]

    run(test())


@stored
def test_requests_over_http_share_reads_and_each_gets_its_own_answer(
    store_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, online = recorded(store_dir)
    kind = type(view.online._online)  # type: ignore[attr-defined]
    get = kind.get

    def gated(epoch: Any, view_id: int, seq: int, keys: list[bytes]) -> Any:
        online.calls.append(len(keys))
        assert online.may_go.wait(60)
        return get(epoch, view_id, seq, keys)

    monkeypatch.setattr(kind, "get", gated)

    async def test(server: FeatureServer) -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://test") as client:

            async def ask(i: int) -> httpx.Response:
                entities = {"dest": [f"d{i}"], "hour": ["no number"] if i == 7 else [i]}
                body = {"features": ["delays:flights"], "entities": entities}
                return await client.post("/get-online-features", json=body)

            tasks = [asyncio.create_task(ask(i)) for i in range(COUNT)]
            queues = server._batcher._queues
            await until(lambda: sum(online.calls) + sum(len(q.waiting) for q in queues.values()) == COUNT - 1)
            online.may_go.set()
            answers = await asyncio.gather(*tasks)
        assert len(online.calls) <= 2
        assert [answer.status_code for answer in answers] == [422 if i == 7 else 200 for i in range(COUNT)]
        for i, answer in enumerate(answers):
            if i != 7:
                columns = answer.json()["results"]
                assert [column["values"] for column in columns] == [[f"d{i}"], [i], [1.0]]

    with Store.open(store_dir, clock=lambda: 2 * HOUR) as store:
        run(test(FeatureServer(store)))
