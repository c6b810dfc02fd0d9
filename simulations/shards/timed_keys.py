"""Keys that time what is done with them: signing and verifying are timed inside the steps they are part of."""

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
"""In the order of the way; `carry` is writing and parsing what is sent."""


class TimedSigningKey(SigningKey):
    """A signing key whose signatures are counted as `sign`."""

    def __init__(self, seed: bytes, watch: Watch) -> None:
        super().__init__(seed)
        self._watch = watch

    def sign(self, domain: bytes, message: BytesLike) -> bytes:
        """As the key."""
        with self._watch.step("sign"):
            return super().sign(domain, message)


class TimedVerifyKey(VerifyKey):
    """A verification key whose checks are counted as `verify signature`."""

    def __init__(self, key: VerifyKey, watch: Watch) -> None:
        super().__init__(key.data)
        object.__setattr__(self, "_watch", watch)

    def verify(self, domain: bytes, message: BytesLike, signature: BytesLike) -> None:
        """As the key."""
        watch: Watch = self._watch  # type: ignore[attr-defined]  # set past the frozen dataclass, above
        with watch.step("verify signature"):
            super().verify(domain, message, signature)
