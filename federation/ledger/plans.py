"""All plans that a ledger names, in columns: what each takes, and how far each role is with it.

plans     one row a plan: its hash, the aggregators' keys, its takes
takes     one row a view of a charged plan: which view at which price (`Kind`), and its panes
runs      the panes of the takes, as [first, step, count]
parts     for each role, one row a plan: when it was charged, and its end
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from base.times import DAY_US

from .columns import HASH_BYTES, Column, HashIndex
from .entries import ViewIntent, from_runs, runs_of

NEVER: Final = -(2**63)
"""The time of a charge that was not made, or was lost."""
NONE, CHARGED, ENDED = 0, 1, 2
"""How far a role is with a plan."""

Ints = npt.NDArray[np.int64]
_V = TypeVar("_V")


@dataclass(frozen=True)
class Kind:
    """What the takes of one view have in common, plan after plan."""

    view: str
    collection: bytes
    schema: bytes
    scales: str
    in_process: bool


@dataclass(frozen=True)
class Take:
    """One view of a charged plan. `panes`: int64[P], their starts in µs, increasing."""

    kind: Kind
    panes: Ints

    @property
    def days(self) -> list[int]:
        """The UTC days of the panes."""
        found: list[int] = np.unique(self.panes // DAY_US).tolist()
        return found


class Part:
    """The part of one role in the plans, one row a plan."""

    def __init__(self) -> None:
        self.state = Column("u1")
        self.charged_at = Column("i8", fill=NEVER)
        self.done_seq = Column("i8")
        self.digest = Column("u1", HASH_BYTES)
        self.freed_seq = Column("i8")

    @property
    def columns(self) -> dict[str, Column]:
        """The columns, by name."""
        return vars(self)

    def grow_to(self, rows: int) -> None:
        """Add empty rows until there are this many."""
        for column in self.columns.values():
            column.grow_to(rows)


class ByPlan(Mapping[bytes, _V], Generic[_V]):
    """A mapping from the hashes of those plans that have a value; in the order in which the ledger names them."""

    def __init__(self, hashes: HashIndex, length: Callable[[], int], value: Callable[[int], _V | None]) -> None:
        self._hashes, self._length, self._value = hashes, length, value

    def __getitem__(self, plan: bytes) -> _V:
        row = self._hashes.find(plan)
        value = self._value(row) if row is not None and row < self._length() else None
        if value is None:
            raise KeyError(plan)
        return value

    def __iter__(self) -> Iterator[bytes]:
        return (self._hashes.at(row) for row in range(self._length()) if self._value(row) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class Plans:
    """The plans of a ledger. Only the replay of its entries changes it.

    Attributes:
        kinds: the kinds of takes, in the order of their first use; keyrings: the signing keys of leader and helper, likewise.
        parts: by role.
    """

    hashes: HashIndex = field(default_factory=HashIndex)
    keyring: Column = field(default_factory=lambda: Column("i4", fill=-1))
    first_take: Column = field(default_factory=lambda: Column("i4"))
    take_count: Column = field(default_factory=lambda: Column("i4"))
    take_kind: Column = field(default_factory=lambda: Column("i4"))
    first_run: Column = field(default_factory=lambda: Column("i8"))
    run_count: Column = field(default_factory=lambda: Column("i4"))
    runs: Column = field(default_factory=lambda: Column("i8", 3))
    kinds: dict[Kind, int] = field(default_factory=dict)
    keyrings: dict[tuple[bytes, ...], int] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    _kinds: list[Kind] = field(default_factory=list)

    @property
    def columns(self) -> dict[str, Column]:
        """All columns, by name."""
        mine = {name: value for name, value in vars(self).items() if isinstance(value, Column)}
        of_parts = {f"{name} of {role}": one for role, part in self.parts.items() for name, one in part.columns.items()}
        return {"hashes": self.hashes.column, **mine, **of_parts}

    def row(self, plan: bytes) -> int:
        """The row of a plan, which is added if it is new."""
        row = self.hashes.add(plan)
        for column in (self.keyring, self.first_take, self.take_count):
            column.grow_to(len(self.hashes))
        return row

    def row_of(self, plan: bytes) -> int:
        """The row of a known plan. Raises KeyError."""
        if (row := self.hashes.find(plan)) is None:
            raise KeyError(plan)
        return row

    def part(self, role: str) -> Part:
        """The part of a role, with a row for every plan."""
        if (part := self.parts.get(role)) is None:
            part = self.parts[role] = Part()
        part.grow_to(len(self.hashes))
        return part

    def status(self, row: int) -> dict[str, bool] | None:
        """The roles that have charged a plan, and whether each has recorded its end; None: no role has charged it."""
        found = {
            role: int(part.state.values[row]) == ENDED
            for role, part in self.parts.items()
            if row < len(part.state) and part.state.values[row]
        }
        return found or None

    def charged(self) -> set[bytes]:
        """The plans that any role has charged."""
        states = [np.pad(one.state.values, (0, len(self.hashes) - len(one.state))) for one in self.parts.values()]
        rows = np.flatnonzero(np.any(states, axis=0)) if states else np.empty(0, np.int64)
        return {row.tobytes() for row in self.hashes.column.values[rows]}

    # what a plan takes

    def is_charged(self, row: int) -> bool:
        """Whether any role has charged the plan."""
        return bool(self.keyring.values[row] >= 0)

    def keys_of(self, row: int) -> tuple[bytes, ...]:
        """The signing keys of leader and helper in a charged plan."""
        return list(self.keyrings)[int(self.keyring.values[row])]

    def takes(self, row: int) -> list[Take]:
        """The views of a charged plan, in order."""
        first = int(self.first_take.values[row])
        return [self._take(at) for at in range(first, first + int(self.take_count.values[row]))]

    def set_takes(self, row: int, views: tuple[ViewIntent, ...], keys: tuple[bytes, ...], *, in_process: bool) -> None:
        """Store what a charged plan takes."""
        self.keyring.values[row] = self.keyrings.setdefault(keys, len(self.keyrings))
        self.first_take.values[row], self.take_count.values[row] = len(self.take_kind), len(views)
        for view in views:
            runs = runs_of(view.panes)
            kind = Kind(view.view, view.collection, view.schema, view.scales, in_process)
            self.take_kind.append(self._number(kind))
            self.first_run.append(len(self.runs))
            self.run_count.append(len(runs))
            self.runs.extend(np.array(runs, np.int64).reshape(-1, 3))

    def load_kinds(self, kinds: Iterable[Kind]) -> None:
        """Replace the kinds of takes."""
        self._kinds = list(kinds)
        self.kinds = {kind: number for number, kind in enumerate(self._kinds)}

    def _take(self, at: int) -> Take:
        first = int(self.first_run.values[at])
        runs = self.runs.values[first : first + int(self.run_count.values[at])]
        return Take(self._kinds[int(self.take_kind.values[at])], from_runs(runs.tolist()))

    def _number(self, kind: Kind) -> int:
        number = self.kinds.setdefault(kind, len(self.kinds))
        if number == len(self._kinds):
            self._kinds.append(kind)
        return number
