"""Prio3 on batches of reports (draft-irtf-cfrg-vdaf, VERSION 18, sections 7.2.1 to 7.2.6).

Every step takes R reports. A bad report is marked, and the others are not affected. `crypto.prio3` has the draft's methods,
which are these steps on a batch of one, and its variants. `crypto.prio3_messages` describes the messages.

Randomness and nonces are arguments. `rand` must be fresh for each report: two measurements under the same `rand` reveal
their difference. Shapes count elements, as in `crypto.ntt_field`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import numpy as np

from crypto.flp.circuit import Circuit, MeasurementT, ResultT
from crypto.flp.proof import decide, prove, query

from .errors import ParameterOutOfRange, WrongArray, WrongLength
from .ntt_field import Elements, Mask, Octets
from .prio3_messages import (
    HelperInputShares,
    InputShares,
    LeaderInputShares,
    Prio3Messages,
    PublicShares,
    VerifierMessages,
    VerifierShares,
    VerifyStates,
)
from .prio3_xof import Contexts, Prio3Xof, Usage, as_rows
from .xof import SEED_BYTES

NONCE_SIZE = 16
VERIFY_KEY_SIZE = SEED_BYTES


class Prio3Batch(Prio3Messages, Generic[MeasurementT, ResultT]):
    """One instance: a circuit, an algorithm identifier, a number of aggregators and a number of proofs."""

    def __init__(self, algorithm: int, circuit: Circuit[MeasurementT, ResultT], shares: int, proofs: int = 1) -> None:
        """`algorithm` in [0, 2^32), from 0xFFFF0000 on for private use. Raises ParameterOutOfRange and TooFewProofs."""
        super().__init__(circuit, shares, proofs)
        if not 0 <= algorithm < 2**32:
            raise ParameterOutOfRange("algorithm", algorithm, "in [0, 2^32)")
        self.algorithm = algorithm
        self.rand_size = shares * (SEED_BYTES + self.blind_size)
        self._xof = Prio3Xof(algorithm)

    # ---- sharding, run by the client ----------------------------------------------------------------------------------

    def shard_batch(
        self, ctx: Contexts, measurements: Sequence[MeasurementT], nonces: Octets, rand: Octets
    ) -> tuple[PublicShares, list[InputShares]]:
        """Shares of R measurements: the public shares, and the input shares of each aggregator.

        `ctx`: one context, or uint8[R, n]; `nonces: uint8[R, 16]`; `rand: uint8[R, rand_size]`, fresh and secret.
        Raises WrongLength, and what `Circuit.encode` raises.
        """
        return self.shard_encoded_batch(ctx, self.circuit.encode(measurements), nonces, rand)

    def shard_encoded_batch(
        self, ctx: Contexts, meas: Elements, nonces: Octets, rand: Octets
    ) -> tuple[PublicShares, list[InputShares]]:
        """The same for encoded measurements `[R, meas_len]`, valid or not: the proof of an invalid one does not hold."""
        count = len(meas)
        if meas.shape != self.field.shape(count, self.circuit.meas_len):
            raise WrongArray(
                "encoded measurements", str(meas.shape), f"R x {self.circuit.meas_len} of {self.field.name}"
            )
        nonces = as_rows("nonces", nonces, count, NONCE_SIZE)
        seeds = as_rows("randomness", rand, count, self.rand_size).reshape(
            count, self.rand_size // SEED_BYTES, SEED_BYTES
        )
        # Each helper's seed (and blind), then the leader's blind, last the prover's seed.
        per_helper = 2 if self.blind_size else 1
        helpers = range(1, self.shares)
        blinds = {0: seeds[:, -2, : self.blind_size]}
        blinds |= {j: seeds[:, per_helper * j - 1, : self.blind_size] for j in helpers}
        helper_seeds = {j: seeds[:, per_helper * (j - 1)] for j in helpers}

        meas_shares = {j: self._helper_meas_share(ctx, j, helper_seeds[j]) for j in helpers}
        meas_shares[0] = self._minus(meas, [meas_shares[j] for j in helpers])
        parts = self._no_parts(count)
        for j in range(self.shares) if self.blind_size else ():
            parts[:, j] = self._joint_rand_part(ctx, j, blinds[j], meas_shares[j], nonces)
        joint_rands = self._joint_rands(ctx, self._joint_rand_seed(ctx, parts))

        length = self.circuit.prove_rand_len
        binder = bytes([self.proofs])
        prove_rands = self._expand(Usage.PROVE_RANDOMNESS, ctx, seeds[:, -1], binder, length * self.proofs)
        proofs = [
            prove(self.circuit, meas, prove_rand, joint_rand)
            for prove_rand, joint_rand in zip(self._each(prove_rands), self._each(joint_rands), strict=True)
        ]
        leader_proofs = self._minus(
            np.concatenate(proofs, axis=1), [self._helper_proofs_share(ctx, j, helper_seeds[j]) for j in helpers]
        )
        leader = LeaderInputShares(meas_shares[0], leader_proofs, blinds[0])
        return PublicShares(parts), [leader, *(HelperInputShares(helper_seeds[j], blinds[j]) for j in helpers)]

    # ---- verification, run by every aggregator ------------------------------------------------------------------------

    def verify_init_batch(
        self,
        verify_key: bytes,
        ctx: Contexts,
        agg_id: int,
        nonces: Octets,
        public_shares: PublicShares,
        input_shares: InputShares,
    ) -> tuple[VerifyStates, VerifierShares]:
        """An aggregator's first step on R reports; shapes as in `shard_batch`.

        Only the aggregators know `verify_key` (32 bytes). Reject a report whose state is not `usable`, and do not send its
        verifier share. Raises IndexOutOfRange, WrongLength and WrongArray.
        """
        count = len(input_shares)
        nonces = as_rows("nonces", nonces, count, NONCE_SIZE)
        key = as_rows("verification key", verify_key, count, VERIFY_KEY_SIZE)
        meas_share, proofs_share, blinds = self._expand_input_shares(ctx, agg_id, input_shares)
        if (shape := public_shares.joint_rand_parts.shape) != self._no_parts(count).shape:
            raise WrongArray("joint randomness parts", str(shape), str(self._no_parts(count).shape))

        # An aggregator computes its own part; the other parts are the client's claim until `verify_next`.
        parts = public_shares.joint_rand_parts.copy()
        own_part = np.empty((count, self.blind_size), np.uint8)
        if self.blind_size:
            own_part = parts[:, agg_id] = self._joint_rand_part(ctx, agg_id, blinds, meas_share, nonces)
        corrected_seeds = self._joint_rand_seed(ctx, parts)
        joint_rands = self._joint_rands(ctx, corrected_seeds)

        binder = np.concatenate([as_rows("binder", bytes([self.proofs]), count), nonces], axis=1)
        length = self.circuit.query_rand_len * self.proofs
        query_rands = self._expand(Usage.QUERY_RANDOMNESS, ctx, key, binder, length)
        verifiers, usable = [], np.ones(count, np.bool_)
        for proof, query_rand, joint_rand in zip(
            self._each(proofs_share), self._each(query_rands), self._each(joint_rands), strict=True
        ):
            verifier, refused = query(self.circuit, meas_share, proof, query_rand, joint_rand, self.shares)
            verifiers.append(verifier)
            usable &= ~refused
        states = VerifyStates(self.circuit.truncate(meas_share), corrected_seeds, usable)
        return states, VerifierShares(np.concatenate(verifiers, axis=1), own_part)

    def decide_batch(self, verifier_shares: Sequence[VerifierShares]) -> Mask:
        """Which reports' proofs hold, given the verifier shares of all aggregators: bool[R]. Raises WrongLength."""
        if len(verifier_shares) != self.shares:
            raise WrongLength("verifier shares", len(verifier_shares), self.shares)
        total = verifier_shares[0].verifiers_share
        for share in verifier_shares[1:]:
            total = self.field.add(total, share.verifiers_share)
        holds = np.ones(len(total), np.bool_)
        for verifier in self._each(total):
            holds &= decide(self.circuit, verifier)
        return holds

    def verifier_shares_to_message_batch(
        self, ctx: Contexts, verifier_shares: Sequence[VerifierShares]
    ) -> tuple[VerifierMessages, Mask]:
        """The verifier messages of R reports, from all aggregators' shares in their order, and which proofs hold: bool[R].

        The message of a report whose proof does not hold has no meaning. Raises WrongLength.
        """
        holds = self.decide_batch(verifier_shares)
        parts = self._no_parts(len(holds))
        for j, share in enumerate(verifier_shares if self.blind_size else ()):
            parts[:, j] = share.joint_rand_parts
        return VerifierMessages(self._joint_rand_seed(ctx, parts)), holds

    def verify_next_batch(self, states: VerifyStates, messages: VerifierMessages) -> Mask:
        """Which reports' output shares may be aggregated, given that their proofs hold: bool[R]. Raises WrongLength."""
        if len(messages) != len(states):
            raise WrongLength("verifier messages", len(messages), len(states))
        same: Mask = (messages.joint_rand_seeds == states.joint_rand_seeds).all(axis=1)
        return states.usable & same

    def aggregate_batch(self, agg_share: Elements, out_shares: Elements, accepted: Mask) -> Elements:
        """The aggregate share `[output_len]` with the accepted ones of `out_shares: [R, output_len]` added."""
        return self.field.add(agg_share, self.field.sum_rows(out_shares, accepted))

    # ---- auxiliary functions (section 7.2.6) --------------------------------------------------------------------------

    def _expand(self, usage: Usage, ctx: Contexts, seeds: Octets, binder: bytes | Octets, length: int) -> Elements:
        return self._xof.elements(self.field, usage, ctx, seeds, binder, length)

    def _helper_meas_share(self, ctx: Contexts, agg_id: int, seeds: Octets) -> Elements:
        return self._expand(Usage.MEAS_SHARE, ctx, seeds, bytes([agg_id]), self.circuit.meas_len)

    def _helper_proofs_share(self, ctx: Contexts, agg_id: int, seeds: Octets) -> Elements:
        return self._expand(Usage.PROOF_SHARE, ctx, seeds, bytes([self.proofs, agg_id]), self.proofs_len)

    def _expand_input_shares(
        self, ctx: Contexts, agg_id: int, input_shares: InputShares
    ) -> tuple[Elements, Elements, Octets]:
        """Measurement share, proofs share and blind. Raises IndexOutOfRange and WrongArray."""
        self.require_aggregator(agg_id)
        if isinstance(input_shares, HelperInputShares) != bool(agg_id):
            raise WrongArray(f"input share of aggregator {agg_id}", type(input_shares).__name__, "the other kind")
        if isinstance(input_shares, HelperInputShares):
            seeds = input_shares.seeds
            proofs_share = self._helper_proofs_share(ctx, agg_id, seeds)
            return self._helper_meas_share(ctx, agg_id, seeds), proofs_share, input_shares.blinds
        for part, length in (
            (input_shares.meas_share, self.circuit.meas_len),
            (input_shares.proofs_share, self.proofs_len),
        ):
            if part.shape != self.field.shape(len(input_shares), length):
                raise WrongArray("leader's share", str(part.shape), f"R x {length} of {self.field.name}")
        return input_shares.meas_share, input_shares.proofs_share, input_shares.blinds

    def _joint_rand_part(self, ctx: Contexts, agg_id: int, blinds: Octets, share: Elements, nonces: Octets) -> Octets:
        binder = np.concatenate([as_rows("binder", bytes([agg_id]), len(nonces)), nonces], axis=1)
        return self._xof.seeds(Usage.JOINT_RAND_PART, ctx, blinds, binder, share)

    def _joint_rand_seed(self, ctx: Contexts, parts: Octets) -> Octets:
        """uint8[R, 32]; no columns where there is no joint randomness."""
        if not self.blind_size:
            return np.empty((len(parts), 0), np.uint8)
        zeros = np.zeros((len(parts), SEED_BYTES), np.uint8)
        return self._xof.seeds(Usage.JOINT_RAND_SEED, ctx, zeros, parts.reshape(len(parts), self.public_share_size))

    def _joint_rands(self, ctx: Contexts, seeds: Octets) -> Elements:
        """`[R, joint_rand_len proofs]`."""
        if not self.blind_size:
            return self.field.empty(len(seeds), 0)
        length = self.circuit.joint_rand_len * self.proofs
        return self._expand(Usage.JOINT_RANDOMNESS, ctx, seeds, bytes([self.proofs]), length)

    def _no_parts(self, count: int) -> Octets:
        return np.empty((count, self.shares if self.blind_size else 0, SEED_BYTES), np.uint8)

    def _each(self, matrix: Elements) -> list[Elements]:
        """The columns that belong to each proof."""
        return np.split(matrix, self.proofs, axis=1)

    def _minus(self, matrix: Elements, others: Sequence[Elements]) -> Elements:
        for other in others:
            matrix = self.field.subtract(matrix, other)
        return matrix
