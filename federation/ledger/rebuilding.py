"""A ledger that lost entries is rebuilt: every pane that has ended counts as taken, and every day until today as spent.

The releases that are known cannot say what the lost entries were: they omit what was noised and never published, and the other
aggregator could omit what it wants to have opened again. So nothing is reconstructed from them (ADR 0032).

    an intact, older copy    gets one more entry, in one transaction
    anything else            a new ledger is written beside it ──► its head file is renamed into place: now the old file is
                             behind its head, and refused ──► the old file gets the ending `.broken` ──► the new one its name

After a crash the ledger is refused until it is rebuilt again. A kept head of an aggregator's ledger is never that of a rebuilt
one: its entries are numbered from the time of the rebuild.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from base.disk import sync_folder
from federation.errors import LedgerBroken

from .ledger import Ledger, head_path

BROKEN: Final = ".broken"
"""The ending of a ledger that was replaced."""
_FRESH: Final = ".rebuilt"
_SUFFIXES: Final = ("-wal", "-shm", "")


def rebuild_ledger(path: Path, owner: str, clock: Callable[[], int], no_earlier_us: int) -> None:
    """Rebuild an owner's ledger. No other process may have it open.

    Args:
        clock: wall clock, µs since the epoch.
        no_earlier_us: see `Ledger.rebuild`.

    Raises:
        ClockWentBack: nothing was changed. LedgerWriteFailed. OSError: a file could not be renamed.
    """
    try:
        with Ledger(path, owner, clock) as ledger:
            ledger.rebuild(no_earlier_us)
    except LedgerBroken:
        _replace(path, owner, clock, no_earlier_us)


def _replace(path: Path, owner: str, clock: Callable[[], int], no_earlier_us: int) -> None:
    fresh = path.with_name(path.name + _FRESH)
    for left in (head_path(fresh), *(_with(fresh, suffix) for suffix in _SUFFIXES)):  # of an earlier attempt
        left.unlink(missing_ok=True)
    with Ledger(fresh, owner, clock) as ledger:
        ledger.rebuild(no_earlier_us)
    head_path(fresh).replace(head_path(path))
    sync_folder(path.parent)
    for suffix in _SUFFIXES:
        if (old := _with(path, suffix)).exists():
            old.replace(_with(path.with_name(path.name + BROKEN), suffix))
    fresh.replace(path)
    sync_folder(path.parent)


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
