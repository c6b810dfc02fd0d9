"""Empty batches: a site that answers a plan without a report says so, signed, to the same aggregators as any other site.

Without them, the statements that name the counted sites (federation/statement.py) would tell which site had no active client.
An empty batch takes the way of every batch: sealed, signed, carried to the leader, and under `shares` passed to the helper.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from crypto.seal import SEAL_OVERHEAD, SealKey
from crypto.signing import SigningKey
from federation.errors import BatchMalformed
from federation.parties import Aggregator, Roster
from federation.plan import Plan
from federation.terms import Encrypted, Shares

from .batch import BatchHeader, Heads, SealedBatch, SealedHalf
from .encoding import require_bytes
from .reports import REPORT_ID_BYTES
from .sealing import check_sender, open_content, seal_contents


def seal_empty(plan: Plan, site: str, batch_id: bytes, key: SigningKey, heads: Heads = (None, None)) -> SealedBatch:
    """Run by the site: seal and sign an empty batch. Arguments and errors as in `sealing.seal_batch`."""
    nothing = np.empty(0, np.uint32), np.empty((0, REPORT_ID_BYTES), np.uint8)
    header = BatchHeader(plan.hash, site, batch_id, *nothing, heads=heads)
    match plan.terms:
        case Shares():
            return seal_contents(plan, header, (b"", b""), key)
        case Encrypted():
            return seal_contents(plan, header, (b"", None), key)
        case other:
            assert_never(other)


def open_empty(role: Aggregator, plan: Plan, key: SealKey, roster: Roster, half: SealedHalf) -> None:
    """Run by an aggregator: check that a site of the roster signed this half of an empty batch, and that nothing is in it.

    Raises:
        BatchOfAnotherPlan, UnknownSite, SignatureInvalid, DigestMismatch. BatchMalformed: it has reports, or its half has
        another length. SealBroken.
    """
    check_sender(role, plan, roster, half)
    if len(half.signed.header):
        raise BatchMalformed(f"an empty batch has no reports; this one has {len(half.signed.header)}")
    require_bytes(f"{role}'s ciphertext of an empty batch", half.ciphertext, SEAL_OVERHEAD)
    open_content(role, key, half)
