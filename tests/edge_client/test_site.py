"""What a site answers: the code of each refusal, retries that count once, and never an exception across the wire."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from edge_client.events import Events, make_events
from edge_client.flower_app import SITES_VARIABLE, collect
from edge_client.site import Refusal, RefusalCode, SiteSettings, answer, check_plan
from featurestore.definitions import Bounds, FeatureView, Privacy
from featurestore.entities import Entity
from featurestore.features import Count
from federation import batch as batches_module
from federation.batch import SealedBatch, open_half
from federation.keys import create_folder, public_line
from federation.parties import Roster, RosterEntry
from federation.plan import Plan, WireTerms
from federation.protocol import LeaderHalf
from federation.signed_plan import sign_plan
from tests.aggregator.world import DEADLINE, NOW, make_plan
from tests.federation.wire import COLLECTOR, COORDINATOR, DAY, HELPER, LEADER, OTHER_SITE, SITE

ROSTER = Roster([RosterEntry("a", SITE.public.sign, 10_000)])
VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=["x", "y"]),
    features=[Count("n")],
    pane="1d",
    bounds=Bounds(2, 3),
    privacy=Privacy(rho=0.5, min_clients=2),
)


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return SiteSettings("a", SITE.sign, COORDINATOR.sign.public, LEADER.public, HELPER.public, tmp_path / "ids.db")


def plan_with(noise: Any = "full", **terms: Any) -> Plan:
    plan = make_plan(VIEW, noise=noise)
    assert plan.wire is not None
    return replace(plan, wire=replace(plan.wire, **terms)) if terms else plan


def sign(plan: Plan, key: Any = COORDINATOR) -> bytes:
    return sign_plan(plan, key.sign)


# the plan

GOOD = sign(plan_with())
REFUSED: dict[str, tuple[bytes, RefusalCode]] = {
    "nothing": (b"", RefusalCode.PLAN_INVALID),
    "garbage": (b"\xff" * 40, RefusalCode.PLAN_INVALID),
    "cut": (GOOD[:-1], RefusalCode.PLAN_INVALID),
    "more bytes": (GOOD + b"\x1a\x01x", RefusalCode.PLAN_INVALID),
    "too long": (bytes(5 * 2**20), RefusalCode.PLAN_INVALID),
    "an edited plan": (GOOD.replace(b"shares", b"Shares"), RefusalCode.PLAN_UNSIGNED),
    "a foreign coordinator": (sign(plan_with(), LEADER), RefusalCode.PLAN_UNSIGNED),
    "another leader": (sign(plan_with(leader=OTHER_SITE.public)), RefusalCode.KEY_NOT_PINNED),
    "another helper": (sign(plan_with(helper=OTHER_SITE.public)), RefusalCode.KEY_NOT_PINNED),
    "swapped aggregators": (sign(plan_with(leader=HELPER.public, helper=LEADER.public)), RefusalCode.KEY_NOT_PINNED),
    "another seal key": (
        sign(plan_with(helper=replace(HELPER.public, seal=OTHER_SITE.public.seal))),
        RefusalCode.KEY_NOT_PINNED,
    ),
    "an old plan": (sign(plan_with(deadline_us=NOW)), RefusalCode.PLAN_EXPIRED),
    "noise off": (sign(plan_with("none")), RefusalCode.NOISE_OFF),
}


@pytest.mark.parametrize("what", REFUSED)
def test_each_refusal_has_its_code(settings: SiteSettings, what: str) -> None:
    data, code = REFUSED[what]
    assert check_plan(data, settings, NOW) == Refusal(code)
    assert check_plan(data, settings, NOW) == Refusal(code)
    assert not settings.ids.exists()  # it has looked at nothing


def test_a_plan_without_its_parties_is_invalid(settings: SiteSettings) -> None:
    from federation import plan_pb2 as pb
    from federation.plan import plan_to_bytes

    data = plan_to_bytes(replace(plan_with(), wire=None))
    signature = COORDINATOR.sign.sign(b"covey-1 plan", data)
    message = pb.SignedPlan(plan=data, signature=signature).SerializeToString()
    assert check_plan(message, settings, NOW) == Refusal(RefusalCode.PLAN_INVALID)


def test_a_good_plan_is_taken_until_its_deadline_and_noise_off_where_it_is_allowed(settings: SiteSettings) -> None:
    taken = check_plan(GOOD, settings, DEADLINE - 1)
    assert isinstance(taken, Plan)
    assert taken.hash == plan_with().hash
    assert check_plan(GOOD, settings, DEADLINE) == Refusal(RefusalCode.PLAN_EXPIRED)
    assert isinstance(check_plan(sign(plan_with("none")), replace(settings, allow_noise_off=True), NOW), Plan)


# the answer


def events(*rows: tuple[str, int, str]) -> Events:
    names, days, keys = zip(*rows, strict=True)
    return make_events(table(names, days, keys), "who", "t")


def table(names: Any, days: Any, keys: Any) -> pa.Table:
    times = pa.array([day * DAY + 1_000 for day in days], pa.timestamp("us"))
    return pa.table({"who": pa.array(names, pa.string()), "t": times, "k": pa.array(keys, pa.string())})


def answered(plan: Plan, own: Events, settings: SiteSettings, seed: int) -> list[SealedBatch]:
    return list(answer(plan, own, settings, np.random.default_rng(seed).bytes))


def opened(plan: Plan, batches: list[SealedBatch]) -> list[LeaderHalf]:
    return [open_half("leader", plan, LEADER.seal, ROSTER, one.half("leader")) for one in batches]


def ids_of(batches: list[SealedBatch]) -> list[tuple[int, bytes]]:
    return [
        (int(of), report.tobytes())
        for batch in batches
        for of, report in zip(batch.signed.header.collection, batch.signed.header.report_ids, strict=True)
    ]


def test_a_retry_keeps_every_report_id_and_draws_fresh_shares_and_batch_ids(settings: SiteSettings) -> None:
    plan = plan_with()
    own = events(("p", 0, "x"), ("q", 0, "y"), ("q", 1, "x"))
    first, second = answered(plan, own, settings, 1), answered(plan, own, settings, 2)
    assert ids_of(first) == ids_of(second)
    assert len({report for _, report in ids_of(first)}) == 3
    one, two = opened(plan, first), opened(plan, second)
    for mine, again in zip(one, two, strict=True):
        assert not (mine.shares.elements == again.shares.elements).any()
    seeds = [
        open_half("helper", plan, HELPER.seal, ROSTER, batch.half("helper")).seeds.to_bytes()
        for batch in (*first, *second)
    ]
    assert len({seed[at : at + 32] for seed in seeds for at in range(0, len(seed), 32)}) == 6
    batch_ids = [batch.signed.header.batch_id for batch in (*first, *second)]
    assert len(set(batch_ids)) == len(batch_ids)


def test_events_added_or_in_another_order_keep_the_ids_of_each_client(settings: SiteSettings) -> None:
    plan = plan_with()
    rows = [("p", 0, "x"), ("q", 0, "y"), ("q", 1, "x"), ("r", 1, "y")]

    def ids(*some: tuple[str, int, str]) -> set[tuple[int, bytes]]:
        return set(ids_of(answered(plan, events(*some), settings, len(some))))

    before = ids(*rows)
    assert ids(*reversed(rows)) == before
    assert ids(("0 new", 0, "x"), *rows) > before
    more = ids(*rows, ("p", 0, "y"), ("zz", 1, "x"), ("p", 1, "x"))
    assert more > before
    assert len(more) == 6
    assert ids(*rows[:1]) < before


def test_another_plan_gets_other_ids_and_a_new_file_too(settings: SiteSettings, tmp_path: Path) -> None:
    own = events(("p", 0, "x"), ("q", 0, "y"))
    plans = [make_plan(VIEW, noise="full", number=i) for i in range(2)]
    found = [ids_of(answered(plan, own, settings, i)) for i, plan in enumerate(plans)]
    found.append(ids_of(answered(plans[0], own, replace(settings, ids=tmp_path / "fresh.db"), 9)))
    assert len({report for ids in found for _, report in ids}) == 6


def test_the_ids_are_on_disk_before_a_batch_leaves(settings: SiteSettings) -> None:
    plan = plan_with()
    made = answer(plan, events(("p", 0, "x")), settings, np.random.default_rng(0).bytes)
    (sent,) = ids_of([next(made)])
    with sqlite3.connect(settings.ids) as db:
        assert db.execute("SELECT collection, report_id FROM report_ids").fetchall() == [sent]
    db.close()
    assert b"who" not in settings.ids.read_bytes()


def test_the_same_client_id_at_two_views_has_its_own_ids(settings: SiteSettings) -> None:
    two = make_plan(VIEW, replace(VIEW, name="w"), noise="full")
    found = ids_of(answered(two, events(("p", 0, "x"), ("p", 1, "x")), settings, 0))
    assert [of for of, _ in found] == [0, 1, 2, 3]
    assert len({report for _, report in found}) == 4


def test_more_reports_than_a_batch_holds_are_split(settings: SiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_with()
    size = 7
    monkeypatch.setattr("edge_client.site.max_reports", lambda layout: size)
    own = events(*((f"c{i:03d}", i % 2, "x") for i in range(40)))
    batches = answered(plan, own, settings, 0)
    assert [len(batch.signed.header) for batch in batches] == [7, 7, 7, 7, 7, 5]
    assert len({batch.signed.header.batch_id for batch in batches}) == 6
    assert len(set(ids_of(batches))) == 40
    monkeypatch.undo()
    (whole,) = answered(plan, own, settings, 1)
    assert ids_of([whole]) == ids_of(batches)


def test_a_batch_of_the_largest_size_is_within_the_limit(settings: SiteSettings) -> None:
    long = replace(VIEW, entity=Entity("k", domain=[f"k{i:05d}" for i in range(20_000)]))
    plan = make_plan(long, noise="full")
    most = batches_module.max_reports(plan.views[0].layout)
    own = events(*((f"c{i:03d}", 0, "k00001") for i in range(most + 1)))
    sizes = [len(batch.to_bytes()) for batch in answered(plan, own, settings, 0)]
    assert len(sizes) == 2
    assert 0.9 * batches_module.MAX_BATCH_BYTES < sizes[0] <= batches_module.MAX_BATCH_BYTES


def test_panes_that_are_not_asked_for_are_not_reported(settings: SiteSettings) -> None:
    plan = plan_with()
    assert [of for of, _ in ids_of(answered(plan, events(("p", 0, "x"), ("p", 2, "x")), settings, 0))] == [0]
    assert answered(plan, events(("p", 5, "x"), ("q", -1, "x")), settings, 0) == []


# the ClientApp


FAR = 2**62


class Node:
    """A site's folder, and the ClientApp's function on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = {
            "site": "a",
            "events": "events.parquet",
            "client_column": "who",
            "time_column": "t",
            "keys": "keys",
            "report_ids": "ids.db",
            "coordinator": base64.b64encode(COORDINATOR.sign.public.data).decode(),
            "leader": public_line("leader", LEADER.public).strip(),
            "helper": public_line("helper", HELPER.public).strip(),
        }
        create_folder(path / "keys", [SITE])
        self.write_events(table(["p", "q", "q"], [0, 0, 1], ["x", "y", "x"]))
        self.write_config()

    def write_config(self, **changes: Any) -> None:
        entries = self.entries | changes
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in entries.items() if value is not None)
        (self.path / "a.toml").write_text("".join(lines))

    def write_events(self, rows: pa.Table) -> None:
        pq.write_table(rows, self.path / "events.parquet")

    def ask(
        self, signed: bytes | None = None, node: dict[str, Any] | None = None, content: RecordDict | None = None
    ) -> tuple[str, str, list[bytes]]:
        """Code, site and batches; whatever is sent must be of Flower's types and nothing more."""
        if content is None:
            content = RecordDict({"plan": ConfigRecord({"signed": PLAN if signed is None else signed})})
        message = Message(content, dst_node_id=3, message_type="query")
        message.metadata.__dict__["_message_id"] = "m1"
        context = Context(1, 3, {"site": "a"} if node is None else node, RecordDict(), {})
        reply = collect(message, context)
        assert not reply.has_error()
        assert reply.metadata.reply_to_message_id == "m1"
        assert set(reply.content) == {"answer", "batches"}
        told = reply.content["answer"]
        assert set(told) == {"code", "site"}
        batches = [array.numpy().tobytes() for _, array in sorted(reply.content["batches"].items())]
        return told["code"], told["site"], batches


TERMS = WireTerms(LEADER.public, HELPER.public, COLLECTOR.public, FAR)
PLAN = sign(replace(plan_with(), wire=TERMS))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    for name, value in (("_run_id", 1), ("_node_id", 99), ("_task_id", 5)):
        monkeypatch.setattr(TaskIdentity, name, value)
    monkeypatch.setenv(SITES_VARIABLE, str(tmp_path))
    return Node(tmp_path)


def test_a_node_answers_a_plan_with_its_batches(node: Node) -> None:
    code, site, batches = node.ask()
    assert (code, site) == ("OK", "a")
    assert [len(SealedBatch.from_bytes(batch).signed.header) for batch in batches] == [3]
    assert node.ask(node={"partition-id": 0})[0] == "OK"
    again = node.ask()[2]
    assert again != batches
    assert ids_of([*map(SealedBatch.from_bytes, again)]) == ids_of([*map(SealedBatch.from_bytes, batches)])


@pytest.mark.parametrize("what", sorted(set(REFUSED) - {"an old plan"}))
def test_a_refused_plan_is_a_code_and_no_batch(node: Node, what: str) -> None:
    data, code = REFUSED[what]
    assert node.ask(RESIGNED.get(what, data)) == (code, "a", [])  # the clock here is the real one


def test_an_old_plan_is_a_code(node: Node) -> None:
    assert node.ask(sign(plan_with(deadline_us=10**6))) == ("PLAN_EXPIRED", "a", [])


RESIGNED = {
    "another leader": sign(plan_with(leader=OTHER_SITE.public, deadline_us=FAR)),
    "another helper": sign(plan_with(helper=OTHER_SITE.public, deadline_us=FAR)),
    "swapped aggregators": sign(plan_with(leader=HELPER.public, helper=LEADER.public, deadline_us=FAR)),
    "another seal key": sign(plan_with(helper=replace(HELPER.public, seal=OTHER_SITE.public.seal), deadline_us=FAR)),
    "noise off": sign(plan_with("none", deadline_us=FAR)),
}


SITE_FAILED: dict[str, Callable[[Node], Any]] = {
    "no configuration": lambda node: (node.path / "a.toml").unlink(),
    "not TOML": lambda node: (node.path / "a.toml").write_text("site = "),
    "not text": lambda node: (node.path / "a.toml").write_bytes(b"\xff\xfe"),
    "a folder as configuration": lambda node: ((node.path / "a.toml").unlink(), (node.path / "a.toml").mkdir()),
    "a missing entry": lambda node: node.write_config(events=None),
    "a number as entry": lambda node: node.write_config(events=5),
    "an unknown entry": lambda node: node.write_config(secret="x"),
    "no truth": lambda node: node.write_config(allow_noise_off="yes"),
    "a broken key": lambda node: node.write_config(leader="covey-public-1 leader AAAA"),
    "swapped keys": lambda node: node.write_config(leader=node.entries["helper"]),
    "not base64": lambda node: node.write_config(coordinator="?"),
    "no private key": lambda node: (node.path / "keys" / "site-a.key").unlink(),
    "an exposed private key": lambda node: (node.path / "keys" / "site-a.key").chmod(0o644),
    "a site that is no id": lambda node: node.write_config(site="../b"),
    "a corrupt id database": lambda node: (node.path / "ids.db").write_bytes(b"no database " * 1_000),
    "another database": lambda node: other_database(node.path / "ids.db"),
    "a folder as id database": lambda node: (node.path / "ids.db").mkdir(),
    "no folder for the id database": lambda node: node.write_config(report_ids="nowhere/ids.db"),
}
SCHEMA: dict[str, Callable[[Node], Any]] = {
    "no event file": lambda node: (node.path / "events.parquet").unlink(),
    "not parquet": lambda node: (node.path / "events.parquet").write_bytes(b"PAR1 no PAR1"),
    "a file of another kind": lambda node: node.write_config(events="a.toml"),
    "no client column": lambda node: node.write_config(client_column="whom"),
    "no time column": lambda node: node.write_config(time_column="when"),
    "no key column": lambda node: node.write_events(table(["p"], [0], ["x"]).drop_columns(["k"])),
    "a key of another type": lambda node: node.write_events(retyped("k", pa.array([1.5]))),
    "a time of another type": lambda node: node.write_events(retyped("t", pa.array([True]))),
    "a client of another type": lambda node: node.write_events(retyped("who", pa.array([1.5]))),
}


def retyped(column: str, values: pa.Array) -> pa.Table:
    rows = table(["p"], [0], ["x"])
    return rows.set_column(rows.column_names.index(column), column, values)


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE report_ids (something INTEGER)")
    db.close()


@pytest.mark.parametrize("what", SITE_FAILED)
def test_a_site_that_is_broken_answers_a_code(node: Node, what: str) -> None:
    SITE_FAILED[what](node)
    code, _, batches = node.ask()
    assert (code, batches) == ("SITE_FAILED", [])


@pytest.mark.parametrize("what", SCHEMA)
def test_events_that_do_not_fit_are_a_code(node: Node, what: str) -> None:
    SCHEMA[what](node)
    assert node.ask() == ("SCHEMA", "a", [])


@pytest.mark.parametrize("node_config", [{"partition-id": 5}, {"partition-id": "x"}, {"site": "zz"}, {}, {"site": 7}])
def test_a_node_that_is_no_site_answers_a_code(node: Node, node_config: dict[str, Any]) -> None:
    assert node.ask(node=node_config) == ("SITE_FAILED", "", [])


def test_without_the_folder_s_variable_a_node_answers_a_code(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SITES_VARIABLE)
    assert node.ask() == ("SITE_FAILED", "", [])


@pytest.mark.parametrize(
    "content",
    [
        RecordDict({}),
        RecordDict({"plan": ConfigRecord({})}),
        RecordDict({"plan": MetricRecord({"signed": 1})}),
        RecordDict({"plan": ConfigRecord({"signed": "text"})}),
        RecordDict({"plan": ConfigRecord({"signed": 10**15})}),
        RecordDict({"plan": ConfigRecord({"signed": [1, 2]})}),
    ],
)
def test_a_message_without_a_plan_is_a_code(node: Node, content: RecordDict) -> None:
    assert node.ask(content=content) == ("PLAN_INVALID", "a", [])


ROWS: dict[str, pa.Table] = {
    "one client": table(["p"], [0], ["x"]),
    "many": table([f"c{i}" for i in range(50)], [i % 2 for i in range(50)], ["x"] * 50),
    "of other days": table(["p", "q"], [50, -400], ["x", "y"]),
    "unknown keys": table(["p", "q"], [0, 0], ["elsewhere", ""]),
    "nulls": table(["p", None, "q"], [0, 0, 1], [None, "x", None]),
    "strange ids": table(["", "a\0b", "'; DROP TABLE events", "é", "e\u0301"], [0] * 5, ["x"] * 5),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("what", ["a good plan", *RESIGNED, "garbage", "an edited plan"])
def test_no_code_depends_on_events(node: Node, rows: str, what: str) -> None:
    node.write_events(ROWS[rows])
    data = PLAN if what == "a good plan" else RESIGNED.get(what) or REFUSED[what][0]
    assert node.ask(data)[0] == ("OK" if what == "a good plan" else str(REFUSED[what][1]))


EMPTY = table(["p"], [0], ["x"]).slice(0, 0)
ODD_TIME = retyped("t", pa.array(["not a time"]))
GOOD_TIME = retyped("t", pa.array(["1970-01-01T00:00:01"]))


def test_times_may_be_text(node: Node) -> None:
    node.write_events(GOOD_TIME)
    assert node.ask()[0] == "OK"


@pytest.mark.parametrize("rows", [EMPTY, ODD_TIME], ids=["no events", "one odd time"])
def test_a_site_does_not_tell_by_its_code_that_it_has_no_events_or_an_odd_one(node: Node, rows: pa.Table) -> None:
    node.write_events(rows)
    assert node.ask()[0] == "OK"
