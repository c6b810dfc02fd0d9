"""What every attack of the lab is, and what it gives back.

An attack runs on the real code. Where its defence is off exactly one thing differs, the one that `what_is_off` names.
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
"""Called with (steps that are done, steps in all)."""

MIN_CLIENTS: Final = 10
MIN_TRIALS: Final = 40
"""Below, no interval separates on from off."""
MAX_REPORTS: Final = 2_000_000
"""clients × trials: an attack holds a few times as many reports in memory, 36 bytes each."""
RHO_RANGE: Final = (0.001, 2.0)
"""Beyond 2 the noise of a count would be below what a layout takes (σ ≥ ½)."""


@dataclass(frozen=True)
class Setting:
    """What an attack runs with.

    Attributes:
        clients: clients of a pane, the target included.
        rho: zCDP of a client-day.
        delta: the δ at which ε is told.
        trials: how often an attack is repeated, in each world where there are two.
        k: min_clients.

    Raises:
        SettingRefused: one of them, or two together, with which no attack runs.
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
            if not holds:  # NaN holds nowhere
                raise SettingRefused(name, value, need)


@dataclass(frozen=True)
class Measure:
    """An estimate with its 95 % interval.

    Attributes:
        high: of an ε without Gaussian noise infinite: no number of trials bounds it from above.
    """

    what: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Series:
    """What a plot draws: float64[n] each; `low` and `high` are the 95 % limits of `y`, where there are any."""

    label: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack came to.

    Attributes:
        trials: repetitions that were run, in each world where there are two.
        effect: the attacker's success, in the attack's own terms: more is worse.
        baseline: what somebody has who saw nothing.
        margin: how far above the baseline the whole interval must lie for the attack to count as a success.
        epsilon: measured ε at `delta` of the setting, `low` its lower bound; None where the attack measures none.
        claimed_epsilon: ε of a client-day as it is told to people; None where nothing is claimed, as the noise is off.
        series: empty where nothing was opened.
        note: one sentence that reads the result.
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
        """Whether all of the effect's interval is above the baseline by more than the margin."""
        return self.effect.low > self.baseline + self.margin


class Attack(Protocol):
    """One attack; its texts are those of `texts`."""

    name: str
    what: str
    defence: str
    what_is_off: str

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Run it, with its defence on or off. The same setting gives the same result."""
        ...


class Described:
    """An attack's texts, by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.what, self.defence, self.what_is_off = TEXTS[name]


@dataclass(frozen=True)
class Shown:
    """How a result's series are labelled, and its note."""

    series: tuple[Series, ...]
    x_label: str
    y_label: str
    note: str


@dataclass(frozen=True)
class Success:
    """How far an attacker came, and from where on that is a success: see `AttackResult`."""

    effect: Measure
    baseline: float
    margin: float


def result_of(
    attack: Attack,
    setting: Setting,
    shown: Shown,
    success: Success,
    *,
    defended: bool,
    trials: int | None = None,
    epsilon: Measure | None = None,
    claimed: float | None = None,
) -> AttackResult:
    """A result. `trials`: where they are not the setting's."""
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


def told(epsilon: Measure | None, claimed: float | None) -> str:
    """The words of a note that set a measured ε beside the claim."""
    if epsilon is None or math.isnan(epsilon.low):
        return "no ε is measured"
    beside = "nothing is claimed" if claimed is None else f"claimed are {claimed:.2f}"
    return f"ε is at least {epsilon.low:.2f}, and {beside}"
