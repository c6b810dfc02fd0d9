"""The intervals of a model's predictions in one epoch.

A prediction's interval is for the prediction that the same events give without noise. It covers the noise of releases and nothing
else: neither the spread of outcomes nor the error of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from featurestore.define.decoded import Bytes, Status, value_is_there
from featurestore.define.on_demand import OnDemandView
from featurestore.define.values import ServedFeature, served_features
from featurestore.online.blocks import Snapshot
from featurestore.online.view_rows import Rows, ViewRows
from featurestore.read.request import find_columns
from featurestore.read.vectors import VectorPlan
from featurestore.store import Store
from training.errors import InputRefused, ModelNotReady
from training.serving.arrays import Arrays, Floats32
from training.serving.ask import Floats
from training.serving.inputs.model_inputs import ModelInputs

from .level import Level
from .newest_sums import NewestSums, reach_us
from .view_copies import ViewCopies

Bools = npt.NDArray[np.bool_]

MOST_DRAWN: Final = 2**18
"""The most predictions that one request with an interval takes: 6,700 rows at 39 copies."""
_ROWS_AT_ONCE: Final = 4096
_RETRIES: Final = 5


@dataclass(frozen=True, eq=False)
class Drawn:
    """The inputs of a model in noised copies of N rows.

    Attributes:
        arrays: of copies·N rows: all rows of the first copy, then all of the second one.
        sure: bool[N], which rows have an interval.
    """

    level: Level
    arrays: Arrays
    sure: Bools

    def parts(self) -> Iterator[Arrays]:
        """The arrays in parts of some thousand rows, as the model gets them."""
        for at in range(0, len(self.arrays.x), _ROWS_AT_ONCE):
            yield self.arrays.rows(slice(at, at + _ROWS_AT_ONCE))

    def ends(self, values: Floats32) -> tuple[Floats, Floats]:
        """The ends of the intervals from the predictions for `arrays`: float64[N] each, NaN where a row has none.

        A row has none either if the model gives no number for one of its copies.
        """
        of_copies = values.astype(np.float64).reshape(self.level.copies, -1)
        sure = self.sure & ~np.isnan(of_copies).any(axis=0)
        low, high = self.level.ends(of_copies)
        return np.where(sure, low, np.nan), np.where(sure, high, np.nan)


@dataclass(frozen=True, eq=False)
class ViewSums:
    """The sums behind one view of a model, after one publication.

    Attributes:
        names: the features of the view that the model reads.
    """

    seq: int
    names: tuple[str, ...]
    sums: NewestSums


class IntervalPlan:
    """The copies of a model's features in one epoch; make it with `of`.

    Attributes:
        epoch: of the snapshot.
        view_sums: by view, for the plan of the next epoch.
    """

    def __init__(
        self, inputs: ModelInputs, snapshot: Snapshot, vector: VectorPlan, view_sums: Mapping[ViewRows, ViewSums]
    ) -> None:
        self.epoch, self.view_sums = snapshot.epoch, {rows.header.name: one for rows, one in view_sums.items()}
        self._inputs, self._vector, self._by_view = inputs, vector, dict(view_sums)
        self._copies: dict[tuple[ViewRows, int], ViewCopies] = {}

    @classmethod
    def of(cls, inputs: ModelInputs, store: Store, snapshot: Snapshot, before: IntervalPlan | None = None) -> Self:
        """Read the sums behind a model's features. It takes time: not on an event loop.

        Args:
            before: the plan of an earlier epoch, whose sums are used where a view has no newer publication.

        Raises:
            InputRefused: the model reads two versions of one view, or too many sums. ReleaseExpired: the sums have left the store.
            ModelNotReady: a publication is under way. StoreCorrupt.
        """
        refs = inputs.signature.features
        wanted = _features_of(inputs, refs, snapshot)
        known = {} if before is None else before.view_sums
        found: dict[ViewRows, ViewSums] = {}
        for rows, names in wanted.items():
            if not rows.header.has_rows:
                continue  # null for all keys
            earlier = known.get(rows.header.name)
            if earlier is not None and earlier.seq == rows.header.seq and earlier.names == names:
                found[rows] = earlier
            else:
                found[rows] = ViewSums(rows.header.seq, names, _read(inputs.model, store, rows, names))
        return cls(inputs, snapshot, VectorPlan(snapshot, refs, inputs.on_demand), found)

    def draws(self, entities: Mapping[str, Sequence[Any]], count: int, released: Arrays, level: Level) -> Drawn:
        """Noised copies of some rows.

        The copies have the standard errors of the released rows, and the same nulls. So an interval is for exact values with the
        errors that were stated.

        Args:
            entities: see `Keyed`; released: the inputs of these rows, see `InputPlan.fill`.

        Raises:
            InputRefused: there are too many rows.
        """
        require_rows(count, level)
        given = {**entities, **{name: [value] * count for name, value in self._inputs.constants.items()}}
        sure = np.ones(count, dtype=bool)
        placed: dict[ViewRows, Rows] = {}
        for rows in self._vector.views:
            if rows not in self._by_view:  # it has no rows, so its features are null
                continue
            placed[rows], has_interval = self._copies_of(rows, level.copies).read(given, count)
            sure = sure & has_interval
        repeated = {name: list(values) * level.copies for name, values in given.items()}
        made = self._vector.read(repeated, count * level.copies, 0, placed, intervals=False)
        times = (level.copies, 1)
        x, mask, se = np.tile(released.x, times), np.tile(released.mask, times), np.tile(released.se, times)
        stored = slice(0, made.values.shape[1])
        sure = sure & _without_noise_in_nulls(released.mask[:, stored], made.status[:count])
        mask[:, stored] = there = mask[:, stored] & ~np.isnan(made.values)
        with np.errstate(over="ignore"):
            x[:, stored] = np.where(there, made.values, 0)
        se[:, stored] = np.where(there, se[:, stored], 0)
        return Drawn(level, Arrays(x, mask, se), sure)

    def _copies_of(self, rows: ViewRows, copies: int) -> ViewCopies:
        known = self._copies.get((rows, copies))
        if known is None:
            one = self._by_view[rows]
            known = self._copies.setdefault((rows, copies), ViewCopies(rows, one.names, one.sums, self.epoch, copies))
        return known


def _without_noise_in_nulls(mask: Bools, status: Bytes) -> Bools:
    """bool[N]: at least one feature of a row has a value, and none is null although its sources have values.

    Such a feature is too old, or an on-demand view returned NaN for noised values.

    Args:
        mask: bool[N, V], where the released features have values; status: uint8[N, V], of the same features in a copy.
    """
    undefined = ~mask & (value_is_there(status) | (status == Status.UNDEFINED))
    return np.asarray(mask.any(axis=1) & ~undefined.any(axis=1))


def require_rows(count: int, level: Level) -> None:
    """Raise InputRefused if a request has too many rows for this level."""
    if count * level.copies > MOST_DRAWN:
        raise InputRefused(
            f"{count:,} rows with an interval take {count * level.copies:,} predictions; the limit is {MOST_DRAWN:,}. Ask in "
            f"parts of {MOST_DRAWN // level.copies:,} rows"
        )


def _features_of(inputs: ModelInputs, refs: Sequence[str], snapshot: Snapshot) -> dict[ViewRows, tuple[str, ...]]:
    """The features that a model reads of each view, directly or through on-demand views. Raises InputRefused."""
    found: dict[ViewRows, set[str]] = {}
    for one in find_columns(refs, snapshot, inputs.on_demand, full_names=True):
        sources = one.source.features.values() if isinstance(one.source, OnDemandView) else ()
        both = [snapshot.column(ref) for ref in sources] if sources else []
        if not isinstance(one.source, OnDemandView):
            both = [(one.source, one.column)]
        for rows, column in both:
            found.setdefault(rows, set()).add(column.name)
    names: dict[str, str] = {}
    for rows in found:
        other = names.setdefault(rows.header.view, rows.header.name)
        if other != rows.header.name:
            raise InputRefused(
                f"model {inputs.model} reads {other} and {rows.header.name}, which have noise in common; its predictions have no "
                "intervals. Ask without an interval"
            )
    return {rows: tuple(sorted(columns)) for rows, columns in found.items()}


def _read(model: str, store: Store, rows: ViewRows, names: Sequence[str]) -> NewestSums:
    header = rows.header
    view = store.view(header.name)
    by_name = {one.name: one for one in served_features(view)}
    served: list[ServedFeature] = [by_name[name] for name in names]
    reach = reach_us(view, served)
    has_filter = any(one.part is not None for one in served)
    if header.pane_end is None:
        raise ModelNotReady(model, f"view {header.view!r} has no rows yet")
    newest = header.pane_end - view.pane_us
    for _ in range(_RETRIES):
        try:
            panes = store.newest_panes(header.name, reach, merged=not has_filter)
            sums = NewestSums.of(view, served, newest, panes)
        except FileNotFoundError:
            continue
        if not store.published(header.name, header.seq):
            return sums
        break
    raise ModelNotReady(model, f"a publication of view {header.view!r} is under way")
