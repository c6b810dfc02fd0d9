"""Compare the values of the honest store with the stores of the collections with liars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.define.decoded import value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature
from featurestore.define.layout import layout_of
from featurestore.define.mechanism import NOISERS
from featurestore.define.release import Release, Void
from featurestore.define.values import decode
from featurestore.store import Store

Floats = npt.NDArray[np.float64]

WORST: Final = 2
"""Number of listed values of each feature: the values that moved furthest, in different panes."""
APPEARED: Final = 1e-300
"""The distance of a value that exists only with liars. It counts as moved and sorts after every other distance."""


@dataclass(frozen=True, eq=False)
class MovedValue:
    """One value that a lie moved, with the values of all panes at its key. NaN: no value (a void pane, or a drowned ratio).

    Attributes:
        feature: name as served; for a histogram with the cell, as `arr_delay_hist[3]`.
        pane: index of the moved value in the arrays.
        pane_starts: int64[P], µs since the epoch.
        honest, without, with_proofs: float64[P].
        se: float64[P], the standard error of the view's noise, whether or not it was added; NaN: noise drowns the value.
    """

    feature: str
    key: tuple[Any, ...]
    pane: int
    pane_starts: npt.NDArray[np.int64] = field(repr=False)
    honest: Floats = field(repr=False)
    without: Floats = field(repr=False)
    with_proofs: Floats = field(repr=False)
    se: Floats = field(repr=False)


@dataclass(frozen=True, eq=False)
class MovedView:
    """The effect of a lie on one view.

    Attributes:
        opened: panes that were opened with honest clients.
        void: number of these panes that were void with proofs, because too few clients were left.
        rejected: reports that leader and helper rejected, with proofs.
        values: number of compared values: one a pane, key and feature, and one a cell of a histogram.
        moved: number of values that moved, without proofs and with proofs; void panes do not count with proofs.
        worst: for each feature the values that moved furthest without proofs.
        furthest: the value of `worst` to draw, one with a value if possible; None if nothing moved.
    """

    view: str
    opened: int
    void: int
    rejected: int
    values: int
    moved: tuple[int, int]
    worst: tuple[MovedValue, ...]

    @property
    def furthest(self) -> MovedValue | None:
        """Return the value to draw: see the attributes."""
        return max(self.worst, key=_errors_away, default=None)


def _errors_away(moved: MovedValue) -> float:
    """Return how far the value of the pane moved without proofs, in standard errors; 0 if it has no value."""
    away = abs(moved.without[moved.pane] - moved.honest[moved.pane])
    se = moved.se[moved.pane]
    return float(away / (se if se > 0 else 1.0)) if np.isfinite(away) else 0.0


def busiest_key(view: FeatureView, store: Store) -> int:
    """Return the index of the join key with the most events, by the view's first feature."""
    history = store.history(view.name)
    feature = view.pane_features[0]
    column = f"{feature.name}__n" if feature.serving.shape == "ratio" else feature.name
    if not history.num_rows:
        return 0
    events = np.nan_to_num(_numbers(history[column], feature).sum(axis=1).reshape(-1, layout_of(view).keys))
    return view.entity.domain.index(_key_of(view, history, int(events.sum(axis=0).argmax())))


def _key_of(view: FeatureView, history: pa.Table, row: int) -> tuple[Any, ...]:
    return tuple(history[name][row].as_py() for name in view.entity.keys)


def _numbers(column: pa.ChunkedArray, feature: PaneFeature) -> Floats:
    """Return float64[N, cells] of the column of a feature; NaN for null. A feature that is no histogram has one cell."""
    if feature.serving.shape != "list":
        return np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), np.nan)).reshape(-1, 1)
    rows = [[np.nan] * feature.serving.width if row is None else row for row in column.to_pylist()]
    return np.array(rows, np.float64).reshape(-1, feature.serving.width)


def _distances(honest: Floats, other: Floats) -> Floats:
    """Return |honest - other|: infinite for a value that is gone, tiny for one that appeared, 0 if both have none."""
    there, too = ~np.isnan(honest), ~np.isnan(other)
    away = np.abs(np.where(there & too, honest, 0.0) - np.where(there & too, other, 0.0))
    return np.where(there == too, away, np.where(there, np.inf, APPEARED))


def compare(view: FeatureView, stores: tuple[Store, Store, Store], rejected: int) -> MovedView:
    """Compare the stores of three collections: honest, without proofs, with proofs. `rejected`: reports, with proofs."""
    tables = [store.history(view.name) for store in stores]
    panes, left, keys = _opened(stores[0], view), _opened(stores[2], view), layout_of(view).keys
    starts = np.asarray(tables[0]["pane_start"].cast(pa.int64()))[::keys]
    named = [_key_of(view, tables[0], row) for row in range(keys if len(starts) else 0)]
    opened = [stores[0].release(bytes.fromhex(one)) for one in tables[0]["release_id"].to_pylist()[::keys]]
    values = moved_without = moved_with = 0
    worst: list[MovedValue] = []
    for feature in view.pane_features if len(panes) else ():
        honest, without, proven = (
            _numbers(table[feature.name], feature).reshape(len(starts), keys, -1) for table in tables
        )
        away, se = _distances(honest, without), _noise_se(view, feature, opened, named)
        values += int(np.count_nonzero(~np.isnan(honest)))
        moved_without += int(np.count_nonzero(away))
        moved_with += int(np.count_nonzero(_distances(honest, proven)[np.isin(starts, list(left))]))
        for pane, key, cell in _furthest(away, se):
            worst.append(
                MovedValue(
                    f"{feature.name}[{cell}]" if feature.serving.shape == "list" else feature.name,
                    named[key],
                    pane,
                    starts,
                    honest[:, key, cell],
                    without[:, key, cell],
                    proven[:, key, cell],
                    se[:, key],
                )
            )
    return MovedView(
        view.name, len(panes), len(panes - left), rejected, values, (moved_without, moved_with), tuple(worst)
    )


def _opened(store: Store, view: FeatureView) -> set[int]:
    """Return the starts of the opened panes."""
    releases = store.releases(view.name)
    starts = releases.filter(pc.equal(releases["state"], "opened"))["pane_start"].cast(pa.int64())
    return set(starts.to_pylist())


def _furthest(away: Floats, se: Floats) -> list[tuple[int, int, int]]:
    """Return (pane, key, cell) of the values that moved furthest in standard errors, one a pane; drowned values come last."""
    drowned = np.isnan(se)[..., None]
    errors = np.where(drowned, np.minimum(away, 1.0) * APPEARED, away / np.where(drowned, 1.0, se[..., None]))
    by_pane = errors.reshape(len(errors), -1)
    panes = [pane for pane in np.argsort(-by_pane.max(axis=1), kind="stable")[:WORST].tolist() if by_pane[pane].max()]
    at = [np.unravel_index(int(by_pane[pane].argmax()), errors.shape[1:]) for pane in panes]
    return [(pane, int(key), int(cell)) for pane, (key, cell) in zip(panes, at, strict=True)]


def _noise_se(
    view: FeatureView, feature: PaneFeature, panes: Sequence[Release | Void], keys: Sequence[tuple[Any, ...]]
) -> Floats:
    """Return float64[P, K]: the standard error of both aggregators' noise at each value, whether or not it was added.

    NaN: there is no value, or noise drowns it.
    """
    order = [view.entity.domain.index(key) for key in keys]
    noise, good = np.full(len(order), float(NOISERS)), np.zeros(len(order), np.uint8)
    se = np.full((len(panes), len(order)), np.nan)
    for row, pane in zip(se, panes, strict=True):
        if isinstance(pane, Release):
            decoded = decode(layout_of(view), feature, pane.slots[order], noise, good)
            row[:] = np.where(value_is_there(decoded.status), decoded.se, np.nan)
    return se
