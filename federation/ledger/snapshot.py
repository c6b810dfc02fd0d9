"""A read-only snapshot of a ledger.

SQLite in WAL mode creates files beside a database even for a reader. So the files are copied, and the copy is opened with
all checks. This creates, changes and locks nothing beside the ledger, and its owner can write meanwhile.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from base.errors import OfNewerVersion, OfOlderVersion
from federation.errors import LedgerBroken

from .entries import Head
from .ledger import Ledger
from .state import LedgerState

_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.1
_T = TypeVar("_T")


@dataclass(frozen=True)
class LedgerSnapshot:
    """A ledger that passed all checks.

    Attributes:
        peers: the heads of other parties' ledgers that its owner remembers.
    """

    path: Path
    owner: str
    head: Head
    state: LedgerState
    peers: Mapping[str, Head]


def read_ledger(path: Path, owner: str, role: str = "", *, whole: bool = False) -> LedgerSnapshot:
    """Read and check a ledger without changing it; an empty snapshot if there is no ledger.

    Args:
        role: the role whose plans the state lists, if several roles charge the ledger.
        whole: read and check every entry, not only those since the last checkpoint.

    Raises:
        LedgerBroken: edited, cut, rolled back, or not a ledger of this owner; names the original file.
    """
    return read_copy(path, lambda copy: _read(copy, path, owner, role, whole=whole))


def read_copy(path: Path, read: Callable[[Path], _T]) -> _T:
    """Read a copy of a ledger's files, with all of the reader's checks.

    Raises:
        LedgerBroken, OfOlderVersion, OfNewerVersion: each names the original file.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _read_copy(path, read)
        except LedgerBroken as error:
            # A copy made while the owner writes may be inconsistent: only a copy that is broken each time means damage.
            if attempt == _ATTEMPTS:
                raise type(error)(str(path), error.why) from None
        except (OfOlderVersion, OfNewerVersion) as error:
            raise type(error)(str(path), error.have, error.need) from None
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError  # the last attempt returns or raises


def _read_copy(path: Path, read: Callable[[Path], _T]) -> _T:
    with tempfile.TemporaryDirectory(prefix="covey-ledger-") as folder:
        copy = Path(folder) / path.name
        # The head first: the database may grow meanwhile and is then ahead of the head, which is no damage.
        for suffix in (".head", "-wal", ""):
            with suppress(FileNotFoundError):  # the ledger decides whether a missing file is an error
                shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
        return read(copy)


def _read(copy: Path, path: Path, owner: str, role: str, *, whole: bool) -> LedgerSnapshot:
    with Ledger(copy, owner, lambda: 0, role=role, whole=whole) as ledger:
        with ledger.transaction() as db:
            rows = db.execute("SELECT name, seq, head FROM peers ORDER BY name").fetchall()
        peers = {name: Head(seq, digest) for name, seq, digest in rows}
        return LedgerSnapshot(path, owner, ledger.head, ledger.state, peers)
