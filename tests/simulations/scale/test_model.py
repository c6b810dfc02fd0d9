"""The model by hand, and measured costs that equal those of the real services."""

from __future__ import annotations

import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federation.batch.batch import HEADER_REPORT_BYTES
from federation.batch.sealing import seal_batch
from federation.sharding import protect
from federation.terms import Noise, Validity
from simulations.scale.closing import Effort
from simulations.scale.costs import ClosingCosts, Costs, Linear, ReportCosts
from simulations.scale.measured_costs import measure
from simulations.scale.model import SHARDED, WHOLE, Assumptions, Regime, committing_s, estimate
from simulations.scale.pair import SITE, Pair, reports_of, view_of
from simulations.scale.queueing import AnswerWindow, flow

REPORTS = ReportCosts(
    slots=100,
    validity="none",
    largest_batch=200,
    site_s=Linear(0.001, 0.0001),
    leader_s=Linear(0.002, 0.0005),
    helper_s=Linear(0.003, 0.0002),
    leader_disk_s=Linear(0.010, 0),
    helper_disk_s=Linear(0.004, 0),
    upload=Linear(2_000, 850),
    to_helper=Linear(1_500, 50),
)
CLOSING = ClosingCosts(
    merge_s=1e-9,
    commit_s=1e-7,
    noise_s=2e-5,
    open_s=1e-8,
    service_close_s=1e-6,
    id_bytes=100,
    stored_id_bytes=30,
    roster_bytes=400,
    rpc_s=0.001,
    rpc_byte_s=0,
    stored_report_s=1e-5,
    stored_ids=0,
)
COSTS = Costs({(100, "none"): REPORTS}, CLOSING)
ASSUMED = Assumptions(rtt_s=0.02)


def test_phones_by_hand() -> None:
    one = estimate(COSTS, Regime(10**6, 1, 100, "none"), ASSUMED)
    assert (one.batches, one.reports_a_batch) == (10**6, 1)
    assert one.stations.core == pytest.approx(0.002 + 0.0005 + 0.001)
    assert one.stations.keep == pytest.approx(0.005)
    assert one.stations.line == pytest.approx(0.02 + (0.003 + 0.0002 + 0.0005) + 0.004 + 0.005)
    assert one.upload == pytest.approx(2.85e9)
    assert one.egress == pytest.approx(2.85e9 + 1.55e9)
    assert one.cpu_s == pytest.approx({"sites": 1_100, "leader": 3_500, "helper": 3_700})
    rate = 10**6 * ASSUMED.window.busiest
    assert one.first == "leader's line"
    assert one.shards == math.ceil(rate * one.stations.line / 0.7)
    assert one.loads["leader's line"] == pytest.approx(rate * one.stations.line / one.shards)
    assert one.loads["leader's commits"] == pytest.approx(rate * 0.010 / one.shards)  # a batch has two commits
    assert one.loads["leader's ingress"] == pytest.approx(rate * 2_850 / 1.25e9 / one.shards)
    assert one.loads["coordinator's link"] == pytest.approx(rate * 2_850 / 1.25e9)
    assert one.loads["ids in memory"] == pytest.approx(1e8 / ASSUMED.memory)
    assert one.loads["noise"] == pytest.approx(100 * 2e-5 / 600)
    assert one.closing_s["drain"] == 0
    assert one.closing_s["merge"] == pytest.approx((one.shards - 1) * 1e-7)
    machines = ((2 * one.shards + 1) * 3_600 + 2 * one.after_deadline_s) / 3_600 * 0.04
    assert one.dollars == pytest.approx(machines + 4.4 * 0.09)


def test_a_coordinator_that_is_over_full_is_as_many_cores_as_it_keeps_busy() -> None:
    one = estimate(COSTS, Regime(10**8, 1, 100, "none"), ASSUMED)
    relays = math.ceil(10**8 * ASSUMED.window.busiest * 0.0005 / 0.7)  # half of a call of 1 ms
    assert relays > 1
    machines = ((2 * one.shards + relays) * 3_600 + 2 * one.after_deadline_s) / 3_600 * 0.04
    assert one.dollars == pytest.approx(machines + 440 * 0.09)


def test_a_site_of_many_clients_fills_batches_as_far_as_they_hold() -> None:
    one = estimate(COSTS, Regime(10**6, 500, 100, "none"), ASSUMED)
    assert (one.batches, one.reports_a_batch) == (5_000, 200)
    assert one.shards == 1 < 40 < estimate(COSTS, Regime(10**6, 1, 100, "none"), ASSUMED).shards
    assert one.loads["roster in memory"] == pytest.approx(2_000 * 400 / ASSUMED.memory)


def test_ten_times_the_clients_are_ten_times_the_load_and_more_shards_share_what_they_can() -> None:
    few, many = (estimate(COSTS, Regime(n, 1, 100, "none"), ASSUMED, shards=4) for n in (10**6, 10**7))
    for name in (*SHARDED, *WHOLE):
        expected = 1 if name == "noise" else committing_s(COSTS, 10**7) / committing_s(COSTS, 10**6)
        assert many.loads[name] / few.loads[name] == pytest.approx(expected if name in WHOLE[-2:] else 10)
    more = estimate(COSTS, Regime(10**6, 1, 100, "none"), ASSUMED, shards=8)
    assert all(more.loads[name] == pytest.approx(few.loads[name] / 2) for name in SHARDED)
    assert all(more.loads[name] == few.loads[name] for name in WHOLE)
    assert more.latency_s < few.latency_s


def test_too_few_shards_leave_work_at_the_deadline() -> None:
    one = estimate(COSTS, Regime(10**6, 1, 100, "none"), ASSUMED, shards=1)
    whole = 10**6 * float(ASSUMED.window.arrived(np.array([3_600.0]))[0]) * one.stations.line
    assert one.closing_s["drain"] == pytest.approx(whole - 3_600, rel=0.02)


def test_what_saturates_first_follows_the_costs() -> None:
    heavy = replace(REPORTS, leader_s=Linear(1.0, 0))
    wide = replace(REPORTS, upload=Linear(1e9, 0))
    regime = Regime(10**6, 1, 100, "none")
    assert estimate(replace(COSTS, reports={(100, "none"): heavy}), regime, ASSUMED).first == "leader's core"
    assert estimate(replace(COSTS, reports={(100, "none"): wide}), regime, ASSUMED).first == "leader's ingress"
    assert estimate(replace(COSTS, reports={(100, "none"): wide}), regime, ASSUMED).then == "coordinator's link"


def test_the_window_is_a_log_normal_and_work_is_conserved() -> None:
    window = AnswerWindow(median_s=100, tail=0.7, deadline_s=900)
    at = np.linspace(0, 900, 90_001)
    arrived = window.arrived(at)
    assert arrived[np.searchsorted(at, 100)] == pytest.approx(0.5, abs=1e-3)
    assert np.diff(arrived).max() / 0.01 == pytest.approx(window.busiest, rel=1e-3)
    for service_s in (0.01, 0.2, 2.0):
        found = flow(window, 2_000, service_s)
        assert found.load * 900 + found.drain_s == pytest.approx(found.jobs * service_s)


def test_a_line_goes_through_both_points_and_is_never_negative() -> None:
    assert Linear.through((1, 3.0), (5, 11.0)) == Linear(1.0, 2.0)
    assert Linear.through((1, 3.0), (5, 2.0)) == Linear(3.0, 0.0)
    assert Linear.through((1, 3.0), (1, 2.0)) == Linear(3.0, 0.0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Costs:
    return measure(
        [20],
        list(Validity),
        tmp_path_factory.mktemp("scale"),
        Effort(turns=1, ids=2_000, noise=50, slots=2_000, batch=40),
    )


def test_measured_bytes_are_those_that_the_services_exchange(measured: Costs) -> None:
    plain, proven = measured.reports[20, "none"], measured.reports[20, "prio3"]
    assert plain.upload.report == pytest.approx(20 * 8 + 32 + HEADER_REPORT_BYTES, abs=0.1)
    assert 2_300 < plain.upload.batch < 2_586
    assert proven.upload.report > 16 * plain.upload.report / 2
    assert plain.to_helper.report == pytest.approx(32 + HEADER_REPORT_BYTES + 2, abs=0.2)  # two verdicts of a byte
    assert proven.to_helper.report > plain.to_helper.report


def test_measured_times_are_there_and_the_pieces_are_no_more_than_their_services(measured: Costs) -> None:
    for one in measured.reports.values():
        assert min(one.site_s.of(1), one.leader_s.of(1), one.helper_s.of(1)) > 0
        assert one.steps["SQLite, leader", 1] < one.steps["leader", 1]
        assert one.steps["SQLite, helper", 1] < one.steps["helper", 1]
        assert ("verify proof, both", 1) in one.steps or one.validity == "none"
    closing = measured.closing
    assert 16 + 4 + 16 <= closing.id_bytes < 300  # ids, collections, and a sorted copy at least
    assert closing.stored_id_bytes >= 16
    assert closing.roster_bytes > 32
    assert closing.noise_s > 0
    assert closing.service_close_s > 0


def test_measured_costs_make_an_estimate(measured: Costs) -> None:
    one = estimate(measured, Regime(10**7, 1, 20, "prio3"), Assumptions())
    assert one.shards > 1
    assert set(one.loads) == {*SHARDED, *WHOLE}
    assert max(one.loads[name] for name in SHARDED) <= 0.7


def test_the_leader_asks_the_helper_about_one_batch_at_a_time_as_the_models_line_does(tmp_path: Path) -> None:
    pair = Pair(tmp_path, view_of(4), Validity.NONE, Noise.NONE)
    aggregate, inside, most = pair.link.aggregate, threading.Semaphore(1), []

    def ask(job: bytes) -> bytes:
        most.append(not inside.acquire(blocking=False))
        try:
            time.sleep(0.005)  # lets other threads run
            return aggregate(job)
        finally:
            inside.release()

    pair.link.aggregate = ask  # type: ignore[method-assign]
    try:
        sent = []
        for number in range(12):
            leader, helper = protect(pair.plan, reports_of(pair.plan.views[0].view, 1, number), os.urandom)
            sent.append(seal_batch(pair.plan, SITE, os.urandom(16), leader, helper, pair.site).to_bytes())
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(pair.leader.submit, sent))
    finally:
        pair.close()
    assert len(most) == 12
    assert not any(most)
    assert [answer.verdicts for answer in answers] == [bytes(1)] * 12
