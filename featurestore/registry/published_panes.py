"""What became of the panes of a store, without their values: for lists, for lineage and beside charts."""

from __future__ import annotations

from .pane_index import PaneFilter, PanePlace
from .pane_span import PaneSpan
from .registry import Registry
from .release_pages import ListedPane, PlanTally, ReleasePage, find_pane, plan_tallies, read_page
from .watch import Published


class PublishedPanes:
    """The published panes of all views. A view is named as `view` or `view@v<n>`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def page(
        self, view: str | None, wanted: PaneFilter, after: PanePlace | None = None, limit: int = 100
    ) -> ReleasePage:
        """A page of the panes of a view, or of all views, the newest first. Raises UnknownView."""
        return read_page(self._registry, view, wanted, after, limit)

    def find(self, release_id: bytes) -> ListedPane:
        """The pane of a release id, also after its sums have left. Raises UnknownRelease."""
        return find_pane(self._registry, release_id)

    def tallies(self) -> list[PlanTally]:
        """How many panes each plan has of each view, by view, in order of the first pane. It reads the row of every pane."""
        return plan_tallies(self._registry)

    def span(self, view: str) -> PaneSpan:
        """How many panes a version has, and which. Raises UnknownView, UnknownVersion."""
        return PaneSpan.read(self._registry, self._registry.named(view))

    def not_opened(self, view: str, between: tuple[int | None, int | None], most: int) -> list[Published]:
        """The first voids and retractions among the panes with start ≤ pane_start < end (µs), by pane; at most `most`.

        Raises:
            UnknownView, UnknownVersion.
        """
        registered = self._registry.named(view)
        found = self._registry.publications.not_opened(self._registry.selection(registered), *between, most)
        return [one.of(registered) for one in found]

    def newest_at(self, view: str, moment: int) -> Published | None:
        """The pane whose row `Store.join` gives to a label of this moment (µs), in its state of that moment; None: there was none.

        Raises:
            UnknownView, UnknownVersion.
        """
        registered = self._registry.named(view)
        found = self._registry.publications.newest_at(self._registry.selection(registered), moment)
        return None if found is None else found.of(registered)
