"""Prio3 (draft-irtf-cfrg-vdaf, VERSION 18, section 7): sums of measurements, each proven to be valid.

    client       shard: a public share for all, an input share for each aggregator
    aggregator   verify_init: a state to keep, and a verifier share for the others
    one of them  verifier_shares_to_message: checks the proof, gives the verifier message
    aggregator   verify_next: checks the joint randomness, gives the output share; agg_update adds it
    collector    unshard: aggregate shares -> result

These are the draft's methods, for one report; they raise if a report is refused. The draft's `agg_param` is None in Prio3.
Each method calls a step on a batch (`…_batch`, see `crypto.prio3_batch`); its messages are batches of one.

    vdaf = Prio3Sum(2, max_measurement=100)  # for two aggregators
    nonce, rand = os.urandom(NONCE_SIZE), os.urandom(vdaf.rand_size)
    public, inputs = vdaf.shard(b"context", 42, nonce, rand)

The context should identify the circuit's parameters, because the draft does not bind them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crypto.flp.circuit import MeasurementT, ResultT
from crypto.flp.variants import CountCircuit, HistogramCircuit, MultihotCountVecCircuit, SumCircuit, SumVecCircuit

from .errors import JointRandomnessMismatch, QueryPointIsRoot, VerifierCheckFailed, WrongLength
from .ntt_field import FIELD64, FIELD128, Elements, NttField, Octets
from .prio3_batch import NONCE_SIZE, Prio3Batch
from .prio3_messages import InputShares, PublicShares, VerifierMessages, VerifierShares, VerifyStates


class Prio3(Prio3Batch[MeasurementT, ResultT]):
    """One instance: `Prio3(algorithm, circuit, shares, proofs)`."""

    def shard(
        self, ctx: bytes, measurement: MeasurementT, nonce: bytes, rand: bytes
    ) -> tuple[PublicShares, list[InputShares]]:
        """The public share and each aggregator's input share (section 7.2.1). Raises as `shard_batch`."""
        return self.shard_batch(
            ctx, [measurement], _row("nonce", nonce, NONCE_SIZE), _row("rand", rand, self.rand_size)
        )

    def verify_init(
        self,
        verify_key: bytes,
        ctx: bytes,
        agg_id: int,
        agg_param: None,
        nonce: bytes,
        public_share: PublicShares,
        input_share: InputShares,
    ) -> tuple[VerifyStates, VerifierShares]:
        """State and verifier share (section 7.2.2). Raises QueryPointIsRoot, and as `verify_init_batch`."""
        row = _row("nonce", nonce, NONCE_SIZE)
        state, verifier_share = self.verify_init_batch(verify_key, ctx, agg_id, row, public_share, input_share)
        if not state.usable[0]:
            raise QueryPointIsRoot
        return state, verifier_share

    def verifier_shares_to_message(
        self, ctx: bytes, agg_param: None, verifier_shares: Sequence[VerifierShares]
    ) -> VerifierMessages:
        """The verifier message of all verifier shares. Raises VerifierCheckFailed and WrongLength."""
        message, holds = self.verifier_shares_to_message_batch(ctx, verifier_shares)
        if not holds[0]:
            raise VerifierCheckFailed
        return message

    def verify_next(self, ctx: bytes, verify_state: VerifyStates, verifier_message: VerifierMessages) -> Elements:
        """The output share `[output_len]`. Raises JointRandomnessMismatch."""
        if not self.verify_next_batch(verify_state, verifier_message)[0]:
            raise JointRandomnessMismatch
        out_share: Elements = verify_state.out_shares[0]
        return out_share

    def is_valid(self, agg_param: None, previous_agg_params: Sequence[None]) -> bool:
        """A report is aggregated once (section 7.2.3)."""
        return not previous_agg_params

    def agg_init(self, agg_param: None) -> Elements:
        """The aggregate share of no report: `[output_len]` (section 7.2.4)."""
        return self.field.zeros(self.circuit.output_len)

    def agg_update(self, agg_param: None, agg_share: Elements, out_share: Elements) -> Elements:
        """The aggregate share with one output share added. Raises WrongArray."""
        return self.field.add(agg_share, out_share)

    def merge(self, agg_param: None, agg_shares: Sequence[Elements]) -> Elements:
        """The sum of aggregate shares. Raises WrongArray."""
        total = self.agg_init(agg_param)
        for agg_share in agg_shares:
            total = self.field.add(total, agg_share)
        return total

    def unshard(self, agg_param: None, agg_shares: Sequence[Elements], num_measurements: int) -> ResultT:
        """Run by the collector: the result, from all aggregators' shares (section 7.2.5). Raises WrongLength."""
        if len(agg_shares) != self.shares:
            raise WrongLength("aggregate shares", len(agg_shares), self.shares)
        result: ResultT = self.circuit.decode(self.merge(agg_param, agg_shares), num_measurements)
        return result


def _row(what: str, octets: bytes, size: int) -> Octets:
    if len(octets) != size:
        raise WrongLength(f"bytes of {what}", len(octets), size)
    return np.frombuffer(octets, np.uint8)[None]


# ---- the draft's variants (section 7.4), identifiers of section 10 -----------------------------------------------------


class Prio3Count(Prio3[int, int]):
    """The number of ones among measurements of 0 and 1."""

    def __init__(self, shares: int) -> None:
        super().__init__(1, CountCircuit(FIELD64), shares)


class Prio3Sum(Prio3[int, int]):
    """The sum of integers in [0, max_measurement]."""

    def __init__(self, shares: int, max_measurement: int) -> None:
        super().__init__(2, SumCircuit(FIELD64, max_measurement), shares)


class Prio3SumVec(Prio3[Sequence[int], list[int]]):
    """The sum of vectors of `length` integers in [0, max_measurement]."""

    def __init__(self, shares: int, length: int, max_measurement: int, chunk_length: int) -> None:
        super().__init__(3, SumVecCircuit(FIELD128, length, max_measurement, chunk_length), shares)


class Prio3Histogram(Prio3[int, list[int]]):
    """The number of measurements in each of `length` buckets."""

    def __init__(self, shares: int, length: int, chunk_length: int) -> None:
        super().__init__(4, HistogramCircuit(FIELD128, length, chunk_length), shares)


class Prio3MultihotCountVec(Prio3[Sequence[bool], list[int]]):
    """For each of `length` bits, the number of measurements that set it; a measurement sets at most `max_weight` bits."""

    def __init__(self, shares: int, length: int, max_weight: int, chunk_length: int) -> None:
        super().__init__(5, MultihotCountVecCircuit(FIELD128, length, max_weight, chunk_length), shares)


class Prio3SumVecWithMultiproof(Prio3[Sequence[int], list[int]]):
    """`Prio3SumVec` over any field with any number of proofs: by default Field64 and three, the fewest that are allowed.

    Its identifier is that of the official vectors, at the end of the range for private use.
    """

    def __init__(
        self,
        shares: int,
        length: int,
        max_measurement: int,
        chunk_length: int,
        *,
        field: NttField = FIELD64,
        proofs: int = 3,
    ) -> None:
        super().__init__(0xFFFFFFFF, SumVecCircuit(field, length, max_measurement, chunk_length), shares, proofs)
