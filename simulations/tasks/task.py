"""What a task is: labels with their own features, views, and the splits by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edge_client.events import Events
from featurestore.define.definitions import FeatureView

Inputs = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Views(Protocol):
    """The views of a task at a price: ρ of a client-day, of all of them together; None: at any, where noise is off."""

    def __call__(self, rho: float | None, *, others: bool = False) -> tuple[FeatureView, ...]:
        """The same collections whatever `others` is; with it, they serve the candidates for filters too."""
        ...


@dataclass(frozen=True)
class FeatureSet:
    """Features of the store that a model gets together.

    Attributes:
        rising: those that a monotone model's score may only rise with.
    """

    references: tuple[str, ...]
    rising: frozenset[str]

    def monotone(self, own: int) -> Bools:
        """bool[own + F]: which columns a monotone model holds, behind `own` columns that it does not."""
        return np.array([False] * own + [reference in self.rising for reference in self.references])


@dataclass(frozen=True, eq=False)
class Task:
    """A label for each row of `labels`, known after the time at which it is predicted.

    Attributes:
        events: what the clients hold; views are collected from them.
        labels: the join keys and `time`.
        own: float32[N, S], what is known without aggregates; the first `categories` columns are codes.
        day: int64[N], local day of each label, since the epoch.
        choose_from, test_from: local days: settings are fitted before the first, compared between the two, and the test
            begins at the second.
        split: the moment at which the test begins, for priors.
        sets: feature sets by name; `windows` is one of them.
        windows: the panes of each window of the set `windows`, for each view: those of a view share noise.
    """

    name: str
    events: Events
    views: Views
    labels: pa.Table
    time: str
    own: Inputs
    categories: int
    y: Bools
    day: Ints
    choose_from: int
    test_from: int
    split: datetime
    sets: dict[str, FeatureSet]
    windows: tuple[tuple[int, ...], ...]

    @property
    def train(self) -> Bools:
        """Rows before the test."""
        return np.asarray(self.day < self.test_from)

    @property
    def test(self) -> Bools:
        """Rows of the test."""
        return np.asarray(self.day >= self.test_from)

    @property
    def fitted(self) -> Bools:
        """Training rows that candidates are fitted on when settings are chosen."""
        return np.asarray(self.day < self.choose_from)

    @property
    def compared(self) -> Bools:
        """Training rows that candidates are compared on."""
        return np.asarray(~self.fitted & self.train)
