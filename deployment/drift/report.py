"""What a check of a view says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from base.times import DAY_US
from featurestore.define.entities import Key

from .season import Season

YEAR_US: Final = 365 * DAY_US


@dataclass(frozen=True)
class Terms:
    """What is checked.

    Attributes:
        level: the chance of a false alarm of a check of one view, over all of its keys and features.
        last: how many of the newest panes are compared as one.
        features: only these features; empty: all.
        since_us: panes before it are no part of the past.
    """

    level: float = 0.01
    last: int = 1
    features: tuple[str, ...] = ()
    since_us: int | None = None


@dataclass(frozen=True)
class Change:
    """A feature that differs from its own past. Sizes are in the feature's unit; of a count a pane.

    Attributes:
        feature: its name, with the number of a list's cell.
        key: None: all compared keys together.
        usual: what the past says for these panes.
        size: the newest panes less `usual`; low, high: its interval at 1 − level, of all series at once.
        noise: the standard error of `size` due to the noise of the newest panes alone.
        p: corrected for all series.
        since_us: the start of the pane from which on the change is clearest.
    """

    feature: str
    key: Key | None
    usual: float
    size: float
    low: float
    high: float
    noise: float
    p: float
    since_us: int


@dataclass(frozen=True)
class Power:
    """The smallest shifts of a feature that a check finds with 80 %, in the feature's unit.

    Attributes:
        keys: how many keys are compared.
        one: of one key, the median over keys; None: no key can be compared.
        every: of all compared keys, each by so much; None: there is no sum over keys.
        hidden: keys whose noise hides every possible change; absent: keys without a value in the newest panes, or with too few
            in the past.
    """

    feature: str
    keys: int
    one: float | None
    every: float | None
    hidden: int
    absent: int


@dataclass(frozen=True)
class Checked:
    """A view that was compared with its past.

    Attributes:
        newest: the starts of the newest panes, µs; released_us: when the last of them was due for release.
        past: how many panes they were compared with; since_us: the start of the first one.
        blocks: how many blocks of the past there are, each with as many panes as the newest ones.
        left_out: panes that have no values, by the reason.
        p: of the largest deviation; least_rank: the smallest p that ranks among the past can have.
    """

    view: str
    terms: Terms
    season: Season
    newest: tuple[int, ...]
    released_us: int
    pane_us: int
    past: int
    since_us: int
    blocks: int
    left_out: Mapping[str, int]
    series: int
    p: float
    least_rank: float
    changes: tuple[Change, ...]
    power: tuple[Power, ...]

    @property
    def false_alarms_a_year(self) -> float:
        """How many checks of a year without drift find something, if each pane is checked when it is opened."""
        return self.terms.level * YEAR_US / self.pane_us

    @property
    def drifts(self) -> bool:
        """Whether a feature differs from its past."""
        return bool(self.changes)


@dataclass(frozen=True)
class Unchecked:
    """A view that cannot be compared with its past yet.

    Attributes:
        why: what is missing, with its numbers.
    """

    view: str
    terms: Terms
    why: str


Report: TypeAlias = Checked | Unchecked
