"""A whole collection under homomorphic encryption, in memory: encrypt → add → close → noise → open, top to bottom.

    key holder  HeKeyHolder ──public keys──► clients, leader
    client      Reports ──encrypt──► EncryptedReports
    leader      HeAggregation ──add*──► HeAggregation ──close──► ClosedHeAggregation ──noise──► EncryptedSums
    key holder  EncryptedSums ──open, once──► OpenedView

It is separate from `federation.protocol`, which every site imports, because no site may import the key holder's side.
"""

from __future__ import annotations

from collections.abc import Iterable

from crypto.noise import NoiseSource
from federation.aggregation import OpenedView
from federation.batch.reports import Randomness, Reports
from federation.plan import Plan

from .key_holder import HeKeyHolder
from .leader import HeAggregation
from .reports import Encrypt, encrypt_one_by_one, encrypt_reports


def run_encrypted_collections(
    plan: Plan,
    batches: Iterable[Reports],
    randomness: Randomness,
    leader_noise: NoiseSource | None,
    key_holder_noise: NoiseSource | None,
    flood: NoiseSource,
    encrypt: Encrypt = encrypt_one_by_one,
) -> tuple[OpenedView, ...]:
    """Run every collection of a plan with protection `he`.

    Args:
        flood: the leader's source of the flooding that hides the decryption noise, also in plans without noise.
        encrypt: how a site encrypts a batch.
    """
    key_holder = HeKeyHolder(plan)
    try:
        keys = key_holder.public_keys
        leader = HeAggregation.start(plan, keys)
        for reports in batches:
            leader = leader.add(encrypt_reports(plan, keys, reports, randomness, encrypt=encrypt))
        closed = leader.close()
        return tuple(key_holder.open(sums, key_holder_noise) for sums in closed.noise(leader_noise, flood))
    finally:
        key_holder.erase()
