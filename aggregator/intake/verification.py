"""The round of a plan with proofs (federation/circuit/validity.py), as bytes in a job and its answer: rows of fixed size.

Job          the leader's verifier share of each report that it offers
JobAnswer    the verifier message of each report that the helper accepted
"""

from __future__ import annotations

from aggregator.errors import MessageMalformed
from aggregator.intake.aggregation_job import rows_from
from crypto.ntt_field import Mask, Octets
from federation.batch.reports import VerifiedHalf
from federation.circuit.validity import Verification, finish, judge, prio3_for
from federation.errors import ReportRefused
from federation.plan import Plan


def offer(plan: Plan, leader: Verification, offered: Mask) -> bytes:
    """Run by the leader: the verifier shares of the offered reports (bool[R])."""
    prio3 = prio3_for(plan, leader.half.view)
    return prio3.encode_verifier_shares(leader.shares)[offered].tobytes()


def judge_job(plan: Plan, helper: Verification, data: bytes, offered: Mask) -> tuple[Octets, Mask]:
    """Run by the helper: the verifier message of every report, uint8[R, size], and the reports whose proofs hold, bool[R].

    A malformed verifier share rejects its own report only. Raises MessageMalformed.
    """
    prio3 = prio3_for(plan, helper.half.view)
    rows = rows_from("verifier shares", data, offered, prio3.verifier_share_size)
    shares, good = prio3.decode_verifier_shares(rows)
    messages, accepted = judge(plan, helper, shares, offered & good)
    return prio3.encode_verifier_messages(messages), accepted


def finish_job(plan: Plan, leader: Verification, data: bytes, taken: Mask) -> VerifiedHalf:
    """Run by the leader: its output shares of exactly the reports that the helper accepted.

    Raises:
        MessageMalformed: a message has another size or is not valid. Leader and helper would then hold different sums.
    """
    prio3 = prio3_for(plan, leader.half.view)
    rows = rows_from("verifier messages", data, taken, prio3.verifier_message_size)
    try:
        return finish(plan, leader, prio3.decode_verifier_messages(rows), taken)
    except ReportRefused as error:
        raise MessageMalformed(str(error)) from None
