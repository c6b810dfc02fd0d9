"""What a client asks of a model, and what it gets. Each protocol parses into `Ask` and renders `Predicted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .arrays import Arrays, Floats32

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Keyed:
    """Rows by key: the server reads their features.

    Attributes:
        entities: a list for each join key, each input of an on-demand view and each plain column, all of one length.
    """

    entities: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, eq=False)
class Raw:
    """Rows whose features the client brings."""

    arrays: Arrays


Given: TypeAlias = Keyed | Raw


@dataclass(frozen=True, eq=False)
class Ask:
    """A question to a model.

    Attributes:
        model: its name.
        version: its version; None: by the weights that are in force.
        rows: how many predictions are asked for.
        ident: the request's id, by which a version is drawn; "": the server draws.
        explain: whether the answer has the features that were used.
        level: the level of the interval that the answer has, such as 0.9; None: no interval.
        timeout_s: how long the client waits, in seconds from now; None: as long as the model's settings say.
    """

    model: str
    version: int | None
    given: Given
    rows: int
    ident: str = ""
    explain: bool = False
    level: float | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class UsedRelease:
    """The newest release of a view whose features were used.

    Attributes:
        release: its id, in hex; "": the view has no release.
        pane_end: µs since the epoch; None: the view has no release.
    """

    view: str
    version: int
    release: str
    pane_end: int | None


@dataclass(frozen=True, eq=False)
class Used:
    """The features of N rows that a prediction used.

    Attributes:
        names: F names, in the order of the model's inputs.
        values, se: float64[N, F], NaN where there is no value or no error.
        status: uint8[N, V] of `Status`, of the first V names; plain columns, which are the last names, and raw rows have none.
        releases: of each view that was read; () for raw rows.
    """

    names: tuple[str, ...]
    values: Floats
    se: Floats
    status: npt.NDArray[np.uint8]
    releases: tuple[UsedRelease, ...]


@dataclass(frozen=True, eq=False)
class Predicted:
    """The predictions of one version, from features of one epoch.

    Attributes:
        epoch: of the store.
        values: float32[N], probabilities for a binary target.
        used: what they were computed from; None: it was not asked for.
        interval: the ends of each prediction's interval, float64[N] each, NaN where there is none; None: not asked for.
    """

    model: str
    version: int
    epoch: int
    values: Floats32
    used: Used | None = None
    interval: tuple[Floats, Floats] | None = None
