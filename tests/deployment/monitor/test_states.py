"""What the monitors of coordinator, SuperLink and site show."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from base.metrics import Distribution, Meters, Sample
from deployment.inspect.pane_counts import PaneCounts
from deployment.inspect.status import view_statuses
from deployment.monitor import panes
from deployment.monitor.coordinator import CoordinatorState
from deployment.monitor.panes import PaneSamples
from deployment.monitor.site import LateCounts, SiteState
from deployment.monitor.superlink import SuperLinkState
from edge_client.errors import SourceAway
from edge_client.sources.status import SourceStatus
from featurestore.publish.publish import Publisher
from federation.errors import LedgerBroken
from tests.featurestore.making import DAY, a_release, fill
from tests.featurestore.server.odd_bodies import VIEW


def values(samples: Iterable[Sample]) -> dict[tuple[str, ...], float]:
    return {
        (one.metric.name, *one.labels): sum(one.value.counts) if isinstance(one.value, Distribution) else one.value
        for one in samples
    }


def test_a_coordinator_waits_for_the_sites_of_its_plan_and_passes_its_progress_on(tmp_path: Path) -> None:
    state, steps = CoordinatorState(tmp_path), list[tuple[Any, ...]]()
    progress = state.watching(lambda *step: steps.append(step))
    assert state.waits_for() is None
    progress("all views", "sites", 0, 3)
    progress("all views", "sites", 2, 3)
    progress("visits", "noise", 5, 100)
    assert state.waits_for() == "the answers of 1 of 3 sites"
    found = values(state.samples())
    assert {key[1]: found[key] for key in found if key[0] == "covey_sites"} == {
        "expected": 3,
        "answered": 2,
        "missing": 1,
    }
    progress("all views", "sites", 3, 3)
    assert state.waits_for() is None
    assert steps[-1] == ("all views", "sites", 3, 3)
    assert len(steps) == 4


@dataclasses.dataclass
class Admitted:
    nodes: int = 2


def test_a_superlink_waits_for_its_start_and_counts_its_nodes(tmp_path: Path) -> None:
    state = SuperLinkState(tmp_path, Admitted())
    assert (state.waits_for() or "").startswith("the start of its APIs")
    state.ready = True
    assert state.waits_for() is None
    assert values(state.samples()) == {("covey_superlink_nodes",): 2}


def test_a_site_waits_for_its_superlink(tmp_path: Path) -> None:
    class Service:
        connected = False

    service: Any = Service()
    state = SiteState(service, "127.0.0.1:8000", Meters(), lambda: None, dict)
    assert state.waits_for() == "the superlink at 127.0.0.1:8000"
    assert values(state.samples()) == {("covey_peer_up", "superlink"): 0}
    service.connected = True
    assert state.waits_for() is None
    assert values(state.samples()) == {("covey_peer_up", "superlink"): 1}


def test_a_site_shows_its_source_and_waits_for_it() -> None:
    class Service:
        connected = True

    service: Any = Service()
    status = SourceStatus(
        connected=True, behind=7, kept=100, duplicates=5, bad=4, future=3, expired=2, lost=1, log_bytes=4_096, full=False,
        trouble=None,
    )  # fmt: skip
    shown = [status]
    state = SiteState(service, "127.0.0.1:8000", Meters(), lambda: shown[-1], lambda: {"delays": 6})
    assert state.waits_for() is None
    assert values(state.samples()) == {
        ("covey_peer_up", "superlink"): 1,
        ("covey_late_events_total", "delays"): 6,
        ("covey_source_connected",): 1,
        ("covey_source_behind_events",): 7,
        ("covey_source_events_total", "kept"): 100,
        ("covey_source_events_total", "duplicate"): 5,
        ("covey_source_events_total", "bad"): 4,
        ("covey_source_events_total", "future"): 3,
        ("covey_source_events_total", "expired"): 2,
        ("covey_source_events_total", "lost"): 1,
        ("covey_source_log_bytes",): 4_096,
        ("covey_source_log_full",): 0,
    }
    shown.append(dataclasses.replace(status, connected=False, behind=None, trouble="no connection to kafka:9092"))
    assert state.waits_for() == "its source: no connection to kafka:9092"
    assert ("covey_source_behind_events",) not in values(state.samples())
    assert values(state.samples())["covey_source_connected",] == 0
    shown.append(dataclasses.replace(status, full=True))
    assert state.waits_for() == "room in the event log, which has 4,096 bytes"
    assert values(state.samples())["covey_source_log_full",] == 1


def test_a_site_whose_event_log_cannot_be_read_says_so() -> None:
    def broken() -> SourceStatus:
        raise SourceAway("log://events.log", "events.log is not a whole event log")

    service: Any = SimpleNamespace(connected=True)
    state = SiteState(service, "127.0.0.1:8000", Meters(), broken, dict)
    assert state.waits_for() == "its source: events.log is not a whole event log"
    assert values(state.samples()) == {("covey_peer_up", "superlink"): 1, ("covey_source_connected",): 0}


def test_late_events_are_those_of_the_ledger_and_a_broken_ledger_changes_nothing(tmp_path: Path) -> None:
    class Counted:
        def __init__(self) -> None:
            self.late = {"delays": 2}

        @contextmanager
        def writing(self, path: Path, site: str, clock: object) -> Iterator[Any]:
            if not self.late:
                raise LedgerBroken(str(path), "edited")
            yield self

        def late_events(self) -> dict[str, int]:
            return self.late

    settings: Any = SimpleNamespace(ledger=tmp_path / "site-UA.db", site="UA")
    ledgers: Any = Counted()
    late = LateCounts(ledgers, settings)
    late.count()
    assert late.by_view() == {}  # no ledger yet, and none is made
    settings.ledger.touch()
    late.count()
    assert late.by_view() == {"delays": 2}
    ledgers.late = {}
    late.count()
    assert late.by_view() == {"delays": 2}


def test_the_panes_of_a_store_are_those_of_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, VIEW, 2)
    with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
        publisher.publish([a_release(VIEW, 3 * VIEW.pane_us, 1)])  # the third pane is due
    samples = PaneSamples(tmp_path)
    counts = {"opened": 3, "void": 0, "due": 1, "exhausted": 0}
    assert values(samples.read()) == {("covey_panes", VIEW.name, state): count for state, count in counts.items()}
    (status,) = view_statuses(tmp_path)
    assert (status.opened, len(status.due)) == (3, 1)
    monkeypatch.setattr(panes, "FRESH_S", 0.0)
    (tmp_path / "store" / "registry.db").write_bytes(b"no database" * 1_000)
    with caplog.at_level(logging.WARNING):
        assert samples.read() == []
    assert "the panes cannot be read" in caplog.text


def test_a_reading_of_the_panes_is_used_again_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[PaneCounts] = []
    monkeypatch.setattr(PaneCounts, "read", lambda self: read.append(self) or ())
    samples = PaneSamples(tmp_path)
    assert samples.read() == samples.read() == []
    assert len(read) == 1
