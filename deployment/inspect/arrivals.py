"""The panes of all views of a store as they are published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from deployment.project.known_releases import registry_of
from featurestore.registry.watch import POLL_S, Published, wait_for
from featurestore.store import Store


def newest_publication(directory: Path) -> int:
    """The number of the last publication into the store of a directory; 0: there is none."""
    with registry_of(directory) as registry:
        return 0 if registry is None else registry.publications.next_seq() - 1


def arrivals(store: Store, after: int, *, wait: Callable[[], bool] = lambda: wait_for(POLL_S)) -> Iterator[Published]:
    """Yield every pane of every view as it is published, each once, in the order of publication. Views may come meanwhile.

    Args:
        after: the last publication that the caller knows.
        wait: waits before the next look; False ends the watch.
    """
    while True:
        if found := _published(store, after):
            # a publication may have come between two views, so those up to a known one are read again
            newest = max(one.seq for one in found)
            found = [one for one in _published(store, after) if one.seq <= newest]
            yield from sorted(found, key=lambda one: (one.seq, one.view, one.pane_start))
            after = newest
        if not wait():
            return


def _published(store: Store, after: int) -> list[Published]:
    return [one for view in store.views() for one in store.published(view.name, after)]
