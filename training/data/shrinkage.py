"""Shrink features that have standard errors towards the mean of their column.

A served value is x = t + e: t is the exact aggregate, and e is the noise of the release, with E[e] = 0 and a known variance
se². The se differs between columns and rows. Fit on the training split; `released_rows` keeps later releases out of the fit.
NaN is null. Do not shrink `Filtered` features: they are already shrunk towards their baselines, and their se is the error of
that estimate, not noise on a true value.

Sources: Efron and Morris 1975, "Data Analysis Using Stein's Estimator and Its Generalizations"; Paule and Mandel 1982,
"Consensus Values and Weighting Factors" (the variance of the prior if every row has its own se).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import to_us
from featurestore.store import Store
from training.errors import NotFitted, TrainingInputRefused

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_HALVINGS: Final = 60


class EmpiricalBayesShrinkage:
    """Shrinks each value towards the prior mean of its column, more for a larger standard error: μ + τ²/(τ² + se²)·(x − μ).

    With t ~ N(μ, τ²) and e ~ N(0, se²) that is E[t | x]; among linear rules it has the least mean squared error for any
    prior with these moments (Efron and Morris 1975). μ and τ² solve Paule and Mandel's equations over the fitted rows:
    μ = Σ w·x / Σ w and Σ w·(x − μ)² = N − 1, with w = 1/(τ² + se²); τ² is 0 if noise alone explains the spread.

    Fit it on released rows (`released_rows`), which hold each release once. Labels hold a release as often as it was joined.

    Attributes:
        mean_, variance_: float64[F], μ and τ², after `fit`.
    """

    def fit(self, x: npt.ArrayLike, se: npt.ArrayLike) -> Self:
        """Learn the prior of each column from float[N, F] and its standard errors.

        Raises:
            TrainingInputRefused: shapes differ, a value has no standard error, or a column has no values.
        """
        values, errors, there = _checked(x, se)
        columns = [_paule_mandel(values[there[:, f], f], errors[there[:, f], f] ** 2) for f in range(values.shape[1])]
        self.mean_ = np.array([mean for mean, _ in columns])
        self.variance_ = np.array([variance for _, variance in columns])
        return self

    def transform(self, x: npt.ArrayLike, se: npt.ArrayLike) -> Floats:
        """Return E[t | x]; NaN stays. Raises NotFitted, TrainingInputRefused."""
        width = _fitted(self, "mean_")
        values, errors, _ = _checked(x, se, width=width)
        shrunk: Floats = self.mean_ + self._kept(errors) * (values - self.mean_)
        return shrunk

    def transform_se(self, se: npt.ArrayLike) -> Floats:
        """Return the standard deviation of t given x: τ·se/√(τ² + se²)."""
        errors = _matrix(se, _fitted(self, "mean_"))
        posterior: Floats = np.sqrt(self._kept(errors)) * errors
        return posterior

    def _kept(self, errors: Floats) -> Floats:
        total = self.variance_ + errors**2
        kept: Floats = np.where(total > 0, self.variance_ / np.where(total > 0, total, 1.0), 1.0)
        return kept


def released_rows(store: Store, references: Sequence[str], before: datetime) -> tuple[Floats, Floats]:
    """Read values and standard errors of counts and ratios that were released before a time, to fit a prior.

    Args:
        references: `view:feature`. Columns of several views are side by side; NaN pads the shorter ones.
        before: end of the training split; a release at exactly this time is left out.

    Returns:
        x and se, float64[rows, F], each released row once.

    Raises:
        UnknownView. TrainingInputRefused: the feature does not exist or is a list, or nothing was released before.
    """
    moment, views, columns = to_us(before), {}, []
    for reference in references:
        view, _, name = reference.partition(":")
        if view not in views:
            rows = store.history(view, intervals=False)
            views[view] = rows.filter(pa.array(rows["released_at"].cast(pa.int64()).to_numpy() < moment))
        history: pa.Table = views[view]
        if f"{name}__se" not in history.column_names or pa.types.is_list(history.schema.field(name).type):
            raise TrainingInputRefused(f"{reference!r} must be a feature with one value and one standard error a row")
        columns.append([_floats(history[name]), _floats(history[f"{name}__se"])])
    rows_of_all = max((len(x) for x, _ in columns), default=0)
    if not rows_of_all:
        raise TrainingInputRefused(f"nothing was released before {before.isoformat()}")
    padded = np.full((2, rows_of_all, len(columns)), np.nan)
    for f, (x, se) in enumerate(columns):
        padded[0, : len(x), f], padded[1, : len(se), f] = x, se
    return padded[0], padded[1]


def _floats(column: pa.ChunkedArray) -> Floats:
    floats: Floats = column.cast(pa.float64()).to_numpy()
    return floats


def _paule_mandel(x: Floats, noise: Floats) -> tuple[float, float]:
    """Return μ and τ² of one column: the root of a function that falls with τ², by bisection."""

    def spread(variance: float) -> tuple[float, float]:
        weights = 1 / (variance + noise)
        mean = float((weights * x).sum() / weights.sum())
        return mean, float((weights * (x - mean) ** 2).sum()) - (len(x) - 1)

    spread_of_x = float(np.var(x))
    if spread_of_x == 0:
        return float(x[0]), 0.0
    low, high = (
        1e-12 * spread_of_x,
        spread_of_x * len(x) / (len(x) - 1),
    )  # above 0, so that the weight of an exact row is finite
    if spread(low)[1] <= 0:
        return spread(low)[0], 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if spread(middle)[1] > 0 else (low, middle)
    return spread(high)[0], high


def _checked(x: npt.ArrayLike, se: npt.ArrayLike, width: int | None = None) -> tuple[Floats, Floats, Bools]:
    """Return x, se and where x is not null. `width` None: the data are for a fit, so every column needs a value."""
    values, errors = _matrix(x, width), _matrix(se, width)
    if values.shape != errors.shape:
        raise TrainingInputRefused(f"x has the shape {values.shape}, but its standard errors have {errors.shape}")
    there = ~np.isnan(values)
    of_values = errors[there]
    if not (np.isfinite(of_values).all() and (of_values >= 0).all()):
        raise TrainingInputRefused(
            "a value has no standard error: it must be finite and 0 or above where x is not null"
        )
    if width is None and not there.any(axis=0).all():
        raise TrainingInputRefused(f"column {int(np.flatnonzero(~there.any(axis=0))[0])} has no value")
    return values, errors, there


def _matrix(x: npt.ArrayLike, width: int | None) -> Floats:
    values = np.asarray(x, np.float64)
    if values.ndim != 2 or (width is not None and values.shape[1] != width):
        raise TrainingInputRefused(f"a matrix of rows × {width or 'features'} is needed, got shape {values.shape}")
    if np.isinf(values).any():
        raise TrainingInputRefused("a value is infinite")
    return values


def _fitted(model: object, attribute: str) -> int:
    """Return the number of columns that a model was fitted on."""
    learnt = getattr(model, attribute, None)
    if learnt is None:
        raise NotFitted(type(model).__name__)
    return len(learnt)
