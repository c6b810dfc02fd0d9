"""Checks the frames of a foreign Arrow IPC stream before Arrow decodes it, and refuses compressed batches.

Arrow allocates the size that a compressed buffer declares, at once: 60 kB of zeros become gigabytes before the rows of a
batch can be counted.
"""

from __future__ import annotations

import struct
from typing import IO, Final

from featurestore.errors import BadRequest

_CONTINUES: Final = 0xFFFFFFFF
_DICTIONARY, _BATCH = 2, 3
"""Kinds of the messages that have a body; see Message.fbs and Schema.fbs of Arrow."""
_KIND, _HEADER, _BODY_LENGTH = 1, 2, 3
_DATA: Final = 1
"""The field of a DictionaryBatch that holds its RecordBatch."""
_COMPRESSION: Final = 3
"""Field of a RecordBatch."""


def require_plain(file: IO[bytes]) -> None:
    """Check a stream, and seek back to its beginning.

    Raises:
        BadRequest: a batch is compressed, or the stream has no such frames.
    """
    try:
        while head := file.read(8):
            mark, size = struct.unpack("<Ii", head)
            if mark != _CONTINUES or size < 0:
                raise BadRequest("the table is not an Arrow IPC stream")
            if size == 0:
                break
            file.seek(_body_length(file.read(size)), 1)
    except (struct.error, ValueError, OSError) as error:
        raise BadRequest(f"the table is not an Arrow IPC stream: {error}") from None
    file.seek(0)


def _body_length(message: bytes) -> int:
    """The length of a message's body. Raises BadRequest: the body is compressed."""
    (root,) = struct.unpack_from("<I", message)
    kind_at, length_at = _field(message, root, _KIND), _field(message, root, _BODY_LENGTH)
    batch = _table(message, root, _HEADER)
    kind = message[kind_at] if kind_at else 0
    if kind == _DICTIONARY and batch:
        batch = _table(message, batch, _DATA)
    if kind in (_DICTIONARY, _BATCH) and batch and _field(message, batch, _COMPRESSION):
        raise BadRequest("the table is compressed; send it uncompressed")
    length = struct.unpack_from("<q", message, length_at)[0] if length_at else 0
    if length < 0:
        raise ValueError("a body of negative length")
    return int(length)


def _field(message: bytes, table: int, number: int) -> int:
    """The position of a field in a Flatbuffers table; 0: the field is absent."""
    (back,) = struct.unpack_from("<i", message, table)
    (size,) = struct.unpack_from("<H", message, table - back)
    if 4 + 2 * number >= size:
        return 0
    (inside,) = struct.unpack_from("<H", message, table - back + 4 + 2 * number)
    return table + inside if inside else 0


def _table(message: bytes, table: int, number: int) -> int:
    at = _field(message, table, number)
    return at + int(struct.unpack_from("<I", message, at)[0]) if at else 0
