"""Refuses requests after the store of a console was moved, deleted or replaced.

The console has its files open, and would go on answering from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from covey.errors import StoreReplaced

_REGISTRY: Final = "registry.db"


class SameStore:
    """A dependency of every route of a place.

    Args:
        root: the folder of the store that the console has opened.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._opened = root, _file_of(root)

    async def __call__(self) -> None:
        """Raises StoreReplaced: the folder has another store, or none."""
        if _file_of(self._root) != self._opened:
            raise StoreReplaced(str(self._root))


def _file_of(root: Path) -> tuple[int, int] | None:
    """The device and inode of the store's registry file; None: there is no such file."""
    try:
        found = (root / _REGISTRY).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
