"""The ledger of one operator and project: one file, which all of the operator's processes charge.

    <project>/ledgers/operator.db     leader, helper, key holder and runs in one process, whichever this operator runs

Each entry names the role that wrote it. A charge sees the entries of all roles and is made in one transaction, so the
charges of two processes for a day add up. Each operator has a ledger; each site has its own (edge_client).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from base.private_files import private_folder
from federation.errors import LedgersApart
from federation.plan import Plan

from .entries import IN_PROCESS
from .ledger import Ledger, head_path
from .snapshot import read_ledger
from .state import Budget, LedgerState

LEDGERS: Final = "ledgers"
"""The folder of a project's ledgers."""
OPERATOR: Final = "operator"
LEADER: Final = "leader"
_APART: Final = (LEADER, "helper", "keyholder", IN_PROCESS)
"""The roles that had ledgers of their own in earlier versions."""


def operator_path(ledgers: Path) -> Path:
    """The path of the operator's ledger in a project's folder of ledgers."""
    return ledgers / f"{OPERATOR}.db"


def open_operator_ledger(ledgers: Path, role: str, clock: Callable[[], int], tables: Sequence[str] = ()) -> Ledger:
    """The operator's ledger, opened for one role to write; created if it does not exist.

    Args:
        ledgers: the folder; created with mode 0700.
        tables: see `Ledger`.

    Raises:
        LedgerBroken: see `Ledger`.
        LedgersApart: the folder has ledgers of single roles, from an earlier version.
    """
    private_folder(ledgers)
    require_together(ledgers)
    return Ledger(operator_path(ledgers), OPERATOR, clock, tables, role)


def require_room(ledgers: Path, plan: Plan, budget: Budget, now_us: int) -> None:
    """Return if the operator's ledger, as it is now, may be charged for a plan over the wire. Reads only.

    The role that opens the plan decides again. This early check avoids starting a collection in vain.

    Raises:
        LedgerRefusal. LedgerBroken, LedgersApart.
    """
    operator_state(ledgers).intent(plan, budget, now_us)


def charged_plans(ledgers: Path) -> frozenset[bytes]:
    """The hashes of all plans over the wire that the operator's ledger was charged for. Raises LedgerBroken, LedgersApart."""
    return frozenset(plan for plan, roles in operator_state(ledgers).charged_by.items() if IN_PROCESS not in roles)


def require_together(ledgers: Path) -> None:
    """Return if the folder has no ledger of a single role. Raises LedgersApart."""
    for role in _APART:
        apart = ledgers / f"{role}.db"
        if apart.exists() or head_path(apart).exists():
            raise LedgersApart(str(apart))


def operator_state(ledgers: Path, role: str = LEADER) -> LedgerState:
    """The operator's ledger as it is now, for one of its roles; empty if there is none. Reads only.

    Raises:
        LedgerBroken, LedgersApart.
    """
    require_together(ledgers)
    path = operator_path(ledgers)
    there = path.exists() or head_path(path).exists()  # a head without its ledger: the ledger was deleted
    return read_ledger(path, OPERATOR, role).state if there else LedgerState(role)
