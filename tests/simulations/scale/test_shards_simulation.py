"""Shards in virtual time: they match the model, and after any crash nothing is counted twice or by one aggregator only."""

from __future__ import annotations

import pytest

from simulations.scale.model import Stations
from simulations.scale.queueing import AnswerWindow, flow
from simulations.scale.shards_simulation import Crashes, SimulationResult, play

STATIONS = Stations(core=0.03, keep=0.02, line=0.1, helper=0.04)
WINDOW = AnswerWindow(median_s=60, tail=0.8, deadline_s=400)
RTT_S = 0.02


def batches_for(peak: float, shards: int) -> int:
    """Enough batches to give a shard's line this load at the busiest moment."""
    return int(peak * shards / (WINDOW.busiest * STATIONS.line))


@pytest.mark.parametrize(("peak", "band"), [(0.3, 0.05), (0.7, 0.10), (1.5, 0.10), (6.0, 0.10)])
@pytest.mark.parametrize("shards", [1, 3])
def test_latency_and_utilisation_are_those_of_the_model(peak: float, band: float, shards: int) -> None:
    batches = batches_for(peak, shards)
    runs = [play(batches, shards, STATIONS, RTT_S, WINDOW, seed=seed) for seed in range(3 // shards)]
    expected = flow(WINDOW, batches / shards, STATIONS.slowest)
    latency = sum(one.latency_s.sum() for one in runs) / sum(len(one.latency_s) for one in runs)
    assert latency == pytest.approx(expected.wait_s + STATIONS.through, rel=band)
    assert sum(one.line_load for one in runs) / len(runs) == pytest.approx(expected.load, rel=0.05)
    core = flow(WINDOW, batches / shards, STATIONS.core)
    assert sum(one.core_load for one in runs) / len(runs) == pytest.approx(core.load, rel=0.05)
    assert expected.peak == pytest.approx(peak, rel=0.02)
    if peak == 6.0:
        drained = sum(one.drained_s for one in runs) / len(runs) - WINDOW.deadline_s
        assert drained == pytest.approx(expected.drain_s, rel=0.15)
        assert expected.drain_s > 20


def test_a_model_of_another_line_would_be_found_out() -> None:
    played = play(batches_for(0.7, 4), 4, STATIONS, RTT_S, WINDOW)
    wrong = flow(WINDOW, batches_for(0.7, 4) / 4, STATIONS.line * 1.2)
    assert played.line_load != pytest.approx(wrong.load, rel=0.05)
    assert played.latency_s.mean() != pytest.approx(wrong.wait_s + STATIONS.through, rel=0.10)


def require_once(played: SimulationResult, batches: int) -> None:
    """Check that every batch in time is in both sums once, and that no other batch is in any sum."""
    assert played.leader == played.helper
    assert set(played.leader.values()) == {1}
    assert len(played.leader) + played.late == batches == len(played.latency_s) + played.late


@pytest.mark.parametrize("seed", range(4))
def test_shards_that_crash_count_every_batch_once_and_both_the_same(seed: int) -> None:
    batches = batches_for(1.1, 3)
    played = play(batches, 3, STATIONS, RTT_S, WINDOW, crashes=Crashes(an_hour=600, restart_s=0.5), seed=seed)
    require_once(played, batches)
    assert min(played.crashes, played.resubmitted, played.asked_again, played.repeated) > 0
    assert played.late > 0


def test_without_crashes_nothing_is_sent_twice() -> None:
    batches = batches_for(0.5, 3)
    played = play(batches, 3, STATIONS, RTT_S, WINDOW)
    require_once(played, batches)
    assert (played.crashes, played.resubmitted, played.asked_again, played.repeated) == (0, 0, 0, 0)


def test_a_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, same, other = (
        play(300, 2, STATIONS, RTT_S, WINDOW, crashes=Crashes(100), seed=seed).latency_s.tolist() for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other
