"""A site and its source: it waits for a stream, answers from what it has, and refuses without a charge what it cannot read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from base.times import wall_clock
from edge_client.answering import answer_plan
from edge_client.errors import EdgeError, LogBroken, LogMissing, SourceAway
from edge_client.events import Events, make_events
from edge_client.policy import Refuse
from edge_client.preflight import check_draft
from edge_client.site_config import SiteConfig
from edge_client.sources import open as opening
from edge_client.sources.open import KeptSource
from edge_client.sources.source import FilesSource, KafkaSource, LogSettings, Source
from edge_client.sources.status import SourceStatus
from federation.draft import draft_of, sign_draft
from federation.ledger.snapshot import read_ledger
from federation.plan import Plan, PlannedView
from federation.refusal_codes import RefusalCode
from tests.federation.wire import COORDINATOR, DAY, SITE, live
from tests.ledgers import spent_of

from .making import plan_with, settings_in, sign, table

FAR = wall_clock() + DAY
STATUS = SourceStatus(False, 12, 3, 0, 0, 0, 0, 0, 4_096, False, "the broker broker:9092 does not answer")
AWAY = [
    SourceAway("kafka://b:9092/t", "the broker does not answer"),
    LogMissing("a.log"),
    LogBroken("a.log", "it is cut"),
]


@dataclass
class Stub:
    """An open source and `Sources`, which notes each call."""

    fails: EdgeError | None = None
    is_ready: bool = True
    calls: list[Any] = field(default_factory=list)

    @contextmanager
    def of(self, source: Source, site: str) -> Iterator[Stub]:
        yield self

    def schema(self, views: Sequence[Any]) -> pa.Table:
        return self.rows().slice(0, 0)

    def read(self, views: Sequence[PlannedView]) -> Events:
        self.calls.append("read")
        return make_events(self.rows(), "who", "t")

    def rows(self) -> pa.Table:
        if self.fails is not None:
            raise self.fails
        return table(["p"], [0], ["x"])

    def ready_for(self, seconds: float) -> bool:
        self.calls.append(seconds)
        return self.is_ready

    def status(self) -> SourceStatus:
        return STATUS

    def close(self) -> None:
        self.calls.append("close")


def kafka(folder: Path) -> KafkaSource:
    log = LogSettings(folder / "a.log")
    of = {"url": "kafka://b:9092/t", "client": "who", "time": "t"}
    return KafkaSource(**of, servers=("b:9092",), topic="t", tls=None, login=None, log=log, wait_us=7 * 10**6)


@pytest.fixture
def config(tmp_path: Path) -> SiteConfig:
    assert SITE.node is not None
    return SiteConfig(settings_in(tmp_path), kafka(tmp_path), SITE.node)


@pytest.fixture
def plan() -> Plan:
    plan = plan_with()
    assert plan.wire is not None
    return live(replace(plan, wire=replace(plan.wire, deadline_us=FAR)))


def answered(plan: Plan, config: SiteConfig, source: Any) -> RefusalCode | int:
    found = answer_plan(sign(plan), b"", config, sources=source)
    return found.code if isinstance(found, Refuse) else len(found)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_a_source_that_is_away_is_a_code_nothing_is_charged_and_later_the_same_plan_is_answered(
    config: SiteConfig, plan: Plan, error: EdgeError, caplog: pytest.LogCaptureFixture
) -> None:
    away = Stub(fails=error)
    draft = sign_draft(draft_of(plan), COORDINATOR.sign)
    refused = check_draft(draft, config, wall_clock, sources=away)  # type: ignore[arg-type]
    assert refused is not None
    assert refused.code == RefusalCode.SOURCE_AWAY
    assert answered(plan, config, away) == RefusalCode.SOURCE_AWAY
    assert f"{error}. The site refuses the plan with SOURCE_AWAY" in caplog.text
    assert "Traceback" not in caplog.text
    state = read_ledger(config.settings.ledger, "site-a").state
    assert (spent_of(state), [one.code for one in state.refused]) == ({}, ["SOURCE_AWAY"])
    assert check_draft(draft, config, wall_clock, sources=Stub()) is None  # type: ignore[arg-type]
    assert answered(plan, config, Stub()) == 1


def test_an_answer_waits_for_a_stream_before_it_reads(config: SiteConfig, plan: Plan) -> None:
    source = Stub()
    assert answered(plan, config, source) == 1
    assert source.calls == [7.0, "read"]


def test_a_site_whose_broker_is_away_answers_from_its_log_and_says_what_is_missing(
    config: SiteConfig, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "covey.site")
    assert answered(plan, config, Stub(is_ready=False)) == 1
    (line,) = [one.getMessage() for one in caplog.records if "lacks events of its stream" in one.getMessage()]
    assert line.startswith(
        "after 7.0 s the event log still lacks events of its stream (the broker broker:9092 does not answer); the broker has 12 "
        "more records: "
    )


def test_files_are_not_waited_for_and_a_plan_that_the_policy_refuses_waits_for_nothing(
    config: SiteConfig, plan: Plan, tmp_path: Path
) -> None:
    source = Stub()
    assert answered(plan_with(deadline_us=10**6), config, source) == RefusalCode.PLAN_EXPIRED
    assert source.calls == []
    files = FilesSource(url="e.parquet", client="who", time="t", path=tmp_path / "e.parquet")
    assert answered(plan, replace(config, source=files), source) == 1
    assert source.calls == [0.0, "read"]


def test_a_kept_source_is_opened_once_and_another_one_takes_its_place_when_the_sites_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[Source, Stub]] = []
    fails = [SourceAway("kafka://b:9092/t", "no route")]

    def open_source(source: Source, surroundings: object) -> Stub:
        if fails:
            raise fails.pop()
        opened.append((source, Stub()))
        return opened[-1][1]

    monkeypatch.setattr(opening, "open_source", open_source)
    first, kept = kafka(tmp_path), KeptSource()
    with pytest.raises(SourceAway), kept.of(first, "a"):
        pass
    for source in (first, kafka(tmp_path), replace(first, topic="u"), replace(first, topic="u")):
        with kept.of(source, "a") as found:
            assert found is opened[-1][1]
    assert [source for source, _ in opened] == [first, replace(first, topic="u")]
    assert [stub.calls for _, stub in opened] == [["close"], []]
    kept.close()
    kept.close()
    assert opened[-1][1].calls == ["close"]
