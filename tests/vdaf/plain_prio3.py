"""Prio3 on plain integers (draft-irtf-cfrg-vdaf, VERSION 18, "Prio3", "Specification"): the oracle of every faster one.

Methods have the draft's names and its order of arguments, `_agg_param` apart: Prio3 has none. `plain_codec` writes and
reads the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from tests.vdaf.plain_circuits import Count, HigherDegree, Histogram, MultihotCountVec, Sum, SumVec
from tests.vdaf.plain_errors import Malformed, Rejected, require, require_size
from tests.vdaf.plain_field import FIELD64, FIELD128, Field
from tests.vdaf.plain_flp import Valid
from tests.vdaf.plain_xof import SEED_SIZE, derive_seed, expand_into_vec, format_dst

from . import plain_flp

NONCE_SIZE = 16
VERIFY_KEY_SIZE = SEED_SIZE


class Usage(IntEnum):
    """What an XOF's output is for (table of "Specification")."""

    MEAS_SHARE = 1
    PROOF_SHARE = 2
    JOINT_RANDOMNESS = 3
    PROVE_RANDOMNESS = 4
    QUERY_RANDOMNESS = 5
    JOINT_RAND_SEED = 6
    JOINT_RAND_PART = 7


PublicShare: TypeAlias = list[bytes] | None
"""The joint randomness parts of all aggregators; None for a circuit without joint randomness."""


@dataclass(frozen=True)
class LeaderShare:
    """Aggregator 0's input share: elements; with joint randomness its blind."""

    meas_share: list[int]
    proofs_share: list[int]
    blind: bytes | None


@dataclass(frozen=True)
class HelperShare:
    """Any other aggregator's: the seed of its elements; with joint randomness its blind."""

    share: bytes
    blind: bytes | None


@dataclass(frozen=True)
class VerifyState:
    """What an aggregator keeps while it waits for the verifier message."""

    out_share: list[int]
    corrected_joint_rand_seed: bytes | None


@dataclass(frozen=True)
class VerifierShare:
    """What an aggregator sends to all others."""

    verifiers_share: list[int]
    joint_rand_part: bytes | None


class Prio3:
    """One instance: a circuit, an identifier, a number of aggregators and of proofs."""

    def __init__(self, algorithm: int, valid: Valid, shares: int, proofs: int = 1) -> None:
        require(2 <= shares < 256, "shares is outside [2, 256)")
        require(1 <= proofs < 256, "proofs is outside [1, 256)")
        require(0 <= algorithm < 2**32, "the identifier is outside [0, 2^32)")
        self.algorithm, self.valid, self.shares, self.proofs = algorithm, valid, shares, proofs

    @property
    def field(self) -> Field:
        return self.valid.field

    @property
    def has_joint_rand(self) -> bool:
        return self.valid.joint_rand_len > 0

    @property
    def rand_size(self) -> int:
        return SEED_SIZE * self.shares * (2 if self.has_joint_rand else 1)

    # Sharding, run by the client.

    def shard(
        self, ctx: bytes, measurement: Any, nonce: bytes, rand: bytes
    ) -> tuple[PublicShare, list[LeaderShare | HelperShare]]:
        """The public share and one input share for each aggregator ("Sharding")."""
        return self.shard_encoded(ctx, self.valid.encode(measurement), nonce, rand)

    def shard_encoded(
        self, ctx: bytes, meas: Sequence[int], nonce: bytes, rand: bytes
    ) -> tuple[PublicShare, list[LeaderShare | HelperShare]]:
        """The same for an encoded measurement, valid or not: a client that lies starts here."""
        require_size("nonce", len(nonce), NONCE_SIZE)
        require_size("rand", len(rand), self.rand_size)
        seeds = [rand[start : start + SEED_SIZE] for start in range(0, len(rand), SEED_SIZE)]
        helpers = range(1, self.shares)
        # The seeds' order: each helper's share (and blind), then the leader's blind, last the prover's seed.
        prove_seed = seeds[-1]
        share: dict[int, bytes] = {}
        blind: dict[int, bytes] = {}
        for agg_id in helpers:
            if self.has_joint_rand:
                share[agg_id], blind[agg_id] = seeds[2 * agg_id - 2], seeds[2 * agg_id - 1]
            else:
                share[agg_id] = seeds[agg_id - 1]
        if self.has_joint_rand:
            blind[0] = seeds[-2]

        meas_shares = {agg_id: self.helper_meas_share(ctx, agg_id, share[agg_id]) for agg_id in helpers}
        meas_shares[0] = self._minus(meas, [meas_shares[agg_id] for agg_id in helpers])

        public_share: PublicShare = None
        joint_rands: list[int] = []
        if self.has_joint_rand:
            public_share = [
                self.joint_rand_part(ctx, agg_id, blind[agg_id], meas_shares[agg_id], nonce)
                for agg_id in range(self.shares)
            ]
            joint_rands = self.joint_rands(ctx, self.joint_rand_seed(ctx, public_share))

        prove_rands = self.prove_rands(ctx, prove_seed)
        proofs: list[int] = []
        for i in range(self.proofs):
            proofs += plain_flp.prove(
                self.valid,
                meas,
                _part(prove_rands, i, self.valid.prove_rand_len()),
                _part(joint_rands, i, self.valid.joint_rand_len),
            )
        leader_proofs = self._minus(proofs, [self.helper_proofs_share(ctx, j, share[j]) for j in helpers])

        leader = LeaderShare(meas_shares[0], leader_proofs, blind.get(0))
        return public_share, [leader, *(HelperShare(share[j], blind.get(j)) for j in helpers)]

    def _minus(self, vec: Sequence[int], others: list[list[int]]) -> list[int]:
        left = list(vec)
        for other in others:
            left = self.field.sub_vec(left, other)
        return left

    # Verification, run by every aggregator.

    def verify_init(
        self,
        verify_key: bytes,
        ctx: bytes,
        agg_id: int,
        nonce: bytes,
        public_share: PublicShare,
        input_share: LeaderShare | HelperShare,
    ) -> tuple[VerifyState, VerifierShare]:
        """The state to keep and the verifier share to send ("Verification")."""
        require_size("verification key", len(verify_key), VERIFY_KEY_SIZE)
        require_size("nonce", len(nonce), NONCE_SIZE)
        meas_share, proofs_share, blind = self.expand_input_share(ctx, agg_id, input_share)

        joint_rand_part = corrected_seed = None
        joint_rands: list[int] = []
        if self.has_joint_rand:
            if public_share is None or blind is None:
                raise Malformed("a circuit with joint randomness needs a public share and a blind")
            require_size("public share's parts", len(public_share), self.shares)
            joint_rand_part = self.joint_rand_part(ctx, agg_id, blind, meas_share, nonce)
            # Its own part is verified; the other parts are the client's claims until `verify_next`.
            corrected = [*public_share[:agg_id], joint_rand_part, *public_share[agg_id + 1 :]]
            corrected_seed = self.joint_rand_seed(ctx, corrected)
            joint_rands = self.joint_rands(ctx, corrected_seed)

        query_rands = self.query_rands(verify_key, ctx, nonce)
        verifiers_share: list[int] = []
        for i in range(self.proofs):
            verifiers_share += plain_flp.query(
                self.valid,
                meas_share,
                _part(proofs_share, i, self.valid.proof_len()),
                _part(query_rands, i, self.valid.query_rand_len()),
                _part(joint_rands, i, self.valid.joint_rand_len),
                self.shares,
            )
        state = VerifyState(self.valid.truncate(meas_share), corrected_seed)
        return state, VerifierShare(verifiers_share, joint_rand_part)

    def verifier_shares_to_message(self, ctx: bytes, verifier_shares: Sequence[VerifierShare]) -> bytes | None:
        """The verifier message of all verifier shares, in the aggregators' order. Raises Rejected for a bad proof."""
        require_size("verifier shares", len(verifier_shares), self.shares)
        verifiers = [0] * (self.valid.verifier_len() * self.proofs)
        for verifier_share in verifier_shares:
            verifiers = self.field.add_vec(verifiers, verifier_share.verifiers_share)
        for i in range(self.proofs):
            if not plain_flp.decide(self.valid, _part(verifiers, i, self.valid.verifier_len())):
                raise Rejected(f"proof {i} does not hold")
        if not self.has_joint_rand:
            return None
        parts = [share.joint_rand_part for share in verifier_shares if share.joint_rand_part is not None]
        require_size("joint randomness parts", len(parts), self.shares)
        return self.joint_rand_seed(ctx, parts)

    def verify_next(self, ctx: bytes, verify_state: VerifyState, verifier_message: bytes | None) -> list[int]:
        """The output share. Raises Rejected where the client had used other joint randomness."""
        if verifier_message != verify_state.corrected_joint_rand_seed:
            raise Rejected("the client used joint randomness that is not that of its shares")
        return verify_state.out_share

    # Aggregation by every aggregator, unsharding by the collector.

    def agg_init(self) -> list[int]:
        """The aggregate share of no report ("Aggregation")."""
        return [0] * self.valid.output_len

    def agg_update(self, agg_share: Sequence[int], out_share: Sequence[int]) -> list[int]:
        """The aggregate share with one more report."""
        return self.field.add_vec(agg_share, out_share)

    def merge(self, agg_shares: Sequence[Sequence[int]]) -> list[int]:
        """The sum of aggregate shares."""
        agg = self.agg_init()
        for agg_share in agg_shares:
            agg = self.field.add_vec(agg, agg_share)
        return agg

    def unshard(self, agg_shares: Sequence[Sequence[int]], num_measurements: int) -> Any:
        """The aggregate result ("Unsharding")."""
        require_size("aggregate shares", len(agg_shares), self.shares)
        return self.valid.decode(self.merge(agg_shares), num_measurements)

    # "Auxiliary Functions".

    def helper_meas_share(self, ctx: bytes, agg_id: int, share: bytes) -> list[int]:
        return self._expand(Usage.MEAS_SHARE, ctx, share, bytes([agg_id]), self.valid.meas_len)

    def helper_proofs_share(self, ctx: bytes, agg_id: int, share: bytes) -> list[int]:
        binder = bytes([self.proofs, agg_id])
        return self._expand(Usage.PROOF_SHARE, ctx, share, binder, self.valid.proof_len() * self.proofs)

    def expand_input_share(
        self, ctx: bytes, agg_id: int, input_share: LeaderShare | HelperShare
    ) -> tuple[list[int], list[int], bytes | None]:
        require(0 <= agg_id < self.shares, f"the aggregator's id is outside [0, {self.shares})")
        if isinstance(input_share, LeaderShare):
            require(agg_id == 0, "the leader's share at a helper")
            return input_share.meas_share, input_share.proofs_share, input_share.blind
        require(agg_id > 0, "a helper's share at the leader")
        meas_share = self.helper_meas_share(ctx, agg_id, input_share.share)
        return meas_share, self.helper_proofs_share(ctx, agg_id, input_share.share), input_share.blind

    def prove_rands(self, ctx: bytes, prove_seed: bytes) -> list[int]:
        length = self.valid.prove_rand_len() * self.proofs
        return self._expand(Usage.PROVE_RANDOMNESS, ctx, prove_seed, bytes([self.proofs]), length)

    def query_rands(self, verify_key: bytes, ctx: bytes, nonce: bytes) -> list[int]:
        length = self.valid.query_rand_len() * self.proofs
        return self._expand(Usage.QUERY_RANDOMNESS, ctx, verify_key, bytes([self.proofs]) + nonce, length)

    def joint_rand_part(self, ctx: bytes, agg_id: int, blind: bytes, meas_share: Sequence[int], nonce: bytes) -> bytes:
        binder = bytes([agg_id]) + nonce + self.field.encode_vec(meas_share)
        return derive_seed(blind, self._tag(Usage.JOINT_RAND_PART, ctx), binder)

    def joint_rand_seed(self, ctx: bytes, joint_rand_parts: Sequence[bytes]) -> bytes:
        return derive_seed(bytes(SEED_SIZE), self._tag(Usage.JOINT_RAND_SEED, ctx), b"".join(joint_rand_parts))

    def joint_rands(self, ctx: bytes, joint_rand_seed: bytes) -> list[int]:
        length = self.valid.joint_rand_len * self.proofs
        return self._expand(Usage.JOINT_RANDOMNESS, ctx, joint_rand_seed, bytes([self.proofs]), length)

    def _tag(self, usage: Usage, ctx: bytes) -> bytes:
        return format_dst(self.algorithm, usage, ctx)

    def _expand(self, usage: Usage, ctx: bytes, seed: bytes, binder: bytes, length: int) -> list[int]:
        return expand_into_vec(self.field, seed, self._tag(usage, ctx), binder, length)


def _part(vec: Sequence[int], i: int, length: int) -> Sequence[int]:
    """The i-th stretch of `length` elements: what belongs to proof i."""
    return vec[i * length : (i + 1) * length]


# "Variants", with the identifiers of "IANA Considerations"; keyword arguments are named as in the vectors' files.


def prio3_count(shares: int) -> Prio3:
    return Prio3(1, Count(FIELD64), shares)


def prio3_sum(shares: int, max_measurement: int) -> Prio3:
    return Prio3(2, Sum(FIELD64, max_measurement), shares)


def prio3_sum_vec(shares: int, length: int, max_measurement: int, chunk_length: int) -> Prio3:
    return Prio3(3, SumVec(FIELD128, length, max_measurement, chunk_length), shares)


def prio3_histogram(shares: int, length: int, chunk_length: int) -> Prio3:
    return Prio3(4, Histogram(FIELD128, length, chunk_length), shares)


def prio3_multihot_count_vec(shares: int, length: int, max_weight: int, chunk_length: int) -> Prio3:
    return Prio3(5, MultihotCountVec(FIELD128, length, max_weight, chunk_length), shares)


def prio3_sum_vec_with_multiproof(shares: int, length: int, max_measurement: int, chunk_length: int) -> Prio3:
    """Field64 and three proofs: "Choosing FLP Parameters" asks for no fewer. Its identifier is for private use."""
    return Prio3(0xFFFFFFFF, SumVec(FIELD64, length, max_measurement, chunk_length), shares, proofs=3)


def prio3_higher_degree(shares: int) -> Prio3:
    return Prio3(0xFFFFFFFF, HigherDegree(FIELD64), shares)
