"""A whole collection in memory: shard → verify → add → close → noise → open. `run_collections` is the specification.

Each party's state is one frozen type, and a transition takes a state and returns the next one. Randomness and noise are
arguments. In a run over processes, messages carry the same states. Here one process holds all of them, and so sees all
reports; a release of such a run says so.

    site     Reports ──shard──► LeaderHalf, HelperHalf; with proofs two ProvenHalf, and ──verify──► two VerifiedHalf
    leader   Aggregation ──add*──► Aggregation ──close──► ClosedAggregation ──noise──► NoisedShares ┐
    helper   Aggregation ──add*──► Aggregation ──close──► ClosedAggregation ──noise──► NoisedShares ┴─ open_shares ─► OpenedView

The site's side is in sharding.py, the states of the aggregators in aggregation.py, their commitments in commitment.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from crypto.noise import NoiseSource
from crypto.ntt_field import Mask
from crypto.prio3_batch import VERIFY_KEY_SIZE
from federation.batch.reports import HelperHalf, LeaderHalf, ProvenHalf, Randomness, Reports, VerifiedHalf
from federation.circuit.validity import VerificationKey, finish, judge, start
from federation.terms import Validity

from .aggregation import Aggregation, NoisedShares, OpenedView, open_shares
from .errors import ReportRefused
from .plan import Plan
from .report_checks import require_one_batch, rows_of
from .sharding import Protect, protect

LISTEN_S: Final = 0.2
"""Seconds between two checks of a waiting thread for an interrupt."""


Open = Callable[[Plan, NoisedShares, NoisedShares], tuple[OpenedView, ...]]
"""(plan, leader's shares, helper's shares) → the opened views: `open_shares`, or the function of another finish."""


def run_collections(
    plan: Plan,
    batches: Iterable[Reports],
    randomness: Randomness,
    leader_noise: NoiseSource | None,
    helper_noise: NoiseSource | None,
    verify_key: VerificationKey | None = None,
    protect: Protect = protect,
    finish: Open | None = None,
) -> tuple[OpenedView, ...]:
    """Run every collection of a plan: the protocol from top to bottom.

    Args:
        verify_key: the key with which the aggregators verify proofs; None: a fresh key, if the plan has proofs.
        protect: how the site protects its reports.
        finish: how the views are opened; None: `open_shares`.
    """
    leader = Aggregation.start("leader", plan)
    helper = Aggregation.start("helper", plan)
    rejected = [0] * len(plan.views)
    if plan.terms.validity is Validity.PRIO3 and verify_key is None:
        verify_key = VerificationKey(randomness(VERIFY_KEY_SIZE))

    for reports in batches:
        match protect(plan, reports, randomness):  # on the site, which the reports never leave
            case LeaderHalf() as to_leader, HelperHalf() as to_helper:
                leader, helper = leader.add(to_leader), helper.add(to_helper)
            case ProvenHalf() as to_leader, ProvenHalf() as to_helper if verify_key is not None:
                verified = verify(plan, verify_key, to_leader, to_helper)
                leader, helper = leader.add(verified.leader), helper.add(verified.helper)
                rejected[reports.view] += int(np.count_nonzero(~verified.accepted))
            case _:
                raise ReportRefused(
                    f"the plan says validity {plan.terms.validity.value!r}, but these halves have another validity"
                )

    opened = finish_collections(leader, helper, leader_noise, helper_noise, finish)
    return tuple(replace(view, rejected=count) for view, count in zip(opened, rejected, strict=True))


def finish_collections(
    leader: Aggregation,
    helper: Aggregation,
    leader_noise: NoiseSource | None,
    helper_noise: NoiseSource | None,
    finish: Open | None = None,
) -> tuple[OpenedView, ...]:
    """The second half of `run_collections`, once both aggregators have all their reports: close → noise → open."""
    plan, leader_closed, helper_closed = leader.plan, leader.close(), helper.close()
    parties = ThreadPoolExecutor(2)  # each decides and draws its own noise, at the same time
    try:
        from_leader = parties.submit(leader_closed.noise, helper_closed.commitment, leader_noise)
        from_helper = parties.submit(helper_closed.noise, leader_closed.commitment, helper_noise)
        while wait((from_leader, from_helper), timeout=LISTEN_S).not_done:
            pass  # an interrupt is raised here, even if another thread received it
        shares = from_leader.result(), from_helper.result()
    finally:
        parties.shutdown(wait=False)  # an interrupted run does not wait for noise that it does not need
    return (finish or open_shares)(plan, *shares)  # by the collector, or by leader and helper


@dataclass(frozen=True, eq=False)
class VerifiedBatch:
    """Both aggregators' output shares of a batch with proofs. `accepted`: bool[R], the reports that they are of."""

    leader: VerifiedHalf = field(repr=False)
    helper: VerifiedHalf = field(repr=False)
    accepted: Mask


def verify(plan: Plan, key: VerificationKey, leader_half: ProvenHalf, helper_half: ProvenHalf) -> VerifiedBatch:
    """The verification by both aggregators in memory: each starts, the helper judges, the leader finishes.

    Raises:
        ReportRefused: the halves are not of one batch, or do not fit the plan.
    """
    for half in (leader_half, helper_half):
        rows_of(plan, half)
    if (leader_half.role, helper_half.role) != ("leader", "helper"):
        raise ReportRefused("each aggregator must verify its own half, not the other aggregator's")
    require_one_batch(leader_half, helper_half)
    leader, helper = start(plan, key, leader_half), start(plan, key, helper_half)
    same = (leader_half.public_shares.joint_rand_parts == helper_half.public_shares.joint_rand_parts).all(axis=(1, 2))
    # Over the wire, each aggregator compares its public shares with the hashes that the site signed.
    messages, accepted = judge(plan, helper, leader.shares, leader.offered & same)
    return VerifiedBatch(finish(plan, leader, messages, accepted), helper.take(accepted), accepted)
