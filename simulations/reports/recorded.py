"""What a record says, asked for by kind: a field that is missing, or of another kind, is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_MAX_DEPTH: Final = 16


@dataclass(frozen=True)
class Recorded:
    """A JSON object that was read from a file."""

    fields: dict[str, Any]

    def text(self, name: str, otherwise: str = "not recorded") -> str:
        """A text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else otherwise

    def number(self, name: str) -> float | None:
        """A finite number."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if not isinstance(value, float) or math.isfinite(value) else None

    def part(self, name: str) -> Recorded:
        """An object, or an empty one."""
        value = self.fields.get(name)
        return Recorded(value if isinstance(value, dict) else {})

    def parts(self, name: str) -> list[Recorded]:
        """A list's objects."""
        value = self.fields.get(name)
        return [Recorded(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []

    def numbers(self, name: str) -> list[float]:
        """A list of numbers, NaN for what is none."""
        value = self.fields.get(name)
        found = [Recorded({"x": one}).number("x") for one in value] if isinstance(value, list) else []
        return [math.nan if one is None else float(one) for one in found]

    def flat(self, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
        """(dotted name, value as text) of everything inside."""
        for name, value in self.fields.items():
            if isinstance(value, dict) and depth < _MAX_DEPTH:
                yield from Recorded(value).flat(f"{prefix}{name}.", depth + 1)
            else:
                yield f"{prefix}{name}", "none" if value is None else str(value)
