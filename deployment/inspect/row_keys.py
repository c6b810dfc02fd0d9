"""The join keys of rows on a command line: `dest=JFK`, or `dest=JFK,carrier=UA` for a composite entity; and those of a join."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from featurestore.define.entities import ColumnType
from featurestore.define.keys import arrow_type
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
            columns[name].append(typed_value(name, text, types[name]))
    if types and not words:
        raise BadReference(f"no join key is given; add {','.join(f'{name}=…' for name in types)} for each row")
    return columns


def renamed_columns(words: Sequence[str]) -> dict[str, str]:
    """The new name of each column, from `COLUMN=NAME` words. Raises BadReference."""
    return _pairs(words, "COLUMN=NAME")


def constant_keys(types: Mapping[str, ColumnType], words: Sequence[str]) -> dict[str, pa.Scalar]:
    """The value of each constant key, from `KEY=VALUE` words, with the types of the views' entities. Raises BadReference."""
    values: dict[str, pa.Scalar] = {}
    for name, text in _pairs(words, "KEY=VALUE").items():
        if name not in types:
            raise BadReference(f"these features have no join key {name!r}; they have: {', '.join(types) or 'none'}")
        try:
            values[name] = pa.scalar(typed_value(name, text, types[name]), arrow_type(types[name]))
        except (pa.ArrowInvalid, OverflowError):
            raise BadReference(f"{name} must be a whole number of 64 bits, got {text!r}") from None
    return values


def _pairs(words: Sequence[str], form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise BadReference(f"{word!r} must have the form {form}")
        if name in pairs:
            raise BadReference(f"{name!r} is given twice: {name}={pairs[name]} and {word}")
        pairs[name] = value
    return pairs


def typed_value(name: str, text: str, kind: ColumnType) -> str | int | float | bool:
    """The value of a join key or an input from its text. Raises BadReference."""
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
