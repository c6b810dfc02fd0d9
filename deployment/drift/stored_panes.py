"""The opened panes of a store, with their sums."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from featurestore.define.panes import Panes
from featurestore.define.records import FileRecord, RegisteredView
from featurestore.errors import StoreNotFound
from featurestore.offline.history import History
from featurestore.offline.parquet import Offline
from featurestore.online.settings import store_path
from featurestore.publish.sums import Sums, row_inputs
from featurestore.registry.registry import Registry


class StoredPanes:
    """Reads the panes of a store. It is a context manager.

    Args:
        directory: the store's or project's directory.

    Raises:
        StoreNotFound. StoreCorrupt: another version wrote it.
    """

    def __init__(self, directory: Path) -> None:
        root = store_path(directory)
        if not (root / "registry.db").is_file():
            raise StoreNotFound(str(directory))
        self._registry = Registry(root / "registry.db", read_only=True)
        self._offline = Offline(root / "offline")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._registry.close()

    def names(self) -> list[str]:
        """The names of all views."""
        return [registered.view.name for registered in self._registry.views()]

    def version(self, name: str) -> RegisteredView:
        """The version that `view` serves now, or `view@v<n>`. Raises UnknownView, UnknownVersion."""
        return self._registry.named(name)

    def newest(self, version: RegisteredView, start: int | None, most: int) -> Panes:
        """The newest panes of a version, at most `most`, and none before `start` (µs). A BUDGET_SPENT void is none of them.

        They are of one state of the store, also while panes are published and old ones leave.

        Raises:
            StoreCorrupt: sums are missing.
        """
        registry, publications = self._registry, self._registry.publications

        def read(_: list[FileRecord]) -> Panes:
            with registry.snapshot():
                selection, lineage = registry.selection(version), registry.lineage(version.view.name)
                starts = publications.pane_starts(selection, start)[-most:]
                between = (int(starts[0]), int(starts[-1]) + 1) if len(starts) else (0, 0)
                sums = Sums.of(publications, self._offline, lineage)
                return row_inputs(version, selection, publications, sums, between).panes

        return History(registry, self._offline).read(version, None, None, read)
