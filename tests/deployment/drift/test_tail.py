import numpy as np
import pytest

from deployment.drift.tail import MARGIN, Tail, evidence, single


def test_evidence_corrects_for_the_number_of_series() -> None:
    assert np.exp(-evidence(np.array([0.01]), 20))[0] == pytest.approx(1 - 0.99**20)
    assert np.exp(-evidence(np.array([1e-30]), 1_000))[0] == pytest.approx(1e-27)
    assert evidence(np.array([0.0]), 5)[0] == 690.0
    assert evidence(np.array([1.0]), 1)[0] == 0.0


def test_one_series_has_the_p_value_whose_correction_is_given() -> None:
    assert single(1 - 0.99**20, 20) == pytest.approx(0.01)
    assert single(1e-12, 100) == pytest.approx(1e-14)


def test_p_is_never_below_that_of_the_model() -> None:
    calm = Tail(np.full(50, 0.1))
    assert calm.p(np.array([5.0]))[0] == pytest.approx(MARGIN * np.exp(-5.0))


def test_a_restless_past_makes_p_larger() -> None:
    past = np.sort(np.random.default_rng(1).exponential(3.0, 60))
    p = Tail(past).p(np.array([5.0, 8.0]))
    assert p[0] == pytest.approx(MARGIN * (1 + (past >= 5.0).sum()) / 61, rel=0.5)
    assert p[1] > 10 * np.exp(-8.0)


def test_below_the_peaks_p_is_a_rank() -> None:
    tail = Tail(np.arange(1.0, 41.0) * 4)
    assert tail.peaks == 8
    assert tail.p(np.array([100.0]))[0] == pytest.approx(MARGIN * 17 / 41)
    assert tail.least_rank == pytest.approx(MARGIN / 41)


def test_p_falls_with_evidence_and_is_at_most_one() -> None:
    p = Tail(np.sort(np.random.default_rng(2).exponential(1.0, 33))).p(np.linspace(0, 50, 400))
    assert p[0] == 1.0
    assert (np.diff(p) <= 1e-12).all()


@pytest.mark.parametrize("level", [0.05, 0.01, 1e-4])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_the_evidence_at_a_level_has_that_p_value(level: float, scale: float) -> None:
    tail = Tail(np.sort(np.random.default_rng(3).exponential(scale, 80)))
    assert tail.p(np.array([tail.evidence_at(level)]))[0] == pytest.approx(level)


def test_one_more_observation_of_an_exponential_past_is_rarely_beyond_the_level() -> None:
    rng = np.random.default_rng(4)
    past = np.sort(rng.exponential(2.0, (20_000, 30)), axis=1)
    new = rng.exponential(2.0, 20_000)
    found = sum(Tail(each).p(np.array([one]))[0] <= 0.01 for each, one in zip(past[:4_000], new, strict=False))
    assert found / 4_000 < 0.012


def test_many_peaks_with_a_heavy_tail_are_rarely_beyond_a_level_far_below_their_ranks() -> None:
    rng = np.random.default_rng(5)
    past, new = np.sort(3 * rng.pareto(5, (20_000, 150)), axis=1), 3 * rng.pareto(5, 20_000)
    assert Tail(past[0]).least_rank > 0.001
    found = sum(Tail(each).p(np.array([one]))[0] <= 0.001 for each, one in zip(past, new, strict=True))
    assert found / 20_000 < 0.001  # .0016 with exponential excesses
