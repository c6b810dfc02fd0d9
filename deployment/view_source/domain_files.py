"""The files of join keys that a views file may name: in its own folder, of a moderate size, and not by way of a link."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from featurestore.define.entities import MAX_KEYS

MAX_DOMAIN_BYTES: Final = 16_000_000
"""Enough for a million keys of text."""
SUFFIXES: Final = (".csv", ".parquet", ".txt")
"""A problem may quote a key of the file. Other files of the folder, such as `.env`, hold what a reader must not see."""


class DomainFileRefused(Exception):
    """A file of join keys that is not read."""


def domain_file(folder: Path | None, name: str) -> Path:
    """The path of a file beside views.py.

    Raises:
        DomainFileRefused: it is not a plain file of keys in the folder, or it is too large.
    """
    if folder is None:
        raise DomainFileRefused(f"{name!r} stands beside a views file, and this text is no file; save it first")
    if not name or Path(name).name != name or "\0" in name:
        raise DomainFileRefused(f"{name!r} is no name of a file beside the views file")
    path = folder / name
    if path.suffix not in SUFFIXES:
        raise DomainFileRefused(
            f"{name!r} is read only when the file runs; here a file of join keys ends in {', '.join(SUFFIXES)}"
        )
    try:
        inside = path.resolve(strict=True).parent == folder.resolve(strict=True)
    except (OSError, RuntimeError):
        raise DomainFileRefused(f"there is no file {name!r} beside the views file") from None
    if not inside or not path.is_file():
        raise DomainFileRefused(f"{name!r} is not a plain file in the folder of the views file")
    size = path.stat().st_size
    if size > MAX_DOMAIN_BYTES:
        raise DomainFileRefused(f"{name!r} has {size:,} bytes; at most {MAX_DOMAIN_BYTES:,} are read here")
    if path.suffix == ".parquet" and (rows := _rows(path)) > MAX_KEYS:
        raise DomainFileRefused(f"{name!r} has {rows:,} rows; at most {MAX_KEYS:,} are read here")
    return path


def _rows(path: Path) -> int:
    """The rows of a Parquet file, by its footer: a small file may have very many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise DomainFileRefused(f"{path.name!r} cannot be read: {error}") from None
