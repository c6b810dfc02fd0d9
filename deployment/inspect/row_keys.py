"""The join keys of rows on a command line: `dest=JFK`, or `dest=JFK,carrier=UA` for a composite entity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from featurestore.define.entities import ColumnType
from featurestore.errors import BadReference


def key_columns(types: Mapping[str, ColumnType], words: list[str]) -> dict[str, list[Any]]:
    """Columns from `k=v[,k=v]` words, one word for each row, with the types of the views' entities. Raises BadReference."""
    if not types and words:
        raise BadReference(
            f"these features have a constant entity, so they have no join key; leave out {' '.join(words)[:80]!r}"
        )
    cut = re.compile(",(?=(?:" + "|".join(map(re.escape, types)) + ")=)")
    columns: dict[str, list[Any]] = {name: [] for name in types}
    for word in words:
        parts = dict(part.partition("=")[::2] for part in cut.split(word))
        if set(parts) != set(types):
            raise BadReference(f"{word!r} must give {', '.join(types)}, as {','.join(f'{name}=…' for name in types)}")
        for name, text in parts.items():
            columns[name].append(_typed(name, text, types[name]))
    if types and not words:
        raise BadReference(f"no join key is given; add {','.join(f'{name}=…' for name in types)} for each row")
    return columns


def _typed(name: str, text: str, kind: str) -> str | int | float | bool:
    if kind == "int64":
        try:
            return int(text)
        except ValueError:
            raise BadReference(f"{name} must be a whole number, got {text!r}") from None
    if kind == "float64":
        try:
            return float(text)
        except ValueError:
            raise BadReference(f"{name} must be a number, got {text!r}") from None
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise BadReference(f"{name} must be true or false, got {text!r}")
        return text.lower() == "true"
    return text
