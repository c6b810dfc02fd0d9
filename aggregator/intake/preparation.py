"""What an aggregator prepares for a draft before the draft becomes a plan.

coordinator  signed draft ──Prepare──► helper or key holder ──► live keys; the key holder's encryption keys
coordinator  signed draft ──Prepare──► leader ──► live keys; with proofs, the hash of the verification key (key_agreement.py)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from aggregator.errors import MessageMalformed
from aggregator.services import aggregator_pb2 as pb
from aggregator.signed_message import require_length
from federation.errors import PlanInvalid
from federation.live_keys import LiveKeys
from federation.wire_terms import KEY_HASH_BYTES

MAX_KEYS_BYTES: Final = 32 * 2**20
"""The most that a site reads as one message, which brings it these keys."""


@dataclass(frozen=True)
class Preparation:
    """An aggregator's preparation for a draft; the same at each repeat.

    Attributes:
        verify_key_hash: at the leader of a plan with proofs, otherwise empty.
        encryption_keys: at the key holder its signed public keys, otherwise empty.
    """

    live: LiveKeys
    verify_key_hash: bytes = b""
    encryption_keys: bytes = field(default=b"", repr=False)

    def to_parts(self, size: int) -> Iterator[pb.PreparedPart]:
        """Messages with at most `size` bytes of keys each."""
        yield pb.PreparedPart(
            live=self.live.to_bytes(), verify_key_hash=self.verify_key_hash, encryption_keys=self.encryption_keys[:size]
        )
        for at in range(size, len(self.encryption_keys), size):
            yield pb.PreparedPart(encryption_keys=self.encryption_keys[at : at + size])

    @classmethod
    def from_parts(cls, parts: Iterable[pb.PreparedPart]) -> Preparation:
        """Join the messages. A stream that is too long is not read to its end. Raises MessageMalformed."""
        live = key_hash = b""
        keys = bytearray()
        for number, part in enumerate(parts):
            if number == 0:
                live, key_hash = part.live, part.verify_key_hash
            elif part.live or part.verify_key_hash:
                raise MessageMalformed("the parts of a preparation are out of order")
            elif not part.encryption_keys:
                raise MessageMalformed("a part of a preparation is empty")
            keys += part.encryption_keys
            if len(keys) > MAX_KEYS_BYTES:
                raise MessageMalformed(f"a preparation has more than {MAX_KEYS_BYTES:,} bytes of encryption keys")
        if key_hash:
            require_length("hash of a key", key_hash, KEY_HASH_BYTES)
        try:
            return cls(LiveKeys.from_bytes(live), key_hash, bytes(keys))
        except PlanInvalid as error:
            raise MessageMalformed(str(error)) from None
