"""The public side of BFV: encrypting a report, its strict wire, the leader's sum, its noise and its flooding.

    client       report  = key.encrypt(values)                  C ciphertexts of N slots
    leader       total.add(report bytes), for each report       checked, then added
                 finish(key, total, noise, flood)               noise, a fresh encryption, flooding
    key holder   crypto.bfv_secret                              opens the sum, once

**Packing.** The slots of a report fill ciphertexts of N slots in order. Unused slots at the end are 0, and the key holder
checks that they still are. Values are *batched*: a slot is the value of the plaintext polynomial at a root of unity mod
t, not a coefficient. Additions cost the same. But a chosen ciphertext that opens to the (small) secret polynomial then
has slots all over (-t/2, t/2), which the key holder's range check refuses. With values in coefficients it would pass.

**Wire.** A message is the 32-byte id of the key (parameters included) and then, for each ciphertext, the polynomials c0
and c1 modulo each data prime, as `crypto.bfv_wire` packs them. Count and length follow from the parameters; every
coefficient is checked. No half can be sent as a seed: under the *secret* key c1 is uniform and a seed can replace it, but
under a public key c1 = a u + e2 depends on the client's secret u.

**Adding** is the addition of residues in numpy, whole polynomials at a time: it needs no SEAL, and a sum has the size of
one report however many are added.

Encryption draws its randomness inside TenSEAL (see `crypto.bfv_seal`); the flooding's source is an argument.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Self

import numpy as np

from .bfv_parameters import BfvParameters, Slots
from .bfv_seal import SealContext
from .bfv_wire import Polynomials, exactly, pack, polynomial_bytes, unpack
from .errors import KeyInvalid, KeyMismatch, TooManyReports, ValueOutOfRange, WrongArray, WrongLength
from .field import BytesLike
from .noise import Noise, NoiseStream

KEY_ID_BYTES = 32


@dataclass(frozen=True, eq=False)
class PublicKey:
    """The public key of one plan: uint64[2, primes of the chain, N] in NTT form. Make it with `from_bytes`."""

    parameters: BfvParameters
    polynomials: Polynomials = field(repr=False)

    @classmethod
    def from_bytes(cls, parameters: BfvParameters, data: BytesLike) -> Self:
        """Parse `public_key_bytes(parameters)` bytes. Raises WrongLength, CoefficientOutOfRange and KeyInvalid."""
        octets = exactly("bytes of a public key", data, public_key_bytes(parameters))
        polynomials = unpack(octets, 2, parameters.degree, parameters.moduli)
        if not polynomials.any(axis=2).all():
            raise KeyInvalid("BFV public key")  # a polynomial of zeros hides nothing
        return cls(parameters, polynomials)

    def to_bytes(self) -> bytes:
        """Both polynomials modulo every prime of the chain; no Galois and no relinearisation keys."""
        return pack(self.polynomials, self.parameters.moduli)

    @cached_property
    def key_id(self) -> bytes:
        """32 bytes that name key and parameters."""
        return hashlib.sha256(self.parameters.fingerprint + self.to_bytes()).digest()

    def encrypt(self, values: Slots) -> Ciphertexts:
        """Run by the client: its report, of int64[slots] in [slot_min, slot_max].

        Raises ValueOutOfRange, WrongLength and WrongArray before anything is encrypted.
        """
        _require_within("slot", values, self.parameters.slot_min, self.parameters.slot_max, self.parameters)
        return self._encrypt(values)

    def encrypt_noise(self, noise: Noise) -> Ciphertexts:
        """Run by the leader: its noise, int64[slots] in [-B, B], freshly encrypted (zeros where noise is off).

        Raises ValueOutOfRange, WrongLength and WrongArray.
        """
        bound = self.parameters.noise_bound
        _require_within("noise", noise, -bound, bound, self.parameters)
        return self._encrypt(noise)

    def _encrypt(self, values: Slots) -> Ciphertexts:
        parameters = self.parameters
        padded = np.zeros((parameters.ciphertexts, parameters.degree), np.int64)
        padded.reshape(-1)[: parameters.slots] = values
        return Ciphertexts(parameters, self.key_id, np.stack([self._context.encrypt(row) for row in padded]))

    @cached_property
    def _context(self) -> SealContext:
        return SealContext.public(self.parameters, self.polynomials)


@dataclass(frozen=True, eq=False)
class Ciphertexts:
    """A report, or a sum of reports, encrypted: uint64[C, 2, k, N], each coefficient below its prime."""

    parameters: BfvParameters
    key_id: bytes
    polynomials: Polynomials = field(repr=False)

    @classmethod
    def from_bytes(cls, parameters: BfvParameters, key_id: bytes, data: BytesLike) -> Self:
        """Parse a message under the key of this id.

        Raises WrongLength, KeyMismatch and CoefficientOutOfRange: a hostile sender can cause each of them.
        """
        octets = exactly("bytes of ciphertexts", data, message_bytes(parameters))
        if (have := octets[:KEY_ID_BYTES].tobytes()) != key_id:
            raise KeyMismatch(have, key_id)
        polynomials = unpack(
            octets[KEY_ID_BYTES:], 2 * parameters.ciphertexts, parameters.degree, parameters.data_moduli
        )
        return cls(parameters, key_id, polynomials.reshape(_shape(parameters)))

    def to_bytes(self) -> bytes:
        """`message_bytes(parameters)` bytes."""
        flat = self.polynomials.reshape(-1, *self.polynomials.shape[2:])
        return self.key_id + pack(flat, self.parameters.data_moduli)


class CiphertextSum:
    """Run by the leader: the running sum of the reports of one collection. One writer at a time; memory of one report."""

    def __init__(self, parameters: BfvParameters, key_id: bytes) -> None:
        self.parameters, self.key_id = parameters, key_id
        self._count = 0
        self._total = np.zeros(_shape(parameters), np.uint64)

    @classmethod
    def from_ciphertexts(cls, stored: Ciphertexts, count: int) -> Self:
        """Resume from a stored sum of `count` reports (copied)."""
        total = cls(stored.parameters, stored.key_id)
        total._count, total._total = count, stored.polynomials.copy()
        return total

    @property
    def count(self) -> int:
        """Reports in the sum."""
        return self._count

    @property
    def ciphertexts(self) -> Ciphertexts:
        """The sum as it stands, a copy."""
        return Ciphertexts(self.parameters, self.key_id, self._total.copy())

    def add(self, report: Ciphertexts | BytesLike) -> None:
        """Add one report, whole or not at all.

        Bytes are parsed as `Ciphertexts.from_bytes` does, with its errors. Raises TooManyReports beyond max_clients.
        """
        if self._count >= self.parameters.max_clients:
            raise TooManyReports(self.parameters.max_clients)
        if not isinstance(report, Ciphertexts):
            report = Ciphertexts.from_bytes(self.parameters, self.key_id, report)
        if report.key_id != self.key_id:
            raise KeyMismatch(report.key_id, self.key_id)
        _add(self._total, report.polynomials, self.parameters)
        self._count += 1


def finish(key: PublicKey, total: CiphertextSum, noise: Noise, flood: NoiseStream) -> Ciphertexts:
    """Run by the leader, once a pane: the noised and flooded sum for the key holder.

    The leader adds its noise (int64[slots], zeros where noise is off) in a *fresh* encryption, so that c0 and c1 depend on
    more than the clients' ciphertexts. Then it floods every c0 with a discrete Gaussian of variance `flood_sigma_sq`,
    drawn from `flood`, which bounds what the decryption noise reveals (`leak_rho`). Raises KeyMismatch and ValueOutOfRange.
    """
    if total.key_id != key.key_id:
        raise KeyMismatch(total.key_id, key.key_id)
    parameters = key.parameters
    finished = key.encrypt_noise(noise).polynomials.copy()
    _add(finished, total.ciphertexts.polynomials, parameters)
    drawn = flood.discrete_gaussian(Fraction(parameters.flood_sigma_sq), parameters.ciphertexts * parameters.degree)
    flooded = np.zeros_like(finished)
    for i, modulus in enumerate(parameters.data_moduli):
        flooded[:, 0, i] = (drawn % modulus).astype(np.uint64).reshape(parameters.ciphertexts, parameters.degree)
    _add(finished, flooded, parameters)
    return Ciphertexts(parameters, key.key_id, finished)


def message_bytes(parameters: BfvParameters) -> int:
    """Bytes of a report or a sum on the wire."""
    return KEY_ID_BYTES + 2 * parameters.ciphertexts * polynomial_bytes(parameters.degree, parameters.data_moduli)


def message_elements(parameters: BfvParameters) -> int:
    """Coefficients of a report or a sum, 8 bytes each in memory."""
    return math.prod(_shape(parameters))


def public_key_bytes(parameters: BfvParameters) -> int:
    """Bytes of a public key on the wire."""
    return 2 * polynomial_bytes(parameters.degree, parameters.moduli)


def _shape(parameters: BfvParameters) -> tuple[int, int, int, int]:
    return parameters.ciphertexts, 2, len(parameters.data_moduli), parameters.degree


def _add(total: Polynomials, more: Polynomials, parameters: BfvParameters) -> None:
    """total += more, modulo each prime. Both are below it, of 60 bits at most, so no word overflows."""
    for i, modulus in enumerate(parameters.data_moduli):
        part = total[:, :, i]
        part += more[:, :, i]
        np.minimum(part, part - np.uint64(modulus), out=part)  # below the prime, the difference wraps and is larger


def _require_within(what: str, values: Slots, low: int, high: int, parameters: BfvParameters) -> None:
    if values.dtype != np.int64 or values.ndim != 1:
        raise WrongArray(what, f"{values.dtype}, {values.ndim} axes", "int64, 1 axis")
    if len(values) != parameters.slots:
        raise WrongLength(f"{what}s", len(values), parameters.slots)
    if len(values) and not low <= int(values.min()) <= int(values.max()) <= high:
        raise ValueOutOfRange(what, int(np.argmax((values < low) | (values > high))), low, high)
