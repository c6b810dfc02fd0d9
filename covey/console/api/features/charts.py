"""Series and heat maps, in columns. They are written by `orjson` from numpy arrays: a heat map has a hundred thousand numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson
from fastapi import Response

from featurestore.define.decoded import Bytes, Floats, Ints, Status
from featurestore.define.definitions import FeatureView
from featurestore.define.values import served_features
from featurestore.errors import BadReference
from featurestore.offline.series import Series, SeriesCache
from featurestore.store import Store

from .chart_forms import MOST_CELLS, MOST_GAP_PANES, MOST_GAPS
from .keys import KeySearch, key_text, place_of

STATUSES: Final = tuple(status.name for status in Status)

Between = tuple[int | None, int | None]


class Charts:
    """Reads what charts show. What was read of a file is kept, because files do not change."""

    def __init__(self, store: Store, search: KeySearch) -> None:
        self._store, self._search, self._cache = store, search, SeriesCache()

    def series(
        self, view: str, feature: str, keys: Sequence[str], cell: int, between: Between, most: int
    ) -> dict[str, Any]:
        """A `SeriesForm`. Raises UnknownView, UnknownVersion, UnknownFeature, UnknownKey, SeriesTooLong."""
        definition = self._store.view(view)
        places = [0] if definition.entity.constant else [place_of(definition, key) for key in keys]
        if not places:
            raise BadReference(f"view {view!r}: no join key is given")
        found = self._store.series(view, feature, np.array(places), between, self._cache)
        shown = _Shown(found, definition, feature, cell, most)
        gaps, more_gaps = self._gaps(view, between)
        return {
            "view": view,
            **shown.about,
            "released": found.released_at[shown.panes],
            "releases": [found.release_id[i] for i in shown.panes.tolist()],
            "keys": [
                {
                    "key": key_text(definition.entity.domain[place]),
                    "value": column(shown.value, i),
                    "se": column(shown.of(found.se), i),
                    "low": column(shown.low, i),
                    "high": column(shown.high, i),
                    "n": None if found.n is None else column(shown.of(found.n), i),
                    "status": column(shown.of(found.status), i),
                }
                for i, place in enumerate(places)
            ],
            "statuses": STATUSES,
            "gaps": gaps,
            "more_gaps": more_gaps,
        }

    def heat_map(self, view: str, feature: str, cell: int, between: Between, first: int, keys: int) -> dict[str, Any]:
        """A `HeatMap` of some keys, from the place `first` on. Raises as `series`."""
        definition = self._store.view(view)
        total = len(definition.entity.domain)
        first = min(first, total - 1)
        places = np.arange(first, min(first + keys, total))
        found = self._store.series(view, feature, places, between, self._cache)
        shown = _Shown(found, definition, feature, cell, max(1, MOST_CELLS // len(places)))
        return {
            "view": view,
            **shown.about,
            "first": first,
            "total": total,
            "keys": self._search.texts(definition).slice(first, len(places)).to_pylist(),
            "value": _rounded(shown.value),
            "se": _rounded(shown.of(found.se)),
            "status": np.ascontiguousarray(shown.of(found.status).T).reshape(-1),
            "statuses": STATUSES,
        }

    def _gaps(self, view: str, between: Between) -> tuple[list[dict[str, Any]], bool]:
        """Runs of panes that are void or retracted for one reason, as `Gap`; and whether there are more."""
        found = self._store.panes.not_opened(view, between, MOST_GAP_PANES + 1)
        runs: list[dict[str, Any]] = []
        for one in {one.pane_start: one for one in found[:MOST_GAP_PANES]}.values():
            kind = {"state": one.state, "reason": one.reason or ""}
            if runs and runs[-1]["end"] == one.pane_start and kind.items() <= runs[-1].items():
                runs[-1]["end"] = one.pane_end
                runs[-1]["panes"] += 1
            else:
                place = {"start": one.pane_start, "end": one.pane_end, "release": one.release_id.hex(), "panes": 1}
                runs.append(place | kind)
        return runs[:MOST_GAPS], len(found) > MOST_GAP_PANES or len(runs) > MOST_GAPS


class _Shown:
    """The panes of a series that an answer has, and one cell of a list."""

    def __init__(self, series: Series, view: FeatureView, feature: str, cell: int, most: int) -> None:
        served = next(one for one in served_features(view) if one.name == feature)
        if served.is_list and cell >= served.width:
            raise BadReference(
                f"feature {feature!r} has {served.width} cells, so there is no cell {cell}; count from 0"
            )
        self._cell = cell if served.is_list else None
        count = len(series.pane_start)
        every = max(1, math.ceil(count / most))
        self.panes: Ints = np.arange(count)[::-1][::every][::-1]  # the newest pane is always shown
        self.value, self.low, self.high = (self.of(one) for one in (series.value, series.low, series.high))
        self.about = {
            "feature": feature,
            "cell": self._cell,
            "pane_us": view.pane_us,
            "every": every,
            "panes": count,
            "moments": series.pane_start[self.panes],
        }

    def of(self, values: Floats | Bytes) -> Any:
        """The shown entries of an array."""
        shown = values[self.panes]
        return shown[:, :, self._cell] if shown.ndim == 3 else shown


def column(values: Any, at: int) -> Any:
    """A column of an array as an array of its own, which `orjson` writes."""
    return np.ascontiguousarray(values[:, at])


def _rounded(values: Floats) -> Any:
    return np.ascontiguousarray(values.T).reshape(-1).astype(np.float32)


def answer(data: dict[str, Any]) -> Response:
    """An answer in JSON; NaN is null."""
    return Response(orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
