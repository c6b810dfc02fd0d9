"""A site answers by a code while its table cannot be read or used, charges nothing, and goes on when it can."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edge_client.answering import answer_plan
from edge_client.policy import Refuse
from edge_client.preflight import check_draft
from edge_client.site_config import SiteConfig
from edge_client.sources.source import TableSource
from federation.draft import draft_of, sign_draft
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import NOW
from tests.edge_client.making import plan_with, settings_in, sign
from tests.federation.wire import COORDINATOR, SITE

from .making import EVENTS, Made


def codes(config: SiteConfig, monkeypatch: pytest.MonkeyPatch) -> tuple[RefusalCode | None, RefusalCode | None]:
    """Before a plan, and to it."""
    monkeypatch.setattr("edge_client.answering.wall_clock", lambda: NOW)
    plan = plan_with()
    draft = check_draft(sign_draft(draft_of(plan), COORDINATOR.sign), config, lambda: NOW)
    answer = answer_plan(sign(plan), b"", config)
    return draft and draft.code, answer.code if isinstance(answer, Refuse) else None


def test_a_missing_or_changed_table_is_a_code_and_the_site_goes_on(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = TableSource(url="table://here", client="who", time="t", database=made.database, relation=EVENTS)
    config = SiteConfig(settings_in(tmp_path), source, SITE.node)
    away, schema = RefusalCode.SOURCE_AWAY, RefusalCode.SCHEMA
    made.table(name="other")
    with caplog.at_level(logging.WARNING):
        assert codes(config, monkeypatch) == (away, away)
        assert "the source table://here cannot be read now" in caplog.text
        made.table(columns="who TEXT, t TIMESTAMP, key TEXT")
        assert codes(config, monkeypatch) == (schema, schema)
    made.run("ALTER TABLE e RENAME COLUMN key TO k")
    assert codes(config, monkeypatch) == (None, None)
