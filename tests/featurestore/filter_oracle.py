"""The filter of `Filtered` written a second time, pane by pane for one key, in plain Python: the oracle of the kernel.

It decays a slot's content when the slot is next read, by 2^(−elapsed/half-life), and takes each step in the kernel's order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from base.times import parse_duration
from featurestore.define.filtered import Filtered

DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pane:
    """One opened pane of one key: its start (µs), S and n as released, and the variances of their noise."""

    start: int
    s: int
    n: int
    s_var: float
    n_var: float


@dataclass(frozen=True)
class Served:
    """The served values of one pane, and its own rate: μ + g·d with its standard error (for an opened pane)."""

    dev: float
    dev_se: float
    pred: float
    pred_se: float
    n: float
    n_se: float
    rate: float
    rate_se: float


@dataclass
class Decayed:
    """Numbers that halve in each half-life."""

    half_life: int
    at: int = 0
    numbers: tuple[float, float] = (0.0, 0.0)

    def read(self, now: int) -> tuple[float, float]:
        if self.numbers == (0.0, 0.0):
            return self.numbers
        left = 2.0 ** (-((now - self.at) / self.half_life))
        return self.numbers[0] * left, self.numbers[1] * left

    def write(self, now: int, numbers: tuple[float, float]) -> None:
        self.at, self.numbers = now, numbers


@dataclass
class State:
    filtered: Filtered
    width: int
    d: float = 0.0
    p: float = 0.0
    seen_num: float = 48.0
    seen_den: float = 48.0
    mu: float = 0.5
    g: float = 1.0
    begun: bool = False
    weeks: dict[int, Decayed] = field(default_factory=dict)
    counts: dict[int, Decayed] = field(default_factory=dict)
    baselines: dict[int, Decayed] = field(default_factory=dict)
    whole: Decayed = field(default_factory=lambda: Decayed(1))


def variance_at(rate: float) -> float:
    held = min(max(rate, 0.03), 1.0 - 0.03)
    return held * (1.0 - held)


def slots_at(filtered: Filtered, width: int, start: int) -> tuple[int, int]:
    """The slot of the season and of the week, by the wall clock."""
    wall = (EPOCH + timedelta(microseconds=start + width // 2)).astimezone(ZoneInfo(filtered.tz))
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    of_day = (wall.replace(tzinfo=None) - midnight) // timedelta(microseconds=1)
    of_week = wall.weekday() * DAY + of_day
    season = 0 if filtered.season is None else of_week % parse_duration(filtered.season) // width
    return season, of_week // width


def served(filtered: Filtered, width: int, starts: Sequence[int], opened: dict[int, Pane]) -> list[Served]:
    """The filter's values for consecutive panes. Panes that are not in `opened` are void."""
    half_life, baseline = parse_duration(filtered.half_life), parse_duration(filtered.baseline_half_life)
    tau_sq, s0_sq = filtered.baseline_variance, filtered.sd * filtered.sd
    state = State(filtered, width, p=s0_sq, whole=Decayed(baseline))
    phi = 2.0 ** (-(width / half_life))
    rows: list[Served] = []

    def mu_of(h: int, now: int) -> tuple[float, float, float]:
        all_num, all_den = state.whole.read(now)
        mean = (all_num + 0.5) / (all_den + 1.0)
        num, den = state.baselines.setdefault(h, Decayed(baseline)).read(now)
        mu = (num + mean / tau_sq) / (den + 1.0 / tau_sq)
        g = variance_at(mu) / 0.16 if filtered.scaled else 1.0
        return mu, 1.0 / (den + 1.0 / tau_sq), g

    def forecast(d: float) -> float:
        """The variance of the next pane's deviation, which is predicted to be d."""
        ratio = variance_at(state.mu + state.g * d) / variance_at(state.mu)
        return phi * phi * state.p + s0_sq * (1.0 - phi * phi) * (ratio * ratio if filtered.scaled else 1.0)

    for start in starts:
        h, w = slots_at(filtered, width, start)
        pane = opened.get(start)
        state.begun = state.begun or pane is not None
        if state.begun:
            state.d = phi * state.d
            state.p = forecast(state.d)
        n_hat = n_hat_var = rate = rate_se = math.nan
        if pane is not None:
            a, c = state.weeks.setdefault(w, Decayed(56 * DAY)).read(start)
            b_sum, b_number = state.counts.setdefault(h, Decayed(14 * DAY)).read(start)
            b = b_sum / b_number if b_number else float(pane.n)
            n_bar = max(1.0, (a + 2.0 * b) / (c + 2.0))
            v_n = (0.18 * n_bar) * (0.18 * n_bar) + 4.0
            k_n = v_n / (v_n + pane.n_var)
            n_hat = max(1.0, n_bar + k_n * (pane.n - n_bar))
            n_hat_var = k_n * pane.n_var
            state.weeks[w].write(start, (a + pane.n, c + 1.0))
            state.counts[h].write(start, (b_sum + pane.n, b_number + 1.0))

            mu, mu_var, g = mu_of(h, start)
            state.mu, state.g = mu, g
            z = 0.5 * (1.0 + pane.s / n_hat)
            p = min(max(mu + g * state.d, 0.05), 0.95)
            v = (pane.s_var / 4.0 + n_hat_var * ((p - 0.5) * (p - 0.5))) / (n_hat * n_hat) + p * (1.0 - p) / n_hat
            stated, off = g * g * state.p + mu_var, z - mu - g * state.d
            weight = stated / (stated + v)
            weight = weight * weight
            left = 2.0 ** (-((start - state.whole.at) / (14 * DAY))) if state.whole.numbers != (0.0, 0.0) else 1.0
            state.seen_num = (state.seen_num - 48.0) * left + 48.0 + weight * (off * off - v) / stated
            state.seen_den = (state.seen_den - 48.0) * left + 48.0 + weight
            k = g * state.p / (stated + v)
            state.d = state.d + k * off
            state.p = state.p * (1.0 - k * g)
            rate, rate_se = mu + g * state.d, math.sqrt(g * g * state.p + mu_var)
            q = 1.0 / (v + g * g * s0_sq)
            for sums in (state.baselines[h], state.whole):
                num, den = sums.read(start)
                sums.write(start, (num + q * z, den + q))

        following, _ = slots_at(filtered, width, start + width)
        mu, mu_var, g = mu_of(following, start)
        seen = min(max(state.seen_num / state.seen_den, 1 / 16), 4.0)
        rows.append(
            Served(
                state.d,
                math.sqrt(state.p),
                mu + g * phi * state.d,
                math.sqrt(seen * (g * g * forecast(phi * state.d) + mu_var)),
                n_hat,
                math.sqrt(n_hat_var),
                rate,
                rate_se,
            )
        )
    return rows
