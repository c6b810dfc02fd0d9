"""Typed access to a JSON record. A field that is missing, or has another type, counts as absent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_MAX_DEPTH: Final = 16


@dataclass(frozen=True)
class Record:
    """A JSON object that was read from a file."""

    fields: dict[str, Any]

    def text(self, name: str, otherwise: str = "not recorded") -> str:
        """Return a text field."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else otherwise

    def number(self, name: str) -> float | None:
        """Return a finite number; None if there is none."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if not isinstance(value, float) or math.isfinite(value) else None

    def part(self, name: str) -> Record:
        """Return an object field; an empty one if there is none."""
        value = self.fields.get(name)
        return Record(value if isinstance(value, dict) else {})

    def parts(self, name: str) -> list[Record]:
        """Return the objects of a list field."""
        value = self.fields.get(name)
        return [Record(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []

    def numbers(self, name: str) -> list[float]:
        """Return a list of numbers; an entry that is no number becomes NaN."""
        value = self.fields.get(name)
        found = [Record({"x": one}).number("x") for one in value] if isinstance(value, list) else []
        return [math.nan if one is None else float(one) for one in found]

    def flat(self, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
        """Yield (dotted name, value as text) of every nested field."""
        for name, value in self.fields.items():
            if isinstance(value, dict) and depth < _MAX_DEPTH:
                yield from Record(value).flat(f"{prefix}{name}.", depth + 1)
            else:
                yield f"{prefix}{name}", "none" if value is None else str(value)
