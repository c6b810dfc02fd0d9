"""The records of a CSV file, one by one: a newline always ends a record, even inside quotes.

If quoted fields could hold newlines, one client's unbalanced quote would swallow other clients' rows. Here a malformed or too
long record is left out and counted. None of its bytes reaches the parser, so it can lose nothing but itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MAX_RECORD: Final = 2**18
"""Most bytes of a record without its newline: far more than an event has, and a quarter of a block of Arrow's parser."""
CHUNK: Final = 2**24
"""Bytes read at a time: enough for vectorised checks, few enough to hold them twice in memory."""

_FIELD: Final = r'(?:[^",\r][^,\r]*|"(?:[^"\r]|"")*")?'
_RECORD: Final = rf"^{_FIELD}(?:,{_FIELD})*\r?\n$"
_FIELD_AND_END: Final = rf"{_FIELD}(?:,|\r?\n)"
"""A record as Arrow's parser reads it. A quote starts a quoted field only where a field begins; elsewhere it is an ordinary
character. A carriage return ends a record.
"""
_NEWLINE, _RETURN, _QUOTE, _COMMA = b'\n\r",'

Bytes = npt.NDArray[np.uint8]


class Records:
    """The records of an open file, from its current position.

    Attributes:
        left_out: number of records left out so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left_out = 0

    def first(self) -> bytes | None:
        """The first record that is not empty, with its newline. It names the columns. None: no such record, or a malformed one."""
        while line := self._file.readline(MAX_RECORD + 2):
            if line.strip(b"\r\n"):
                kept, left_out = _well_formed(line if line.endswith(b"\n") else line + b"\n", None)
                return None if left_out else kept
        return None

    def chunks(self, fields: int) -> Iterator[bytes]:
        """All further well-formed records of `fields` fields, each with its newline, many at a time."""
        rest, is_inside_long = b"", False
        while data := self._file.read(CHUNK):
            if is_inside_long:  # skip the rest of a record that is too long
                start = data.find(b"\n") + 1
                data, is_inside_long = data[start:], start == 0
            if is_inside_long:
                continue
            if end := data.rfind(b"\n") + 1:
                yield from self._whole(rest + data[:end], fields)
                rest = b""
            rest += data[end:]
            if len(rest) > MAX_RECORD + 1:
                rest, is_inside_long = b"", True
                self.left_out += 1
        yield from self._whole(rest + b"\n" if rest else b"", fields)

    def _whole(self, data: bytes, fields: int) -> Iterator[bytes]:
        if data:
            kept, left_out = _well_formed(data, fields)
            self.left_out += left_out
            if kept:
                yield kept


def _well_formed(data: bytes, fields: int | None) -> tuple[bytes, int]:
    """The well-formed records of `data`, which ends with a newline, and the number of other records.

    Args:
        fields: number of fields of a record; None: any number.
    """
    array = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(array == _NEWLINE) + 1
    lengths = np.diff(ends, prepend=0)
    is_bad = lengths > MAX_RECORD + 1
    found = np.diff(np.searchsorted(np.flatnonzero(array == _COMMA), ends), prepend=0) + 1
    odd = np.flatnonzero(_is_odd(array, ends) & ~is_bad)
    if len(odd):
        offsets = pa.py_buffer(np.concatenate(([0], ends)).astype(np.int64))
        records = pa.Array.from_buffers(pa.large_binary(), len(ends), [None, offsets, pa.py_buffer(data)])
        checked = records.take(pa.array(odd))
        is_bad[odd] = ~pc.match_substring_regex(checked, _RECORD).to_numpy(zero_copy_only=False)
        found[odd] = pc.count_substring_regex(checked, _FIELD_AND_END).to_numpy()
    if fields is not None:
        is_empty = (lengths == 1) | ((lengths == 2) & (array[ends - lengths] == _RETURN))
        is_bad |= (found != fields) & ~is_empty
    left_out = int(np.count_nonzero(is_bad))
    return (array[np.repeat(~is_bad, lengths)].tobytes(), left_out) if left_out else (data, 0)


def _is_odd(array: Bytes, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """bool[records], whether a record has a quote, or a carriage return before its end. Only these need the regular expressions."""
    returns = np.flatnonzero(array == _RETURN)  # never the last byte, which is a newline
    lone = returns[array[returns + 1] != _NEWLINE]
    odd = np.zeros(len(ends), np.bool_)
    for where in (np.flatnonzero(array == _QUOTE), lone):
        odd[np.searchsorted(ends, where, side="right")] = True
    return odd
