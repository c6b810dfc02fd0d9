"""OpenDP's samplers and the source of releases draw from one distribution. OpenDP takes no seed, so tolerances are below 1e-6."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from crypto.noise import NoiseStream, SecretNoise

from .opendp_peer import OpenDPStream

N = 30_000


def ours(context: bytes) -> NoiseStream:
    return SecretNoise(bytes(range(32))).stream(context)


@pytest.mark.parametrize("sigma_sq", [Fraction(1, 3), Fraction(35, 4), Fraction(10**6, 488)])
def test_opendp_and_the_source_of_releases_draw_gaussians_from_one_distribution(sigma_sq: Fraction):
    theirs = OpenDPStream().discrete_gaussian(sigma_sq, N)
    require_one_distribution(ours(b"gaussian").discrete_gaussian(sigma_sq, N), theirs)
    assert abs(np.var(theirs) / float(sigma_sq) - 1) < 0.1 if sigma_sq > 1 else True


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(7, 3), Fraction(10**6, 488), Fraction(2**55)])
def test_opendp_and_the_source_of_releases_draw_laplacians_from_one_distribution(scale: Fraction):
    theirs = OpenDPStream().discrete_laplace(scale, N)
    require_one_distribution(ours(b"laplace").discrete_laplace(scale, N), theirs)
    # E|x| = 1/sinh(1/b) of the exact distribution; its own standard deviation is about b
    mean = 1 / np.sinh(1 / float(scale))
    assert abs(np.abs(theirs.astype(float)).mean() - mean) < 6 * float(scale) / np.sqrt(N)


def test_the_two_sample_test_would_see_a_scale_that_is_a_tenth_off():
    mine = ours(b"laplace").discrete_laplace(Fraction(7, 3), N)
    with pytest.raises(AssertionError):
        require_one_distribution(mine, OpenDPStream().discrete_laplace(Fraction(77, 30), N))


def require_one_distribution(mine: np.ndarray, theirs: np.ndarray) -> None:  # type: ignore[type-arg]
    # Two-sample chi-square over the deciles of Covey's samples: cells of thousands, so the p-value is exact enough for 1e-7.
    edges = np.unique(np.quantile(mine, np.arange(1, 10) / 10))
    table = [np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) for x in (mine, theirs)]
    filled = [column for column in zip(*table, strict=True) if sum(column)]
    assert stats.chi2_contingency(np.array(filled).T).pvalue > 1e-7
