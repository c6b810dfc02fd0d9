"""The messages of Prio3 as bytes (draft-irtf-cfrg-vdaf, VERSION 18, "Message Serialization").

Everything has one length, fixed by the instance, so a reader takes exactly that and refuses the rest with Malformed.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.vdaf.plain_errors import require, require_size
from tests.vdaf.plain_prio3 import HelperShare, LeaderShare, Prio3, PublicShare, VerifierShare
from tests.vdaf.plain_xof import SEED_SIZE


def encode_public_share(public_share: PublicShare) -> bytes:
    """The joint randomness parts; nothing without joint randomness."""
    return b"".join(public_share or [])


def decode_public_share(prio3: Prio3, encoded: bytes) -> PublicShare:
    require_size("public share", len(encoded), SEED_SIZE * prio3.shares if prio3.has_joint_rand else 0)
    if not prio3.has_joint_rand:
        return None
    return [encoded[start : start + SEED_SIZE] for start in range(0, len(encoded), SEED_SIZE)]


def encode_input_share(prio3: Prio3, input_share: LeaderShare | HelperShare) -> bytes:
    """Measurement share and proofs share, or their seed; then the blind."""
    blind = input_share.blind or b""
    if isinstance(input_share, HelperShare):
        return input_share.share + blind
    return prio3.field.encode_vec([*input_share.meas_share, *input_share.proofs_share]) + blind


def decode_input_share(prio3: Prio3, agg_id: int, encoded: bytes) -> LeaderShare | HelperShare:
    require(0 <= agg_id < prio3.shares, f"the aggregator's id is outside [0, {prio3.shares})")
    blind_size = SEED_SIZE if prio3.has_joint_rand else 0
    if agg_id > 0:
        require_size("helper's input share", len(encoded), SEED_SIZE + blind_size)
        share, blind = encoded[:SEED_SIZE], encoded[SEED_SIZE:]
        return HelperShare(share, blind or None)
    elements = prio3.valid.meas_len + prio3.valid.proof_len() * prio3.proofs
    size = elements * prio3.field.encoded_size
    require_size("leader's input share", len(encoded), size + blind_size)
    vec = prio3.field.decode_vec(encoded[:size])
    return LeaderShare(vec[: prio3.valid.meas_len], vec[prio3.valid.meas_len :], encoded[size:] or None)


def encode_verifier_share(prio3: Prio3, verifier_share: VerifierShare) -> bytes:
    """The verifiers' share; then the joint randomness part."""
    return prio3.field.encode_vec(verifier_share.verifiers_share) + (verifier_share.joint_rand_part or b"")


def decode_verifier_share(prio3: Prio3, encoded: bytes) -> VerifierShare:
    size = prio3.valid.verifier_len() * prio3.proofs * prio3.field.encoded_size
    require_size("verifier share", len(encoded), size + (SEED_SIZE if prio3.has_joint_rand else 0))
    return VerifierShare(prio3.field.decode_vec(encoded[:size]), encoded[size:] or None)


def encode_verifier_message(verifier_message: bytes | None) -> bytes:
    """The joint randomness seed; nothing without joint randomness."""
    return verifier_message or b""


def decode_verifier_message(prio3: Prio3, encoded: bytes) -> bytes | None:
    require_size("verifier message", len(encoded), SEED_SIZE if prio3.has_joint_rand else 0)
    return encoded or None


def encode_agg_share(prio3: Prio3, agg_share: Sequence[int]) -> bytes:
    """The elements; an output share has the same form."""
    return prio3.field.encode_vec(agg_share)


def decode_agg_share(prio3: Prio3, encoded: bytes) -> list[int]:
    require_size("aggregate share", len(encoded), prio3.valid.output_len * prio3.field.encoded_size)
    return prio3.field.decode_vec(encoded)
