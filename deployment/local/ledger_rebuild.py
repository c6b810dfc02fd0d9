"""Rebuild a ledger that has lost entries, while nothing that charges it runs. The mechanism: federation/ledger/rebuilding.py."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aggregator.storage.role_file import StoringRole
from aggregator.storage.role_storage import Storage
from base.private_files import private_folder
from deployment.collecting import collecting
from deployment.errors import UsageError
from deployment.project.known_releases import last_pane, lost_plans, of_operator
from featurestore.online.settings import store_path
from federation.errors import LedgerBroken
from federation.ledger.entries import RebuiltEntry
from federation.ledger.operator import LEDGERS, OPERATOR, require_together
from federation.ledger.rebuilding import rebuild_ledger
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import LedgerState

from .role_lock import alone

_ROLES: Final[tuple[StoringRole, ...]] = ("leader", "helper", "keyholder")


@dataclass(frozen=True)
class RebuiltLedger:
    """A ledger that was rebuilt: nothing that ended before is ever collected with it."""

    path: Path
    entry: RebuiltEntry


def rebuild(directory: Path, owner: str, clock: Callable[[], int], *, although_intact: bool) -> RebuiltLedger:
    """Rebuild a ledger of a project or store directory.

    Args:
        owner: `operator`, or `site-ID`.
        although_intact: rebuild a ledger in which nothing is missing as far as this directory shows: another party may
            remember more than it has.

    Raises:
        UsageError: a role of this directory runs; or the ledger is intact, and `although_intact` is false.
        CollectionUnderWay: a run into this directory is at work. ClockWentBack, LedgersApart, LedgerWriteFailed.
    """
    ledgers = private_folder(directory / LEDGERS)
    require_together(ledgers)
    path = ledgers / f"{owner}.db"
    with ExitStack() as held:
        if owner == OPERATOR:
            for role in _ROLES:
                if (directory / "roles" / role).is_dir():
                    held.enter_context(alone(directory, role))
        if store_path(directory).is_dir():
            held.enter_context(collecting(directory))
        if not although_intact and not _has_lost(directory, path, owner):
            raise UsageError(
                f"{path} is intact and has every plan that is known here. Rebuilding it would close every pane until today",
                settings=("force",),
            )
        rebuild_ledger(path, owner, clock, last_pane(directory))
        entry = read_ledger(path, owner).state.rebuilt
    assert entry is not None  # it was written just now, and no other process may write
    return RebuiltLedger(path, entry)


def _has_lost(directory: Path, path: Path, owner: str) -> bool:
    """Whether a ledger is broken, or lacks plans that the store or a role's files have."""
    try:
        state = read_ledger(path, owner).state
    except LedgerBroken:
        return True
    if owner != OPERATOR:
        return False
    return lost_plans(directory, lambda: state, of_operator(directory)) > 0 or _closed_elsewhere(directory, state)


def _closed_elsewhere(directory: Path, state: LedgerState) -> bool:
    for role in _ROLES:
        if (file := directory / "roles" / role / "state.db").is_file():
            storage = Storage(file, role)
            try:
                if storage.closed_plans().keys() - state.charged_plans():
                    return True
            finally:
                storage.close()
    return False
