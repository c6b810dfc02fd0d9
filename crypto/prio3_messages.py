"""The messages of Prio3 for a batch of reports, and their bytes (draft-irtf-cfrg-vdaf, VERSION 18, section 7.2.9).

The instance fixes the size of each message: a batch of R encoded messages is uint8[R, size]. Without joint randomness,
parts and blinds are arrays of no columns. Elements of hostile bytes are checked report by report: a bad element marks its
report and never fails a batch. Shapes count elements, as in `crypto.ntt_field`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from crypto.flp.proof import AnyCircuit

from .errors import FieldElementOutOfRange, IndexOutOfRange, ParameterOutOfRange, TooFewProofs, WrongLength
from .ntt_field import FIELD64, Elements, Mask, Octets
from .xof import SEED_BYTES

# Section 9.7: with joint randomness "Field128 with at least one proof or Field64 with at least three proofs".
LEAST_PROOFS = {FIELD64: 3}


@dataclass(frozen=True, eq=False)
class PublicShares:
    """The message to every aggregator: the joint randomness parts, uint8[R, shares, 32]."""

    joint_rand_parts: Octets

    def __len__(self) -> int:
        return len(self.joint_rand_parts)


@dataclass(frozen=True, eq=False)
class LeaderInputShares:
    """Aggregator 0's input shares. **Secret.**"""

    meas_share: Elements = field(repr=False)  # [R, meas_len]
    proofs_share: Elements = field(repr=False)  # [R, proof_len proofs]
    blinds: Octets = field(repr=False)  # uint8[R, 32]

    def __len__(self) -> int:
        return len(self.meas_share)


@dataclass(frozen=True, eq=False)
class HelperInputShares:
    """Any other aggregator's input shares: seeds, which expand to measurement and proof shares. **Secret.**"""

    seeds: Octets = field(repr=False)  # uint8[R, 32]
    blinds: Octets = field(repr=False)  # uint8[R, 32]

    def __len__(self) -> int:
        return len(self.seeds)


InputShares: TypeAlias = LeaderInputShares | HelperInputShares


@dataclass(frozen=True, eq=False)
class VerifyStates:
    """The state of an aggregator until it has the verifier messages. The output shares are **secret.**"""

    out_shares: Elements = field(repr=False)  # [R, output_len]
    joint_rand_seeds: Octets = field(repr=False)  # uint8[R, 32]
    usable: Mask  # bool[R]: false where the test point is a node; then the verifier share must not be sent

    def __len__(self) -> int:
        return len(self.usable)


@dataclass(frozen=True, eq=False)
class VerifierShares:
    """The message of an aggregator to the others."""

    verifiers_share: Elements = field(repr=False)  # [R, verifier_len proofs]
    joint_rand_parts: Octets = field(repr=False)  # uint8[R, 32]

    def __len__(self) -> int:
        return len(self.verifiers_share)


@dataclass(frozen=True, eq=False)
class VerifierMessages:
    """The combined verifier shares, for all aggregators: the joint randomness seeds, uint8[R, 32]."""

    joint_rand_seeds: Octets

    def __len__(self) -> int:
        return len(self.joint_rand_seeds)


class Prio3Messages:
    """Sizes and encodings of an instance: a circuit, a number of aggregators and a number of proofs."""

    def __init__(self, circuit: AnyCircuit, shares: int, proofs: int) -> None:
        """Raises ParameterOutOfRange and TooFewProofs."""
        if not 2 <= shares < 256:
            raise ParameterOutOfRange("shares", shares, "in [2, 256)")
        if not 1 <= proofs < 256:
            raise ParameterOutOfRange("proofs", proofs, "in [1, 256)")
        if circuit.joint_rand_len and proofs < (least := LEAST_PROOFS.get(circuit.field, 1)):
            raise TooFewProofs(circuit.field.name, proofs, least)
        self.circuit, self.field, self.shares, self.proofs = circuit, circuit.field, shares, proofs
        self.blind_size = SEED_BYTES if circuit.joint_rand_len else 0
        self.proofs_len, self.verifiers_len = circuit.proof_len * proofs, circuit.verifier_len * proofs
        size = self.field.encoded_size
        self.public_share_size = shares * self.blind_size
        self.leader_share_size = (circuit.meas_len + self.proofs_len) * size + self.blind_size
        self.helper_share_size = SEED_BYTES + self.blind_size
        self.verifier_share_size = self.verifiers_len * size + self.blind_size
        self.verifier_message_size = self.blind_size
        self.agg_share_size = circuit.output_len * size

    def input_share_size(self, agg_id: int) -> int:
        """Bytes of an aggregator's input share. Raises IndexOutOfRange."""
        self.require_aggregator(agg_id)
        return self.helper_share_size if agg_id else self.leader_share_size

    def require_aggregator(self, agg_id: int) -> None:
        """Raise IndexOutOfRange unless there is such an aggregator."""
        if not 0 <= agg_id < self.shares:
            raise IndexOutOfRange("aggregator", agg_id, self.shares)

    # ---- batches: uint8[R, size] --------------------------------------------------------------------------------------

    def encode_public_shares(self, public_shares: PublicShares) -> Octets:
        """uint8[R, public_share_size]."""
        return public_shares.joint_rand_parts.reshape(len(public_shares), self.public_share_size)

    def decode_public_shares(self, octets: Octets) -> PublicShares:
        """The inverse. Raises WrongLength."""
        _require_size("public share", octets, self.public_share_size)
        return PublicShares(octets.reshape(len(octets), self.public_share_size // SEED_BYTES, SEED_BYTES))

    def encode_input_shares(self, input_shares: InputShares) -> Octets:
        """uint8[R, leader_share_size or helper_share_size]."""
        if isinstance(input_shares, HelperInputShares):
            return np.concatenate([input_shares.seeds, input_shares.blinds], axis=1)
        parts = [self.field.encode(part) for part in (input_shares.meas_share, input_shares.proofs_share)]
        return np.concatenate([*parts, input_shares.blinds], axis=1)

    def decode_input_shares(self, agg_id: int, octets: Octets) -> tuple[InputShares, Mask]:
        """An aggregator's input shares, and which are well-formed. Raises IndexOutOfRange and WrongLength."""
        _require_size("input share", octets, self.input_share_size(agg_id))
        if agg_id:
            return HelperInputShares(octets[:, :SEED_BYTES], octets[:, SEED_BYTES:]), np.ones(len(octets), np.bool_)
        first, last = self.circuit.meas_len * self.field.encoded_size, octets.shape[1] - self.blind_size
        meas_share, meas_good = self.field.decode(octets[:, :first])
        proofs_share, proofs_good = self.field.decode(octets[:, first:last])
        return LeaderInputShares(meas_share, proofs_share, octets[:, last:]), meas_good & proofs_good

    def encode_verifier_shares(self, verifier_shares: VerifierShares) -> Octets:
        """uint8[R, verifier_share_size]."""
        elements = self.field.encode(verifier_shares.verifiers_share)
        return np.concatenate([elements, verifier_shares.joint_rand_parts], axis=1)

    def decode_verifier_shares(self, octets: Octets) -> tuple[VerifierShares, Mask]:
        """The inverse, and which are well-formed. Raises WrongLength."""
        _require_size("verifier share", octets, self.verifier_share_size)
        last = octets.shape[1] - self.blind_size
        elements, good = self.field.decode(octets[:, :last])
        return VerifierShares(elements, octets[:, last:]), good

    def encode_verifier_messages(self, verifier_messages: VerifierMessages) -> Octets:
        """uint8[R, verifier_message_size]."""
        return verifier_messages.joint_rand_seeds

    def decode_verifier_messages(self, octets: Octets) -> VerifierMessages:
        """The inverse. Raises WrongLength."""
        _require_size("verifier message", octets, self.verifier_message_size)
        return VerifierMessages(octets)

    # ---- single reports: bytes, and batches of one --------------------------------------------------------------------

    def encode_public_share(self, public_share: PublicShares) -> bytes:
        """The bytes of a public share."""
        return self.encode_public_shares(public_share).tobytes()

    def decode_public_share(self, encoded: bytes) -> PublicShares:
        """The inverse. Raises WrongLength."""
        return self.decode_public_shares(_one_row(encoded))

    def encode_input_share(self, input_share: InputShares) -> bytes:
        """The bytes of an input share."""
        return self.encode_input_shares(input_share).tobytes()

    def decode_input_share(self, agg_id: int, encoded: bytes) -> InputShares:
        """The inverse. Raises IndexOutOfRange, WrongLength and FieldElementOutOfRange."""
        share, good = self.decode_input_shares(agg_id, _one_row(encoded))
        self._require_good(good, encoded)
        return share

    def encode_verifier_share(self, verifier_share: VerifierShares) -> bytes:
        """The bytes of a verifier share."""
        return self.encode_verifier_shares(verifier_share).tobytes()

    def decode_verifier_share(self, encoded: bytes) -> VerifierShares:
        """The inverse. Raises WrongLength and FieldElementOutOfRange."""
        share, good = self.decode_verifier_shares(_one_row(encoded))
        self._require_good(good, encoded)
        return share

    def encode_verifier_message(self, verifier_message: VerifierMessages) -> bytes:
        """The bytes of a verifier message."""
        return self.encode_verifier_messages(verifier_message).tobytes()

    def decode_verifier_message(self, encoded: bytes) -> VerifierMessages:
        """The inverse. Raises WrongLength."""
        return self.decode_verifier_messages(_one_row(encoded))

    def encode_agg_share(self, agg_share: Elements) -> bytes:
        """The bytes of an aggregate share `[output_len]`, or of one output share `[1, output_len]`."""
        return self.field.encode(agg_share.reshape(self.field.shape(1, self.circuit.output_len))).tobytes()

    def decode_agg_share(self, encoded: bytes) -> Elements:
        """The inverse: `[output_len]`. Raises WrongLength and FieldElementOutOfRange."""
        octets = _one_row(encoded)
        _require_size("aggregate share", octets, self.agg_share_size)
        elements, good = self.field.decode(octets)
        self._require_good(good, encoded)
        agg_share: Elements = elements[0]
        return agg_share

    def _require_good(self, good: Mask, encoded: bytes) -> None:
        """Raise FieldElementOutOfRange at the first element of a message that was not well-formed."""
        if not good.all():
            size = self.field.encoded_size
            for index in range(len(encoded) // size):
                if int.from_bytes(encoded[index * size : (index + 1) * size], "little") >= self.field.modulus:
                    raise FieldElementOutOfRange(index, self.field.name)


def _one_row(encoded: bytes) -> Octets:
    return np.frombuffer(encoded, np.uint8).reshape(1, len(encoded))


def _require_size(what: str, octets: Octets, size: int) -> None:
    if octets.ndim != 2 or octets.shape[1] != size:
        raise WrongLength(f"bytes of an encoded {what}", octets.shape[-1], size)
