"""The files of one aggregator: storage, ledger and live secrets. Each has its own rule for backups."""

from __future__ import annotations

from dataclasses import dataclass

from federation.ledger.ledger import Ledger

from .live_folder import LiveFolder
from .role_storage import Storage


@dataclass(frozen=True)
class Files:
    """The files of one aggregator.

    Attributes:
        storage: its plans, reports, sums and shares.
        ledger: the charges and openings of this role. This file outlives the storage.
        live: the live secrets of its plans, which open batches and seed noise. No backup holds them.
    """

    storage: Storage
    ledger: Ledger
    live: LiveFolder

    def close(self) -> None:
        """Close the files; committed data stays."""
        self.storage.close()
        self.ledger.close()
