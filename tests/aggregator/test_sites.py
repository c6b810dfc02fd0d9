"""The coordinator among sites that are dead, late, absurd or hostile: the sums of the others stay exact, and codes name the fault.

Messages and records are Flower's; the grid, the clock and the network are simulated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.common.constant import ErrorCode
from flwr.supercore.task_identity import TaskIdentity

from aggregator.errors import RemoteRefusal
from aggregator.intake.refusals import OF_THE_SERVICE
from deployment.coordinator.announcement import announce
from deployment.coordinator.batches import CollectionOutcome, Conditions, collect
from deployment.coordinator.site_answer import FAILED, NO_ANSWER, NONSENSE, SiteAnswer
from deployment.coordinator.site_results import SiteResults
from deployment.coordinator.sites import MAX_BATCHES, MAX_CODE, ask_sites, plan_message
from edge_client.plan_messages import SMALL_BYTES, PlanAnswer
from federation.batch.encoding import MAX_BATCH_BYTES
from federation.draft import draft_of
from federation.plan import Plan
from tests.aggregator.recorded import Recorded
from tests.aggregator.world import Site, add_sums, make_plan, require_exact
from tests.federation.wire import COLLECTOR, COORDINATOR

SECONDS = 60.0
Behaviour = Callable[[Message], Message | None]


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("_run_id", 1),
        ("_node_id", 99),
        ("_task_id", 5),
    ):  # Flower sets these in a ServerApp's process
        monkeypatch.setattr(TaskIdentity, name, value)


@dataclass
class FakeGrid:
    """Nodes by id: when each one registers, how long it takes to answer, and its answer."""

    nodes: dict[int, tuple[float, float, Behaviour]]
    now: float = 1_000.0
    waits: list[tuple[float, Message]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    foreign: list[Message] = field(default_factory=list)
    unknown: set[int] = field(default_factory=set)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        self.now += seconds

    def get_node_ids(self) -> list[int]:
        return [node for node, (since, _, _) in self.nodes.items() if self.now >= since]

    def push_messages(self, messages: Any) -> list[str]:
        ids = []
        for message in messages:
            node = message.metadata.dst_node_id
            self.asked.append(node)
            assert message.metadata.message_type == "query"
            assert 0 < message.metadata.ttl <= SECONDS
            if node in self.unknown:  # it left after the list was made
                ids.append("")
                continue
            ids.append(f"m{len(self.asked)}")
            message.metadata.__dict__["_message_id"] = ids[-1]
            _, after, behave = self.nodes[node]
            if (reply := behave(message)) is not None:
                self.waits.append((self.now + after, reply))
        return ids

    def pull_messages(self, message_ids: Any) -> list[Message]:
        wanted, ready = set(message_ids), []
        for entry in list(self.waits):
            due, reply = entry
            if self.now >= due and reply.metadata.reply_to_message_id in wanted:
                self.waits.remove(entry)
                ready.append(reply)
        foreign, self.foreign = self.foreign, []
        return ready + foreign

    def ask(self, sites: int) -> Callable[..., Iterator[SiteAnswer]]:
        return lambda *told: ask_sites(
            self, plan_message(*told), sites=sites, seconds=SECONDS, clock=self.clock, sleep=self.sleep  # type: ignore[arg-type]
        )  # fmt: skip


def says(records: dict[str, Any]) -> Behaviour:
    return lambda message: Message(RecordDict(records), reply_to=message)


def answers(site: str, *batches: bytes, code: str = "OK") -> Behaviour:
    arrays = {f"{i:06d}": Array(np.frombuffer(one, np.uint8)) for i, one in enumerate(batches)}
    return says({"answer": ConfigRecord({"code": code, "site": site}), "batches": ArrayRecord(arrays)})


def answers_briefly(site: str, *batches: bytes) -> Behaviour:
    return says(dict(PlanAnswer("OK", site, None, batches).to_records().items()))


def dead(message: Message) -> Message:
    """An unavailable node as Flower reports it: an error from the SuperLink's own id."""
    reply = Message(Error(code=3, reason="Node Unavailable"), reply_to=message)
    reply.metadata.__dict__["_src_node_id"] = 1
    return reply


def broken_off_once(code: int, then: Behaviour) -> Behaviour:
    """A node that leaves, or whose connection breaks while it replies. Asked again, it answers."""
    asked: list[Message] = []

    def behave(message: Message) -> Message | None:
        asked.append(message)
        return Message(Error(code=code, reason="gone"), reply_to=message) if len(asked) == 1 else then(message)

    return behave


def silent(message: Message) -> None:
    return None


def raw(data: bytes, dtype: str = "uint8", stype: str = "numpy.ndarray") -> Behaviour:
    array = Array(dtype, (len(data),), stype, data)
    return says({"answer": ConfigRecord({"code": "OK", "site": "b"}), "batches": ArrayRecord({"000000": array})})


def numpy_header(text: str) -> bytes:
    head = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


OK = ConfigRecord({"code": "OK", "site": "b"})
SMALL = ConfigRecord({"code": "OK", "site": "b", "batches": [b"x"]})
NONE = ArrayRecord()
ABSURD: dict[str, Behaviour] = {
    "empty": says({}),
    "no batches": says({"answer": OK}),
    "no answer": says({"batches": NONE}),
    "batches in two places": says({"answer": SMALL, "batches": NONE}),
    "a text as batch": says({"answer": ConfigRecord({"code": "OK", "site": "b", "batches": ["x"]})}),
    "bytes as batches": says({"answer": ConfigRecord({"code": "OK", "site": "b", "batches": b"x"})}),
    "a small batch that is too large": says(
        {"answer": ConfigRecord({"code": "OK", "site": "b", "batches": [bytes(MAX_BATCH_BYTES + 1)]})}
    ),
    "no code": says({"answer": ConfigRecord({"site": "b"}), "batches": NONE}),
    "no site": says({"answer": ConfigRecord({"code": "OK"}), "batches": NONE}),
    "records of other kinds": says({"answer": NONE, "batches": OK}),
    "metrics": says({"answer": MetricRecord({"code": 1, "site": 2}), "batches": MetricRecord({"x": 1.0})}),
    "a number as code": says({"answer": ConfigRecord({"code": 7, "site": "b"}), "batches": NONE}),
    "bytes as code": says({"answer": ConfigRecord({"code": b"OK", "site": "b"}), "batches": NONE}),
    "a list as site": says({"answer": ConfigRecord({"code": "OK", "site": ["b"]}), "batches": NONE}),
    "a terminal's commands as code": answers("b", code="\x1b[2J\x1b]0;owned\x07"),
    "a terminal's commands as site": answers("b\x1b[2J"),
    "a path as site": answers("../../etc/passwd"),
    "a long code": answers("b", code="A" * (MAX_CODE + 1)),
    "a code of the coordinator's": answers("b", code=NO_ANSWER),
    "floats": says({"answer": OK, "batches": ArrayRecord({"0": Array(np.array([1.5, 2.5]))})}),
    "a matrix": says({"answer": OK, "batches": ArrayRecord({"0": Array(np.zeros((2, 2), np.uint8))})}),
    "a scalar": says({"answer": OK, "batches": ArrayRecord({"0": Array(np.array(5, np.uint8))})}),
    "text": says({"answer": OK, "batches": ArrayRecord({"0": Array(np.array(["batch"]))})}),
    "no bytes": raw(b""),
    "no numpy": raw(b"what is this"),
    "a broken zip": raw(b"PK\x03\x04 not a zip"),
    "a pickle": raw(b"\x80\x04\x95\x00."),
    "half a header": raw(b"\x93NUMPY\x01\x00"),
    "a version of the future": raw(b"\x93NUMPY\x09\x00abcd"),
    "a header that is no literal": raw(numpy_header("{'descr': open('/etc/passwd')")),
    "a header of deep nesting": raw(numpy_header("(" * 3_000)),
    "a petabyte": raw(numpy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000,), }")),
    "a negative shape": raw(numpy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-4,), }")),
    "objects": raw(numpy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + b"\x80\x04N."),
    "another serialization": raw(b"x", stype="torch.tensor"),
    "more bytes than a batch may have": answers("b", bytes(9 * 2**20)),
}


@dataclass
class Fleet:
    plan: Plan
    aggregators: Recorded
    good: Site

    def run(self, grid: FakeGrid, sites: int | None = None) -> CollectionOutcome:
        ask = grid.ask(len(grid.nodes) if sites is None else sites)
        announced = announce(draft_of(self.plan), COORDINATOR.sign, self.aggregators, os.urandom)
        keys = COORDINATOR, COLLECTOR
        return collect(announced, keys, ask, self.aggregators, SiteResults(), Conditions())  # type: ignore[arg-type]

    def batches(self, site: Site) -> tuple[bytes, ...]:
        return tuple(site.batch(of).to_bytes() for of in ([0, 0, 1], [1, 1]))


def codes(collected: CollectionOutcome) -> dict[str, str]:
    return {name: one.code for name, one in collected.sites.items()}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    plan = make_plan()
    made = Fleet(plan, Recorded(tmp_path), Site(plan, "a"))
    yield made
    made.aggregators.close()


@pytest.mark.parametrize("what", ABSURD)
def test_a_site_that_answers_nonsense_costs_nothing_but_its_own_reports(fleet: Fleet, what: str) -> None:
    grid = FakeGrid({7: (0, 0, ABSURD[what]), 3: (0, 1, answers("a", *fleet.batches(fleet.good)))})
    collected = fleet.run(grid)
    require_exact(fleet.plan, collected.opened, fleet.good.sums)
    (other,) = [code for name, code in codes(collected).items() if name != "a"]
    assert codes(collected)["a"] == "OK"
    assert other == NONSENSE
    assert all(name.isprintable() and len(name) <= 64 for name in codes(collected))


def test_small_batches_in_the_record_of_the_code_are_carried_like_arrays(fleet: Fleet) -> None:
    batches = fleet.batches(fleet.good)
    assert list(PlanAnswer("OK", "a", None, batches).to_records()) == ["answer"]
    collected = fleet.run(FakeGrid({3: (0, 0, answers_briefly("a", *batches))}))
    require_exact(fleet.plan, collected.opened, fleet.good.sums)
    assert (codes(collected), collected.sites["a"].batches) == ({"a": "OK"}, 2)


def test_batches_that_are_large_together_are_arrays_which_flower_sends_in_pieces() -> None:
    large = PlanAnswer("OK", "a", None, (bytes(SMALL_BYTES), b"x")).to_records()
    assert [len(large["batches"]), "batches" in large["answer"]] == [2, False]


def test_a_huge_number_of_arrays_is_nonsense(fleet: Fleet) -> None:
    one = Array(np.zeros(1, np.uint8))
    arrays = ArrayRecord({str(i): one for i in range(MAX_BATCHES + 1)})
    grid = FakeGrid(
        {7: (0, 0, says({"answer": OK, "batches": arrays})), 3: (0, 0, answers("a", *fleet.batches(fleet.good)))}
    )
    collected = fleet.run(grid)
    require_exact(fleet.plan, collected.opened, fleet.good.sums)
    assert NONSENSE in codes(collected).values()
    assert collected.sites["a"].batches == 2


def test_a_dead_node_is_matched_by_the_message_that_its_error_answers(fleet: Fleet) -> None:
    grid = FakeGrid({7: (0, 0, dead), 3: (0, 0, answers("a", *fleet.batches(fleet.good)))})
    collected = fleet.run(grid)
    assert codes(collected) == {"a": "OK", "node 7": FAILED}
    require_exact(fleet.plan, collected.opened, fleet.good.sums)
    assert grid.now < 1_002  # it waits for no site


def test_a_node_that_left_before_it_was_asked_is_reported_and_not_waited_for(fleet: Fleet) -> None:
    grid = FakeGrid({3: (0, 0, answers("a", *fleet.batches(fleet.good))), 7: (0, 0, silent), 8: (0, 0, silent)})
    grid.unknown = {7, 8}
    collected = fleet.run(grid)
    assert codes(collected) == {"a": "OK", "node 7": FAILED, "node 8": FAILED}
    assert grid.now < 1_002
    require_exact(fleet.plan, collected.opened, fleet.good.sums)


def test_a_node_that_never_answers_is_given_up_at_the_deadline(fleet: Fleet) -> None:
    late = answers("b", *(Site(fleet.plan, "b").batch([0]).to_bytes(),))
    grid = FakeGrid(
        {7: (0, 0, silent), 8: (0, SECONDS + 1, late), 3: (0, SECONDS - 1, answers("a", *fleet.batches(fleet.good)))}
    )
    collected = fleet.run(grid)
    assert codes(collected) == {"a": "OK", "node 7": NO_ANSWER, "node 8": NO_ANSWER}
    assert SECONDS <= grid.now - 1_000 < SECONDS + 1
    require_exact(fleet.plan, collected.opened, fleet.good.sums)


def test_answers_come_in_the_order_in_which_they_arrive(fleet: Fleet) -> None:
    grid = FakeGrid({node: (0, 10.0 - node, answers("", code="SCHEMA")) for node in range(1, 5)} | {9: (0, 0, silent)})
    assert [answer.node for answer in grid.ask(5)(b"plan")] == [4, 3, 2, 1, 9]


def test_a_late_registration_is_asked_once_it_is_there(fleet: Fleet) -> None:
    other = Site(fleet.plan, "b")
    grid = FakeGrid(
        {
            3: (0, 0, answers("a", *fleet.batches(fleet.good))),
            4: (1_000 + SECONDS / 2, 1, answers("b", *fleet.batches(other))),
        }
    )
    collected = fleet.run(grid)
    assert codes(collected) == {"a": "OK", "b": "OK"}
    assert sorted(grid.asked) == [3, 4]
    require_exact(fleet.plan, collected.opened, add_sums(fleet.good, other))


def test_a_site_that_never_registers_does_not_stop_the_others(fleet: Fleet) -> None:
    grid = FakeGrid({3: (0, 1, answers("a", *fleet.batches(fleet.good)))})
    collected = fleet.run(grid, sites=2)
    assert codes(collected) == {"a": "OK"}
    assert grid.now - 1_000 < SECONDS + 1
    require_exact(fleet.plan, collected.opened, fleet.good.sums)


def test_no_node_at_all_ends_at_the_deadline() -> None:
    grid = FakeGrid({})
    assert list(grid.ask(1)(b"plan")) == []
    assert SECONDS <= grid.now - 1_000 < SECONDS + 1


def test_replies_to_other_messages_are_passed_over(fleet: Fleet) -> None:
    grid = FakeGrid({3: (0, 1, answers("a", *fleet.batches(fleet.good)))})
    stray = Message(RecordDict(), dst_node_id=1, message_type="query")
    stray.metadata.__dict__["_message_id"] = "of another run"
    grid.foreign = [answers("b", b"x")(stray), dead(stray)]  # type: ignore[list-item]
    collected = fleet.run(grid)
    assert codes(collected) == {"a": "OK"}
    require_exact(fleet.plan, collected.opened, fleet.good.sums)


@pytest.mark.parametrize("code", ["PLAN_EXPIRED", "KEY_NOT_PINNED", "NOISE_OFF", "SCHEMA", "SITE_FAILED"])
def test_a_refusal_is_reported_by_its_code(fleet: Fleet, code: str) -> None:
    grid = FakeGrid({3: (0, 0, answers("a", *fleet.batches(fleet.good))), 4: (0, 0, answers("b", code=code))})
    collected = fleet.run(grid)
    assert codes(collected) == {"a": "OK", "b": code}
    require_exact(fleet.plan, collected.opened, fleet.good.sums)


def test_batches_that_are_no_batches_are_refused_by_reason_and_the_site_s_good_one_counts(fleet: Fleet) -> None:
    other, foreign = Site(fleet.plan, "b"), Site(make_plan(number=1), "b")
    good = other.batch([0, 1]).to_bytes()
    spoiled = bytearray(other.batch([0], counted=False).to_bytes())
    spoiled[-20] ^= 1
    bad = [b"garbage", b"", bytes(spoiled), foreign.batch([0, 1]).to_bytes()]
    grid = FakeGrid(
        {3: (0, 0, answers("b", bad[0], bad[1], good, *bad[2:])), 4: (0, 1, answers("a", *fleet.batches(fleet.good)))}
    )
    collected = fleet.run(grid)
    assert codes(collected) == {"a": "OK", "b": "OK"}
    assert sum(collected.sites["b"].refused.values()) == 4
    assert {"DIGEST_MISMATCH", "PLAN_UNKNOWN"} <= set(collected.sites["b"].refused)
    assert (collected.sites["a"].state, collected.sites["b"].state) == ("answered", "lost")
    require_exact(fleet.plan, collected.opened, add_sums(fleet.good, other))


@pytest.mark.parametrize("first", [True, False])
def test_another_site_s_batch_replayed_counts_once_and_for_its_own_site(fleet: Fleet, first: bool) -> None:
    other = Site(fleet.plan, "b")
    batches, own = fleet.batches(fleet.good), other.batch([0, 1]).to_bytes()
    grid = FakeGrid(
        {3: (0, 1, answers("a", *batches)), 4: (0, 0 if first else 2, answers("b", *batches, own, *batches))}
    )
    collected = fleet.run(grid)
    assert all(one.refused == {} for one in collected.sites.values())
    require_exact(fleet.plan, collected.opened, add_sums(fleet.good, other))


@pytest.mark.parametrize("first", [True, False])
def test_a_node_that_takes_another_site_s_name_does_not_hide_that_site_s_answer(fleet: Fleet, first: bool) -> None:
    grid = FakeGrid(
        {
            3: (0, 1, answers("a", *fleet.batches(fleet.good))),
            4: (0, 0 if first else 2, answers("a", code="SITE_FAILED")),
        }
    )
    collected = fleet.run(grid)
    assert sorted(codes(collected).values()) == ["OK", "SITE_FAILED"]
    require_exact(fleet.plan, collected.opened, fleet.good.sums)


def test_batches_are_handed_on_as_each_site_answers(fleet: Fleet) -> None:
    """One answer bounds the memory: the first site's batches are submitted before the second site has answered."""
    seen = []

    def ask(*_: bytes) -> Iterator[SiteAnswer]:
        other = Site(fleet.plan, "b")
        yield SiteAnswer(1, "a", "OK", fleet.batches(fleet.good))
        seen.append(len(fleet.aggregators.batches))
        yield SiteAnswer(2, "b", "OK", fleet.batches(other))

    announced = announce(draft_of(fleet.plan), COORDINATOR.sign, fleet.aggregators, os.urandom)
    collect(announced, (COORDINATOR, COLLECTOR), ask, fleet.aggregators, SiteResults(), Conditions())  # type: ignore[arg-type]
    assert seen == [2]


@pytest.mark.parametrize("reason", OF_THE_SERVICE)
def test_an_aggregator_that_cannot_take_batches_now_stops_the_collection_and_costs_no_site_its_reports(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    batches = fleet.batches(fleet.good)

    def ask(*_: bytes) -> Iterator[SiteAnswer]:
        yield SiteAnswer(1, "a", "OK", batches)

    def run() -> CollectionOutcome:
        announced = announce(draft_of(fleet.plan), COORDINATOR.sign, fleet.aggregators, os.urandom)
        return collect(announced, (COORDINATOR, COLLECTOR), ask, fleet.aggregators, SiteResults(), Conditions())  # type: ignore[arg-type]

    def refuse(_: bytes) -> Any:
        raise RemoteRefusal("leader", reason, "not now", {})

    with monkeypatch.context() as refusing:
        refusing.setattr(fleet.aggregators, "submit", refuse)
        with pytest.raises(RemoteRefusal, match=reason):
            run()
    require_exact(fleet.plan, run().opened, fleet.good.sums)


@pytest.mark.parametrize("code", [ErrorCode.NODE_UNAVAILABLE, ErrorCode.REPLY_MESSAGE_UNAVAILABLE])
def test_a_node_that_is_gone_before_it_has_answered_completely_is_asked_again(code: int) -> None:
    grid = FakeGrid({1: (0.0, 5.0, broken_off_once(code, answers("a", b"one"))), 2: (0.0, 1.0, answers("b"))})
    found = list(grid.ask(2)(b"signed"))
    assert [(one.site, one.code, one.batches) for one in found] == [("b", "OK", ()), ("a", "OK", (b"one",))]
    assert grid.asked == [1, 2, 1]
