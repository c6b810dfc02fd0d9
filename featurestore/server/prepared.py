"""Answers of an epoch that are kept, for requests of few rows that are repeated byte for byte.

A model asks for the same service of the same popular keys again and again between two publications. Its answer then depends on
the bytes of its request alone, unless a view goes out of its ttl or computes on demand. A kept answer takes half of the time of a
computed one, from the client's first byte to its last: most of that time is a processor's that finds its caches cold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from featurestore.online.blocks import Snapshot
from featurestore.online.view_rows import ViewRows

MAX_REQUEST: Final = 1_024
MAX_ANSWER: Final = 16_384
"""The most bytes of a request and an answer that are kept."""
MAX_ROWS: Final = 4
"""The most rows of an answer that is kept: a request for many keys seldom comes again with the same ones."""
MAX_BYTES: Final = 32 * 2**20
"""The most memory of the kept answers of one event loop."""
_ENTRY: Final = 400
"""About so many bytes an entry has beside its request and its answer."""
_MAX_SEEN: Final = 2**16
_ALWAYS: Final = 2**63

_Answer = TypeVar("_Answer")


class Kept(NamedTuple, Generic[_Answer]):
    """An answer.

    Attributes:
        size: the bytes of the answer.
        rows: the rows of the request, for its charge.
        until: the last moment (µs since the epoch) at which the same request has the same answer.
    """

    answer: _Answer
    size: int
    rows: int
    until: int


class Prepared(Generic[_Answer]):
    """The kept answers of one event loop, by request, all of the newest snapshot.

    An answer is kept when its request comes for the second time: keeping those that come once would add to their time,
    for memory that is written and never read. There are two generations: when the recent one is full, it replaces the former one.
    So what is asked often stays, and no request waits for a search of the oldest.
    """

    def __init__(self, most: int = MAX_BYTES) -> None:
        self._half = most // 2
        self._snapshot: Snapshot | None = None
        self._recent: dict[bytes, Kept[_Answer]] = {}
        self._former: dict[bytes, Kept[_Answer]] = {}
        self._size = 0
        """Of the recent generation."""
        self._seen: set[int] = set()
        """Hashes of the requests that came once."""

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self._recent) + len(self._former)

    def find(self, snapshot: Snapshot, request: bytes, now_us: int) -> Kept[_Answer] | None:
        """The answer of a request; None: it must be computed. Nothing of another snapshot is held afterwards, so that the files
        of a former one can be closed."""
        if snapshot is not self._snapshot:
            self._snapshot, self._recent, self._former, self._size = snapshot, {}, {}, 0
            return None
        if len(request) > MAX_REQUEST:
            return None
        kept = self._recent.get(request)
        if kept is None:
            kept = self._former.pop(request, None)
            if kept is None:
                return None
            self._put(request, kept)
        return kept if now_us <= kept.until else None

    def keep(self, snapshot: Snapshot, request: bytes, kept: Kept[_Answer]) -> None:
        """Keep an answer, if it is small, its request comes again, and its snapshot is the one of the last `find`."""
        if len(request) > MAX_REQUEST or kept.size > MAX_ANSWER or kept.rows > MAX_ROWS:
            return
        if snapshot is not self._snapshot:
            return
        if (mark := hash(request)) in self._seen:
            self._put(request, kept)
            return
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        self._seen.add(mark)

    def _put(self, request: bytes, kept: Kept[_Answer]) -> None:
        size = len(request) + kept.size + _ENTRY
        self._size += size
        if self._size > self._half:
            self._recent, self._former, self._size = {}, self._recent, size
        self._recent[request] = kept


def same_until(views: Iterable[ViewRows], now_us: int) -> int | None:
    """Until when (µs since the epoch) these views read the same; None: one of them is out of its ttl already."""
    until = _ALWAYS
    for view in views:
        if view.header.expired(now_us):
            return None
        if view.header.ttl_us is not None and view.header.pane_end is not None:
            until = min(until, view.header.pane_end + view.header.ttl_us)
    return until
