"""What the versions of `visits` hold, by the oracle: a feature's value over the days whose collections carry it.

Days are numbered from the first one with events. No version's rows are computed from another version's here: the oracle counts the
events anew for each version and each set of days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.times import DAY_US
from featurestore.define.definitions import FeatureView
from tests.oracle import oracle

Answer: TypeAlias = tuple[Any, ...]
SHOPS: Final = ("north", "south", "west", "east")
"""The keys that readers ask for. No version but those of the new domain has the last one."""
COLUMNS: Final = ("people", "visits", "visits_2d", "spent_mean", "spent_mean_2d")
PINNED_COLUMNS: Final = ("visits_2d", "spent_mean")
LABEL_DAYS: Final = range(3, 14)
ONLINE: Final = ("http", "feast")
"""The readers that read the newest rows."""


@dataclass(frozen=True)
class Rows:
    """The rows of one version.

    Attributes:
        known: by feature, the days that have it.
    """

    view: FeatureView
    known: Mapping[str, frozenset[int]]

    @property
    def days(self) -> list[int]:
        """The days that have a row."""
        return sorted(frozenset().union(*self.known.values()))

    def table(self, events: pa.Table, first_day: int, last: int) -> pa.Table:
        """The history up to a day, both included, by the oracle."""
        days = [day for day in self.days if day <= last]
        known = {name: frozenset(day for day in own if day <= last) for name, own in self.known.items()}
        known["coverage"] = frozenset(days)
        counted = {own: self._counted(events, first_day, own, max(days)) for own in set(known.values())}
        parts = {name: counted[own] for name, own in known.items()}
        whole = parts["coverage"]
        for feature in self.view.features:
            for name in (feature.name, *(f"{feature.name}_{window}" for window in self.view.windows)):
                if name in whole.column_names:
                    column = parts[feature.name].column(name)
                    whole = whole.set_column(whole.column_names.index(name), name, column)
        starts = [(first_day + day) * DAY_US for day in days]
        return whole.filter(pc.is_in(whole["pane_start"].cast(pa.int64()), pa.array(starts)))

    def _counted(self, events: pa.Table, first_day: int, opened: Iterable[int], last: int) -> pa.Table:
        return oracle(
            self.view,
            events,
            client_column="who",
            time_column="at",
            site_column="site",
            days=range(first_day, first_day + last + 1),
            opened={(first_day + day) * DAY_US for day in opened},
            min_clients=0,
        )


class Expected:
    """What readers may see.

    Args:
        versions: by number.
        states: (version, day) of the view without a number, in order: each is a publication or a change that was applied.
        released: by day, the one on whose morning it is released.
        first_day: since the epoch.
    """

    def __init__(
        self,
        versions: Mapping[int, Rows],
        states: Sequence[tuple[int, int]],
        released: Mapping[int, int],
        events: pa.Table,
        first_day: int,
    ) -> None:
        self.versions, self._states, self._released = versions, states, released
        self._events, self._first_day = events, first_day
        self._histories: dict[tuple[int, int], pa.Table] = {}
        self._values: dict[int, dict[tuple[int, str], dict[str, Any]]] = {}
        for number, rows in versions.items():
            table = self.history(number, max(rows.days))
            days = (np.asarray(table["pane_start"].cast(pa.int64())) // DAY_US - first_day).tolist()
            self._values[number] = {(day, row["shop"]): row for day, row in zip(days, table.to_pylist(), strict=True)}

    def history(self, number: int, day: int) -> pa.Table:
        """All rows of a version, once a day is published. Days without a row of the version add none."""
        rows = self.versions[number]
        last = max(one for one in rows.days if one <= day)
        if (number, last) not in self._histories:
            self._histories[number, last] = rows.table(self._events, self._first_day, last)
        return self._histories[number, last]

    def answer(self, kind: str, number: int, day: int) -> Answer:
        """The columns of an answer of a reader, once a day is published and the view is this version."""
        pinned = self._columns(kind, 1, day, PINNED_COLUMNS)
        return self._columns(kind, number, day, COLUMNS) + pinned

    def require_whole(self, kind: str, answers: Sequence[Answer]) -> None:
        """Return if each answer is one of one state, and no reader went back. Raises AssertionError."""
        states = [(self._columns(kind, *state, COLUMNS), state) for state in self._states]
        pinned = [self._columns(kind, 1, day, PINNED_COLUMNS) for day in self.versions[1].days]
        assert len({found for found, _ in states}) >= len(states) - 1  # two versions of one definition's values
        place = 0
        for number, answer in enumerate(answers):
            matches = [i for i, (found, _) in enumerate(states) if found == answer[: len(COLUMNS)]]
            assert matches, (kind, number, answer)
            assert max(matches) >= place, (kind, number, states[max(matches)][1], states[place][1])
            place = min(i for i in matches if i >= place)
            assert answer[len(COLUMNS) :] in pinned, (kind, number, answer)
            if kind in ONLINE:  # one snapshot: all versions are of one publication
                (_, day), own = states[place][1], answer[len(COLUMNS) :]
                assert own == self._columns(kind, 1, day, PINNED_COLUMNS), (kind, number, answer)

    def _columns(self, kind: str, number: int, day: int, columns: Sequence[str]) -> Answer:
        if kind in ONLINE:
            asked = [(day, shop) for shop in SHOPS]
        else:
            known = [one for one in self._released if one <= day]
            newest = [max(one for one in known if self._released[one] <= label) for label in LABEL_DAYS]
            asked = [(one, shop) for one in newest for shop in SHOPS]
        rows = [self._row(number, last, shop) for last, shop in asked]
        return tuple(tuple(_as_read(kind, row.get(column)) for row in rows) for column in columns)

    def _row(self, number: int, day: int, shop: str) -> dict[str, Any]:
        known = [one for one in self.versions[number].days if one <= day]
        return self._values[number].get((known[-1], shop), {}) if known else {}


def _as_read(kind: str, value: float | None) -> float | None:
    """Tensors have float32."""
    return None if value is None else float(np.float32(value)) if kind == "trainer" else value
