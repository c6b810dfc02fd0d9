"""The opened panes of a store, with their sums."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from featurestore.define.definitions import FeatureView
from featurestore.define.panes import Panes
from featurestore.define.records import FileRecord
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

    def view(self, name: str) -> FeatureView:
        """The definition of `view`, as its name serves it, or of `view@v<n>`. Raises UnknownView, UnknownVersion."""
        return self._registry.named(name).view

    def newest(self, name: str, start: int | None, most: int) -> Panes:
        """The newest panes of a version, at most `most`, and none before `start` (µs). A BUDGET_SPENT void is none of them.

        Raises:
            UnknownView, UnknownVersion. StoreCorrupt: sums are missing.
        """
        registered, publications = self._registry.named(name), self._registry.publications
        selection, lineage = self._registry.selection(registered), self._registry.lineage(registered.view.name)
        starts = publications.pane_starts(selection, start)[-most:]
        between = (int(starts[0]), int(starts[-1]) + 1) if len(starts) else (0, 0)

        def read(_: list[FileRecord]) -> Panes:
            sums = Sums.of(publications, self._offline, lineage)
            return row_inputs(registered, selection, publications, sums, between).panes

        return History(self._registry, self._offline).read(registered, None, None, read)
