"""The filter of `Filtered`, pane by pane and key by key: a numba kernel in float64, with a fixed order of operations.

All keys have the same panes, so the decay factors are arguments: `filter_keys` computes no powers.
"""

from __future__ import annotations

import math

import numpy as np

from base.compiled import boolean, float64, int64, njit, types, void
from featurestore.define.decoded import Floats, Ints

_SUMS = types.Array(int64, 2, "C", readonly=True)
_WHOLES = types.Array(int64, 1, "C", readonly=True)
_FLOATS = types.Array(float64, 1, "C", readonly=True)
_FLOATS_OF_EACH = types.Array(float64, 2, "C", readonly=True)
_BOOLS = types.Array(boolean, 1, "C", readonly=True)

COUNT_SPREAD = 0.18
"""The relative error with which the slots predict a pane's number of events, and an absolute variance beside it."""
COUNT_VARIANCE = 4.0
SLOT_WEIGHT = 2.0
"""The weight of the season slot's mean, in panes of the week's slot."""
PRIOR_RATE = 0.5
"""The prior rate, with weight 1."""
USUAL_VARIANCE = 0.16
"""p(1−p) at p = .2, the rate at which the deviation's scale is 1."""
SEEN_WEIGHT = 48.0
"""The weight, in panes without noise, of the stated variance of forecasts against what their errors have been."""
LEAST_SEEN, MOST_SEEN = 1 / 16, 4.0
"""The limits of the factor by which the errors of earlier forecasts change their stated variance."""
LEAST_RATE = 0.03
"""A scale is that of a rate in LEAST_RATE … 1 − LEAST_RATE."""


@njit(inline="always")
def variance_at(rate: float) -> float:
    """p(1−p), within the limits of the scales.

    Rates change by similar steps of their log-odds, and a step of the log-odds moves a rate p by p(1−p) times the step. So the
    standard deviation of a rate's changes is proportional to p(1−p).
    """
    held = min(max(rate, LEAST_RATE), 1.0 - LEAST_RATE)
    return held * (1.0 - held)


@njit(inline="always")
def wander_of(mu: float, g: float, d: float) -> float:
    """The factor of the variance that a pane adds to the deviation d: that of the rate μ + g·d, relative to that of μ."""
    ratio: float = variance_at(mu + g * d) / variance_at(mu)
    return ratio * ratio


@njit(
    void(
        _SUMS, _SUMS, _FLOATS, _FLOATS, _BOOLS, _WHOLES, _WHOLES, _WHOLES, _WHOLES, _FLOATS_OF_EACH, _WHOLES, _FLOATS,
        boolean, int64, int64, float64[:, :, ::1],
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def filter_keys(
    true_less_false: Ints,
    true_and_false: Ints,
    sum_variance: Floats,
    count_variance: Floats,
    opened: Ints,
    steps: Ints,
    slot: Ints,
    week: Ints,
    upcoming: Ints,
    keep: Floats,
    row: Ints,
    settings: Floats,
    scaled: bool,
    slots: int,
    weeks: int,
    out: Floats,
) -> None:
    """Filter every key of a view.

    Args:
        true_less_false, true_and_false: int64[P, K], S and n of each pane as released; ignored if it was not opened.
        sum_variance, count_variance: float64[P], of their noise.
        opened: bool[P]; steps: int64[P], the distance to the previous pane, in panes.
        slot, week: int64[P], the pane's slot of the season and of the week; upcoming: the next pane's slot of the season.
        keep: float64[6, P], what is left at each pane of the numbers of its week's slot; of the mean number of its season's
            slot; of its slot's baseline; of all slots'; after the pane itself, of the next pane's slot's; and of the errors of
            forecasts.
        row: int64[P], the pane's row of `out`; −1: the pane has none.
        settings: φ, φ², s₀², s₀²(1 − φ²), τ².
        scaled: whether the deviation's scale follows the rate's.
        slots, weeks: the number of slots of the season and of the week.
        out: float64[R, K, 6], filled: dev, pred and n, each followed by its standard error. n is NaN if the pane was
            not opened.
    """
    phi, phi_sq, sd_sq, fresh, tau_sq = settings[0], settings[1], settings[2], settings[3], settings[4]
    week_sum, week_number = np.empty(weeks), np.empty(weeks)
    slot_sum, slot_number = np.empty(slots), np.empty(slots)
    num, den = np.empty(slots), np.empty(slots)
    for key in range(true_and_false.shape[1]):
        for state in (week_sum, week_number, slot_sum, slot_number, num, den):
            state[:] = 0.0
        all_num = all_den = 0.0
        d, var = 0.0, sd_sq
        mu, g = PRIOR_RATE, 1.0  # of the last opened pane
        seen_num = seen_den = SEEN_WEIGHT
        for i in range(len(opened)):
            for _ in range(steps[i]):
                before_d, before_var = d, var
                d = phi * d
                var = phi_sq * var + fresh * (wander_of(mu, g, d) if scaled else 1.0)
                if d == before_d and var == before_var:
                    break
            h, w, following = slot[i], week[i], upcoming[i]
            all_num_now, all_den_now = all_num * keep[3, i], all_den * keep[3, i]
            n_hat = n_var = np.nan
            if opened[i]:
                # count
                n = float(true_and_false[i, key])
                a, c = week_sum[w] * keep[0, i], week_number[w] * keep[0, i]
                b_sum, b_number = slot_sum[h] * keep[1, i], slot_number[h] * keep[1, i]
                b = b_sum / b_number if b_number > 0.0 else n
                n_bar = max(1.0, (a + SLOT_WEIGHT * b) / (c + SLOT_WEIGHT))
                spread = COUNT_SPREAD * n_bar
                v_n = spread * spread + COUNT_VARIANCE
                gain_n = v_n / (v_n + count_variance[i])
                n_hat = max(1.0, n_bar + gain_n * (n - n_bar))
                n_var = gain_n * count_variance[i]
                week_sum[w], week_number[w] = a + n, c + 1.0
                slot_sum[h], slot_number[h] = b_sum + n, b_number + 1.0
                # baseline of the slot
                mean = (all_num_now + PRIOR_RATE) / (all_den_now + 1.0)
                num_now, den_now = num[h] * keep[2, i], den[h] * keep[2, i]
                mu = (num_now + mean / tau_sq) / (den_now + 1.0 / tau_sq)
                mu_var = 1.0 / (den_now + 1.0 / tau_sq)
                g = variance_at(mu) / USUAL_VARIANCE if scaled else 1.0
                # update
                z = 0.5 * (1.0 + float(true_less_false[i, key]) / n_hat)
                p = min(max(mu + g * d, 0.05), 0.95)
                half = p - 0.5
                v = (sum_variance[i] / 4.0 + n_var * (half * half)) / (n_hat * n_hat) + p * (1.0 - p) / n_hat
                # what the forecast's error was, against its stated variance; weights are inverse variances of that ratio
                stated = g * g * var + mu_var
                off = z - mu - g * d
                weight = stated / (stated + v)
                weight = weight * weight
                left = keep[5, i]
                seen_num = (seen_num - SEEN_WEIGHT) * left + SEEN_WEIGHT + weight * (off * off - v) / stated
                seen_den = (seen_den - SEEN_WEIGHT) * left + SEEN_WEIGHT + weight
                gain = g * var / (stated + v)
                d = d + gain * off
                var = var * (1.0 - gain * g)
                q = 1.0 / (v + g * g * sd_sq)
                num[h], den[h] = num_now + q * z, den_now + q
                all_num_now, all_den_now = all_num_now + q * z, all_den_now + q
                all_num, all_den = all_num_now, all_den_now
            if row[i] >= 0:
                mean = (all_num_now + PRIOR_RATE) / (all_den_now + 1.0)
                num_now, den_now = num[following] * keep[4, i], den[following] * keep[4, i]
                next_mu = (num_now + mean / tau_sq) / (den_now + 1.0 / tau_sq)
                mu_var = 1.0 / (den_now + 1.0 / tau_sq)
                next_g = variance_at(next_mu) / USUAL_VARIANCE if scaled else 1.0
                next_var = phi_sq * var + fresh * (wander_of(mu, g, phi * d) if scaled else 1.0)
                r = row[i]
                out[r, key, 0] = d
                out[r, key, 1] = math.sqrt(var)
                out[r, key, 2] = next_mu + next_g * phi * d
                seen = min(max(seen_num / seen_den, LEAST_SEEN), MOST_SEEN)
                out[r, key, 3] = math.sqrt(seen * (next_g * next_g * next_var + mu_var))
                out[r, key, 4] = n_hat
                out[r, key, 5] = math.sqrt(n_var)
