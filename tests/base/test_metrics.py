from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aggregator.services import aggregator_pb2 as pb
from aggregator.storage.records import PlanState
from base.exposition import text_of
from base.metrics import (
    ANSWERS,
    BATCHES,
    BUDGET_LEFT,
    CALL_CODES,
    CALLS,
    CERTIFIED,
    COLLECTIONS,
    METRICS,
    OTHER,
    PEER_UP,
    PLAN_STATES,
    READY,
    REPORTS,
    STEP,
    Choice,
    Kind,
    Meters,
    Metric,
    Names,
    Role,
    Sample,
    gauges,
)
from base.process_metrics import DISK_RESERVE, disk_problem, process_samples
from base.tls.roles import TlsRole


def numbers(meters: Meters) -> dict[tuple[str, ...], float]:
    """(name of the sample, label values, in the order of the labels' names …) → value, as a scraper reads them."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text_of(meters.samples()).decode())
        for sample in family.samples
    }


def test_names_and_labels_of_the_list_are_prometheus_names_and_each_name_is_listed_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
        assert metric.name.startswith(("covey_", "process_"))
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total"), metric.name
        assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets), metric.name
        assert metric.help.endswith(".")
        assert metric.roles
        names = [label.name for label in metric.labels]
        assert len(set(names)) == len(names)
        assert not {"client", "key", "value", "id"} & set(names)
        assert list(metric.buckets) == sorted(metric.buckets)


def test_every_metric_of_the_module_is_in_the_list() -> None:
    import base.metrics

    assert {one for one in vars(base.metrics).values() if isinstance(one, Metric)} == set(METRICS)


def test_calls_states_and_codes_are_those_of_services_storage_and_grpc() -> None:
    import grpc

    services = pb.DESCRIPTOR.services_by_name.values()
    assert set(CALLS) == {method.name for service in services for method in service.methods}
    assert tuple(PlanState) == PLAN_STATES
    assert set(CALL_CODES) == {code.name for code in grpc.StatusCode}


def test_threads_count_in_one_place() -> None:
    meters = Meters()

    def count() -> None:
        for _ in range(500):
            meters.add(REPORTS, "accepted", by=2)
            meters.observe(STEP, "noise", seconds=0.1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = numbers(meters)
    assert found["covey_reports_total", "accepted"] == 4_000
    assert found["covey_step_seconds_count", "noise"] == 2_000
    assert found["covey_step_seconds_sum", "noise"] == pytest.approx(200)


@pytest.mark.parametrize("end", STEP.buckets)
def test_an_observation_at_the_end_of_a_bucket_is_in_it(end: float) -> None:
    meters = Meters()
    meters.observe(STEP, "open", seconds=end)
    found = numbers(meters)
    assert found["covey_step_seconds_bucket", str(end), "open"] == 1
    assert all(found["covey_step_seconds_bucket", str(one), "open"] == 0 for one in STEP.buckets if one < end)
    assert found["covey_step_seconds_bucket", "+Inf", "open"] == 1


def test_a_label_takes_no_value_outside_its_closed_set_and_no_label_too_few() -> None:
    meters = Meters()
    with pytest.raises(ValueError, match="label verdict has no value 'client 7'"):
        meters.add(REPORTS, "client 7")
    with pytest.raises(ValueError, match="has 1 labels, not 0"):
        meters.add(BATCHES)
    assert meters.samples() == []


def test_an_open_set_of_names_is_bounded() -> None:
    meters = Meters()
    (label,) = ANSWERS.labels
    assert isinstance(label.values, Names)
    for number in range(label.values.most + 50):
        meters.add(ANSWERS, f"CODE_{number}")
    found = numbers(meters)
    assert len(found) == label.values.most + 1
    assert found["covey_site_answers_total", OTHER] == 50
    meters.add(ANSWERS, "CODE_0")
    assert numbers(meters)["covey_site_answers_total", "CODE_0"] == 2


def test_gauges_that_no_meter_has_set_are_bounded_as_well() -> None:
    (label,) = BUDGET_LEFT.labels
    assert isinstance(label.values, Names)
    text = text_of(gauges(BUDGET_LEFT, ((f"view{number}", 1.0) for number in range(label.values.most + 50)))).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == label.values.most
    assert OTHER not in text
    with pytest.raises(ValueError, match="label peer has no value 'mallory'"):
        text_of([Sample(PEER_UP, ("mallory",), 1)])


def test_the_text_has_help_type_and_escaped_names() -> None:
    meters = Meters()
    meters.add(COLLECTIONS, 'a"b\\c\nd', "OPENED", by=3)
    meters.set(READY, to=1)
    text = text_of(meters.samples()).decode()
    assert "# TYPE covey_collections_total counter" in text
    assert f"# HELP covey_ready {READY.help}" in text
    assert numbers(meters)["covey_collections_total", "OPENED", 'a"b\\c\nd'] == 3


def test_a_block_that_fails_is_not_timed() -> None:
    meters = Meters()
    with pytest.raises(ZeroDivisionError), meters.timed(STEP, "noise"):
        1 / 0  # noqa: B018
    assert meters.samples() == []


def test_a_process_has_version_start_memory_and_disk(tmp_path: Path) -> None:
    found = {sample.metric.name: sample.value for sample in process_samples(Role.LEADER, tmp_path, 7.0)}
    assert found["process_start_time_seconds"] == 7.0
    assert isinstance(found["process_resident_memory_bytes"], int | float)
    assert found["process_resident_memory_bytes"] > 2**20
    assert 0 < found["covey_disk_free_bytes"] <= found["covey_disk_size_bytes"]  # type: ignore[operator]


def test_a_disk_that_is_nearly_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=DISK_RESERVE))
    assert disk_problem(tmp_path) is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=DISK_RESERVE - 1))
    assert str(tmp_path) in (disk_problem(tmp_path) or "")


def test_a_closed_set_has_each_value_once() -> None:
    for metric in METRICS:
        for label in metric.labels:
            if isinstance(label.values, Choice):
                assert len(set(label.values.values)) == len(label.values.values)


def test_the_roles_with_a_certificate_are_those_of_tls() -> None:
    assert {*CERTIFIED} == {Role(role.value) for role in TlsRole}
