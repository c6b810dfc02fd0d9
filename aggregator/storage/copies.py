"""What a copy of a role's storage leaves out: the keys of plans under way, as it leaves `live/` out.

A restored copy opens no plan that was running: its live secret is lost, and so are the key holder's keys of it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_SECRETS: Final = ("secret_keys", "keys")
"""The key holder's secret keys, and the verification keys that would let their owner forge proofs."""


def leave_out_keys(copy: sqlite3.Connection) -> None:
    """Delete the keys of plans from a copy, which the caller vacuums."""
    for table in _SECRETS:
        copy.execute(f"DELETE FROM {table}")
