"""A kept answer is always the one that would be computed."""

from __future__ import annotations

import asyncio
import copy
import itertools
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from featurestore.define.on_demand import Feature, on_demand
from featurestore.define.services import FeatureService
from featurestore.online.blocks import Snapshot
from featurestore.publish.publish import Publisher
from featurestore.read import features_pb2 as pb
from featurestore.read.messages import reply_of, request_of
from featurestore.read.request import Reading
from featurestore.read.vectors import VectorPlan
from featurestore.remote.http_transport import ARROW
from featurestore.server.answer import Answer
from featurestore.server.app import FeatureServer
from featurestore.server.batching import Batcher
from featurestore.server.feast_wire import AnswerPlans, render
from featurestore.server.first_reads import FirstReads
from featurestore.server.prepared import MAX_ANSWER, MAX_REQUEST, MAX_ROWS, Kept, Prepared
from featurestore.server.reads import Reads
from featurestore.server.request import parse_request
from featurestore.store import Store
from tests.featurestore.making import HOUR, a_release, a_view, a_void

PLAIN = a_view("plain")
AGED = a_view("aged", ttl="2h")
TICKS = itertools.count()


@on_demand(outputs=["x"])
def ticking(late: Annotated[np.ndarray, Feature("plain:late")]) -> np.ndarray:
    return np.full_like(late, next(TICKS))


class World:
    """A store of some epochs, each of which may be served at any time."""

    def __init__(self, directory: Path) -> None:
        self.now = HOUR
        self.snapshots: list[Snapshot] = []
        with Publisher(directory, lambda: 0) as publisher:
            for view in (PLAIN, AGED):
                publisher.register(view)
            publisher.register_services([FeatureService("both", ["plain:flights", "aged:late"])])
            self.store = Store.open(directory, on_demand=[ticking], clock=lambda: self.now)
            for items in (
                [a_release(PLAIN, 0, 10), a_release(AGED, 0, 20)],
                [a_release(PLAIN, HOUR, 30)],
                [a_void(PLAIN, 2 * HOUR), a_release(AGED, HOUR, 40)],
            ):
                publisher.publish(items)
                self.store.blocks.refresh()
                self.snapshots.append(self.store.blocks.require())
        self.server = FeatureServer(self.store)
        self.reads = Reads(self.store, Batcher(), FirstReads(directory))

    def serve(self, epoch: int) -> Snapshot:
        self.store.blocks.require = lambda: self.snapshots[epoch]
        return self.snapshots[epoch]

    def read(self, body: bytes, charged: Callable[[int], None] = lambda _: None) -> bytes:
        answer = self.server.answer([], body, charged)
        assert isinstance(answer, Answer)
        assert answer.status == 200, answer.body
        return answer.body

    def vectors(self, request: bytes, charged: Callable[[int], None] = lambda _: None) -> bytes:
        return asyncio.run(self.reads.vectors(request, charged))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("store"))


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([HOUR, 2 * HOUR, 3 * HOUR, 3 * HOUR + 1, 4 * HOUR, 4 * HOUR + 1]),
        st.sampled_from(
            [["plain:flights"], ["aged:late", "aged:late__status"], ["aged:late", "plain:late_3h"], "both"]
        ),
        st.sampled_from([["ATL"], ["JFK", "LAX"], []]),
    ),
    min_size=4,
    max_size=20,
)
CLOCK_GOES_BACK = [(0, now, ["aged:late"], ["ATL"]) for now in (4 * HOUR, 4 * HOUR, HOUR)]


@example(steps=CLOCK_GOES_BACK)
@given(steps=STEPS)
def test_a_request_that_comes_again_gets_what_is_computed_then(world: World, steps: list[Any]) -> None:
    for epoch, now, features, keys in steps * 2:
        snapshot, world.now = world.serve(epoch), now
        named = {"feature_service": features} if features == "both" else {"features": features}
        body = orjson.dumps(named | {"entities": {"dest": keys}})
        request = parse_request(body)
        plan = AnswerPlans(world.store.on_demand).find(request, snapshot)
        reading = Reading(snapshot, world.store.on_demand, request.entities, request.rows, now)
        assert world.read(body) == render(request, plan, reading)


@example(steps=CLOCK_GOES_BACK)
@given(steps=STEPS)
def test_a_message_that_comes_again_gets_what_is_computed_then(world: World, steps: list[Any]) -> None:
    for epoch, now, features, keys in steps * 2:
        snapshot, world.now = world.serve(epoch), now
        refs = snapshot.service("both") if features == "both" else tuple(one for one in features if "status" not in one)
        message = request_of(() if features == "both" else refs, {"dest": keys})
        if features == "both":
            message.feature_service = "both"
        plan = VectorPlan(snapshot, refs, world.store.on_demand)
        computed = reply_of(plan.read({"dest": keys}, len(keys), now, {}, intervals=False))
        assert pb.GetFeaturesReply.FromString(world.vectors(message.SerializeToString())) == computed


def test_each_reader_is_charged_for_the_rows_of_a_kept_answer(world: World) -> None:
    world.serve(0)
    message = request_of(["plain:late"], {"dest": ["ATL", "LAX", "JFK"]}).SerializeToString()
    charged: list[int] = []
    for _ in range(4):
        world.read(b'{"features": ["plain:late"], "entities": {"dest": ["ATL", "LAX"]}}', charged.append)
        world.vectors(message, charged.append)
    assert charged == [2, 3] * 4


def test_an_answer_that_is_computed_on_demand_is_computed_each_time(world: World) -> None:
    world.serve(0)
    body = b'{"features": ["ticking:x"], "entities": {"dest": ["ATL"]}}'
    assert len({world.read(body) for _ in range(4)}) == 4
    message = request_of(["ticking:x"], {"dest": ["ATL"]}).SerializeToString()
    assert len({world.vectors(message) for _ in range(4)}) == 4


def test_a_reader_of_arrow_does_not_get_json_that_is_kept(world: World) -> None:
    world.serve(0)
    body = b'{"features": ["plain:flights"], "entities": {"dest": ["LAX", "ATL"]}}'
    for _ in range(3):
        world.read(body)
    answer = world.server.answer([(b"accept", ARROW.encode())], body, lambda _: None)
    assert isinstance(answer, Answer)
    assert answer.kind == ARROW.encode()


def test_an_answer_is_kept_when_its_request_comes_for_the_second_time(world: World) -> None:
    prepared, snapshot = Prepared[str](), world.snapshots[0]
    kept = Kept("answer", 6, 1, until=5)
    assert prepared.find(snapshot, b"request", 0) is None
    prepared.keep(snapshot, b"request", kept)
    assert prepared.find(snapshot, b"request", 0) is None
    prepared.keep(snapshot, b"request", kept)
    assert prepared.find(snapshot, b"request", 5) == kept
    assert prepared.find(snapshot, b"request", 6) is None
    assert prepared.find(world.snapshots[1], b"request", 0) is None


def test_a_former_snapshot_is_dropped_when_a_newer_one_is_asked(world: World) -> None:
    prepared, snapshot = Prepared[str](), copy.copy(world.snapshots[0])
    is_there, kept = weakref.ref(snapshot), Kept("answer", 6, 1, until=5)
    prepared.find(snapshot, b"request", 0)
    for _ in range(2):
        prepared.keep(snapshot, b"request", kept)
    assert len(prepared) == 1
    assert prepared.find(world.snapshots[1], b"x" * (MAX_REQUEST + 1), 0) is None
    for _ in range(2):
        prepared.keep(snapshot, b"request", kept)  # of a read that took its time
    assert len(prepared) == 0
    del snapshot
    assert is_there() is None


def test_long_requests_and_large_answers_are_not_kept(world: World) -> None:
    prepared, snapshot = Prepared[str](), world.snapshots[0]
    most = MAX_REQUEST, MAX_ANSWER, MAX_ROWS
    prepared.find(snapshot, b"", 0)
    for length, size, rows in np.array(most) + np.eye(3, dtype=int):
        for _ in range(3):
            prepared.keep(snapshot, b"x" * length, Kept("", size, rows, until=5))
    assert not len(prepared)


def test_the_memory_is_bounded_and_what_is_asked_often_stays(world: World) -> None:
    prepared, snapshot = Prepared[bytes](most=100_000), world.snapshots[0]
    for number in range(1_000):
        request = b"%d" % number
        for one in (request, request, b"popular", b"popular"):
            if prepared.find(snapshot, one, 0) is None:
                prepared.keep(snapshot, one, Kept(bytes(1_000), 1_000, 1, until=5))
        assert len(prepared) <= 100
        assert prepared.find(snapshot, b"popular", 0) is not None
    assert len(prepared) > 30
    assert prepared.find(snapshot, b"0", 0) is None


def test_a_newer_epoch_releases_the_answers_of_the_one_before(world: World) -> None:
    prepared, kept = Prepared[str](), Kept("answer", 6, 1, until=5)
    for snapshot in world.snapshots:
        prepared.find(snapshot, b"", 0)
        for _ in range(2):
            prepared.keep(snapshot, b"%d" % snapshot.epoch, kept)
    assert len(prepared) == 1
