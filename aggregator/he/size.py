"""The largest size of a plan of encrypted reports."""

from __future__ import annotations

from typing import Final

from aggregator.services.rpc import MAX_MESSAGE_BYTES
from crypto.bfv import message_bytes, public_key_bytes
from federation.errors import HeImpossible
from federation.plan import Plan
from federation.signed_bytes import MAX_PLAN_BYTES

MAX_SUMS_BYTES: Final = 8 * 2**30
"""Most bytes of all sums of a plan together. Leader and key holder store them, and they are sent once."""
MAX_KEYS_BYTES: Final = MAX_MESSAGE_BYTES - MAX_PLAN_BYTES - 2**16
"""Most bytes of all public keys of a plan together. The leader receives them in one message with the plan."""


def require_size(plan: Plan) -> None:
    """Raise HeImpossible if the sums of a plan are too large to be stored, or its keys too large to be sent."""
    parameters = [plan.he_parameters(one) for one in plan.views]
    sums = [len(one.pane_starts) * message_bytes(each) for one, each in zip(plan.views, parameters, strict=True)]
    keys = [public_key_bytes(each) for each in parameters]
    for what, sizes, most in (("sums", sums, MAX_SUMS_BYTES), ("public keys", keys, MAX_KEYS_BYTES)):
        if (size := sum(sizes)) > most:
            largest = plan.views[sizes.index(max(sizes))].view.name
            raise HeImpossible(
                largest,
                f"the {what} of this plan have {size:,} bytes; at most {most:,} are possible. Make several plans",
            )
