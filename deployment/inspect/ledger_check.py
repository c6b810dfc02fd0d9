"""The check of whole ledgers: every entry, every link of the chain, and every checkpoint against the entries before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.errors import LedgerBroken
from federation.ledger.operator import LEDGERS
from federation.ledger.snapshot import read_ledger

from .ledger_view import BrokenLedger, chosen_owners


@dataclass(frozen=True)
class WholeLedger:
    """A ledger whose entries all passed. `entries`: their number; `plans`: how many were charged."""

    owner: str
    path: Path
    entries: int
    plans: int

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        found = {"entries": self.entries, "plans": self.plans}
        return {"ledger": self.owner, "path": str(self.path), "whole": True, **found}


def verify_ledgers(directory: Path, owner: str | None = None) -> list[WholeLedger | BrokenLedger]:
    """Read every entry of one ledger of a project, or of all.

    Raises:
        ItemMissing: no ledger, or no ledger of this owner.
    """
    return [_verify(directory / LEDGERS / f"{each}.db", each) for each in chosen_owners(directory / LEDGERS, owner)]


def _verify(path: Path, owner: str) -> WholeLedger | BrokenLedger:
    try:
        found = read_ledger(path, owner, whole=True)
    except LedgerBroken as error:
        return BrokenLedger(owner, error)
    return WholeLedger(owner, path, found.state.length, len(found.state.charged_by))
