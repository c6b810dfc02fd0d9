"""An earlier attempt to collect panes: the plan that was closed without opening them, and what its aggregators signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_ATTEMPTS: Final = 3
"""How often a pane may be planned. Under `active`, each attempt depends on which clients had events."""


@dataclass(frozen=True)
class Attempt:
    """An earlier plan for some panes of a plan.

    Attributes:
        plan_hash: the hash of the earlier plan, 32 bytes.
        statements: what its leader and helper signed: opening statements, or that they never opened the plan. If both
            say so of a pane, the earlier charge covers the new plan. Otherwise each ledger charges the new plan in full.
    """

    plan_hash: bytes
    statements: tuple[bytes, ...] = field(default=(), repr=False)
