"""Which messages of an MQTT session the event log has although the broker may not know it yet.

A message is acknowledged after its events are committed. A crash between the two makes the broker send it again when the session
resumes: with its packet id, and with DUP set (MQTT 5, [MQTT-4.4.0-1] and [MQTT-3.3.1-1]). The log therefore commits, together with
the events, the packet id and the digest of each message that may be in flight. A message that comes again is acknowledged and
dropped.

Only the newest `WINDOW` messages can be in flight: the client's Receive Maximum is `WINDOW`, acknowledgements go out in order, and
a broker never has more messages unacknowledged than that [MQTT-3.3.4-9].

Privacy-sensitive: a digest confirms a guessed message. It leaves the log with its message's place in the window.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

WINDOW: Final = 256
"""Most messages that the broker sends before one of them is acknowledged."""
POSITION: Final = "mqtt"
"""Name of the position in the event log."""

_VERSION: Final = b"\x01"
_DIGEST: Final = 16
_ENTRY: Final = struct.Struct(f">H{_DIGEST}s")


@dataclass(frozen=True)
class InFlight:
    """The newest messages that the log has, oldest first.

    Attributes:
        digests: by packet id, the digest of the last message that had it.
    """

    digests: Mapping[int, bytes] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: bytes | None) -> InFlight:
        """What `packed` wrote; nothing: no message. Raises ValueError: it is something else."""
        if not value:
            return cls()
        body = value[1:]
        if value[:1] != _VERSION or len(body) % _ENTRY.size or len(body) > WINDOW * _ENTRY.size:
            raise ValueError("the position is not one of this version")
        return cls(dict(_ENTRY.iter_unpack(body)))

    def packed(self) -> bytes:
        """The value of the position: 18 bytes a message."""
        return _VERSION + b"".join(_ENTRY.pack(*one) for one in self.digests.items())

    def has(self, packet: int, digest: bytes) -> bool:
        """Whether the log has the message that comes again with this packet id."""
        return self.digests.get(packet) == digest

    def after(self, messages: Iterable[tuple[int, bytes]]) -> InFlight:
        """These messages are newer: packet ids and digests, in the order of their arrival."""
        digests = dict(self.digests)
        for packet, digest in messages:
            digests.pop(packet, None)
            digests[packet] = digest
        return InFlight(dict(list(digests.items())[-WINDOW:]))


def message_digest(topic: bytes, value: bytes) -> bytes:
    """Names a message: the first half of the SHA-256 of its topic and payload."""
    return sha256(struct.pack(">H", len(topic)) + topic + value).digest()[:_DIGEST]
