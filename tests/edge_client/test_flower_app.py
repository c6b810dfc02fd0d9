"""The ClientApp of a site: a code or its batches for every message, and never an exception across the wire."""

from __future__ import annotations

import errno
import json
import os
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
from edge_client.policy_file import policy_to_toml
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean, Rate
from federation.batch.batch import SealedBatch
from federation.keys import create_folder
from federation.wire_terms import WireTerms
from tests.federation.wire import COLLECTOR, DAY, HELPER, LEADER, OTHER_SITE, SITE

from .making import POLICY, VIEW, ids_of, plan_with, sign, table
from .refused_plans import REFUSED

FAR = time.time_ns() // 1_000 + DAY


class Node:
    """The folder of a site, and the ClientApp's function over it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = {
            "site": "a",
            "clients": 100,
            "keys": "keys",
            "ledger": "site-a.db",
            "policy": "policy/policy.toml",
        }
        self.source: dict[str, Any] = {
            "url": "events.parquet",
            "client": "who",
            "time": "t",
        }
        (path / "policy").mkdir()
        (path / "policy" / "policy.toml").write_text(policy_to_toml(POLICY))
        create_folder(path / "keys", [SITE])
        self.write_events(table(["p", "q", "q"], [0, 0, 1], ["x", "y", "x"]))
        self.write_config()

    def write_config(self, source: dict[str, Any] | None = None, **changes: Any) -> None:
        def lines(entries: dict[str, Any]) -> str:
            return "".join(f"{name} = {json.dumps(value)}\n" for name, value in entries.items() if value is not None)

        of_source = self.source | (source or {})
        (self.path / "a.toml").write_text(f"{lines(self.entries | changes)}[source]\n{lines(of_source)}")

    def write_events(self, rows: pa.Table) -> None:
        pq.write_table(rows, self.path / "events.parquet")

    def ask(
        self, signed: bytes | None = None, node: dict[str, Any] | None = None, content: RecordDict | None = None
    ) -> tuple[str, str, list[bytes]]:
        """Code, site and batches of the answer, which holds Flower's types only."""
        if content is None:
            content = RecordDict({"plan": ConfigRecord({"signed": PLAN if signed is None else signed})})
        message = Message(content, dst_node_id=3, message_type="query")
        message.metadata.__dict__["_message_id"] = "m1"
        context = Context(1, 3, {"site": "a"} if node is None else node, RecordDict(), {})
        reply = collect(message, context)
        assert not reply.has_error()
        assert reply.metadata.reply_to_message_id == "m1"
        assert set(reply.content) == {"answer"}
        told = reply.content["answer"]
        assert set(told) == {"code", "site", "batches"}
        return told["code"], told["site"], told["batches"]


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
    assert node.ask(RESIGNED.get(what, data)) == (code, "a", [])  # the ClientApp reads the real clock


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
    "a missing entry": lambda node: node.write_config({"url": None}),
    "a number as entry": lambda node: node.write_config({"url": 5}),
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
    "not parquet": lambda node: (node.path / "events.parquet").write_bytes(b"PAR1 no PAR1"),
    "a file of another kind": lambda node: node.write_config({"url": "a.toml"}),
    "no client column": lambda node: node.write_config({"client": "whom"}),
    "no time column": lambda node: node.write_config({"time": "when"}),
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


def test_a_ledger_whose_head_file_cannot_be_written_is_a_code(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("federation.ledger.ledger.replace_file", full)
    assert node.ask() == ("SITE_FAILED", "a", [])


@pytest.mark.parametrize("what", SCHEMA)
def test_events_that_do_not_fit_are_a_code(node: Node, what: str) -> None:
    SCHEMA[what](node)
    assert node.ask() == ("SCHEMA", "a", [])


def test_events_that_are_not_there_now_are_a_code(node: Node) -> None:
    (node.path / "events.parquet").unlink()
    assert node.ask() == ("SOURCE_AWAY", "a", [])


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
    """A coordinator may read any column as any type. A refusal because of one odd value would reveal that value's existence."""
    view, good = CODES[use]
    rows = f"who,t,k,code\np,1970-01-01T00:00:01,x,{good}\nq,1970-01-01T00:00:01,x,".encode()
    (node.path / "events.csv").write_bytes(rows + odd + b"\n")
    node.write_config({"url": "events.csv"})
    plan = plan_with()
    asked = replace(plan, views=(replace(plan.views[0], view=view),), wire=TERMS)
    assert node.ask(sign(asked))[0] == "OK"
