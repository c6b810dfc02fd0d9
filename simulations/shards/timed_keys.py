"""Keys that measure the time of signing and verifying, inside the steps that use them."""

from __future__ import annotations

from typing import Final

from crypto.field import BytesLike
from crypto.signing import SigningKey, VerifyKey
from simulations.measuring import Watch

STEPS: Final = (
    "generate",
    "compute",
    "share",
    "seal",
    "sign",
    "carry",
    "verify signature",
    "open",
    "verify proof",
    "add",
    "merge",
    "noise",
    "publish",
)
"""The steps in order; `carry` is writing and parsing messages."""


class TimedSigningKey(SigningKey):
    """A signing key whose time counts as the step `sign`."""

    def __init__(self, seed: bytes, watch: Watch) -> None:
        super().__init__(seed)
        self._watch = watch

    def sign(self, domain: bytes, message: BytesLike) -> bytes:
        """Do as the key does, and measure the time."""
        with self._watch.step("sign"):
            return super().sign(domain, message)


class TimedVerifyKey(VerifyKey):
    """A public key whose time counts as the step `verify signature`."""

    def __init__(self, key: VerifyKey, watch: Watch) -> None:
        super().__init__(key.data)
        object.__setattr__(self, "_watch", watch)

    def verify(self, domain: bytes, message: BytesLike, signature: BytesLike) -> None:
        """Do as the key does, and measure the time."""
        watch: Watch = self._watch  # type: ignore[attr-defined]  # set past the frozen dataclass, above
        with watch.step("verify signature"):
            super().verify(domain, message, signature)
