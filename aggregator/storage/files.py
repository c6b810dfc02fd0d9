"""What one aggregator has on disk: three stores that are backed up, or left out of backups, each in its own way."""

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
        ledger: what this role has charged and opened, in a file that outlives the storage.
        live: the live secrets of its plans, which no backup holds. They open batches and seed noise.
    """

    storage: Storage
    ledger: Ledger
    live: LiveFolder

    def close(self) -> None:
        """Close the files; what was committed stays."""
        self.storage.close()
        self.ledger.close()
