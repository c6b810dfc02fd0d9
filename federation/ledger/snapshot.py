"""A ledger as it stands, for whoever only looks at it.

SQLite in WAL mode makes files beside a database even for a reader. So the files are copied, and the copy is opened with all
of the checks: nothing beside the ledger is made, changed or locked, and its owner may go on writing.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.errors import LedgerBroken

from .entries import Head
from .ledger import Ledger
from .state import LedgerState

_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True)
class LedgerSnapshot:
    """A ledger that was found whole.

    Attributes:
        peers: the heads of other parties' ledgers that its owner remembers.
    """

    path: Path
    owner: str
    head: Head
    state: LedgerState
    peers: Mapping[str, Head]


def read_ledger(path: Path, owner: str, role: str = "") -> LedgerSnapshot:
    """Read and check a ledger without touching it; an empty one where there is none.

    Args:
        role: whose plans its state tells apart, where several roles charge it.

    Raises:
        LedgerBroken: edited, cut, rolled back, or no ledger of this owner; names the original file.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _read_copy(path, owner, role)
        except LedgerBroken as error:
            # A copy that was taken while its owner wrote may be torn: only what stays broken is.
            if attempt == _ATTEMPTS:
                raise type(error)(str(path), error.why) from None
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError  # the last attempt returns or raises


def _read_copy(path: Path, owner: str, role: str) -> LedgerSnapshot:
    with tempfile.TemporaryDirectory(prefix="covey-ledger-") as folder:
        copy = Path(folder) / path.name
        # The head first: the database may go on meanwhile, and is then ahead of it, which is no damage.
        for suffix in (".head", "-wal", ""):
            with suppress(FileNotFoundError):  # what is missing is judged by the ledger
                shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
        with Ledger(copy, owner, lambda: 0, role=role) as ledger:
            with ledger.transaction() as db:
                rows = db.execute("SELECT name, seq, head FROM peers ORDER BY name").fetchall()
            peers = {name: Head(seq, digest) for name, seq, digest in rows}
            return LedgerSnapshot(path, owner, ledger.head, ledger.state, peers)
