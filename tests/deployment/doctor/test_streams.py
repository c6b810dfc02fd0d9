"""What `covey doctor` says of the stream of a site: its broker, which is real, and its event log."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.doctor import sources
from deployment.doctor.finding import Finding, Place, Severity
from deployment.doctor.sources import check_events, check_streams
from edge_client.event_log.log import EventLog
from tests.mosquitto import Mosquitto, free_port, running_mosquitto


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def a_project(folder: Path, port: int, of_log: str = "") -> Place:
    """A project with a site that reads MQTT."""
    (folder / "sites").mkdir(exist_ok=True)
    (folder / "sites" / "UA.toml").write_text(f"""
site = "UA"
clients = 1
keys = "../keys"
ledger = "../ledgers/site-UA.db"
policy = "../policy.toml"
[source]
url = "mqtt://127.0.0.1:{port}/plant/#"
client = "device"
time = "at"
[source.columns]
device = {{from = "@topic.2", type = "text"}}
at = {{type = "time", unit = "ms"}}
[source.log]
path = "ua.log"
{of_log}
""")
    return Place(folder, None, {}, 0)


def streams(place: Place) -> list[Finding]:
    return list(check_streams(place))


def test_a_project_without_a_stream_has_nothing_to_check(tmp_path: Path) -> None:
    (one,) = streams(Place(tmp_path, None, {}, 0))
    assert one.severity is Severity.NOT_APPLICABLE


def test_a_broker_that_answers_and_a_log_that_can_be_made_are_fine(broker: Mosquitto, tmp_path: Path) -> None:
    place = a_project(tmp_path, broker.port)
    assert [one.severity for one in streams(place)] == [Severity.OK, Severity.OK]
    assert not (tmp_path / "sites" / "ua.log").exists()
    assert " as covey-UA (" not in broker.log()  # the session of a running site is left alone
    (events,) = check_events(place)
    assert (events.severity, "declares the columns of its stream" in events.found) == (Severity.OK, True)


def test_a_broker_that_is_away_is_a_problem(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt")
    port = free_port()
    broker, _ = streams(a_project(tmp_path, port))
    assert broker.severity is Severity.PROBLEM
    assert f"no connection to 127.0.0.1:{port}" in broker.found
    assert "UA.toml" in broker.mend


def test_a_private_key_that_others_may_read_is_found(broker: Mosquitto, tmp_path: Path) -> None:
    place = a_project(tmp_path, broker.port)
    file, key = tmp_path / "sites" / "UA.toml", tmp_path / "sites" / "ua.key"
    text = file.read_text().replace("mqtt://", "mqtts://")
    file.write_text(text.replace("[source]\n", '[source]\ncertificate = "ua.crt"\nprivate_key = "ua.key"\n'))
    key.write_text("secret")
    key.chmod(0o644)
    one, _ = streams(place)
    assert (one.severity, "644" in one.found, f"chmod 600 {key}" in one.mend) == (Severity.PROBLEM, True, True)
    assert "secret" not in one.found


def test_what_is_wrong_with_an_event_log_is_found(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sites" / "ua.log"
    place = a_project(tmp_path, broker.port, 'size = "8MB"')
    with EventLog(path, client="device", time="at") as log:
        log.append([{"device": "a", "at": "2024-01-01T00:00:00Z"}])
    assert [one.severity for one in streams(place)] == [Severity.OK, Severity.OK]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1_000))
    (small,) = streams(place)[1:]
    assert (small.severity, "may grow by 8 MB" in small.found) == (Severity.WARNING, True)
    monkeypatch.setattr(sources, "_used", lambda *_: 8_000_001)
    (full,) = streams(place)[1:]
    assert (full.severity, "is full, so site UA reads nothing" in full.found) == (Severity.PROBLEM, True)
    monkeypatch.undo()
    place = a_project(tmp_path, broker.port, 'key_file = "ua.key"')
    (key,) = streams(place)[1:]
    assert (key.severity, "ua.key" in key.found) == (Severity.PROBLEM, True)
    path.unlink()
    with EventLog(path, client="device", time="when"):
        pass
    (other,) = streams(a_project(tmp_path, broker.port))[1:]
    assert (other.severity, "was made with time = 'when'" in other.found) == (Severity.PROBLEM, True)


def test_a_folder_that_the_site_cannot_write_is_found(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    (log,) = streams(a_project(tmp_path, broker.port))[1:]
    assert (log.severity, "cannot be written by user" in log.found) == (Severity.PROBLEM, True)
