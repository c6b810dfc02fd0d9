"""Watches a view: yields each published pane once, in the order of publication."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from featurestore.define.release import PaneState
from featurestore.errors import RemoteFailed

POLL_S = 0.1
"""How often a watch looks for a new publication."""


@dataclass(frozen=True)
class Published:
    """One published pane, or the retraction of one.

    Attributes:
        seq: number of the publication, which may have many panes.
        pane_start, pane_end, released_at, published_at: µs since the epoch.
        reason: why the pane is void or retracted.
    """

    view: str
    version: int
    seq: int
    release_id: bytes
    pane_start: int
    pane_end: int
    released_at: int
    published_at: int
    state: PaneState
    reason: str | None


def watch(
    newest: Callable[[], int], since: Callable[[int], list[Published]], after: int | None, wait: Callable[[], bool]
) -> Iterator[Published]:
    """Yield every pane of the publications after `after`, then each new one as it is published.

    Args:
        newest: gives the number of the view's last publication.
        since: gives the panes that were published after a publication, in order.
        after: the last publication that the caller knows; None: the newest one.
        wait: waits before the next look; False ends the watch.
    """
    seen = newest() if after is None else after
    while True:
        for one in since(seen):
            yield one
            seen = max(seen, one.seq)
        if not wait():
            return


def wait_for(seconds: float) -> bool:
    """Wait this many seconds; returns True."""
    time.sleep(seconds)
    return True


def published_to_json(one: Published) -> str:
    """One line of JSON."""
    return json.dumps({**asdict(one), "release_id": one.release_id.hex()})


def published_from_json(text: str) -> Published:
    """The inverse of `published_to_json`. Raises RemoteFailed."""
    try:
        data: dict[str, Any] = json.loads(text)
        return Published(**{**data, "release_id": bytes.fromhex(data["release_id"])})
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteFailed(f"the server's list of published panes cannot be read ({error})") from None
