from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from base.metrics import CERTIFICATE, LATENCIES
from base.tls.authority import Authority
from base.tls.files import certificate_path, key_path
from base.tls.links import Tls
from base.tls.roles import TlsRole
from featurestore.server.metrics import ROW_BYTES, Counts, exposition
from featurestore.server.settings import Endpoint, ServerSettings
from featurestore.server.throttle import ServerLimits
from featurestore.server.tls import ServerTls
from featurestore.server.worker import samples_of

HEALTH: dict[str, Any] = {
    "problem": None,
    "epoch": 7,
    "views": [
        {
            "view": "delays",
            "version": 1,
            "pane_end": 10_000_000,
            "released_at": 12_500_000,
            "sites": {"counted": 2, "of": 3, "missing": ["b"]},
        },
        {"view": "delays", "version": 2, "pane_end": None, "released_at": None, "sites": None},
    ],
}


LABELS = ("route", "status", "le", "view", "version", "since", "state")


def samples(counts: Counts, now_us: int = 20_000_000) -> dict[tuple[str, ...], float]:
    """(name, label values …) → value."""
    text = exposition(counts, HEALTH, now_us).decode()
    return {
        (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_rows_and_latencies_are_counted_by_route_and_status() -> None:
    counts = Counts()
    counts.request("/get-online-features", 200, 0.0003)
    counts.request("/get-online-features", 200, 4.0)
    counts.request("/get-online-features", 0, 0.1)
    counts.request("/health", 405, 0.1)
    counts.request("/no/such\npath", 404, 0.1)
    counts.rows(10)
    counts.rows(5)
    found = samples(counts)
    assert {key: value for key, value in found.items() if key[0] == "covey_requests_total"} == {
        ("covey_requests_total", "/get-online-features", "200"): 2,
        ("covey_requests_total", "/get-online-features", "0"): 1,
        ("covey_requests_total", "/health", "405"): 1,
        ("covey_requests_total", "other", "404"): 1,
    }
    assert found["covey_rows_total",] == 15
    assert found["covey_request_seconds_count", "/get-online-features"] == 3
    assert found["covey_request_seconds_sum", "/get-online-features"] == pytest.approx(4.1003)
    assert found["covey_request_seconds_bucket", "/get-online-features", "0.00025"] == 0
    assert found["covey_request_seconds_bucket", "/get-online-features", "0.0005"] == 1
    assert found["covey_request_seconds_bucket", "/get-online-features", "2.5"] == 2
    assert found["covey_request_seconds_bucket", "/get-online-features", "+Inf"] == 3


@pytest.mark.parametrize("end", LATENCIES)
def test_a_latency_at_a_buckets_end_is_in_it(end: float) -> None:
    counts = Counts()
    counts.request("/health", 200, end)
    found = samples(counts)
    below = [one for one in LATENCIES if one < end]
    assert found["covey_request_seconds_bucket", "/health", str(end)] == 1
    assert all(found["covey_request_seconds_bucket", "/health", str(one)] == 0 for one in below)


def test_epoch_and_age_of_each_view_are_told() -> None:
    found = samples(Counts())
    assert found["covey_epoch",] == 7
    assert {key[1:]: value for key, value in found.items() if key[0] == "covey_view_age_seconds"} == {
        ("delays", "1", "pane_end"): 10.0,
        ("delays", "1", "released_at"): 7.5,
    }


def test_the_counted_and_the_missing_sites_of_the_newest_pane_are_gauges() -> None:
    assert {key[1:]: value for key, value in samples(Counts()).items() if key[0] == "covey_release_sites"} == {
        ("delays", "1", "counted"): 2.0,
        ("delays", "1", "missing"): 1.0,
    }


def test_any_worker_tells_the_sum_and_a_replaced_one_goes_on() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(3 * ROW_BYTES)
        workers = [Counts(3, i, file.fileno()) for i in range(3)]
        for i, worker in enumerate(workers):
            worker.rows(10**i)
            worker.request("/health", 200, 0.01)
        workers[1] = Counts(3, 1, file.fileno())
        workers[1].rows(10)
        for worker in workers:
            found = samples(worker)
            assert found["covey_rows_total",] == 121
            assert found["covey_requests_total", "/health", "200"] == 3
            assert found["covey_request_seconds_bucket", "/health", "0.01"] == 3


@pytest.mark.parametrize(("problem", "ready"), [(None, 1.0), ("CURRENT.json cannot be read", 0.0)])
def test_a_server_that_serves_an_old_snapshot_is_not_ready(problem: str | None, ready: float) -> None:
    text = exposition(Counts(), HEALTH | {"problem": problem}, 0).decode()
    assert f"covey_ready {ready}" in text.splitlines()


def test_the_end_of_the_servers_certificate_is_a_metric(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    Authority.create(tmp_path, now).issue(tmp_path, TlsRole.SERVER, [], now)
    own = Tls(TlsRole.SERVER, tmp_path).own()
    tls = ServerTls(certificate_path(tmp_path, "server"), key_path(tmp_path, "server"))
    for given, expected in ((tls, [(("server",), own.certificate.until.timestamp())]), (None, [])):
        settings = ServerSettings(tmp_path, False, ServerLimits(), 1, Endpoint("127.0.0.1", tls=given))
        found = [(one.labels, one.value) for one in samples_of(settings, 7.0) if one.metric is CERTIFICATE]
        assert found == expected
