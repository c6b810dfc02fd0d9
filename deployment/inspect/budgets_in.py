"""The budgets of a client-day that collections into a directory must keep to."""

from __future__ import annotations

from pathlib import Path

from deployment.project.budgets import budgets_of
from deployment.project.project import DEFAULT_BUDGET, Project
from federation.errors import LedgerBroken
from federation.ledger.operator import LEDGERS, OPERATOR
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget


def budgets_in(directory: Path) -> list[tuple[str, Budget]]:
    """The budget of each owner of a ledger, the operator first; without any ledger the operator's.

    Where no file has a budget, it is that of the ledger's last charge. A broken ledger without one is left out: nothing is
    opened with it.

    Raises:
        UsageError, ConfigInvalid: a file cannot be read.
    """
    given = budgets_of(directory)
    if not given:
        project = Project.find(directory)
        return [(OPERATOR, DEFAULT_BUDGET if project is None else project.budget)]
    found: list[tuple[str, Budget]] = []
    for owner, budget in given.items():
        if budget is not None:
            found.append((owner, budget))
            continue
        try:
            state = read_ledger(directory / LEDGERS / f"{owner}.db", owner).state
        except LedgerBroken:
            continue
        found.append((owner, state.budget or DEFAULT_BUDGET))
    return found
