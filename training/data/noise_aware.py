"""Prepare features that have standard errors: scaling, shrinkage, calibration, weights.

A served value is x = t + e: t is the exact aggregate, and e is the noise of the release, with E[e] = 0 and a known variance
se². The se differs between columns and rows, and these tools use it. Fit each tool on the training split; `released_rows` keeps
later releases out of the fit. NaN is null. Do not use them for `Filtered` features: those are already shrunk towards their
baselines, and their se is the error of that estimate, not noise on a true value. Their variance minus mean se² is too small,
and shrinking them shrinks twice.

Sources: Fuller 1987, "Measurement Error Models" (§1.2 and §2.2: the reliability ratio and its matrix form); Carroll,
Ruppert, Stefanski, Crainiceanu 2006, "Measurement Error in Nonlinear Models" (§4: regression calibration); Efron and Morris
1975, "Data Analysis Using Stein's Estimator and Its Generalizations"; Paule and Mandel 1982, "Consensus Values and Weighting
Factors" (the variance of the prior if every row has its own se).
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

FLOOR: Final = 0.01
"""The smallest share of a column's variance that counts as signal, so that a scale is never 0."""
_HALVINGS: Final = 60
_CHUNK_ROWS: Final = 2**15
"""Rows whose matrices are solved at once: 8 MiB at 6 features."""


class DenoisedScaler:
    """Standardizes columns by the spread of the true values: variance of x − mean se², instead of variance of x.

    Noise widens a column. A penalty or a step size in units of standard deviations then gives a noisy column a weight that is
    wrong when the noise changes. The variance is at least `floor` of the variance of x.

    Attributes:
        mean_, scale_: float64[F], after `fit`.
    """

    def __init__(self, floor: float = FLOOR) -> None:
        self.floor = _share(floor, "floor")

    def fit(self, x: npt.ArrayLike, se: npt.ArrayLike) -> Self:
        """Learn means and scales from float[N, F] and its standard errors.

        Raises:
            TrainingInputRefused: shapes differ, a value has no standard error, or a column has no values.
        """
        values, errors, there = _checked(x, se)
        n = there.sum(axis=0)
        self.mean_ = np.where(there, values, 0.0).sum(axis=0) / n
        variance = np.where(there, (values - self.mean_) ** 2, 0.0).sum(axis=0) / n
        signal = variance - np.where(there, errors**2, 0.0).sum(axis=0) / n
        scale = np.sqrt(np.maximum(signal, self.floor * variance))
        self.scale_ = np.where(scale > 0, scale, 1.0)
        return self

    def transform(self, x: npt.ArrayLike) -> Floats:
        """Return (x − mean) ÷ scale; NaN stays. Raises NotFitted, TrainingInputRefused."""
        values = _matrix(x, _fitted(self, "mean_"))
        scaled: Floats = (values - self.mean_) / self.scale_
        return scaled

    def transform_se(self, se: npt.ArrayLike) -> Floats:
        """Return the standard errors of the values that `transform` returns."""
        scaled: Floats = _matrix(se, _fitted(self, "scale_")) / self.scale_
        return scaled


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
        """Learn the prior of each column. Raises TrainingInputRefused, as `DenoisedScaler.fit`."""
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


class RegressionCalibrator:
    """E[t | x] of several correlated columns at once: μ + Σ_t·(Σ_t + Σ_e)⁻¹·(x − μ), with each row's own Σ_e.

    A noisy column uses information of the other columns. A null is a value without information and is filled from the rest of
    its row; a row of nulls gives μ. Σ_t is the covariance of x minus the mean Σ_e, with eigenvalues of at least `floor` of the
    largest. Linear, so exact for Gaussian t; as a regressor it undoes attenuation (Fuller 1987, §2.2;
    Carroll et al. 2006, §4).

    Args:
        correlation: float[F, F], correlation of the noise of columns in a row; default: none. Trailing windows over the same
            panes share noise: see `nested_windows`.

    Attributes:
        mean_: float64[F], covariance_: float64[F, F], μ and Σ_t, after `fit`.
    """

    def __init__(self, correlation: npt.ArrayLike | None = None, floor: float = 1e-6) -> None:
        self.correlation = None if correlation is None else _correlation(correlation)
        self.floor = _share(floor, "floor")

    def fit(self, x: npt.ArrayLike, se: npt.ArrayLike) -> Self:
        """Learn μ and Σ_t; a pair of columns uses the rows in which both have values.

        Raises:
            TrainingInputRefused: as `DenoisedScaler.fit`. Also if two columns never have values together, noise explains all
                variance, or the correlation has another size.
        """
        values, errors, there = _checked(x, se)
        noise = self._noise_correlation(values.shape[1])
        mask = there.astype(np.float64)
        pairs = mask.T @ mask
        if (pairs == 0).any():
            f, g = (int(i) for i in np.argwhere(pairs == 0)[0])
            raise TrainingInputRefused(
                f"columns {f} and {g} never have values in one row, so their covariance is unknown"
            )
        self.mean_ = np.where(there, values, 0.0).sum(axis=0) / mask.sum(axis=0)
        centred = np.where(there, values - self.mean_, 0.0)
        errors = np.where(there, errors, 0.0)
        covariance = (centred.T @ centred - noise * (errors.T @ errors)) / pairs
        eigenvalues, vectors = np.linalg.eigh(covariance)
        if not eigenvalues[-1] > 0:
            raise TrainingInputRefused("the noise explains all variance of the columns: there is nothing to calibrate")
        self.covariance_: Floats = (vectors * np.maximum(eigenvalues, self.floor * eigenvalues[-1])) @ vectors.T
        return self

    def transform(self, x: npt.ArrayLike, se: npt.ArrayLike) -> Floats:
        """Return E[t | x]: float64[N, F] without NaN. Raises NotFitted, TrainingInputRefused."""
        width = _fitted(self, "mean_")
        values, errors, there = _checked(x, se, width=width)
        noise, out = self._noise_correlation(width), np.empty_like(values)
        for first in range(0, len(values), _CHUNK_ROWS):
            rows = slice(first, first + _CHUNK_ROWS)
            out[rows] = self._expected(values[rows], errors[rows], there[rows], noise)
        return out

    def _expected(self, values: Floats, errors: Floats, there: Bools, noise: Floats) -> Floats:
        """Solve for E[t | x]. A null leaves the system: its row and column become the identity, its right-hand side 0."""
        errors = np.where(there, errors, 0.0)
        total = self.covariance_ + noise * errors[:, :, None] * errors[:, None, :]
        total = np.where(there[:, :, None] & there[:, None, :], total, 0.0)
        diagonal = np.arange(values.shape[1])
        total[:, diagonal, diagonal] += ~there
        right = np.where(there, values - self.mean_, 0.0)
        solved = np.linalg.solve(total, right[:, :, None])[:, :, 0]
        expected: Floats = self.mean_ + solved @ self.covariance_
        return expected

    def _noise_correlation(self, width: int) -> Floats:
        if self.correlation is None:
            return np.eye(width)
        if len(self.correlation) != width:
            raise TrainingInputRefused(f"the noise correlation is of {len(self.correlation)} columns, x has {width}")
        return self.correlation


def inverse_variance_weights(se: npt.ArrayLike, between: float = 0.0) -> Floats:
    """Return float64[N]: weights 1/(se² + between), with mean 1 over the rows with a standard error; 0 for the others.

    For rows whose *target* is a released value: the best linear unbiased fit weighs each by the inverse of its variance
    (Aitken 1935). `between` is the variance without noise (model and sampling error). Noise in the *inputs* does not
    make the target of a row worse, so weights for it only lose information. The se of a ratio depends on the noise of the ratio,
    and such weights bias a fit: use a typical se of the key, such as the root of its mean se².

    Raises:
        TrainingInputRefused: se is no vector, has only nulls or a negative value, or a row has no variance.
    """
    errors = np.asarray(se, np.float64)
    there = ~np.isnan(errors)
    if errors.ndim != 1 or not there.any():
        raise TrainingInputRefused(f"standard errors must be a vector that is not all null, got shape {errors.shape}")
    if not (between >= 0 and np.isfinite(between)):
        raise TrainingInputRefused(f"`between` must be a variance, 0 or above, got {between!r}")
    if (errors[there] < 0).any():
        raise TrainingInputRefused("a standard error is negative")
    variance = errors[there] ** 2 + between
    if (variance == 0).any():
        raise TrainingInputRefused(
            "a row has no variance, so its weight is infinite: give `between`, the variance without noise"
        )
    weights = np.zeros(len(errors))
    weights[there] = 1 / variance
    scaled: Floats = weights / weights[there].mean()
    return scaled


def nested_windows(panes: Sequence[int]) -> Floats:
    """Return float64[F, F]: the correlation of the noise of trailing windows that end together: √(a/b) for a ≤ b panes.

    Sums of a and b panes, with noise of equal variance in every pane, have Cov = a·σ². The noise of other views is independent:
    combine the blocks of views to a block-diagonal matrix.

    Raises:
        TrainingInputRefused: a window has no pane.
    """
    widths = np.asarray(panes, np.float64)
    if widths.ndim != 1 or not len(widths) or not (widths >= 1).all():
        raise TrainingInputRefused(f"windows are vectors of one pane or more, got {panes!r}")
    correlation: Floats = np.sqrt(np.minimum.outer(widths, widths) / np.maximum.outer(widths, widths))
    return correlation


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


def _share(value: float, name: str) -> float:
    if not 0 < value < 1:
        raise TrainingInputRefused(f"`{name}` must be above 0 and below 1, got {value!r}")
    return value


def _correlation(given: npt.ArrayLike) -> Floats:
    matrix = np.asarray(given, np.float64)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if not (square and np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1)):
        raise TrainingInputRefused("a noise correlation is a symmetric matrix with ones on its diagonal")
    if np.linalg.eigvalsh(matrix)[0] < -1e-9:
        raise TrainingInputRefused("the noise correlation is impossible: it has a negative eigenvalue")
    return matrix
