"""The records of a CSV file, each on its own: a newline always ends one, whatever stands in it.

A reader that lets a quoted field hold newlines lets one client's unbalanced quote take other clients' rows with it. Here a
record that is malformed or too long is left out and counted, and no byte of it reaches the parser, so it can lose itself only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MAX_RECORD: Final = 2**18
"""Bytes of a record without its newline. No event comes near it, and it is a quarter of a block of Arrow's parser."""
CHUNK: Final = 2**24
"""Bytes that are read at a time: enough records for a vectorised look at them, few enough to hold them twice."""

_FIELD: Final = r'(?:[^",\r][^,\r]*|"(?:[^"\r]|"")*")?'
_RECORD: Final = rf"^{_FIELD}(?:,{_FIELD})*\r?\n$"
_FIELD_AND_END: Final = rf"{_FIELD}(?:,|\r?\n)"
"""What Arrow's parser reads as one record: it takes a quote for the start of a quoted field only where a field begins, and a
carriage return for the end of a record. A quote elsewhere in a field is a character as any other.
"""
_NEWLINE, _RETURN, _QUOTE, _COMMA = b'\n\r",'

Bytes = npt.NDArray[np.uint8]


class Records:
    """The records of an open file, from where it stands.

    Attributes:
        left_out: how many records were not handed out so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left_out = 0

    def first(self) -> bytes | None:
        """The first record that is not empty, with its newline, which names the columns; None: there is none, or it is no
        record.
        """
        while line := self._file.readline(MAX_RECORD + 2):
            if line.strip(b"\r\n"):
                kept, left_out = _well_formed(line if line.endswith(b"\n") else line + b"\n", None)
                return None if left_out else kept
        return None

    def chunks(self, fields: int) -> Iterator[bytes]:
        """All further well-formed records of so many fields, each with its newline, many at a time."""
        rest, is_inside_long = b"", False
        while data := self._file.read(CHUNK):
            if is_inside_long:  # pass over the rest of a record that is too long already
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
    """The records of these bytes, which end with a newline, that are well-formed, and how many are not.

    Args:
        fields: how many a record has; None: any number.
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
        looked_at = records.take(pa.array(odd))
        is_bad[odd] = ~pc.match_substring_regex(looked_at, _RECORD).to_numpy(zero_copy_only=False)
        found[odd] = pc.count_substring_regex(looked_at, _FIELD_AND_END).to_numpy()
    if fields is not None:
        is_empty = (lengths == 1) | ((lengths == 2) & (array[ends - lengths] == _RETURN))
        is_bad |= (found != fields) & ~is_empty
    left_out = int(np.count_nonzero(is_bad))
    return (array[np.repeat(~is_bad, lengths)].tobytes(), left_out) if left_out else (data, 0)


def _is_odd(array: Bytes, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """bool[records], whether a record has a quote, or a carriage return that is not at its end; only those need a look."""
    returns = np.flatnonzero(array == _RETURN)  # never the last byte, which is a newline
    lone = returns[array[returns + 1] != _NEWLINE]
    odd = np.zeros(len(ends), np.bool_)
    for where in (np.flatnonzero(array == _QUOTE), lone):
        odd[np.searchsorted(ends, where, side="right")] = True
    return odd
