"""The refusals of a ledger, in columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from .columns import HASH_BYTES, Column
from .entries import RefusalEntry

_NO_DAY: Final = -(2**63)
_Reason = tuple[str, str | None, str]


class Refusals:
    """The refused plans in order, each reason of a plan once.

    Attributes:
        reasons: (code, view, role) in the order of their first use.
    """

    def __init__(self) -> None:
        self.plan = Column("u1", HASH_BYTES)
        self.reason, self.day, self.at_us = Column("i4"), Column("i8"), Column("i8")
        self.reasons: dict[_Reason, int] = {}
        self._known: set[tuple[bytes, int, int]] | None = None

    @property
    def columns(self) -> dict[str, Column]:
        """The columns, by name."""
        return {"plan": self.plan, "reason": self.reason, "day": self.day, "at_us": self.at_us}

    def __len__(self) -> int:
        return len(self.reason)

    def __iter__(self) -> Iterator[RefusalEntry]:
        reasons = list(self.reasons)
        rows = zip(self.plan.values, *(one.values.tolist() for one in (self.reason, self.day, self.at_us)), strict=True)
        for plan, reason, day, at_us in rows:
            code, view, role = reasons[reason]
            yield RefusalEntry(at_us, plan.tobytes(), code, view, None if day == _NO_DAY else day, role)

    def __contains__(self, entry: RefusalEntry) -> bool:
        if self._known is None:
            rows = zip(self.plan.values, self.reason.values.tolist(), self.day.values.tolist(), strict=True)
            self._known = {(plan.tobytes(), reason, day) for plan, reason, day in rows}
        reason = self.reasons.get((entry.code, entry.view, entry.role))
        return reason is not None and (entry.plan, reason, _day(entry)) in self._known

    def append(self, entry: RefusalEntry) -> None:
        """Add a refusal."""
        reason = self.reasons.setdefault((entry.code, entry.view, entry.role), len(self.reasons))
        self.plan.extend(np.frombuffer(entry.plan, np.uint8).reshape(1, HASH_BYTES))
        self.reason.append(reason)
        self.day.append(_day(entry))
        self.at_us.append(entry.at_us)
        if self._known is not None:
            self._known.add((entry.plan, reason, _day(entry)))


def _day(entry: RefusalEntry) -> int:
    return _NO_DAY if entry.day is None else entry.day
