"""OpenDP's source and our seeded one draw from one distribution. OpenDP takes no seed: tolerances are below 1e-6."""

import threading
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from aggregator.opendp_noise import OpenDPNoise
from crypto.errors import ScaleOutOfRange
from crypto.noise import NoiseSource, SeededNoise

N = 30_000


@pytest.mark.parametrize("sigma_sq", [Fraction(1, 3), Fraction(35, 4), Fraction(10**6, 488)])
def test_opendp_and_the_seeded_source_draw_gaussians_from_one_distribution(sigma_sq: Fraction):
    ours = SeededNoise(11, "two-sample").discrete_gaussian(sigma_sq, N)
    theirs = OpenDPNoise().discrete_gaussian(sigma_sq, N)
    require_one_distribution(ours, theirs)
    assert abs(np.var(theirs) / float(sigma_sq) - 1) < 0.1 if sigma_sq > 1 else True


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(7, 3), Fraction(10**6, 488), Fraction(2**55)])
def test_opendp_and_the_seeded_source_draw_laplacians_from_one_distribution(scale: Fraction):
    ours = SeededNoise(12, "two-sample").discrete_laplace(scale, N)
    theirs = OpenDPNoise().discrete_laplace(scale, N)
    require_one_distribution(ours, theirs)
    # E|x| = 1/sinh(1/b) of the exact distribution; its own standard deviation is about b
    mean = 1 / np.sinh(1 / float(scale))
    assert abs(np.abs(theirs.astype(float)).mean() - mean) < 6 * float(scale) / np.sqrt(N)


def test_the_two_sample_test_would_see_a_scale_that_is_a_tenth_off():
    ours = SeededNoise(12, "two-sample").discrete_laplace(Fraction(7, 3), N)
    with pytest.raises(AssertionError):
        require_one_distribution(ours, OpenDPNoise().discrete_laplace(Fraction(77, 30), N))


def require_one_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:  # type: ignore[type-arg]
    assert theirs.dtype == np.int64
    assert theirs.shape == (N,)
    # Two-sample chi-square over the deciles of ours: cells of thousands, where the p-value is exact enough for 1e-7.
    edges = np.unique(np.quantile(ours, np.arange(1, 10) / 10))
    table = [np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) for x in (ours, theirs)]
    filled = [column for column in zip(*table, strict=True) if sum(column)]
    assert stats.chi2_contingency(np.array(filled).T).pvalue > 1e-7


def test_two_threads_may_share_the_source():
    source, drawn = OpenDPNoise(), []

    def draw() -> None:
        drawn.append(source.discrete_gaussian(Fraction(400), 2_000))

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = drawn
    assert (first != second).any()
    assert abs(np.corrcoef(first, second)[0, 1]) < 6 / np.sqrt(2_000)


def test_scales_that_are_not_positive_or_could_saturate_are_refused():
    for sigma_sq in (Fraction(0), Fraction(-1), Fraction(2**111)):
        with pytest.raises(ScaleOutOfRange):
            OpenDPNoise().discrete_gaussian(sigma_sq, 1)
    for scale in (Fraction(0), Fraction(-1), Fraction(2**55 + 1), Fraction(10**400)):
        with pytest.raises(ScaleOutOfRange):
            OpenDPNoise().discrete_laplace(scale, 1)


def test_a_scale_below_every_float_is_no_noise_and_no_error():
    assert not OpenDPNoise().discrete_laplace(Fraction(1, 10**400), 50).any()


def test_the_source_says_that_it_has_no_seed():
    source: NoiseSource = OpenDPNoise()
    assert not source.seeded
    assert source.name == "opendp"
    assert source.discrete_gaussian(Fraction(1), 0).tolist() == []
    assert source.discrete_laplace(Fraction(1), 0).tolist() == []
