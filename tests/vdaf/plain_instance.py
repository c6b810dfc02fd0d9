"""The transcription (`plain_*`) behind the interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.vdaf.interface import Implementation
from tests.vdaf.plain_errors import Malformed, Rejected
from tests.vdaf.plain_prio3 import Prio3

from . import plain_codec as codec
from . import plain_prio3


class PlainInstance:
    """One Prio3 of the transcription."""

    def __init__(self, prio3: Prio3) -> None:
        self.prio3 = prio3
        self.shares, self.rand_size = prio3.shares, prio3.rand_size

    def shard(self, ctx: bytes, measurement: Any, nonce: bytes, rand: bytes) -> tuple[bytes, list[bytes]]:
        public_share, input_shares = self.prio3.shard(ctx, measurement, nonce, rand)
        return codec.encode_public_share(public_share), [codec.encode_input_share(self.prio3, s) for s in input_shares]

    def verify_init(
        self, verify_key: bytes, ctx: bytes, agg_id: int, nonce: bytes, public_share: bytes, input_share: bytes
    ) -> tuple[Any, bytes]:
        public = codec.decode_public_share(self.prio3, public_share)
        share = codec.decode_input_share(self.prio3, agg_id, input_share)
        state, verifier_share = self.prio3.verify_init(verify_key, ctx, agg_id, nonce, public, share)
        return state, codec.encode_verifier_share(self.prio3, verifier_share)

    def verifier_shares_to_message(self, ctx: bytes, verifier_shares: Sequence[bytes]) -> bytes:
        shares = [codec.decode_verifier_share(self.prio3, encoded) for encoded in verifier_shares]
        return codec.encode_verifier_message(self.prio3.verifier_shares_to_message(ctx, shares))

    def verify_next(self, ctx: bytes, verify_state: Any, verifier_message: bytes) -> bytes:
        message = codec.decode_verifier_message(self.prio3, verifier_message)
        return codec.encode_agg_share(self.prio3, self.prio3.verify_next(ctx, verify_state, message))

    def aggregate(self, out_shares: Sequence[bytes]) -> bytes:
        agg_share = self.prio3.agg_init()
        for encoded in out_shares:
            agg_share = self.prio3.agg_update(agg_share, codec.decode_agg_share(self.prio3, encoded))
        return codec.encode_agg_share(self.prio3, agg_share)

    def unshard(self, agg_shares: Sequence[bytes], num_measurements: int) -> Any:
        decoded = [codec.decode_agg_share(self.prio3, encoded) for encoded in agg_shares]
        return self.prio3.unshard(decoded, num_measurements)


PLAIN_TYPES: Mapping[str, Callable[..., Prio3]] = {
    "Prio3Count": plain_prio3.prio3_count,
    "Prio3Sum": plain_prio3.prio3_sum,
    "Prio3SumVec": plain_prio3.prio3_sum_vec,
    "Prio3Histogram": plain_prio3.prio3_histogram,
    "Prio3MultihotCountVec": plain_prio3.prio3_multihot_count_vec,
    "Prio3SumVecWithMultiproof": plain_prio3.prio3_sum_vec_with_multiproof,
    "Prio3HigherDegree": plain_prio3.prio3_higher_degree,
}

PLAIN = Implementation(
    "plain", lambda name, parameters: PlainInstance(PLAIN_TYPES[name](**parameters)), (Malformed,), (Rejected,)
)
