"""The aggregators' ledgers, for a coordinator that requests one pane under many plans."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol

from federation.errors import PaneTaken
from federation.ledger.ledger import Ledger
from federation.ledger.state import Budget
from federation.plan import Plan

ENOUGH: Final = Budget(10**9)
"""A budget that stops no plan, because the test is that a pane is opened once."""


class PaneGate(Protocol):
    """Decides whether a plan may be opened."""

    def allows(self, plan: Plan) -> bool:
        """Return whether both aggregators allow the plan."""
        ...


class _TemporaryLedger(Ledger):
    """A temporary ledger. It does not wait for the disk."""

    synchronous = "OFF"


class Ledgers:
    """The leader's and the helper's ledger: both charge a plan before it is opened."""

    def __init__(self, ledgers: tuple[Ledger, Ledger]) -> None:
        self._ledgers = ledgers

    def allows(self, plan: Plan) -> bool:
        """Charge the plan at both; return False if one has opened a pane of it under another plan."""
        try:
            for ledger in self._ledgers:
                ledger.intend(plan, ENOUGH)
        except PaneTaken:
            return False
        return True


class NoLedgers:
    """Aggregators without ledgers."""

    def allows(self, plan: Plan) -> bool:
        """Allow every plan."""
        return True


@contextmanager
def gate(*, defended: bool) -> Iterator[PaneGate]:
    """Make two real ledgers in a temporary folder, or none."""
    if not defended:
        yield NoLedgers()
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="covey-lab-")))
        leader, helper = (
            stack.enter_context(_TemporaryLedger(folder / f"{role}.db", role, lambda: 0))
            for role in ("leader", "helper")
        )
        yield Ledgers((leader, helper))
