"""The open connections of a worker, and how long a client may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HEAD_S: Final = 10.0
"""How long the head of a request may take: from its first byte, or from the connection on if it is the first request."""
MAX_HEAD: Final = 64 * 2**10
"""Bytes that may arrive without the end of a head or a part of a body. The parser copies a header at each of its parts."""
BODY_S: Final = 60.0
"""How long a body may take in addition to `MIN_BYTES_S`. Time in which the server does not read is not counted."""
MIN_BYTES_S: Final = 1024
"""The average bytes a second that a body must have."""
ANSWER_S: Final = 60.0
"""How long a client may leave a full buffer of its answer unread."""
ENDLESS: Final = "covey.endless"
"""The key in a request's scope that says that its answer has no end of its own: a stream of events."""
SURPLUS: Final = "covey.surplus"
"""The key of the limit in the scope of a request whose connection is beyond it."""


@dataclass
class Connections:
    """Counts the open connections of a worker.

    Attributes:
        most: the most connections that are served. As many more get a refusal, and the others are closed at once.
    """

    most: int
    open: int = 0

    @property
    def full(self) -> bool:
        """Whether the newest connection is beyond the limit."""
        return self.open > self.most

    @property
    def flooded(self) -> bool:
        """Whether the newest connection is closed without an answer."""
        return self.open > 2 * self.most
