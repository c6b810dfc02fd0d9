"""The round of a plan with proofs (federation/circuit/validity.py), as bytes in a job and its answer: rows of fixed size.

Job          the leader's verifier share of each report that it offers
JobAnswer    the verifier message of each report that the helper took
"""

from __future__ import annotations

from aggregator.errors import MessageMalformed
from aggregator.intake.aggregation_job import rows_from
from crypto.ntt_field import Mask, Octets
from federation.batch.reports import VerifiedHalf
from federation.circuit.validity import Started, finish, judge, prio3_for
from federation.errors import ReportRefused
from federation.plan import Plan


def offer(plan: Plan, leader: Started, offered: Mask) -> bytes:
    """Run by the leader: its verifier shares of the reports that it offers (bool[R])."""
    prio3 = prio3_for(plan, leader.half.view)
    return prio3.encode_verifier_shares(leader.shares)[offered].tobytes()


def judged(plan: Plan, helper: Started, data: bytes, offered: Mask) -> tuple[Octets, Mask]:
    """Run by the helper: every report's verifier message, uint8[R, size], and whose proofs hold.

    A verifier share that is no vector of field elements costs its own report. Raises MessageMalformed.
    """
    prio3 = prio3_for(plan, helper.half.view)
    rows = rows_from("verifier shares", data, offered, prio3.verifier_share_size)
    shares, good = prio3.decode_verifier_shares(rows)
    messages, accepted = judge(plan, helper, shares, offered & good)
    return prio3.encode_verifier_messages(messages), accepted


def finished(plan: Plan, leader: Started, data: bytes, taken: Mask) -> VerifiedHalf:
    """Run by the leader: exactly what the helper took.

    Raises:
        MessageMalformed: messages of another size, or that the leader cannot follow: they would hold different sums.
    """
    prio3 = prio3_for(plan, leader.half.view)
    rows = rows_from("verifier messages", data, taken, prio3.verifier_message_size)
    try:
        return finish(plan, leader, prio3.decode_verifier_messages(rows), taken)
    except ReportRefused as error:
        raise MessageMalformed(str(error)) from None
