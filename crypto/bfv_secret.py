"""The secret side of BFV. Only the key holder may import it; an import contract says so.

BFV is not secure against chosen ciphertexts. (0, q/t) opens to the secret polynomial itself. If noise is added to what is
opened, a second opening of (0, 2^20 q/t) removes it: two openings reveal the whole key. So a key pair serves one plan, a
pane is opened once, and `open_sum` refuses every sum that honest reports cannot give. It refuses before noise is added,
and does not name the slot. The caller must erase the key at the first refusal.

The range check does not prove honesty: a sum in range may still be forged, and the check always reveals one bit, whether a
sum was refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from .bfv import Ciphertexts, PublicKey
from .bfv_parameters import BfvParameters, Slots
from .bfv_seal import SealContext
from .bfv_wire import exactly, pack, polynomial_bytes, unpack
from .errors import KeyErased, KeyMismatch, SumOutOfRange
from .field import BytesLike


@dataclass(frozen=True, eq=False)
class SumRange:
    """The range of each slot of an honest sum: [low, high], both int64[slots], the leader's noise included."""

    low: Slots
    high: Slots

    @classmethod
    def of(cls, parameters: BfvParameters, slot_min: Slots, slot_max: Slots, noise_bound: Slots) -> Self:
        """The range slot by slot: [max_clients slot_min - B, max_clients slot_max + B], all int64[slots].

        Each slot's bounds narrow the parameters' own; they never widen them. Raises WrongArray and WrongLength.
        """
        for what, values in (("slot_min", slot_min), ("slot_max", slot_max), ("noise_bound", noise_bound)):
            parameters.require_slots(what, values)
        slot_min = np.maximum(slot_min, parameters.slot_min)
        slot_max = np.minimum(slot_max, parameters.slot_max)
        bound = np.minimum(noise_bound, parameters.noise_bound)
        n = parameters.max_clients
        return cls(n * slot_min - bound, n * slot_max + bound)

    @classmethod
    def uniform(cls, parameters: BfvParameters) -> Self:
        """The parameters' own range, for all slots."""
        ends = parameters.slot_min, parameters.slot_max, parameters.noise_bound
        return cls.of(parameters, *(np.full(parameters.slots, end, np.int64) for end in ends))


@dataclass(eq=False)
class SecretKey:
    """The key pair of one plan. **Secret.** Its bytes are for the key holder's own disk.

    `erase` drops it: SEAL clears the memory of a secret key when it frees it. Python's copies, made on the way to and from
    bytes, are freed but not cleared.
    """

    public: PublicKey
    _context: SealContext | None = field(repr=False)

    @classmethod
    def generate(cls, parameters: BfvParameters) -> Self:
        """A fresh key pair, from TenSEAL's own randomness."""
        context = SealContext.generate(parameters)
        return cls(PublicKey(parameters, context.public_key()), context)

    @classmethod
    def from_bytes(cls, parameters: BfvParameters, data: BytesLike) -> Self:
        """Parse the bytes of `to_bytes`. Raises WrongLength and CoefficientOutOfRange."""
        octets = exactly("bytes of a secret key", data, secret_key_bytes(parameters))
        polynomials = unpack(octets, 3, parameters.degree, parameters.moduli)
        public, secret = polynomials[:2], polynomials[2:]
        return cls(PublicKey(parameters, public), SealContext.secret(parameters, public, secret))

    def to_bytes(self) -> bytes:
        """The polynomials of the public key, then the secret polynomial. Raises KeyErased. **Secret.**"""
        return self.public.to_bytes() + pack(self._usable().secret_key(), self.public.parameters.moduli)

    def open_sum(self, total: Ciphertexts, expected: SumRange | None = None) -> Slots:
        """The sum with the leader's noise, int64[slots]. The key holder adds its own noise before it passes the sum on.

        `expected` defaults to `SumRange.uniform`. Raises SumOutOfRange (then erase the key), KeyMismatch and KeyErased.
        """
        parameters = self.public.parameters
        expected = expected or SumRange.uniform(parameters)
        values = self._decrypt(total)
        slots, unused = values[: parameters.slots], values[parameters.slots :]
        honest = np.all((slots >= expected.low) & (slots <= expected.high)) and not unused.any()
        if not honest:
            raise SumOutOfRange
        return slots

    def erase(self) -> None:
        """Forget the secret key. The public key remains, and names what can no longer be opened."""
        self._context = None

    @property
    def erased(self) -> bool:
        """True after `erase`."""
        return self._context is None

    def _decrypt(self, total: Ciphertexts) -> Slots:
        """All slots of all ciphertexts, int64[C N], not range-checked."""
        context = self._usable()
        if total.key_id != self.public.key_id:
            raise KeyMismatch(total.key_id, self.public.key_id)
        return np.concatenate([context.decrypt(ciphertext) for ciphertext in total.polynomials])

    def _usable(self) -> SealContext:
        if self._context is None:
            raise KeyErased(self.public.key_id)
        return self._context


def secret_key_bytes(parameters: BfvParameters) -> int:
    """Bytes of `SecretKey.to_bytes`."""
    return 3 * polynomial_bytes(parameters.degree, parameters.moduli)
