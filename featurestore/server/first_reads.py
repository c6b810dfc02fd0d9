"""Spans of reads: the first one of each publication, in each worker. It joins the trace of the collection that published it.

Later reads have none, so traces cost a read nothing, and no exporter sees what readers ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from base.fields import Fields
from base.traces import is_tracing, span
from featurestore.online.release_traces import publication_of
from featurestore.online.view_rows import ViewHeader, ViewRows

_NOTHING: Final = nullcontext()


class FirstReads:
    """The publications that this process has read.

    Args:
        root: the store's directory.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._read = root, set[tuple[str, int, int]]()

    def of(self, views: Iterable[ViewRows]) -> AbstractContextManager[None]:
        """The block in which these views are read."""
        if not is_tracing():
            return _NOTHING
        fresh = [one.header for one in views if _publication(one.header) not in self._read]
        return self._spans([header for header in fresh if header.seq]) if fresh else _NOTHING

    @contextmanager
    def _spans(self, headers: list[ViewHeader]) -> Iterator[None]:
        self._read.update(map(_publication, headers))
        if not headers:
            yield
            return
        first, *others = headers
        sender = publication_of(self._root, *_publication(first))
        with span("read", Fields(view=first.view), sender=sender), self._spans(others):
            yield


def _publication(header: ViewHeader) -> tuple[str, int, int]:
    return header.view, header.version, header.seq
