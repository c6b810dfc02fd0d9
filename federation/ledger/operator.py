"""The ledger of one operator and project: one file, whatever process charges it.

    <project>/ledgers/operator.db     leader, helper, key holder and runs in one process, as far as this operator plays them

Each entry names the role that wrote it. A charge sees the entries of all of them and is made in one transaction, so what two
processes spend of a day adds up. Operators on machines of their own have a ledger each; a site's is its own (edge_client).
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
"""Whose ledgers earlier versions kept apart."""


def operator_path(ledgers: Path) -> Path:
    """Where the operator's ledger lies in a project's folder of ledgers."""
    return ledgers / f"{OPERATOR}.db"


def open_operator_ledger(ledgers: Path, role: str, clock: Callable[[], int], tables: Sequence[str] = ()) -> Ledger:
    """The operator's ledger for one role to write; made if it is not there.

    Args:
        ledgers: the folder; made with mode 0700.
        tables: see `Ledger`.

    Raises:
        LedgerBroken. LedgersApart: an earlier version kept a ledger for each role here.
    """
    private_folder(ledgers)
    require_together(ledgers)
    return Ledger(operator_path(ledgers), OPERATOR, clock, tables, role)


def require_room(ledgers: Path, plan: Plan, budget: Budget, now_us: int) -> None:
    """Return if the operator's ledger may be charged for a plan over the wire, as far as it is known now. Reads only.

    Whoever opens the plan decides for itself; asking first means that nothing is started in vain.

    Raises:
        LedgerRefusal. LedgerBroken, LedgersApart.
    """
    _state(ledgers).intent(plan, budget, now_us)


def charged_plans(ledgers: Path) -> frozenset[bytes]:
    """The hashes of all plans over the wire that the operator's ledger was charged for. Raises as `require_room`."""
    return frozenset(plan for plan, roles in _state(ledgers).charged_by.items() if IN_PROCESS not in roles)


def require_together(ledgers: Path) -> None:
    """Return if no ledger of a single role lies here. Raises LedgersApart."""
    for role in _APART:
        apart = ledgers / f"{role}.db"
        if apart.exists() or head_path(apart).exists():
            raise LedgersApart(str(apart))


def _state(ledgers: Path) -> LedgerState:
    require_together(ledgers)
    path = operator_path(ledgers)
    there = path.exists() or head_path(path).exists()  # a head without its ledger: somebody has deleted it
    return read_ledger(path, OPERATOR, LEADER).state if there else LedgerState(LEADER)
