"""The parameters of BFV for one plan: ring, moduli and flooding. With them every sum is exact, and the leak has a bound.

Notation: N the ring's degree, q the product of the data primes, t the plaintext prime, n = max_clients, Delta = q/t.
One more prime, the last of a chain, takes part in making keys and fresh ciphertexts and is divided away: it never
reaches a ciphertext. `CHAINS` stays below the table of 128-bit security (`MOST_BITS`, the HomomorphicEncryption.org
standard of 2018 for ternary secrets), the last prime counted.

**A sum fits in t.** A slot of the sum is in [n slot_min, n slot_max]. The leader's noise exceeds B = ceil(12 sigma) only
with probability 2 exp(-72). The key holder adds its noise after decryption, but the bound has room for it as well. With
t > 2 (max(|n slot_min|, |n slot_max|) + 2 B) the signed residue in (-t/2, t/2) is the integer itself. `choose` takes twice
that, so that possible sums cover at most half of the range (see "Which t").

**Decryption is exact.** Decrypting rounds (t/q)(c0 + c1 s); it is right while each coefficient of the noise
c0 + c1 s - (q/t) m stays below H = q/2t. The noise of the sum of n reports and the leader's fresh ciphertext is

    b   rounding of (q/t) m_i to integers: at most 1/2 each. Equal reports have equal errors, so |b| <= (n + 1)/2,
    e   n + 1 fresh encryptions. After the division by the last prime, r0 + r1 s remains, with r's coefficients
        uniform in [-1/2, 1/2]: variance (1 + 2N/3)/12, about N/18, for a ternary s of 2N/3 non-zeros (the term
        e u + e1 s + e2 of the key level, of variance 13.7 N, is divided by the last prime: below 0.001),
    f   the flooding, of variance sigma_f^2.

With sigma_f^2 <= ((H - (n + 1)/2)/9)^2 - (n + 1) N/18 the standard deviation of e + f is at most (H - |b|)/9, so a
coefficient fails with the Gaussian's tail beyond 9: 2.3e-19, 1e-15 for a ciphertext of 4096. (The term (n + 1)/2 covers
reports that are all equal.)

**What the noise reveals.** The key holder also sees the decryption noise. Only its part b depends on the clients' values. For
a given sum, the leader's noise compensates for a report that is replaced by zeros, and both are rounded again: b changes by
an integer, at most 1 a coefficient, sqrt(C N) in L2 over C ciphertexts. Flooding by a discrete Gaussian makes this
rho = C N/(2 sigma_f^2) of zCDP an opening (`leak_rho`), which adds to the release's rho. The bound covers the view through
c0 + c1 s. That c0 and c1 reveal no more, once the leader has added a fresh encryption, is the usual heuristic of circuit
privacy, not a theorem.

**Which t.** A larger t leaves less room for the flooding, but makes forged sums likelier to be out of range: a chosen
ciphertext decrypts to slots all over (-t/2, t/2), and the range check accepts at most half of that range. An attacker who
wants the key needs many more slots at once than such a check accepts. So t is the largest prime with a leak of at most
`LEAK_AIM`. Where the sums need more, t is the smallest prime that holds them twice, as long as the leak stays below
`leak_limit`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from .errors import BfvImpossible, ParameterOutOfRange, WrongArray, WrongLength

Slots = npt.NDArray[np.int64]
"""int64[slots]: one plaintext vector, one sum."""

MOST_BITS = {2048: 54, 4096: 109, 8192: 218, 16384: 438}  # degree → most bits of all primes at 128 bits, ternary secret
CHAINS = ((4096, (60, 20)), (4096, (33, 33, 43)), (8192, (60, 60, 20)))  # (degree, bits of the primes), cheapest first
MOST_PLAIN_BITS = 60  # SEAL's limit for t
MOST_CLIENTS = 1_000_000
MOST_SLOTS = 2**24
NOISE_SIGMAS = 12
LEAK_AIM = Fraction(1, 10**6)  # one micro-rho, the ledgers' unit
LEAK_LIMIT = Fraction(1, 10**4)
# More flooding costs samples and changes no ledger: at 2^26 the leak of a ciphertext is 1e-13.
_MOST_FLOOD = 2**26
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)  # Miller-Rabin with these is exact below 2^64


@dataclass(frozen=True)
class BfvParameters:
    """The BFV parameters of a plan: both parties and every client derive the same ones. Make them with `choose`."""

    degree: int  # N
    prime_bits: tuple[int, ...]  # of the chain, the last prime included
    plain_modulus: int  # t
    slots: int  # of a report
    max_clients: int
    slot_min: int
    slot_max: int
    noise_bound: int  # B, of one party

    @classmethod
    def choose(
        cls,
        max_clients: int,
        slot_min: int,
        slot_max: int,
        noise_sigma_sq: Fraction,
        slots: int,
        leak_limit: Fraction = LEAK_LIMIT,
    ) -> Self:
        """The cheapest parameters for sums of up to `max_clients` reports of `slots` values in [slot_min, slot_max].

        `noise_sigma_sq` is the largest sigma^2 of one party's noise, in units of a slot; 0 where noise is off.
        Raises ParameterOutOfRange and BfvImpossible.
        """
        _check("max_clients", max_clients, 1, MOST_CLIENTS)
        _check("slots", slots, 1, MOST_SLOTS)
        _check("slot_max", slot_max, slot_min, 2**62)
        _check("slot_min", slot_min, -(2**62), slot_max)
        if noise_sigma_sq < 0:
            raise ParameterOutOfRange("noise_sigma_sq", math.floor(noise_sigma_sq), "not negative")
        bound = gaussian_bound(noise_sigma_sq)
        least_t = 4 * (max_clients * max(abs(slot_min), abs(slot_max)) + 2 * bound) + 1
        most_bits = 0
        for degree, bits in CHAINS:
            candidate = cls(degree, bits, 0, slots, max_clients, slot_min, slot_max, bound)
            most_t = candidate._most_t(leak_limit)
            most_bits = max(most_bits, most_t.bit_length())
            t = candidate._plain_prime(candidate._most_t(min(LEAK_AIM, leak_limit)), -1)
            if t < least_t:
                t = candidate._plain_prime(least_t, +1)
            if least_t <= t <= most_t:
                return cls(degree, bits, t, slots, max_clients, slot_min, slot_max, bound)
        raise BfvImpossible(max_clients, slots, least_t.bit_length(), most_bits)

    @cached_property
    def moduli(self) -> tuple[int, ...]:
        """All primes of the chain, as SEAL chooses them: the largest of their size that are 1 mod 2N."""
        return _chain(self.degree, self.prime_bits)

    @property
    def data_moduli(self) -> tuple[int, ...]:
        """The primes that ciphertexts have: all but the last."""
        return self.moduli[:-1]

    @cached_property
    def q(self) -> int:
        """The product of the data primes."""
        return math.prod(self.data_moduli)

    @property
    def ciphertexts(self) -> int:
        """Ciphertexts in a report: N slots in each."""
        return -(-self.slots // self.degree)

    @cached_property
    def flood_sigma_sq(self) -> int:
        """sigma_f^2 of the leader's flooding, in units of a coefficient; see the module for the bound."""
        half = Fraction(self.q, 2 * self.plain_modulus)
        room: Fraction = ((half - Fraction(self.max_clients + 1, 2)) / 9) ** 2
        return min(math.floor(room - self._fresh_variance), _MOST_FLOOD**2)

    @property
    def _fresh_variance(self) -> Fraction:
        return Fraction((self.max_clients + 1) * self.degree, 18)

    def _most_t(self, leak: Fraction) -> int:
        """The largest t with which sums decrypt, and an opening leaks at most `leak`."""
        flood_sq = self.ciphertexts * self.degree / (2 * leak)
        sigma = _root_above(min(flood_sq, Fraction(_MOST_FLOOD**2)) + self._fresh_variance + 1)
        most: int = 2**MOST_PLAIN_BITS - 1
        return min(self.q // (18 * sigma + self.max_clients + 1), most)

    def _plain_prime(self, start: int, step: int) -> int:
        """The first prime from `start` on that batching can use (1 mod 2N, not in the chain); 0 if there is none."""
        return next((t for t in _primes(start, step, 2 * self.degree) if t not in self.moduli), 0)

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that name these parameters."""
        fields = (self.degree, self.plain_modulus, self.slots, self.max_clients, self.slot_min, self.slot_max)
        words = (*fields, self.noise_bound, len(self.moduli), *self.moduli)
        packed = b"".join(word.to_bytes(8, "big", signed=True) for word in words)
        return hashlib.sha256(b"covey-1 bfv" + packed).digest()

    def require_slots(self, what: str, values: Slots) -> None:
        """Raise WrongArray or WrongLength unless `values` is int64[slots]."""
        if values.dtype != np.int64 or values.ndim != 1:
            raise WrongArray(what, f"{values.dtype}, {values.ndim} axes", "int64, 1 axis")
        if len(values) != self.slots:
            raise WrongLength(what, len(values), self.slots)


def leak_rho(parameters: BfvParameters) -> float:
    """rho of zCDP that the decryption noise of one opening reveals to the key holder: C N/(2 sigma_f^2)."""
    return parameters.ciphertexts * parameters.degree / (2 * parameters.flood_sigma_sq)


def gaussian_bound(sigma_sq: Fraction) -> int:
    """B = ceil(12 sigma): a Gaussian sample exceeds it with probability 2 exp(-72), negligible for any number of slots."""
    return _root_above(NOISE_SIGMAS**2 * sigma_sq)


def _check(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ParameterOutOfRange(what, value, f"in [{low}, {high}]")


def _root_above(square: Fraction) -> int:
    """The smallest integer whose square is at least `square`."""
    root = math.isqrt(math.ceil(square))
    return root + (root * root < square)


def _is_prime(n: int) -> bool:
    """Miller-Rabin, exact below 2^64."""
    if n < 2 or any(n % p == 0 for p in _PRIMES):
        return n in _PRIMES
    twos = ((n - 1) & (1 - n)).bit_length() - 1
    for base in _PRIMES:
        x = pow(base, (n - 1) >> twos, n)
        if x in (1, n - 1):
            continue
        if not any((x := x * x % n) == n - 1 for _ in range(twos - 1)):
            return False
    return True


def _primes(start: int, step: int, order: int) -> Iterator[int]:
    """The primes that are 1 mod `order`, from `start` up (step 1) or down (step -1)."""
    offset = (start - 1) % order
    value = start - offset if step < 0 or not offset else start - offset + order
    while value > 1:
        if _is_prime(value):
            yield value
        value += step * order


def _chain(degree: int, bits: tuple[int, ...]) -> tuple[int, ...]:
    """The primes of SEAL's `CoeffModulus::Create`: among primes of one size, the smaller comes first."""
    pools = {}
    for size in set(bits):
        search = _primes(2**size - 1, -1, 2 * degree)
        pools[size] = [next(search) for _ in range(bits.count(size))]
    return tuple(pools[size].pop() for size in bits)
