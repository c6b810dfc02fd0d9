"""One interface of bytes for every implementation of Prio3, so that a test is written once and runs on all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Instance(Protocol):
    """One Prio3 with its parameters: messages are bytes as they travel, the verification state is its own affair."""

    @property
    def shares(self) -> int: ...

    @property
    def rand_size(self) -> int: ...

    def shard(self, ctx: bytes, measurement: Any, nonce: bytes, rand: bytes) -> tuple[bytes, list[bytes]]: ...

    def verify_init(
        self, verify_key: bytes, ctx: bytes, agg_id: int, nonce: bytes, public_share: bytes, input_share: bytes
    ) -> tuple[Any, bytes]: ...

    def verifier_shares_to_message(self, ctx: bytes, verifier_shares: Sequence[bytes]) -> bytes: ...

    def verify_next(self, ctx: bytes, verify_state: Any, verifier_message: bytes) -> bytes: ...

    def aggregate(self, out_shares: Sequence[bytes]) -> bytes: ...

    def unshard(self, agg_shares: Sequence[bytes], num_measurements: int) -> Any: ...


@dataclass(frozen=True)
class Implementation:
    """`make(type, parameters)` builds an instance from the words of a vector's file; `malformed` is what it raises for
    arguments that break a pre-condition or an encoding, `rejected` for a report that verification refuses."""

    name: str
    make: Callable[[str, Mapping[str, int]], Instance]
    malformed: tuple[type[Exception], ...]
    rejected: tuple[type[Exception], ...]

    @property
    def refused(self) -> tuple[type[Exception], ...]:
        return self.malformed + self.rejected
