"""A prediction task: labels with their own features, views, and splits by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edge_client.events import Events
from featurestore.define.definitions import FeatureView

from .prices import Price

Inputs = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Views(Protocol):
    """Makes the views of a task at a price of all views together; None: for runs without noise."""

    def __call__(
        self, price: Price | None, *, others: bool = False, area_share: float = ...
    ) -> tuple[FeatureView, ...]:
        """Make the views; the collections are always the same.

        Args:
            others: add the candidate filters.
            area_share: the part of the price that the fast signal takes, if the task has one.
        """
        ...


@dataclass(frozen=True)
class FeatureSet:
    """A set of features of the store for a model.

    Attributes:
        rising: features in which the score of a monotone model rises.
    """

    references: tuple[str, ...]
    rising: frozenset[str]

    def monotone(self, own: int) -> Bools:
        """Return bool[own + F]: the monotone columns, after `own` columns that are not monotone."""
        return np.array([False] * own + [reference in self.rising for reference in self.references])


@dataclass(frozen=True, eq=False)
class Task:
    """A task: each row of `labels` has a label that is known after its time of prediction.

    Attributes:
        events: events of the clients, for the views.
        labels: join keys and `time`.
        own: float32[N, S], features without aggregates; the first `categories` columns are codes.
        day: int64[N], local day of each label, since the epoch.
        choose_from, test_from: local days. Candidates are fitted before the first and compared between the two. The test
            begins at the second.
        split: time at which the test begins, for priors.
        sets: feature sets by name, with `windows`.
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

    @property
    def train(self) -> Bools:
        """Return the rows before the test."""
        return np.asarray(self.day < self.test_from)

    @property
    def test(self) -> Bools:
        """Return the rows of the test."""
        return np.asarray(self.day >= self.test_from)

    @property
    def fitted(self) -> Bools:
        """Return the training rows on which candidates are fitted."""
        return np.asarray(self.day < self.choose_from)

    @property
    def compared(self) -> Bools:
        """Return the training rows on which candidates are compared."""
        return np.asarray(~self.fitted & self.train)
