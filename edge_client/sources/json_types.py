"""Which types of JSON the fields of records have, for the eyes of a source's operator. A value of another type is missing here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .declared_column import AsBoolean, AsNumber, AsText, AsTime, AsWhole, Kind, Named
from .mapping import Mapping as Columns

NULL = "null"


def json_types(columns: Columns, records: Sequence[bytes]) -> Mapping[str, Mapping[str, int]]:
    """By the name of a field: how many of the records that are JSON objects have it with each type, `null` among them."""
    objects = [found for one in records if isinstance(found := _json(one), dict)]
    names = [one.origin.name for one in columns.columns if isinstance(one.origin, Named)]
    return {name: Counter(_type(_field(one, name)) for one in objects) for name in names}


def json_type_of(kind: Kind) -> str:
    """The type of JSON that a declared column reads."""
    match kind:
        case AsText() | AsTime(unit=None):
            return "text"
        case AsBoolean():
            return "boolean"
        case AsNumber() | AsWhole() | AsTime():
            return "number"


def _json(record: bytes) -> object:
    try:
        return json.loads(record)
    except (ValueError, RecursionError):
        return None


def _field(found: dict[str, Any], name: str) -> object:
    """A value of an object by its name, or by its JSON pointer (RFC 6901)."""
    if not name.startswith("/"):
        return found.get(name)
    value: Any = found
    for part in name[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _type(value: object) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "array"
    return "object"
