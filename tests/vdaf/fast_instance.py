"""`crypto.prio3` behind the interface, twice: by the draft's methods, and as one report among others of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from crypto import prio3
from crypto.errors import (
    FieldElementOutOfRange,
    IndexOutOfRange,
    ParameterOutOfRange,
    ReportRejected,
    TooLong,
    ValueOutOfRange,
    WrongArray,
    WrongLength,
)
from crypto.flp.circuit import Circuit
from crypto.flp.gadgets import PolyEval
from crypto.ntt_field import FIELD64, Elements, Octets
from tests.vdaf.interface import Implementation, Instance

# Not CryptoError, their base class, which is the base class of ReportRejected too.
MALFORMED = (
    FieldElementOutOfRange,
    IndexOutOfRange,
    ParameterOutOfRange,
    TooLong,
    ValueOutOfRange,
    WrongArray,
    WrongLength,
)


class HigherDegree(Circuit[int, int]):
    """0, 1 or 2 by one gadget of degree three; the authors of the draft made a vector of it."""

    def __init__(self) -> None:
        cubic = PolyEval((0, 2, -3, 1))
        super().__init__(FIELD64, cubic, calls=1, meas_len=1, joint_rand_len=0, eval_output_len=1, output_len=1)

    def encode(self, measurements: Sequence[int]) -> Elements:
        return self.field.from_ints(list(measurements))[:, None]

    def fill_wires(self, meas: Elements, joint_rand: Elements, shares: int, wires: Elements) -> None:
        wires[:, 1, 0] = meas[:, 0]

    def outputs(self, meas: Elements, gadget_outputs: Elements, shares: int) -> Elements:
        return gadget_outputs

    def truncate(self, meas: Elements) -> Elements:
        return meas

    def decode(self, output: Elements, num_measurements: int) -> int:
        return self.field.to_ints(output)[0]


TYPES: Mapping[str, Callable[..., prio3.Prio3[Any, Any]]] = {
    "Prio3Count": prio3.Prio3Count,
    "Prio3Sum": prio3.Prio3Sum,
    "Prio3SumVec": prio3.Prio3SumVec,
    "Prio3Histogram": prio3.Prio3Histogram,
    "Prio3MultihotCountVec": prio3.Prio3MultihotCountVec,
    "Prio3SumVecWithMultiproof": prio3.Prio3SumVecWithMultiproof,
    "Prio3HigherDegree": lambda shares: prio3.Prio3(0xFFFFFFFF, HigherDegree(), shares),
}


class SingleInstance:
    """One report at a time: the draft's methods and the encodings of single messages."""

    def __init__(self, vdaf: prio3.Prio3[Any, Any]) -> None:
        self.vdaf = vdaf
        self.shares, self.rand_size = vdaf.shares, vdaf.rand_size

    def shard(self, ctx: bytes, measurement: Any, nonce: bytes, rand: bytes) -> tuple[bytes, list[bytes]]:
        public_share, input_shares = self.vdaf.shard(ctx, measurement, nonce, rand)
        return self.vdaf.encode_public_share(public_share), [self.vdaf.encode_input_share(s) for s in input_shares]

    def verify_init(
        self, verify_key: bytes, ctx: bytes, agg_id: int, nonce: bytes, public_share: bytes, input_share: bytes
    ) -> tuple[Any, bytes]:
        public = self.vdaf.decode_public_share(public_share)
        share = self.vdaf.decode_input_share(agg_id, input_share)
        state, verifier_share = self.vdaf.verify_init(verify_key, ctx, agg_id, None, nonce, public, share)
        return state, self.vdaf.encode_verifier_share(verifier_share)

    def verifier_shares_to_message(self, ctx: bytes, verifier_shares: Sequence[bytes]) -> bytes:
        shares = [self.vdaf.decode_verifier_share(encoded) for encoded in verifier_shares]
        return self.vdaf.encode_verifier_message(self.vdaf.verifier_shares_to_message(ctx, None, shares))

    def verify_next(self, ctx: bytes, verify_state: Any, verifier_message: bytes) -> bytes:
        message = self.vdaf.decode_verifier_message(verifier_message)
        return self.vdaf.encode_agg_share(self.vdaf.verify_next(ctx, verify_state, message))

    def aggregate(self, out_shares: Sequence[bytes]) -> bytes:
        agg_share = self.vdaf.agg_init(None)
        for encoded in out_shares:
            agg_share = self.vdaf.agg_update(None, agg_share, self.vdaf.decode_agg_share(encoded))
        return self.vdaf.encode_agg_share(self.vdaf.merge(None, [agg_share]))

    def unshard(self, agg_shares: Sequence[bytes], num_measurements: int) -> Any:
        decoded = [self.vdaf.decode_agg_share(encoded) for encoded in agg_shares]
        return self.vdaf.unshard(None, decoded, num_measurements)


class RowMalformed(Exception):
    """The batch marks this report as one that does not parse."""


class RowRejected(Exception):
    """The batch marks this report as one that verification refuses."""


@dataclass(frozen=True)
class PlaceInBatch:
    """The place of the tested report in a batch of `ROWS`, which exceeds the lanes of the XOF, so that some rows remain.

    All other rows are noise of the same size. Their content must not affect the tested report.
    """

    OURS = (0, 7, 18)
    ROWS = 19

    @classmethod
    def rows(cls, ours: bytes, random: Random) -> Octets:
        """uint8[ROWS, n]."""
        rows = [ours if r in cls.OURS else random.randbytes(len(ours)) for r in range(cls.ROWS)]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(cls.ROWS, len(ours))

    @classmethod
    def tested_row(cls, octets: Octets) -> bytes:
        """The tested row, which is the same wherever it stands."""
        found: set[bytes] = {octets[r].tobytes() for r in cls.OURS}
        assert len(found) == 1, "one report gave different bytes in different rows"
        return found.pop()

    @classmethod
    def require(cls, marks: np.ndarray[Any, np.dtype[np.bool_]], otherwise: type[Exception]) -> None:
        """Raises `otherwise` where our rows are not marked."""
        assert len({bool(marks[r]) for r in cls.OURS}) == 1, "one report was marked differently in different rows"
        if not marks[cls.OURS[0]]:
            raise otherwise


class BatchInstance(SingleInstance):
    """One report among noise: the batch methods, and the lanes that single reports never reach."""

    def __init__(self, vdaf: prio3.Prio3[Any, Any]) -> None:
        super().__init__(vdaf)
        self.random = Random(0)

    def rows(self, ours: bytes) -> Octets:
        return PlaceInBatch.rows(ours, self.random)

    def shard(self, ctx: bytes, measurement: Any, nonce: bytes, rand: bytes) -> tuple[bytes, list[bytes]]:
        measurements = [measurement] * PlaceInBatch.ROWS
        public_shares, input_shares = self.vdaf.shard_batch(
            self.rows(ctx), measurements, self.rows(nonce), self.rows(rand)
        )
        return PlaceInBatch.tested_row(self.vdaf.encode_public_shares(public_shares)), [
            PlaceInBatch.tested_row(self.vdaf.encode_input_shares(shares)) for shares in input_shares
        ]

    def verify_init(
        self, verify_key: bytes, ctx: bytes, agg_id: int, nonce: bytes, public_share: bytes, input_share: bytes
    ) -> tuple[Any, bytes]:
        public = self.vdaf.decode_public_shares(self.rows(public_share))
        shares, good = self.vdaf.decode_input_shares(agg_id, self.rows(input_share))
        PlaceInBatch.require(good, RowMalformed)
        states, verifier_shares = self.vdaf.verify_init_batch(
            verify_key, self.rows(ctx), agg_id, self.rows(nonce), public, shares
        )
        PlaceInBatch.require(states.usable, RowRejected)
        return states, PlaceInBatch.tested_row(self.vdaf.encode_verifier_shares(verifier_shares))

    def verifier_shares_to_message(self, ctx: bytes, verifier_shares: Sequence[bytes]) -> bytes:
        shares = []
        for encoded in verifier_shares:
            decoded, good = self.vdaf.decode_verifier_shares(self.rows(encoded))
            PlaceInBatch.require(good, RowMalformed)
            shares.append(decoded)
        messages, holds = self.vdaf.verifier_shares_to_message_batch(self.rows(ctx), shares)
        PlaceInBatch.require(holds, RowRejected)
        assert holds.sum() == len(PlaceInBatch.OURS), "noise was accepted"
        return PlaceInBatch.tested_row(self.vdaf.encode_verifier_messages(messages))

    def verify_next(self, ctx: bytes, verify_state: Any, verifier_message: bytes) -> bytes:
        messages = self.vdaf.decode_verifier_messages(self.rows(verifier_message))
        PlaceInBatch.require(self.vdaf.verify_next_batch(verify_state, messages), RowRejected)
        return PlaceInBatch.tested_row(self.vdaf.field.encode(verify_state.out_shares))

    def aggregate(self, out_shares: Sequence[bytes]) -> bytes:
        ours = [self.vdaf.decode_agg_share(encoded) for encoded in out_shares]
        noise = [self.vdaf.field.from_ints([7] * self.vdaf.circuit.output_len)] * 5
        accepted = np.array([True] * len(ours) + [False] * len(noise))
        agg_share = self.vdaf.aggregate_batch(self.vdaf.agg_init(None), np.stack(ours + noise), accepted)
        return self.vdaf.encode_agg_share(agg_share)


def _implementation(
    name: str,
    instance: Callable[[prio3.Prio3[Any, Any]], Instance],
    malformed: tuple[type[Exception], ...],
    rejected: tuple[type[Exception], ...],
) -> Implementation:
    return Implementation(name, lambda type_, parameters: instance(TYPES[type_](**parameters)), malformed, rejected)


SINGLE = _implementation("single", SingleInstance, MALFORMED, (ReportRejected,))
BATCH = _implementation("batch", BatchInstance, (*MALFORMED, RowMalformed), (RowRejected,))
