"""Queues, batches and shares, with a clock and a loop that the test moves."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import DeadlineMissed, ModelBusy
from training.serving.ask import Ask, Keyed
from training.serving.batches.batcher import Batcher, Finished
from training.serving.batches.job import INTERVALS, LOOP, SHARED, Job, Outcome
from training.serving.batches.model_queue import Batch, ModelQueue
from training.serving.settings import ModelSettings

DELAY_US = 10_000


class FakeLoop:
    """A loop whose clock moves from one call to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[[], object]) -> None:
        self.call_later(0.0001, call)

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._calls, (self.now + delay, self._number, call))

    def run(self, until: float = float("inf"), most: int = 100_000) -> None:
        for _ in range(most):
            if not self._calls or self._calls[0][0] > until:
                break
            at, _, call = heapq.heappop(self._calls)
            self.now = max(self.now, at)
            call()
        else:
            raise AssertionError("the loop does not come to rest")
        if until != float("inf"):
            self.now = max(self.now, until)


@dataclass
class Made:
    outcomes: list[Outcome]
    seconds: float


@dataclass
class Server:
    """A batcher whose batches take `batch_s`, and `row_s` a row."""

    threads: int = 1
    row_s: float = 0.001
    batch_s: float = 0.0
    loop: FakeLoop = field(default_factory=FakeLoop)
    batches: list[tuple[str, Batch]] = field(default_factory=list)
    late: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batcher = Batcher(self.loop, self.threads, self._compute, self._late, lambda *_: None, self.loop.time)
        self.queues: dict[str, ModelQueue] = {}

    def queue(self, name: str = "late", **settings: Any) -> ModelQueue:
        usual = {"max_queue_delay_us": DELAY_US, "max_batch": 8, "queue": 1_000}
        self.queues[name] = ModelQueue(name, ModelSettings(**{**usual, **settings}), self.loop.now)
        return self.queues[name]

    def ask(
        self, queue: ModelQueue, rows: int = 1, target: object = 1, pool: object = SHARED, timeout_s: float = 1e9
    ) -> tuple[Job, list[Outcome]]:
        got: list[Outcome] = []
        queue.admit(rows, timeout_s, self.loop.now)
        now = self.loop.now
        job = Job(Ask(queue.name, None, Keyed({}), rows), target, got.append, now, now + timeout_s, pool)
        self.batcher.add(queue, job)
        return job, got

    def _compute(self, queue: ModelQueue, batch: Batch, finished: Callable[[Finished], None]) -> None:
        self.batches.append((queue.name, batch))
        seconds = self.batch_s + batch.rows * self.row_s
        made = Made([ValueError(str(id(job))) for job in batch.jobs], seconds)
        if batch.jobs[0].pool is LOOP:
            finished(made)
        else:
            self.loop.call_later(seconds, lambda: finished(made))

    def _late(self, queue: ModelQueue, job: Job) -> None:
        self.late.append(job)
        job.end(DeadlineMissed(queue.name, 0, 0))

    @property
    def sizes(self) -> list[int]:
        return [batch.rows for _, batch in self.batches]


def test_a_batch_waits_for_others_as_long_as_its_oldest_request_may() -> None:
    server = Server()
    queue = server.queue()
    server.ask(queue)
    server.loop.run(0.006)
    server.ask(queue)
    server.loop.run(0.0095)
    assert server.batches == []
    server.loop.run(0.0115)
    assert server.sizes == [2]


def test_a_full_batch_waits_for_nothing_and_the_rest_for_its_own_delay() -> None:
    server = Server()
    queue = server.queue(max_batch=4)
    for _ in range(6):
        server.ask(queue)
    server.loop.run(0.001)
    assert server.sizes == [4]
    server.loop.run()
    assert server.sizes == [4, 2]


def test_the_event_loop_computes_what_arrived_in_a_round_without_waiting() -> None:
    server = Server()
    queue = server.queue()
    for _ in range(3):
        server.ask(queue, pool=LOOP)
    server.loop.run(0.001)
    assert server.sizes == [3]


def test_a_preferred_size_goes_at_once_and_what_is_left_joins_the_next_one() -> None:
    server = Server(row_s=0)
    queue = server.queue(max_batch=8, preferred=(2, 4))
    for _ in range(5):
        server.ask(queue)
    server.loop.run(0.005)
    assert server.sizes == [4]
    server.ask(queue)
    server.loop.run(0.006)
    assert server.sizes == [4, 2]


def test_a_request_larger_than_a_batch_is_a_batch_of_its_own() -> None:
    server = Server()
    queue = server.queue(max_batch=4)
    server.ask(queue, rows=9)
    server.ask(queue, rows=2)
    server.loop.run()
    assert server.sizes == [9, 2]


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    server = Server(row_s=0.01)
    queue = server.queue(queue=4)
    server.ask(queue, rows=4)
    server.loop.run()
    server.ask(queue, rows=3)
    with pytest.raises(ModelBusy, match="model late: 3 rows wait, and its queue holds 4") as caught:
        server.ask(queue, rows=2)
    assert caught.value.retry_after_s == pytest.approx(0.03)
    server.ask(queue, rows=1)
    assert isinstance(queue.busy(server.loop.now), ModelBusy)
    server.loop.run()
    assert queue.busy(server.loop.now) is None


def test_a_request_larger_than_an_empty_queue_is_served() -> None:
    server = Server()
    _, got = server.ask(server.queue(queue=4), rows=9)
    server.loop.run()
    assert len(got) == 1


def test_a_rate_allows_a_second_at_once_and_then_its_rows_a_second() -> None:
    server = Server(row_s=0)
    queue = server.queue(rate=10.0)
    server.ask(queue, rows=10)
    with pytest.raises(ModelBusy, match=r"its rate of 10 rows/s is reached") as caught:
        server.ask(queue)
    server.loop.run(caught.value.retry_after_s + 0.001)
    server.ask(queue, rows=5)
    with pytest.raises(ModelBusy):
        server.ask(queue)
    server.loop.run(server.loop.now + 0.4)
    with pytest.raises(ModelBusy):
        server.ask(queue)
    server.loop.run(server.loop.now + 0.2)
    server.ask(queue)


def test_a_deadline_that_the_rows_ahead_miss_is_refused_at_once() -> None:
    server = Server(row_s=0.01)
    queue = server.queue()
    server.ask(queue, rows=8)
    server.loop.run()
    server.ask(queue, rows=5)
    with pytest.raises(DeadlineMissed, match=r"waits 50 ms for its batch, and its timeout is 40 ms"):
        server.ask(queue, timeout_s=0.04)
    server.ask(queue, timeout_s=0.06)
    with pytest.raises(DeadlineMissed):
        server.ask(queue, timeout_s=0.0)


def test_a_large_request_among_small_ones_makes_no_other_miss_its_deadline() -> None:
    server = Server(row_s=1e-6, batch_s=3e-4)
    queue = server.queue(max_queue_delay_us=0)
    for _ in range(20):
        server.ask(queue)
        server.loop.run()
    server.ask(queue, rows=10_000)  # 10 ms, and not 10,000 times 0.3 ms
    server.loop.run(server.loop.now + 0.001)
    assert queue.computing == 10_000
    server.ask(queue, timeout_s=0.02)
    server.loop.run()
    assert server.late == []


def test_a_request_whose_deadline_passes_in_the_queue_is_dropped_before_its_batch() -> None:
    server = Server(row_s=0.01)
    queue = server.queue(max_batch=4)
    server.ask(queue, rows=4)
    server.loop.run(0.001)  # it is being computed, and no row has been measured yet
    job, got = server.ask(queue, timeout_s=0.02)
    server.ask(queue)
    server.loop.run()
    assert server.late == [job]
    assert isinstance(got[0], DeadlineMissed)
    assert server.sizes == [4, 1]


def test_a_withdrawn_request_is_not_computed_unless_a_batch_has_it() -> None:
    server = Server(row_s=0.01)
    queue = server.queue(max_batch=4)
    first, got = server.ask(queue, rows=4)
    server.loop.run(0.001)
    waiting, _ = server.ask(queue, rows=3)
    assert server.batcher.withdraw(queue, waiting)
    assert not server.batcher.withdraw(queue, waiting)
    assert not server.batcher.withdraw(queue, first)
    server.loop.run()
    assert server.sizes == [4]
    assert len(got) == 1
    assert queue.rows == queue.computing == 0


def test_a_version_that_fails_ends_its_waiting_requests_only() -> None:
    server = Server()
    queue = server.queue()
    _, lost = server.ask(queue, target="v1")
    _, kept = server.ask(queue, target="v2")
    error = ValueError("ended")
    server.batcher.fail(queue, "v1", error)
    server.loop.run()
    assert lost == [error]
    assert len(kept) == 1


def test_a_flooded_model_delays_another_by_one_batch() -> None:
    server = Server()
    flooded, other = server.queue("flooded", queue=10_000), server.queue("other")
    for _ in range(80):
        server.ask(flooded)
    server.loop.run(0.02)
    for _ in range(5):
        before = len(server.batches)
        _, got = server.ask(other, rows=8)
        while not got:
            server.loop.run(server.loop.now + 0.001)
        names = [name for name, _ in server.batches[before:]]
        assert names.index("other") <= 1
        server.loop.run(server.loop.now + 0.016)


def test_busy_models_get_time_by_their_shares() -> None:
    server = Server()
    double, single = server.queue("double", share=2.0), server.queue("single")
    for _ in range(900):
        server.ask(double)
        server.ask(single)
    server.loop.run(0.6)
    rows = {name: sum(batch.rows for of, batch in server.batches if of == name) for name in ("double", "single")}
    assert rows["double"] / rows["single"] == pytest.approx(2, rel=0.1)


def test_an_idle_model_saves_up_no_time() -> None:
    server = Server()
    busy, idle = server.queue("busy"), server.queue("idle")
    for _ in range(400):
        server.ask(busy)
    server.loop.run(0.2)
    before = len(server.batches)
    for _ in range(200):
        server.ask(idle)
    server.loop.run(server.loop.now + 0.16)
    names = [name for name, _ in server.batches[before:]]
    assert abs(names.count("idle") - names.count("busy")) <= 2


def test_a_lower_priority_comes_first() -> None:
    server = Server()
    later, first = server.queue("later", priority=1), server.queue("first", priority=0)
    for _ in range(32):
        server.ask(later)
        server.ask(first)
    server.loop.run()
    names = [name for name, _ in server.batches]
    assert names == ["first"] * 4 + ["later"] * 4


def test_a_version_with_a_thread_of_its_own_holds_up_no_other() -> None:
    server = Server(row_s=0.01)
    queue = server.queue()
    server.batcher.open_pool("own")
    server.ask(queue, rows=8, pool="own")
    server.loop.run(0.001)
    server.ask(queue, rows=8)
    server.loop.run(0.002)
    assert server.sizes == [8, 8]


def test_requests_with_intervals_hold_up_no_others() -> None:
    server = Server(row_s=0.01)
    queue = server.queue()
    server.ask(queue, rows=800, pool=INTERVALS)
    server.loop.run(0.001)
    _, got = server.ask(queue, rows=8)
    server.loop.run(0.09)
    assert len(got) == 1
    assert server.sizes == [800, 8]


ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(1, 12),
        st.integers(1, 3),
        st.sampled_from([LOOP, SHARED, INTERVALS]),
        st.sampled_from([0.0, 0.0, 0.0001, 0.004, 0.05]),
        st.sampled_from([0.001, 0.02, 1e9]),
        st.booleans(),
    ),
    max_size=40,
)


@given(ARRIVALS, st.integers(1, 3), st.sampled_from([(), (2,), (3, 6)]))
def test_in_any_order_each_request_ends_once_in_a_batch_of_its_version(
    arrivals: list[tuple[str, int, int, str, float, float, bool]], threads: int, preferred: tuple[int, ...]
) -> None:
    server = Server(threads)
    queues = {name: server.queue(name, preferred=preferred, queue=60) for name in ("a", "b")}
    asked: list[tuple[Job, list[Outcome]]] = []
    gone: set[Job] = set()
    for name, rows, target, pool, wait_s, timeout_s, leaves in arrivals:
        server.loop.run(server.loop.now + wait_s)
        try:
            asked.append(server.ask(queues[name], rows, target, pool, timeout_s))
        except (ModelBusy, DeadlineMissed):
            continue
        job = asked[-1][0]
        if leaves and server.batcher.withdraw(queues[name], job):
            gone.add(job)
    server.loop.run()
    computed = [job for _, batch in server.batches for job in batch.jobs]
    assert len(computed) == len(set(computed))
    assert set(computed) | set(server.late) | gone == {job for job, _ in asked}
    for job, got in asked:
        assert len(got) == (job not in gone)
        if job in computed:
            assert str(got[0]) == str(id(job))
    for _, batch in server.batches:
        assert len({(job.target, job.pool) for job in batch.jobs}) == 1
        assert batch.rows == sum(job.rows for job in batch.jobs)
        assert batch.rows <= 8 or len(batch.jobs) == 1
    for queue in queues.values():
        assert queue.rows == queue.computing == 0
