"""Batches of encrypted reports: sealed to the leader, which alone may hold single ciphertexts. The helper receives nothing.

Header, signature and size are those of every batch (batch.py). The helper's part is empty, and the site signs it as empty.
"""

from __future__ import annotations

from crypto.bfv import message_bytes
from crypto.seal import SealKey
from crypto.signing import SigningKey
from federation.errors import BatchMalformed, ReportRefused
from federation.he.reports import EncryptedReports
from federation.parties import Roster
from federation.plan import Plan
from federation.terms import Encrypted

from .batch import BatchHeader, Heads, SealedBatch
from .sealing import check_half, open_content, seal_contents


def seal_encrypted(
    plan: Plan, site: str, batch_id: bytes, reports: EncryptedReports, key: SigningKey, heads: Heads = (None, None)
) -> SealedBatch:
    """Run by the site: seal its ciphertexts to the leader. Arguments and errors as in `sealing.seal_batch`."""
    header = BatchHeader(plan.hash, site, batch_id, reports.collection, reports.report_ids, heads=heads)
    return seal_contents(plan, header, (b"".join(reports.messages), None), key)


def open_encrypted(plan: Plan, key: SealKey, roster: Roster, batch: SealedBatch) -> EncryptedReports:
    """Run by the leader: check a batch as far as possible, then open it. Its ciphertexts are not parsed yet.

    Raises:
        ReportRefused: the plan's reports are not encrypted. Other errors as `sealing.open_half`.
    """
    if not isinstance(plan.terms, Encrypted):
        raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}: its reports are not encrypted")
    require_leader_only(batch)
    half = batch.half("leader")
    view, header = check_half("leader", plan, roster, half), half.signed.header
    content, size = memoryview(open_content("leader", key, half)), message_bytes(plan.he_parameters(plan.views[view]))
    messages = tuple(bytes(content[at : at + size]) for at in range(0, len(content), size))
    return EncryptedReports(view, header.collection, header.report_ids, messages)


def require_leader_only(batch: SealedBatch) -> None:
    """Return if a batch has no part for the helper. Raises BatchMalformed."""
    if batch.helper:
        raise BatchMalformed("the batch has a part for the helper, but encrypted reports are for the leader only")
