"""When rows leave a store: whole UTC days that are older than a view's `retention`, once no window of a kept row needs them.

The age counts from the end of the newest pane, so a history that is replayed is kept like a live one. The registry keeps the
panes, their manifests and the hashes of their contents: they stay published, and are never collected again.
"""

from __future__ import annotations

from base.times import DAY_US
from featurestore.offline.window_rows import EVER_US, reach_us
from featurestore.registry.lineage import Lineage
from featurestore.registry.registry import Registry


def due_before(lineage: Lineage, newest_end: int) -> int | None:
    """The UTC midnight (µs) before which the rows of all versions of a name are too old; None: they stay for ever.

    Args:
        newest_end: the end of the newest pane, µs.
    """
    retention = lineage.newest.registered.view.retention_us
    reach = max(reach_us(version.registered.view) for version in lineage.versions)
    if retention is None or reach >= EVER_US:  # an earlier version has a Filtered, which needs all panes
        return None
    return (newest_end - retention - reach) // DAY_US * DAY_US


def expire(registry: Registry, name: str, newest_end: int) -> list[str]:
    """Let the rows of a name leave that are too old, inside a transaction; returns the files to delete after it."""
    due = due_before(registry.lineage(name), newest_end)
    if due is None or due <= registry.upkeep.expired_before(name):
        return []
    return registry.upkeep.expire(name, due)
