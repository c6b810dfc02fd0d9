"""The interface, the settings and the result of the lab's attacks.

An attack runs on the real code. With the defence off exactly one thing differs, which `what_is_off` names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from simulations.errors import SettingRefused

from .texts import TEXTS

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

MIN_CLIENTS: Final = 10
MIN_TRIALS: Final = 40
"""With fewer trials no interval separates on from off."""
MAX_REPORTS: Final = 2_000_000
"""The largest clients × trials. An attack holds a few times as many reports in memory, 36 bytes each."""
RHO_RANGE: Final = (0.001, 2.0)
"""Above 2 the noise of a count would be below the smallest σ of a layout (½)."""


@dataclass(frozen=True)
class Setting:
    """The settings of an attack.

    Attributes:
        clients: clients of a pane, the target included.
        rho: price of a client-day in ρ (zCDP).
        delta: the δ at which ε is reported.
        trials: number of repetitions, in each world.
        k: min_clients.

    Raises:
        SettingRefused: no attack runs with a setting, or with two settings together.
    """

    clients: int = 100
    rho: float = 0.1
    delta: float = 1e-6
    trials: int = 400
    seed: int = 0
    k: int = 50

    def __post_init__(self) -> None:
        low, high = RHO_RANGE
        for name, value, holds, need in (
            ("clients", self.clients, self.clients >= MIN_CLIENTS, f"at least {MIN_CLIENTS}"),
            ("trials", self.trials, self.trials >= MIN_TRIALS, f"at least {MIN_TRIALS}"),
            (
                "clients × trials",
                self.clients * self.trials,
                self.clients * self.trials <= MAX_REPORTS,
                f"at most {MAX_REPORTS:,}",
            ),
            ("k", self.k, 2 <= self.k <= self.clients, f"from 2 to the number of clients, {self.clients}"),
            ("rho", self.rho, low <= self.rho <= high, f"from {low} to {high}"),
            ("delta", self.delta, 0 < self.delta < 1 / max(self.k, 1), "above 0 and below 1/k"),
            ("seed", self.seed, 0 <= self.seed < 2**63, "from 0 to 2^63 − 1"),
        ):
            if not holds:  # NaN fails every check
                raise SettingRefused(name, value, need)


@dataclass(frozen=True)
class Measure:
    """An estimate with its 95 % interval.

    Attributes:
        high: infinite for an ε without Gaussian noise, because no number of trials bounds it from above.
    """

    what: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Series:
    """A curve, float64[n] each; `low` and `high` are the 95 % limits of `y`, or None."""

    label: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True, eq=False)
class AttackResult:
    """The result of an attack.

    Attributes:
        trials: repetitions that ran, in each world.
        effect: success of the attacker, in the attack's own measure; more is worse.
        baseline: success of an adversary that observes nothing.
        margin: the attack succeeds if its whole interval lies above the baseline by more than this.
        epsilon: measured ε at `delta` of the setting, with its lower bound `low`; None if the attack measures none.
        claimed_epsilon: claimed ε of a client-day; None without noise, because then nothing is claimed.
        series: curves; empty if nothing was opened.
        note: one sentence that sums up the result.
    """

    attack: str
    defence: str
    defended: bool
    trials: int
    seed: int
    effect: Measure
    baseline: float
    margin: float
    epsilon: Measure | None
    claimed_epsilon: float | None
    series: tuple[Series, ...]
    x_label: str
    y_label: str
    note: str

    @property
    def succeeded(self) -> bool:
        """Return whether the whole interval of the effect lies above the baseline by more than the margin."""
        return self.effect.low > self.baseline + self.margin


class Attack(Protocol):
    """One attack; `texts` holds its descriptions."""

    name: str
    what: str
    defence: str
    what_is_off: str

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Run the attack, with its defence on or off. The same setting gives the same result."""
        ...


class DescribedAttack:
    """The descriptions of an attack, read from `texts` by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.what, self.defence, self.what_is_off = TEXTS[name]


@dataclass(frozen=True)
class ResultLabels:
    """The curves of a result with their labels, and its note."""

    series: tuple[Series, ...]
    x_label: str
    y_label: str
    note: str


@dataclass(frozen=True)
class Success:
    """The effect of an attack, its baseline and its margin: see `AttackResult`."""

    effect: Measure
    baseline: float
    margin: float


def result_of(
    attack: Attack,
    setting: Setting,
    shown: ResultLabels,
    success: Success,
    *,
    defended: bool,
    trials: int | None = None,
    epsilon: Measure | None = None,
    claimed: float | None = None,
) -> AttackResult:
    """Make a result. `trials`: if they differ from the setting's."""
    return AttackResult(
        attack=attack.name,
        defence=attack.defence,
        defended=defended,
        trials=setting.trials if trials is None else trials,
        seed=setting.seed,
        effect=success.effect,
        baseline=success.baseline,
        margin=success.margin,
        epsilon=epsilon,
        claimed_epsilon=claimed,
        series=shown.series,
        x_label=shown.x_label,
        y_label=shown.y_label,
        note=shown.note,
    )


def epsilon_note(epsilon: Measure | None, claimed: float | None) -> str:
    """Compare a measured ε with the claim, in words for a note."""
    if epsilon is None or math.isnan(epsilon.low):
        return "no ε is measured"
    beside = "no ε is claimed" if claimed is None else f"the claim is {claimed:.2f}"
    return f"ε is at least {epsilon.low:.2f} and {beside}"
