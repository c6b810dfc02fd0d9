"""What a site answers: the code of each refusal, retries that count once, and never an exception across the wire."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from edge_client.flower_app import SITES_VARIABLE, collect
from edge_client.policy import Refuse
from edge_client.policy_file import policy_to_toml
from edge_client.site import SiteSettings
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean, Rate
from federation.batch import sealing as batches_module
from federation.batch.batch import SealedBatch
from federation.batch.reports import LeaderHalf
from federation.batch.sealing import open_half
from federation.keys import create_folder
from federation.ledger.snapshot import read_ledger
from federation.parties import Roster, RosterEntry
from federation.plan import Plan, WireTerms
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import NOW, make_plan
from tests.federation.wire import COLLECTOR, DAY, HELPER, HELPER_SEAL, LEADER, LEADER_SEAL, OTHER_SITE, SITE

from .making import POLICY, VIEW, answered, ask, events, ids_of, plan_with, settings_in, sign, table

ROSTER = Roster([RosterEntry("a", SITE.public.sign, 10_000)])


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


# the plan

GOOD = sign(plan_with())
REFUSED: dict[str, tuple[bytes, RefusalCode]] = {
    "nothing": (b"", RefusalCode.PLAN_UNSIGNED),
    "garbage": (b"\xff" * 40, RefusalCode.PLAN_UNSIGNED),
    "cut": (GOOD[:-1], RefusalCode.PLAN_UNSIGNED),
    "more bytes": (GOOD + b"\x1a\x01x", RefusalCode.PLAN_UNSIGNED),
    "too long": (bytes(5 * 2**20), RefusalCode.PLAN_UNSIGNED),
    "an edited plan": (GOOD.replace(b"shares", b"Shares"), RefusalCode.PLAN_UNSIGNED),
    "a foreign coordinator": (sign(plan_with(), LEADER), RefusalCode.PLAN_UNSIGNED),
    "another leader": (sign(plan_with(leader=OTHER_SITE.sign.public)), RefusalCode.KEY_NOT_PINNED),
    "another helper": (sign(plan_with(helper=OTHER_SITE.sign.public)), RefusalCode.KEY_NOT_PINNED),
    "swapped aggregators": (
        sign(plan_with(leader=HELPER.sign.public, helper=LEADER.sign.public)),
        RefusalCode.KEY_NOT_PINNED,
    ),
    "an old plan": (sign(plan_with(deadline_us=NOW)), RefusalCode.PLAN_EXPIRED),
    "noise off": (sign(plan_with("none")), RefusalCode.NOISE_OFF),
}


@pytest.mark.parametrize("what", REFUSED)
def test_each_refusal_has_its_code_and_the_ledger_keeps_those_of_the_coordinator(
    settings: SiteSettings, what: str
) -> None:
    data, code = REFUSED[what]
    for _ in range(2):
        found = ask(data, events(("p", 0, "x")), settings)
        assert isinstance(found, Refuse)
        assert found.code == code
    kept = read_ledger(settings.ledger, "site-a").state.refused
    expected = [] if code == RefusalCode.PLAN_UNSIGNED else [code]
    assert [one.code for one in kept] == expected  # once, and nothing of what anybody may send


# the answer


def opened(plan: Plan, batches: list[SealedBatch]) -> list[LeaderHalf]:
    return [open_half("leader", plan, LEADER_SEAL, ROSTER, one.half("leader")) for one in batches]


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
        open_half("helper", plan, HELPER_SEAL, ROSTER, batch.half("helper")).seeds.to_bytes()
        for batch in (*first, *second)
    ]
    assert len({seed[at : at + 32] for seed in seeds for at in range(0, len(seed), 32)}) == 6
    batch_ids = [batch.signed.header.batch_id for batch in (*first, *second)]
    assert len(set(batch_ids)) == len(batch_ids)


def test_a_retry_reports_what_was_reported_whatever_happened_since(settings: SiteSettings, tmp_path: Path) -> None:
    plan = plan_with()
    rows = [("p", 0, "x"), ("q", 0, "y"), ("q", 1, "x"), ("r", 1, "y")]

    def ids(*some: tuple[str, float, str]) -> set[tuple[int, bytes]]:
        return set(ids_of(answered(plan, events(*some), settings, len(some))))

    before = ids(*rows)
    assert len(before) == 4
    assert ids(*reversed(rows)) == before
    assert ids(("0 new", 0, "x"), *rows) == before
    assert ids(*rows, ("p", 0, "y"), ("zz", 1, "x"), ("p", 1, "x")) == before  # a reported pane is closed
    assert ids(*rows[:1]) < before
    assert ids() == set()
    assert ids(*rows) == before


def test_a_site_that_had_no_events_at_its_first_answer_reports_none_later(settings: SiteSettings) -> None:
    assert answered(plan_with(), events(), settings) == []
    assert answered(plan_with(), events(("p", 0, "x"), ("q", 1, "y")), settings) == []


def test_another_plan_gets_other_ids_and_a_new_ledger_too(settings: SiteSettings, tmp_path: Path) -> None:
    own = events(("p", 0, "x"), ("q", 0, "y"))
    plans = [make_plan(VIEW, noise="full", number=i, first=2 * i) for i in range(2)]
    found = [ids_of(answered(plans[0], own, settings)), ids_of(answered(plans[1], events(("p", 2, "x")), settings, 1))]
    found.append(ids_of(answered(plans[0], own, replace(settings, ledger=tmp_path / "fresh.db"), 9)))
    assert len({report for ids in found for _, report in ids}) == 5


def test_charge_ids_and_the_end_are_on_disk_before_a_batch_leaves(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def seal(*arguments: Any) -> Any:
        seen.append(read_ledger(settings.ledger, "site-a").state)
        return batches_module.seal_batch(*arguments)

    monkeypatch.setattr("edge_client.site.seal_batch", seal)
    plan = plan_with()
    (batch,) = answered(plan, events(("p", 0, "x")), settings)
    (state,) = seen
    assert state.spent == {0: 500_000, 1: 500_000}
    assert list(state.completed) == [plan.hash]
    with sqlite3.connect(settings.ledger) as db:
        ((stored,),) = db.execute("SELECT ids FROM reports").fetchall()
    db.close()
    assert stored == batch.signed.header.report_ids.tobytes()
    assert settings.ledger.stat().st_mode & 0o077 == 0


def test_the_charge_is_on_disk_before_anything_is_computed(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    plan, own = plan_with(), events(("p", 0, "x"))
    with monkeypatch.context() as patched:
        patched.setattr("edge_client.site.compute", crash)
        with pytest.raises(KeyboardInterrupt):
            ask(plan, own, settings)
    state = read_ledger(settings.ledger, "site-a").state
    assert (list(state.intended), list(state.completed)) == ([plan.hash], [])
    assert len(ids_of(answered(plan, own, settings))) == 1
    assert read_ledger(settings.ledger, "site-a").state.spent == {0: 500_000, 1: 500_000}  # once


def test_nothing_is_charged_for_events_that_do_not_fit(settings: SiteSettings) -> None:
    odd = make_odd()
    found = ask(plan_with(), odd, settings)
    assert isinstance(found, Refuse)
    assert found.code == RefusalCode.SCHEMA
    state = read_ledger(settings.ledger, "site-a").state
    assert state.spent == {}
    assert [one.code for one in state.refused] == ["SCHEMA"]


def make_odd() -> Any:
    from edge_client.events import make_events

    return make_events(table(["p"], [0], ["x"]).drop_columns(["k"]), "who", "t")


def test_the_ledger_s_rules_are_codes(settings: SiteSettings) -> None:
    own = events(("p", 0, "x"))
    answered(plan_with(), own, settings)
    changed = replace(VIEW, entity=Entity("k", domain=["x", "z"]))
    w, u = replace(VIEW, name="w"), replace(VIEW, name="u")
    for plan, code in (
        (make_plan(VIEW, noise="full", number=1, first=1), RefusalCode.PANE_ALREADY_REPORTED),
        (make_plan(changed, noise="full", number=2), RefusalCode.VIEW_OVERLAP),
        (make_plan(w, u, noise="full", number=3), RefusalCode.DAY_BUDGET_SPENT),
    ):
        for _ in range(2):
            found = ask(plan, own, settings)
            assert isinstance(found, Refuse)
            assert found.code == code
    answered(plan_with(), own, settings)
    answered(make_plan(w, noise="full", number=4), own, settings)


@pytest.mark.parametrize("how", ["edited", "rolled back", "another site's", "its tables dropped"])
def test_a_broken_ledger_is_a_code_for_every_plan(settings: SiteSettings, how: str) -> None:
    own = events(("p", 0, "x"))
    copy = settings.ledger.with_name("copy.db")
    answered(plan_with(), own, settings)
    copy.write_bytes(settings.ledger.read_bytes())
    answered(make_plan(VIEW, noise="full", number=1, first=5), own, settings)
    if how == "rolled back":
        settings.ledger.write_bytes(copy.read_bytes())
    elif how == "another site's":
        settings = replace(settings, site="b")
    else:
        with sqlite3.connect(settings.ledger) as db:
            if how == "edited":
                db.execute("UPDATE entries SET line = replace(line, '500000', '100000')")
            else:
                db.execute("DROP TABLE answers")
        db.close()
    again = plan_with() if how == "its tables dropped" else make_plan(VIEW, noise="full", number=2, first=9)
    for plan in (again, again):
        found = ask(plan, own, settings)
        assert isinstance(found, Refuse)
        assert found.code == RefusalCode.LEDGER_BROKEN


def test_the_same_client_id_at_two_views_has_its_own_ids(settings: SiteSettings) -> None:
    two = make_plan(VIEW, replace(VIEW, name="w"), noise="full")
    found = ids_of(answered(two, events(("p", 0, "x"), ("p", 1, "x")), settings, 0))
    assert [of for of, _ in found] == [0, 1, 2, 3]
    assert len({report for _, report in found}) == 4


def test_more_reports_than_a_batch_holds_are_split(settings: SiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_with()
    size = 7
    monkeypatch.setattr("edge_client.site.max_reports", lambda *_: size)
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
    most = batches_module.max_reports(plan, 0)
    own = events(*((f"c{i:03d}", 0, "k00001") for i in range(most + 1)))
    sizes = [len(batch.to_bytes()) for batch in answered(plan, own, settings, 0)]
    assert len(sizes) == 2
    assert 0.9 * batches_module.MAX_BATCH_BYTES < sizes[0] <= batches_module.MAX_BATCH_BYTES


def test_panes_that_are_not_asked_for_are_not_reported(settings: SiteSettings) -> None:
    plan = plan_with()
    assert [of for of, _ in ids_of(answered(plan, events(("p", 0, "x"), ("p", 2, "x")), settings, 0))] == [0]
    other = make_plan(VIEW, noise="full", number=1, first=7)
    assert answered(other, events(("p", 5, "x"), ("q", -1, "x")), settings, 0) == []


# the ClientApp


FAR = time.time_ns() // 1_000 + DAY


class Node:
    """A site's folder, and the ClientApp's function on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = {
            "site": "a",
            "clients": 100,
            "events": "events.parquet",
            "client_column": "who",
            "time_column": "t",
            "keys": "keys",
            "ledger": "site-a.db",
            "policy": "policy/policy.toml",
        }
        (path / "policy").mkdir()
        (path / "policy" / "policy.toml").write_text(policy_to_toml(POLICY))
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


TERMS = WireTerms(LEADER.sign.public, HELPER.sign.public, COLLECTOR.public.collector, FAR)
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
    "another leader": sign(plan_with(leader=OTHER_SITE.sign.public, deadline_us=FAR)),
    "another helper": sign(plan_with(helper=OTHER_SITE.sign.public, deadline_us=FAR)),
    "swapped aggregators": sign(plan_with(leader=HELPER.sign.public, helper=LEADER.sign.public, deadline_us=FAR)),
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
    "no number of clients": lambda node: node.write_config(clients="many"),
    "no policy": lambda node: (node.path / "policy" / "policy.toml").unlink(),
    "a policy with an unknown key": lambda node: append(node.path / "policy" / "policy.toml", "min_clients = 3\n"),
    "no private key": lambda node: (node.path / "keys" / "site-a.key").unlink(),
    "an exposed private key": lambda node: (node.path / "keys" / "site-a.key").chmod(0o644),
    "a site that is no id": lambda node: node.write_config(site="../b"),
}
LEDGER_BROKEN: dict[str, Callable[[Node], Any]] = {
    "a corrupt ledger": lambda node: (node.path / "site-a.db").write_bytes(b"no database " * 1_000),
    "another database": lambda node: other_database(node.path / "site-a.db"),
    "a folder as ledger": lambda node: (node.path / "site-a.db").mkdir(),
    "no folder for the ledger": lambda node: node.write_config(ledger="nowhere/site-a.db"),
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
        db.execute("CREATE TABLE entries (something INTEGER)")
    db.close()


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("what", SITE_FAILED)
def test_a_site_that_is_broken_answers_a_code(node: Node, what: str) -> None:
    SITE_FAILED[what](node)
    code, _, batches = node.ask()
    assert (code, batches) == ("SITE_FAILED", [])


@pytest.mark.parametrize("what", LEDGER_BROKEN)
def test_a_ledger_that_cannot_be_used_is_a_code(node: Node, what: str) -> None:
    LEDGER_BROKEN[what](node)
    assert node.ask() == ("LEDGER_BROKEN", "a", [])


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
    assert node.ask(content=content) == ("NOT_A_PLAN", "a", [])


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


CODES: dict[str, tuple[FeatureView, str]] = {
    "a number": (replace(VIEW, features=[Mean("code", clip=(0, 1))]), "1"),
    "a truth": (replace(VIEW, features=[Rate("r", where="code")]), "1"),
    "a whole number as key": (replace(VIEW, entity=Entity("k", domain=[1, 2], column="code")), "1"),
    "a text": (replace(VIEW, features=[Rate("r", where="code = 'E11'")]), "E11"),
}


@pytest.mark.parametrize("use", CODES)
@pytest.mark.parametrize("odd", [b"E11", b"1.5", b"2", b"", b"\xff", b"1,2", b'"'], ids=repr)
def test_a_site_with_a_csv_file_does_not_tell_by_its_code_what_a_column_holds(node: Node, use: str, odd: bytes) -> None:
    """A coordinator may ask for any column as any type: were one odd value a refusal, it would be told of it, exactly."""
    view, good = CODES[use]
    rows = f"who,t,k,code\np,1970-01-01T00:00:01,x,{good}\nq,1970-01-01T00:00:01,x,".encode()
    (node.path / "events.csv").write_bytes(rows + odd + b"\n")
    node.write_config(events="events.csv")
    plan = plan_with()
    asked = replace(plan, views=(replace(plan.views[0], view=view),), wire=TERMS)
    assert node.ask(sign(asked))[0] == "OK"


def test_a_clock_that_was_ahead_for_a_moment_does_not_stop_a_site_for_good(settings: SiteSettings) -> None:
    ahead = ask(plan_with(), events(), settings, now=NOW + 10**15)
    assert isinstance(ahead, Refuse)
    assert ahead.code == RefusalCode.PLAN_EXPIRED
    answered(plan_with(), events(), settings)
