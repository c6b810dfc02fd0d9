"""Checks of drift that are kept while nothing is published, for a program that shows them again and again."""

from __future__ import annotations

from pathlib import Path

from deployment.inspect.arrivals import newest_publication

from .report import Report, Terms
from .stored_panes import StoredPanes


class KeptChecks:
    """The newest check of all views, which is kept until something is published. For one thread at a time.

    Args:
        directory: of the store or project.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._found: dict[int, tuple[int, tuple[Report, ...]]] = {}

    def of(self, last: int) -> tuple[Report, ...]:
        """The reports on the newest `last` panes. Raises StoreCorrupt."""
        from .checks import check_views  # scipy is slow to import

        newest = newest_publication(self._directory)
        if self._found.get(last, (None,))[0] != newest:
            with StoredPanes(self._directory) as store:
                self._found[last] = newest, tuple(check_views(store, store.names(), Terms(last=last)))
        return self._found[last][1]
