"""The kernels against the paper's algorithms in Python integers and fractions, word for word."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import cks20

WORD = 2**64
TERMS = cks20.gaussian_terms(35, 4) or (0, 0, 0, 0, 0)


class Reference:
    """Canonne, Kamath and Steinke (2020), Algorithms 1-3, over a list of random words."""

    def __init__(self, words: list[int]) -> None:
        self.words = iter(words)

    def below(self, bound: int) -> int:
        if bound == 1:
            return 0
        mask = (1 << (bound - 1).bit_length()) - 1
        while (draw := next(self.words) & mask) >= bound:
            pass
        return draw

    def coin(self, a: int, b: int) -> bool:
        """Bernoulli(a/b). For a two-word number, the second word is drawn only if it can change the result."""
        if b < WORD:
            return self.below(b) < a
        mask = (1 << (b // WORD).bit_length()) - 1
        while True:
            high = next(self.words) & mask
            if high > b // WORD:
                continue
            if high < b // WORD and high != a // WORD:
                return high * WORD < a
            draw = high * WORD + next(self.words)
            if draw < b:
                return draw < a

    def exp_small(self, a: int, b: int) -> bool:
        k = 1
        while self.below(k) == 0 and self.coin(a, b):
            k += 1
        return k % 2 == 1

    def exp(self, a: int, b: int) -> bool:
        while a > b:
            if not self.exp_small(1, 1):
                return False
            a -= b
        return self.exp_small(a, b)

    def laplace(self, s: int, t: int) -> int:
        while True:
            u = self.below(t)
            if not self.exp_small(u, t):
                continue
            v = 0
            while self.exp_small(1, 1):
                v += 1
            size = (u + t * v) // s
            negative = next(self.words) % 2 == 1
            if negative and size == 0:
                continue
            return -size if negative else size

    def gaussian(self, sigma_sq: Fraction, t: int, bound: int) -> int:
        """The kernel does not reduce the fraction of its coin; `bound` is the denominator."""
        while True:
            y = self.laplace(1, t)
            gamma = (abs(y) - sigma_sq / t) ** 2 / (2 * sigma_sq)
            if self.exp(int(gamma * bound), bound):
                return y


@pytest.mark.parametrize(
    "sigma_sq",
    [
        Fraction(1, 25),
        Fraction(1, 3),
        Fraction(1),
        Fraction(35, 4),
        Fraction(17 * 2**40 + 1, 2**40),
        Fraction(10**13, 7),
        Fraction(2**29 + 1) ** 2,
        Fraction(2**56 - 1) ** 2,
    ],
)
def test_the_kernels_draw_what_the_paper_draws_from_the_same_words(sigma_sq: Fraction):
    words = np.random.Philox(9).random_raw(200_000)
    samples = np.empty(4_000, np.int64)
    terms = cks20.gaussian_terms(sigma_sq.numerator, sigma_sq.denominator)
    assert terms is not None
    done, used = cks20.discrete_gaussian(words, samples, 0, *terms)
    assert done == len(samples)
    reference = Reference(words[:used].tolist())
    assert samples.tolist() == [reference.gaussian(sigma_sq, terms[0], terms[3] * terms[4]) for _ in samples]
    assert next(reference.words, None) is None, "the kernel says that it used more words than it did"


@pytest.mark.parametrize(
    "scale", [Fraction(1, 25), Fraction(1), Fraction(7, 3), Fraction(2**55 + 1, 2**40), Fraction(2**56 - 1)]
)
def test_the_laplace_kernel_draws_what_the_paper_draws_from_the_same_words(scale: Fraction):
    words = np.random.Philox(10).random_raw(200_000)
    samples = np.empty(4_000, np.int64)
    done, used = cks20.discrete_laplace(words, samples, 0, scale.denominator, scale.numerator)
    assert done == len(samples)
    reference = Reference(words[:used].tolist())
    assert samples.tolist() == [reference.laplace(scale.denominator, scale.numerator) for _ in samples]
    assert next(reference.words, None) is None, "the kernel says that it used more words than it did"


def test_the_longest_run_of_coins_ends_before_a_sample_leaves_int64():
    t = 2**56 - 1
    succeeds = [0, 1]  # a coin of exp(-1): 0 is below 1/2, 1 is not below 1/3, and so k = 3 is odd
    words = [t - 1, 0, 0, 0, 1] + 200 * succeeds  # the remainder t - 1, taken; then more successes than a run may have
    assert cks20._laplace(1, t, np.array(words, np.uint64), np.zeros(1, np.int64)) == 128 * t - 1 < 2**63


limb = st.one_of(st.sampled_from([0, 1, 2, WORD - 2, WORD - 1]), st.integers(0, WORD - 1))


@given(limb, limb, limb, limb, st.lists(limb, max_size=6))
def test_a_coin_of_two_words_compares_a_uniform_number_below_b_with_a(
    a_high: int, a_low: int, b_high: int, b_low: int, words: list[int]
):
    (a_high, a_low), (b_high, b_low) = sorted([(a_high, a_low), (b_high, b_low)])
    if b_high == 0 and b_low < 2:
        return
    # The shortcut can fail for equal and neighbouring words only, and random words are hardly ever equal.
    words = (
        [w for high in (a_high, a_high + 1, b_high, b_high - 1) for w in (high % WORD, a_low)] + words + [0, 0, 0, 0]
    )
    cursor = np.zeros(1, np.int64)
    drawn = cks20._ratio(a_high, a_low, b_high, b_low, np.array(words, np.uint64), cursor)
    reference = Reference(words)
    assert drawn == reference.coin(a_high * WORD + a_low, b_high * WORD + b_low)
    assert list(reference.words) == words[cursor[0] :]


@given(st.integers(0, 5), limb, st.integers(1, 3), limb, st.integers(0, 2**32))
def test_a_coin_of_exp_subtracts_whole_units_of_two_words(a_high: int, a_low: int, b_high: int, b_low: int, seed: int):
    # Small high words: there a lost borrow is a big part of the fraction.
    words = np.random.Philox(seed).random_raw(400)
    cursor = np.zeros(1, np.int64)
    drawn = cks20._exp(a_high, a_low, b_high, b_low, words, cursor)
    reference = Reference(words.tolist())
    assert drawn == reference.exp(a_high * WORD + a_low, b_high * WORD + b_low)
    assert len(list(reference.words)) == len(words) - cursor[0]


@given(limb, limb)
def test_products_of_words_are_exact(a: int, b: int):
    high, low = cks20._product(a, b)
    assert high * WORD + low == a * b


@given(st.integers(0, 60), st.integers(0, 400))
def test_samples_do_not_depend_on_where_the_words_are_cut(size: int, cut: int):
    words = np.random.Philox(4).random_raw(60 * 60 + 400)
    whole, parts = np.empty(size, np.int64), np.empty(size, np.int64)
    assert cks20.discrete_gaussian(words, whole, 0, *TERMS)[0] == size
    done, used = cks20.discrete_gaussian(words[:cut], parts, 0, *TERMS)
    assert cks20.discrete_gaussian(words[used:], parts, done, *TERMS)[0] == size
    assert parts.tolist() == whole.tolist()
