"""The answer of a site to a plan or a draft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from base.trace_parent import TraceParent

NO_ANSWER: Final = "NO_ANSWER"
NONSENSE: Final = "NONSENSE"
FAILED: Final = "NODE_FAILED"


@dataclass(frozen=True)
class SiteAnswer:
    """The answer of one node.

    Attributes:
        node: Flower's node id.
        code: OK, a refusal code of the site, or NO_ANSWER, NONSENSE, NODE_FAILED.
        batches: sealed batches, unread; the aggregators check their sites' signatures.
        sender: the site's span, if it names one.
    """

    node: int
    site: str
    code: str
    batches: tuple[bytes, ...]
    sender: TraceParent | None = None
