"""What a site would answer to a plan: by its files alone, without a charge, and without reading a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flwr.app import ConfigRecord, RecordDict

from base.errors import ConfigInvalid
from edge_client.plan_messages import answer_message
from edge_client.preflight import check_draft
from edge_client.site_config import SiteConfig
from edge_client.sources.files import open_files
from edge_client.sources.source import FilesSource
from federation.draft import draft_of, sign_draft
from federation.plan import Plan
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import NOW
from tests.federation.wire import COORDINATOR, HELPER, LEADER, SITE

from .making import POLICY, answered, events, plan_with, settings_in, table


def files(path: Path) -> FilesSource:
    return FilesSource(url=str(path), client="who", time="t", path=path)


@pytest.fixture
def config(tmp_path: Path) -> SiteConfig:
    pq.write_table(table(["p"], [0], ["x"]), tmp_path / "events.parquet")
    assert SITE.node is not None
    return SiteConfig(settings_in(tmp_path), files(tmp_path / "events.parquet"), SITE.node)


def code_of(plan: Plan, config: SiteConfig, now: int = NOW, key: object = COORDINATOR) -> RefusalCode | None:
    found = check_draft(sign_draft(draft_of(plan), key.sign), config, lambda: now)  # type: ignore[attr-defined]
    return None if found is None else found.code


def test_a_site_that_would_take_part_writes_nothing(config: SiteConfig, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    assert code_of(plan_with(), config) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_policy_clock_ledger_and_terms_decide_as_for_a_plan(config: SiteConfig) -> None:
    strict = replace(config, settings=replace(config.settings, policy=replace(POLICY, allow_activity_visible=False)))
    assert code_of(plan_with(), strict) == RefusalCode.ACTIVITY_VISIBLE
    assert code_of(plan_with("none"), config) == RefusalCode.NOISE_OFF
    assert (
        code_of(plan_with(leader=HELPER.sign.public, helper=LEADER.sign.public), config) == RefusalCode.KEY_NOT_PINNED
    )
    assert code_of(plan_with(), config, now=0) == RefusalCode.PLAN_LIVES_TOO_LONG
    assert code_of(plan_with(), config, key=LEADER) == RefusalCode.PLAN_UNSIGNED
    answered(plan_with(), events(("p", 0, "x")), config.settings)
    assert code_of(plan_with(), config) == RefusalCode.PANE_ALREADY_REPORTED


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_schema_is_read_and_no_value(config: SiteConfig, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"other.{suffix}"
    other = replace(config, source=files(path))
    assert code_of(plan_with(), other) == RefusalCode.SOURCE_AWAY  # there is no such file
    if suffix == "csv":
        path.write_bytes(b"who,t,k\n" + b"\xff\x00 no row at all \n" * 3)
        assert code_of(plan_with(), other) is None
        path.write_text("who,t\np,2020-01-01\n")
    else:
        pq.write_table(table(["p"], [0], ["x"]).drop_columns(["t"]).append_column("t", pa.array([1.5])), path)
    assert code_of(plan_with(), other) == RefusalCode.SCHEMA


def test_a_site_reads_its_folder_again_for_each_plan(config: SiteConfig, tmp_path: Path) -> None:
    folder = tmp_path / "days"
    folder.mkdir()
    other = replace(config, source=files(folder))
    assert code_of(plan_with(), other) == RefusalCode.SOURCE_AWAY  # there is no file
    pq.write_table(table(["p"], [0], ["x"]), folder / "1.parquet")
    assert code_of(plan_with(), other) is None
    pq.write_table(table(["p"], [0], ["x"]).drop_columns(["k"]).append_column("k", pa.array([1])), folder / "2.parquet")
    assert code_of(plan_with(), other) == RefusalCode.SCHEMA


def test_a_message_with_a_draft_is_answered_by_a_code_alone(
    config: SiteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("a value was read")

    monkeypatch.setattr(open_files, "file_batches", read)
    signed = sign_draft(draft_of(plan_with()), COORDINATOR.sign)
    answer = answer_message(RecordDict({"draft": ConfigRecord({"signed": signed})}), lambda: config)
    assert (answer.code, answer.site, answer.batches) == (RefusalCode.PLAN_EXPIRED, "a", ())  # by today's clock
    assert not config.settings.ledger.exists()


def test_files_that_cannot_be_used_are_named_in_the_sites_log_and_nothing_but_a_code_leaves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> SiteConfig:
        raise ConfigInvalid("policy.toml", "min_k: a whole number")

    answer = answer_message(RecordDict(), broken, name="a")
    assert (answer.code, answer.site, answer.batches) == ("SITE_FAILED", "a", ())
    assert "policy.toml: min_k: a whole number. Until it is mended" in caplog.text
    assert "Traceback" not in caplog.text
