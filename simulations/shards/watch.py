"""A stopwatch: seconds of a thread's CPU time, by step. Signing and verifying are timed inside the steps they are part of."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from crypto.field import BytesLike
from crypto.signing import SigningKey, VerifyKey

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


@dataclass
class Watch:
    """Seconds by step. A step inside another one is counted for itself only."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inner: list[float] = field(default_factory=lambda: [0.0], repr=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        start = time.thread_time()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = time.thread_time() - start
            self.seconds[name] += took - self._inner.pop()
            self._inner[-1] += took


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
