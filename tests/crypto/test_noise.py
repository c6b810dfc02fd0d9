"""The seeded samplers against the exact probabilities, and the rounding of their scales. All seeds are fixed."""

import hmac
import math
from fractions import Fraction

import numpy as np
import pytest
from Crypto.Cipher import ChaCha20
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crypto.cks20 import ROOM, discrete_gaussian, gaussian_terms
from crypto.errors import ScaleOutOfRange, WrongLength
from crypto.noise import NoiseSource, SecretNoise, SeededNoise

# A fraction so long that the coins' bound D = 2 n m t² has 90 bits: both words of the 128-bit integers are used.
LONG = Fraction(17 * 2**40 + 1, 2**40)

PINNED = [-1, 0, -1, -3, 0, 3, -1, 1, -2, 2, 0, -3]
PINNED_LAPLACE = [-7, 1, 7, 7, -1, 0, -15, -3, 2, 1, 5, 1]


def chi_square_p(samples: np.ndarray, sigma_sq: Fraction) -> float:  # type: ignore[type-arg]
    """The p-value of the samples against the exact Gaussian."""
    reach = max(3, math.ceil(12 * math.sqrt(sigma_sq)))
    support = np.arange(-reach, reach + 1)
    return pooled_p(samples, np.exp(-(support.astype(float) ** 2) / (2 * float(sigma_sq))))


def laplace_p(samples: np.ndarray, scale: Fraction) -> float:  # type: ignore[type-arg]
    """The p-value of the samples against the exact Laplace: P[x] = (1 - q)/(1 + q) q^|x|, q = exp(-1/b)."""
    reach = max(3, math.ceil(40 * scale))
    return pooled_p(samples, np.exp(-np.abs(np.arange(-reach, reach + 1)) / float(scale)))


def pooled_p(samples: np.ndarray, pmf: np.ndarray) -> float:  # type: ignore[type-arg]
    """The p-value against probabilities (any multiple) of -r … r. Cells with fewer than 10 expected samples are pooled."""
    reach = len(pmf) // 2
    support = np.arange(-reach, reach + 1)
    expected = len(samples) * pmf / pmf.sum()
    assert abs(samples).max() <= reach
    observed = np.bincount(samples + reach, minlength=len(support))
    kept = expected >= 10
    observed = np.append(observed[kept], observed[~kept].sum())
    expected = np.append(expected[kept], expected[~kept].sum())
    if expected[-1] < 1:
        observed, expected = observed[:-1], expected[:-1] * observed[:-1].sum() / expected[:-1].sum()
    return float(stats.chisquare(observed, expected).pvalue)


@pytest.mark.parametrize(
    "sigma_sq",
    [Fraction(9, 100), Fraction(1, 3), Fraction(1), Fraction(35, 4), LONG, Fraction(10**6, 488), Fraction(90_001, 7)],
)
def test_samples_have_the_exact_probabilities(sigma_sq: Fraction):
    samples = SeededNoise(20_261, "pmf").discrete_gaussian(sigma_sq, 400_000)
    assert chi_square_p(samples, sigma_sq) > 1e-4


def test_the_chi_square_test_would_see_a_scale_that_is_two_percent_off():
    samples = SeededNoise(20_261, "pmf").discrete_gaussian(Fraction(35, 4), 400_000)
    assert chi_square_p(samples, Fraction(35, 4) * Fraction(102, 100) ** 2) < 1e-6


@pytest.mark.parametrize(
    "sigma_sq",
    [Fraction(10**12), Fraction(3 * 10**6 * 500**2, 2 * 24_400), Fraction(2**55 + 1), Fraction(2**40 + 1) ** 2],
)
def test_mean_variance_and_kurtosis_of_wide_noise(sigma_sq: Fraction):
    n = 200_000
    scaled = SeededNoise(7, "wide").discrete_gaussian(sigma_sq, n) / math.sqrt(sigma_sq)
    # Each figure within 5 standard errors of a normal sample's.
    assert abs(scaled.mean()) < 5 / math.sqrt(n)
    assert abs(scaled.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((scaled**4).mean() - 3) < 5 * math.sqrt(96 / n)
    assert stats.kstest(scaled, "norm").pvalue > 1e-4


def test_a_scale_far_below_one_third_is_sampled_exactly_and_is_nearly_no_noise():
    sigma_sq = Fraction(1, 25)
    samples = SeededNoise(5, "small").discrete_gaussian(sigma_sq, 2_000_000)
    assert set(np.unique(samples)) == {-1, 0, 1}
    expected = 2_000_000 * 2 * math.exp(-12.5)  # 14.9 samples
    assert abs(np.count_nonzero(samples) - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize(
    "scale",
    [
        Fraction(1, 4),
        Fraction(1, 2),
        Fraction(1),
        Fraction(7, 3),
        Fraction(2**50 + 1, 2**48),
        Fraction(40),
        Fraction(501, 7),
    ],
)
def test_laplace_samples_have_the_exact_probabilities(scale: Fraction):
    samples = SeededNoise(20_262, "pmf").discrete_laplace(scale, 400_000)
    assert laplace_p(samples, scale) > 1e-4


def test_the_chi_square_test_would_see_a_laplace_scale_that_is_two_percent_off():
    samples = SeededNoise(20_262, "pmf").discrete_laplace(Fraction(7, 3), 400_000)
    assert laplace_p(samples, Fraction(7, 3) * Fraction(102, 100)) < 1e-6


@pytest.mark.parametrize("scale", [Fraction(10**15), Fraction(2**56 - 1, 10**6 + 3), Fraction(2**56 - 1)])
def test_wide_laplace_noise_is_as_the_continuous_one(scale: Fraction):
    n = 200_000
    scaled = SeededNoise(7, "wide").discrete_laplace(scale, n) / float(scale)
    assert abs(scaled.mean()) < 5 * math.sqrt(2 / n)
    assert abs(np.abs(scaled).mean() - 1) < 5 / math.sqrt(n)  # |x| is exponential: mean and deviation 1
    assert stats.kstest(scaled, "laplace").pvalue > 1e-4


@given(st.lists(st.integers(0, 60), max_size=6))
def test_calls_for_laplace_noise_continue_the_stream(sizes: list[int]):
    whole = SeededNoise(3, "a").discrete_laplace(Fraction(20), sum(sizes))
    source = SeededNoise(3, "a")
    parts = [source.discrete_laplace(Fraction(20), n) for n in sizes]
    assert np.concatenate([np.empty(0, np.int64), *parts]).tolist() == whole.tolist()


@given(st.lists(st.integers(0, 60), max_size=6))
def test_calls_continue_the_stream(sizes: list[int]):
    whole = SeededNoise(3, "a").discrete_gaussian(Fraction(20), sum(sizes))
    source = SeededNoise(3, "a")
    parts = [source.discrete_gaussian(Fraction(20), n) for n in sizes]
    assert np.concatenate([np.empty(0, np.int64), *parts]).tolist() == whole.tolist()


def test_equal_seed_and_stream_draw_equal_noise_and_other_streams_independent_noise():
    leader, again, helper, other = (
        SeededNoise(seed, stream).discrete_gaussian(Fraction(100), 50_000)
        for seed, stream in [(1, "leader"), (1, "leader"), (1, "helper"), (2, "leader")]
    )
    assert (leader == again).all()
    for independent in (helper, other):
        correlation = np.corrcoef(leader, independent)[0, 1]
        assert abs(correlation) < 5 / math.sqrt(50_000)


def test_the_first_samples_of_a_seed_never_change():
    """A simulation that is repeated with another version must draw the same samples."""
    assert SeededNoise(1, "leader").discrete_gaussian(Fraction(35, 4), 12).tolist() == PINNED
    assert SeededNoise(1, "leader").discrete_laplace(Fraction(35, 9), 12).tolist() == PINNED_LAPLACE


@pytest.mark.parametrize(
    "sigma_sq",
    [Fraction(0), Fraction(-1), Fraction(ROOM + 1), Fraction(ROOM) ** 2, Fraction(1, ROOM), Fraction(ROOM - 3, 2)],
)
def test_scales_that_the_exact_arithmetic_cannot_hold_are_refused(sigma_sq: Fraction):
    with pytest.raises(ScaleOutOfRange) as refused:
        SeededNoise(1, "x").discrete_gaussian(sigma_sq, 1)
    assert (refused.value.what, refused.value.scale) == ("sigma^2", sigma_sq)


@pytest.mark.parametrize("scale", [Fraction(0), Fraction(-1), Fraction(ROOM), Fraction(1, ROOM), Fraction(ROOM + 1, 2)])
def test_laplace_scales_that_the_exact_arithmetic_cannot_hold_are_refused(scale: Fraction):
    with pytest.raises(ScaleOutOfRange) as refused:
        SeededNoise(1, "x").discrete_laplace(scale, 1)
    assert (refused.value.what, refused.value.scale) == ("b", scale)


def test_no_samples_are_an_empty_array():
    assert SeededNoise(1, "x").discrete_gaussian(Fraction(1), 0).tolist() == []
    assert SeededNoise(1, "x").discrete_laplace(Fraction(1), 0).tolist() == []


KEY = bytes(range(32))


@pytest.mark.parametrize("sigma_sq", [Fraction(1, 3), Fraction(35, 4), LONG, Fraction(10**6, 488)])
def test_the_source_of_releases_draws_the_exact_gaussian(sigma_sq: Fraction):
    assert chi_square_p(SecretNoise(KEY).stream(b"pmf").discrete_gaussian(sigma_sq, 400_000), sigma_sq) > 1e-4


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(7, 3), Fraction(501, 7)])
def test_the_source_of_releases_draws_the_exact_laplace(scale: Fraction):
    assert laplace_p(SecretNoise(KEY).stream(b"pmf").discrete_laplace(scale, 400_000), scale) > 1e-4


def test_equal_secret_and_context_draw_equal_noise_in_parts_of_any_size():
    whole = SecretNoise(KEY).stream(b"a").discrete_gaussian(Fraction(100), 50_000)
    stream = SecretNoise(KEY).stream(b"a")
    parts = [stream.discrete_gaussian(Fraction(100), size) for size in (1, 0, 9_999, 40_000)]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_other_contexts_and_other_secrets_draw_independent_noise():
    first = SecretNoise(KEY).stream(b"a").discrete_gaussian(Fraction(100), 50_000)
    for secret, context in ((KEY, b"b"), (KEY, b""), (bytes(32), b"a")):
        other = SecretNoise(secret).stream(context).discrete_gaussian(Fraction(100), 50_000)
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / math.sqrt(50_000)


def test_the_stream_is_chacha20_under_hkdf_of_secret_and_context():
    """The stream is rebuilt with other tools: an aggregator that is restored with another version must draw the same noise."""
    extracted = hmac.digest(bytes(32), KEY, "sha256")
    key = hmac.digest(extracted, b"context" + b"\x01", "sha256")
    cipher = ChaCha20.new(key=key, nonce=bytes(8))
    words = np.frombuffer(cipher.encrypt(bytes(8 * 4_000)), "<u8")
    samples = np.empty(100, np.int64)
    assert discrete_gaussian(words, samples, 0, *(gaussian_terms(35, 4) or ()))[0] == 100
    assert SecretNoise(KEY).stream(b"context").discrete_gaussian(Fraction(35, 4), 100).tolist() == samples.tolist()


def test_the_source_of_releases_shows_no_secret_and_is_not_seeded():
    source: NoiseSource = SecretNoise(KEY)
    assert (source.name, source.seeded, repr(source)) == ("cks20-hkdf-chacha20", False, "SecretNoise(redacted)")
    with pytest.raises(WrongLength):
        SecretNoise(bytes(31))


def test_the_seeded_source_says_that_it_is_seeded():
    source: NoiseSource = SeededNoise(1, "x")
    assert source.seeded
    assert source.name == "cks20-seeded"
