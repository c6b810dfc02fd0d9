"""The joined cache: a folder of flat arrays that are mapped into memory, and the report of the join.

    x.f32, se.f32   float32[N, F], rows one after the other; 0 where the mask is not set
    mask.bits       bool[N·F], row-major, 8 a byte, the first in the lowest bit: where x holds a value
    rows.bin        records of `row_dtype`: the small fields of a row together, so that one access reads them
        time        int64, µs; the least int64 for a label without a time
        outcome     int64, µs; only if there is an outcome time
        y           float32, the target
        mask        bool[F], 8 a byte: the row's part of mask.bits, which is for neighbours
    cache.json      format, key, N, names of the F columns, report; of each file its size, time of change, SHA-256

The name of a folder is the SHA-256 of everything that determines its content. A folder gets its name when it is complete. A
file with the recorded size and time of change counts as unchanged. After another time, as after a copy, its hash is checked.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.errors import CacheBroken, CacheGone

from .cache_report import JoinReport

FORMAT: Final = 1
HEADER: Final = "cache.json"
X: Final = "x.f32"
SE: Final = "se.f32"
BITS: Final = "mask.bits"
SMALL: Final = "rows.bin"
NO_TIME: Final = -(2**63)

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FileMark:
    """The marks of an unchanged file: bytes, ns of its last change, hex SHA-256."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Header:
    """The content of cache.json.

    Attributes:
        names: names of the F columns of x.
    """

    key: str
    rows: int
    names: tuple[str, ...]
    has_outcome: bool
    report: JoinReport
    files: Mapping[str, FileMark]

    def to_json(self) -> str:
        """Return the header as a JSON object."""
        files = {name: vars(mark) for name, mark in self.files.items()}
        data = {
            "format": FORMAT,
            "key": self.key,
            "rows": self.rows,
            "names": self.names,
            "has_outcome": self.has_outcome,
        }
        return json.dumps(data | {"files": files, "report": self.report.to_dict()})

    @classmethod
    def from_json(cls, text: str) -> Header:
        """Parse the result of `to_json`. Raises ValueError, KeyError or TypeError."""
        data: dict[str, Any] = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, not {FORMAT}")
        files = {name: FileMark(**mark) for name, mark in data["files"].items()}
        names, has_outcome = tuple(data["names"]), bool(data["has_outcome"])
        return cls(data["key"], int(data["rows"]), names, has_outcome, JoinReport.from_dict(data["report"]), files)


def row_dtype(width: int, *, has_outcome: bool) -> np.dtype[np.void]:
    """Return the type of a record of rows.bin. Its size is a multiple of 8 bytes."""
    times: list[tuple[Any, ...]] = [("time", np.int64), *([("outcome", np.int64)] if has_outcome else [])]
    fields = [*times, ("y", np.float32), ("mask", np.uint8, (-(-width // 8),))]
    padding = -np.dtype(fields).itemsize % 8
    return np.dtype([*fields, *([("padding", np.void, padding)] if padding else [])])


@dataclass(frozen=True, eq=False)
class JoinedCache:
    """A mapped joined cache. The arrays are read-only, and stay valid after the files are deleted.

    Attributes:
        x, se: float32[N, F].
        bits: uint8[⌈N·F / 8⌉], see the module.
        small: [N] of `row_dtype`.
    """

    folder: Path
    header: Header
    x: Floats
    se: Floats
    bits: Bytes
    small: npt.NDArray[np.void]

    @property
    def rows(self) -> int:
        """Return N."""
        return self.header.rows

    @property
    def width(self) -> int:
        """Return F."""
        return len(self.header.names)

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a row in a batch."""
        return 9 * self.width + 20


def open_cache(folder: Path, key: str) -> JoinedCache:
    """Map a cache.

    Raises:
        CacheGone: the cache does not exist. CacheBroken: it is incomplete, changed, or has another key or format.
    """
    try:
        header = Header.from_json((folder / HEADER).read_text(encoding="utf-8"))
        if header.key != key:
            raise CacheBroken(str(folder), f"it has the key {header.key[:80]!r}")
        shape, kind = (header.rows, len(header.names)), row_dtype(len(header.names), has_outcome=header.has_outcome)
        if not all(shape) or set(header.files) != {X, SE, BITS, SMALL}:
            raise CacheBroken(str(folder), f"the files differ from the list in {HEADER}")
        matrices = [_mapped(folder / name, header.files[name], 4 * math.prod(shape)) for name in (X, SE)]
        bits = _mapped(folder / BITS, header.files[BITS], -(-math.prod(shape) // 8))
        small = _mapped(folder / SMALL, header.files[SMALL], kind.itemsize * header.rows)
    except FileNotFoundError as error:
        raise CacheGone(
            f"no joined cache {folder} (missing: {Path(error.filename).name}); make the dataset again"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CacheBroken(str(folder), str(error).splitlines()[0]) from None
    x, se = (matrix.view(np.float32).reshape(shape) for matrix in matrices)
    return JoinedCache(folder, header, x, se, bits, small.view(kind))


def _mapped(path: Path, mark: FileMark, size: int) -> Bytes:
    """Map a file as uint8[size], and check that it is unchanged."""
    with path.open("rb") as file:
        stat = path.stat()
        if not stat.st_size == mark.size == size:
            raise CacheBroken(str(path.parent), f"{path.name} has {stat.st_size:,} bytes, not {size:,}")
        if stat.st_mtime_ns != mark.mtime_ns and hashlib.file_digest(file, "sha256").hexdigest() != mark.sha256:
            raise CacheBroken(str(path.parent), f"{path.name} was changed")
        return np.frombuffer(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ), np.uint8)
