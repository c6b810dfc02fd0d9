"""The errors of `crypto`, in one tree. Each error carries its numbers.

No error carries a value that may be a client's: it names the index only, so logs hold no private value.
"""

from __future__ import annotations

from fractions import Fraction

from base.errors import CoveyError


class CryptoError(CoveyError):
    """Base of all errors of this package."""


class FieldElementOutOfRange(CryptoError):
    """Bytes that encode p or more, so they are no element of the field.

    `index` counts elements from the start of what was parsed.
    """

    def __init__(self, index: int, field: str = "Field64") -> None:
        super().__init__(f"element {index} is not below the modulus of {field}")
        self.index, self.field = index, field


class ValueOutOfRange(CryptoError):
    """An integer that its encoding cannot hold. `index` is its place; the error does not show the value."""

    def __init__(self, what: str, index: int, low: int, high: int) -> None:
        super().__init__(f"{what} at index {index} is outside [{low}, {high}]")
        self.what, self.index, self.low, self.high = what, index, low, high


class IndexOutOfRange(CryptoError):
    """A row, column or index outside [0, bound)."""

    def __init__(self, what: str, index: int, bound: int) -> None:
        super().__init__(f"{what}: {index} is outside [0, {bound})")
        self.what, self.index, self.bound = what, index, bound


class WrongLength(CryptoError):
    """A number of bytes, rows or words that differs from the required one."""

    def __init__(self, what: str, have: int, need: int) -> None:
        super().__init__(f"{what}: have {have}, need {need}")
        self.what, self.have, self.need = what, have, need


class ParameterOutOfRange(CryptoError):
    """A public parameter outside the range that the draft or the arithmetic allows. It is no secret, so the error shows it."""

    def __init__(self, what: str, value: int, allowed: str) -> None:
        super().__init__(f"{what} = {value}: must be {allowed}")
        self.what, self.value, self.allowed = what, value, allowed


class TooFewProofs(CryptoError):
    """Too few proofs for a circuit with joint randomness over a small field: they would not be sound."""

    def __init__(self, field: str, have: int, need: int) -> None:
        super().__init__(f"{have} proof{'s' * (have != 1)} over {field} with joint randomness, need {need}")
        self.field, self.have, self.need = field, have, need


class NotAMultiple(CryptoError):
    """A length in bytes that does not divide into whole elements."""

    def __init__(self, what: str, have: int, unit: int) -> None:
        super().__init__(f"{what}: {have} bytes are no multiple of {unit}")
        self.what, self.have, self.unit = what, have, unit


class TooLong(CryptoError):
    """More bytes than the format allows."""

    def __init__(self, what: str, have: int, most: int) -> None:
        super().__init__(f"{what}: have {have} bytes, at most {most} fit")
        self.what, self.have, self.most = what, have, most


class WrongArray(CryptoError):
    """An array whose dtype or number of axes the interface does not accept (a defect of the caller)."""

    def __init__(self, what: str, have: str, need: str) -> None:
        super().__init__(f"{what}: have {have}, need {need}")
        self.what, self.have, self.need = what, have, need


class ScaleOutOfRange(CryptoError):
    """A noise scale that is not positive, or whose fraction is too long for the sampler's exact arithmetic.

    `what` is `sigma^2` of the Gaussian or `b` of the Laplace.
    """

    def __init__(self, what: str, scale: Fraction, why: str) -> None:
        super().__init__(f"{what} = {scale.numerator}/{scale.denominator}: {why}")
        self.what, self.scale, self.why = what, scale, why


class KeyInvalid(CryptoError):
    """Bytes of the right length that are not a valid key of this kind."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not a valid {what}")
        self.what = what


class SignatureInvalid(CryptoError):
    """A signature that this key did not make over these bytes, in this domain."""

    def __init__(self, domain: bytes, key_id: bytes) -> None:
        super().__init__(f"the signature is not by key {key_id.hex()} in the domain {domain.decode('ascii')!r}")
        self.domain, self.key_id = domain, key_id


class SealBroken(CryptoError):
    """A sealed message that does not open: damaged, for another key, or under another `info`. HPKE cannot say which."""

    def __init__(self, size: int, key_id: bytes) -> None:
        super().__init__(
            f"{size} sealed bytes do not open with key {key_id.hex()}: they are damaged, or sealed to another key or context"
        )
        self.size, self.key_id = size, key_id


class ReportRejected(CryptoError):
    """Base of the errors by which verification rejects a well-formed report."""


class VerifierCheckFailed(ReportRejected):
    """A proof that does not hold: the measurement is not valid, or its shares or the proof were altered."""

    def __init__(self) -> None:
        super().__init__("the proof does not hold")


class JointRandomnessMismatch(ReportRejected):
    """Joint randomness that does not follow from the measurement shares: the public share or a blind was altered."""

    def __init__(self) -> None:
        super().__init__("the joint randomness does not match the measurement's shares")


class QueryPointIsRoot(ReportRejected):
    """A test point among the nodes of the wire polynomials, where the verifier would leak the measurement.

    This happens by chance to at most one report in 2^56. The client may send the measurement again, under another nonce.
    """

    def __init__(self) -> None:
        super().__init__("the test point is a root of unity")


class CrypTenMissing(CryptoError):
    """CrypTen, or the PyTorch that it runs on, is not installed. No extra has it: a dependency does not build."""

    code = "EXTRA_MISSING"

    def __init__(self) -> None:
        super().__init__("CrypTen is not installed: pip install 'covey[mpc]', and then pip install --no-deps crypten")


class ConversionUnsafe(CryptoError):
    """Too many shared values, of too many bits: the chance that one is converted wrongly is too large (`crypto.mpc_shares`)."""

    def __init__(self, values: int, bits: int, most: int) -> None:
        super().__init__(
            f"the shares of {values:,} values of up to {bits} bits cannot be converted for MPC with an error probability below "
            f"2^-20. At most {most:,} values can: collect fewer panes, keys or slots at once"
        )
        self.values, self.bits, self.most = values, bits, most


class LibraryUnknown(CryptoError):
    """A library whose objects have a layout that this code does not know."""

    def __init__(self, library: str, what: str) -> None:
        super().__init__(f"{library}: {what}")
        self.library, self.what = library, what


class BfvImpossible(CryptoError):
    """No parameters at 128 bits hold these sums exactly.

    `sum_bits` is the size of a signed sum with the noise of both parties; `most_bits` is what the largest parameters hold.
    """

    def __init__(self, max_clients: int, slots: int, sum_bits: int, most_bits: int) -> None:
        super().__init__(
            f"no BFV parameters for {max_clients} clients and {slots} slots: "
            f"a sum needs {sum_bits} bits, and the largest parameters hold {most_bits}"
        )
        self.max_clients, self.slots, self.sum_bits, self.most_bits = max_clients, slots, sum_bits, most_bits


class CoefficientOutOfRange(CryptoError):
    """A coefficient that is not below its modulus. `ciphertext` counts from 0 in its message (0 for a key)."""

    def __init__(self, ciphertext: int) -> None:
        super().__init__(f"a coefficient of ciphertext {ciphertext} is not below its modulus")
        self.ciphertext = ciphertext


class KeyMismatch(CryptoError):
    """Ciphertexts under another public key or other parameters than those in use here."""

    def __init__(self, have: bytes, need: bytes) -> None:
        super().__init__(f"the ciphertexts are under key {have.hex()}, need {need.hex()}")
        self.have, self.need = have, need


class TooManyReports(CryptoError):
    """More reports in one sum than its parameters allow: beyond that number the sum may be wrong."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the sum would have more than {most} reports")
        self.most = most


class SumOutOfRange(CryptoError):
    """A decrypted sum that honest reports cannot give. Its slots would reveal the key, so the error shows none of them."""

    def __init__(self) -> None:
        super().__init__("the decrypted sum is outside the range of its reports")


class KeyErased(CryptoError):
    """An erased secret key: ciphertexts under it cannot be opened any more."""

    def __init__(self, key_id: bytes) -> None:
        super().__init__(f"the secret key {key_id.hex()} was erased")
        self.key_id = key_id
