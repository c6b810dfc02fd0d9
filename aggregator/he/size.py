"""How large a plan of encrypted reports may be."""

from __future__ import annotations

from typing import Final

from aggregator.services.rpc import MAX_MESSAGE_BYTES
from crypto.bfv import message_bytes, public_key_bytes
from federation.errors import HeImpossible
from federation.plan import Plan
from federation.signed_bytes import MAX_PLAN_BYTES

MAX_SUMS_BYTES: Final = 8 * 2**30
"""Of all sums of a plan together: they lie on the disks of leader and key holder, and travel once."""
MAX_KEYS_BYTES: Final = MAX_MESSAGE_BYTES - MAX_PLAN_BYTES - 2**16
"""Of all public keys of a plan together: they reach the leader in one message with it."""


def require_size(plan: Plan) -> None:
    """Raise HeImpossible where the sums of a plan are larger than leader and key holder keep, or its keys than travel."""
    parameters = [plan.he_parameters(one) for one in plan.views]
    sums = [len(one.pane_starts) * message_bytes(each) for one, each in zip(plan.views, parameters, strict=True)]
    keys = [public_key_bytes(each) for each in parameters]
    for what, sizes, most in (("sums", sums, MAX_SUMS_BYTES), ("public keys", keys, MAX_KEYS_BYTES)):
        if (size := sum(sizes)) > most:
            largest = plan.views[sizes.index(max(sizes))].view.name
            raise HeImpossible(
                largest, f"the {what} of this plan have {size:,} bytes, at most {most:,}: make several plans"
            )
