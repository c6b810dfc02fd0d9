"""The built page: the files of `assets.zip`, or of the folder `static` in a working tree. They are served from memory."""

from __future__ import annotations

import gzip
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from covey.errors import PageDamaged

from .archive import MAX_BYTES, MAX_FILES, read_archive

ARCHIVE: Final = Path(__file__).with_name("assets.zip")
"""The page as it is released: `make console` writes it."""
FOLDER: Final = Path(__file__).with_name("static")
"""The page as `npm run build` wrote it last. Only a working tree has it."""
INDEX: Final = "index.html"

_HASHED: Final = "assets/"
"""The folder whose files have a hash in their names."""
_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_TEXT: Final = frozenset(_KINDS.values())


@dataclass(frozen=True)
class Asset:
    """A file of the page."""

    path: str
    data: bytes

    @property
    def kind(self) -> str:
        """Its media type."""
        found = _KINDS.get(Path(self.path).suffix) or mimetypes.guess_type(self.path)[0] or "application/octet-stream"
        return f"{found}; charset=utf-8" if found in _TEXT else found

    @property
    def caching(self) -> str:
        """A file with its hash in the name stays as it is; the page itself is asked for every time."""
        return "public, max-age=31536000, immutable" if self.path.startswith(_HASHED) else "no-store"

    @cached_property
    def compressed(self) -> bytes:
        """The file in gzip."""
        return gzip.compress(self.data, 6, mtime=0)


class Assets(Protocol):
    """Finds the files of the page."""

    def find(self, path: str) -> Asset | None:
        """The file of a path, such as `assets/index-1a2b.js`. Raises PageDamaged."""
        ...


class AssetFiles:
    """The files of the archive, or of the folder if that is newer. A new build is found without a restart."""

    def __init__(self, archive: Path = ARCHIVE, folder: Path = FOLDER) -> None:
        self._archive, self._folder = archive, folder
        self._seen: tuple[int, int] | None = None
        self._files: Mapping[str, Asset] = {}
        self._damage: PageDamaged | None = None

    def find(self, path: str) -> Asset | None:
        """The file of a path. A path is a key of a table here, and never one of the file system. Raises PageDamaged."""
        if path in ("", INDEX):
            self._look()
            if self._damage is not None:
                raise self._damage.with_traceback(None)
        return self._files.get(path or INDEX)

    def _look(self) -> None:
        seen = _written_at(self._archive), _written_at(self._folder / INDEX)
        if seen != self._seen:
            self._seen, self._files, self._damage = seen, {}, None
            try:
                self._files = {path: Asset(path, data) for path, data in self._read(*seen)}
            except PageDamaged as error:  # not read again before it changes
                self._damage = error

    def _read(self, archive: int, folder: int) -> Iterator[tuple[str, bytes]]:
        """(path, data) of the files of the newer of both, by the time they were written. Raises PageDamaged."""
        if folder > archive:
            yield from _of_folder(self._folder)
        elif archive:
            yield from read_archive(self._archive).files.items()


def _written_at(path: Path) -> int:
    """When a file was written, ns; 0: there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    left, files = MAX_BYTES, 0
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                left, files = left - path.stat().st_size, files + 1
                if left < 0 or files > MAX_FILES:
                    raise PageDamaged(
                        str(folder), f"a page has at most {MAX_FILES:,} files and {MAX_BYTES:,} bytes in all"
                    )
                yield path.relative_to(folder).as_posix(), path.read_bytes()
    except OSError as error:  # a file goes while the page is built, or cannot be read
        raise PageDamaged(str(folder), f"it cannot be read ({type(error).__name__}: {error})") from error
