"""An MQTT source as a site has it open: events of a real broker arrive in the log, and the site's monitor shows how far it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from base.metrics import Meters
from deployment.monitor.site import SiteState
from edge_client.sources.open import open_source
from edge_client.sources.surroundings import Surroundings
from tests.edge_client.sources.streams.mqtt_sites import a_source, with_log
from tests.edge_client.sources.streams.test_mqtt_kills import subscribe
from tests.mosquitto import Mosquitto, publish, running_mosquitto
from tests.waiting import wait_until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path / "broker") as running:
        yield running


def events(first: int, count: int) -> list[tuple[str, bytes]]:
    made = [{"device": f"d{at}", "at": at, "id": at, "text": "x"} for at in range(first, first + count)]
    return [("site/a", json.dumps(one).encode()) for one in made]


def test_a_site_reads_goes_on_after_its_broker_and_shows_how_far_it_is(broker: Mosquitto, tmp_path: Path) -> None:
    source = with_log(a_source(broker.port, "site"), tmp_path / "site.log")
    subscribe(broker.port, "site")
    publish(broker.port, [*events(0, 50), ("site/a", b"garbage"), *events(0, 5)])
    with closing(open_source(source, Surroundings("UA"))) as opened:
        service: Any = SimpleNamespace(connected=True)
        state = SiteState(service, "127.0.0.1:8000", Meters(), opened.status, dict)
        assert opened.ready_for(20)
        assert state.waits_for() is None
        counts = {sample.labels: sample.value for sample in state.samples()}
        assert [counts[outcome,] for outcome in ("kept", "duplicate", "bad", "lost")] == [50, 5, 1, 0]
        broker.stop()
        wait_until(lambda: state.waits_for() is not None)
        assert (
            f"its source: the source mqtt://127.0.0.1:{broker.port}/site/# cannot be read now" in state.waits_for()
            or ""
        )
        assert not opened.ready_for(0.1)
        broker.start()
        publish(broker.port, events(50, 50))
        wait_until(lambda: state.waits_for() is None)
        assert opened.ready_for(20)
        status = opened.status()
        assert status is not None
        assert (status.connected, status.kept, status.duplicates, status.behind) == (True, 100, 5, None)
