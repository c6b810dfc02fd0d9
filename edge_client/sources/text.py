"""Bytes as text. Arrow takes text of a database or a file on trust, and fails later on bytes that are not UTF-8."""

from __future__ import annotations

import pyarrow as pa


def utf8(values: pa.Array) -> pa.Array:
    """Bytes, or text that was not checked, as text; null where they are not UTF-8."""
    kind = (
        pa.large_string()
        if pa.types.is_large_binary(values.type) or pa.types.is_large_string(values.type)
        else pa.string()
    )
    raw = values if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type) else _as_bytes(values)
    try:
        return raw.cast(kind)
    except pa.ArrowInvalid:
        return pa.array(map(_text, raw.to_pylist()), kind)


def _as_bytes(values: pa.Array) -> pa.Array:
    return values.cast(pa.large_binary() if pa.types.is_large_string(values.type) else pa.binary())


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
