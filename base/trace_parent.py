"""W3C Trace Context: the `traceparent` that a message carries, so that its receiver's spans join the sender's trace.

It comes from outside and decides nothing: a text of another form counts as none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
"""The key in gRPC's metadata and in a Flower record."""
_FORM: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)
_LENGTH: Final = 55


@dataclass(frozen=True)
class TraceParent:
    """A span of any process: the trace's id and the span's own, in lower-case hex. Both are random."""

    trace: str
    span: str

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-01"

    @classmethod
    def parse(cls, text: object) -> TraceParent | None:
        """The span that a text names; None: it is no traceparent of version 00."""
        if not isinstance(text, str) or len(text) != _LENGTH:
            return None
        found = _FORM.fullmatch(text)
        if found is None or not found[1].strip("0") or not found[2].strip("0"):
            return None
        return cls(found[1], found[2])
