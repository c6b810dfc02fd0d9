"""Normalizes the values of definitions: numpy scalars become Python's, and zero has one sign."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def plain(value: object) -> object:
    """The Python value of a numpy scalar, and 0.0 for −0.0, which equals it but has other bytes; else the same value."""
    if isinstance(value, np.generic):
        value = value.item()
    return 0.0 if isinstance(value, float) and value == 0 else value


def plain_tuple(values: object) -> object:
    """Any iterable but a text as a tuple of plain values; any other value is returned as it is, and a later check refuses it."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        return values
    return tuple(plain(value) for value in values)


def make_plain(record: object, *attributes: str) -> None:
    """Make attributes of a frozen dataclass plain, after its `__init__`."""
    for attribute in attributes:
        object.__setattr__(record, attribute, plain(getattr(record, attribute)))


def is_text(value: object) -> bool:
    """Whether this is a string that every party can encode: a lone surrogate is not valid Unicode."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
