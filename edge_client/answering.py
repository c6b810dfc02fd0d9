"""A configured site answers a plan with sealed batches, as bytes. The way in which the plan arrived does not matter."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from base.times import wall_clock
from federation.plan import PlannedView
from federation.sharding import Protect, protect

from .events import Events
from .open_ledgers import EACH_TIME, Ledgers
from .policy import Refuse
from .site import respond
from .site_config import SiteConfig
from .sources.open import EACH_TIME as OPENED_EACH_TIME
from .sources.open import Sources
from .sources.source import Stream
from .sources.status import SourceStatus

_log = logging.getLogger("covey.site")


def answer_plan(
    signed_plan: bytes,
    encryption_keys: bytes,
    config: SiteConfig,
    protect: Protect = protect,
    ledgers: Ledgers = EACH_TIME,
    sources: Sources = OPENED_EACH_TIME,
) -> list[bytes] | Refuse:
    """Read the site's events and make its sealed batches, by the wall clock.

    Args:
        encryption_keys, protect, ledgers: see `respond`.
        sources: how the site's source is opened.
    """

    def load(views: Sequence[PlannedView]) -> Events:
        with sources.of(config.source, config.settings.site) as source:
            seconds = config.source.wait_us / 1e6 if isinstance(config.source, Stream) else 0.0
            if not source.ready_for(seconds):
                _warn(source.status(), seconds)
            return source.read(views)

    answer = respond(signed_plan, config.settings, load, wall_clock, os.urandom, protect, encryption_keys, ledgers)
    return answer if isinstance(answer, Refuse) else [batch.to_bytes() for batch in answer]


def _warn(status: SourceStatus | None, waited: float) -> None:
    """Log that the answer lacks events which the broker has. `waited`: seconds."""
    why = "" if status is None or status.trouble is None else f" ({status.trouble})"
    behind = "" if status is None or not status.behind else f"; the broker has {status.behind:,} more records"
    _log.warning(
        "after %.1f s the event log still lacks events of its stream%s%s: the plan is answered from what the log has, and events "
        "of its panes that arrive later are late",
        *(waited, why, behind),
    )
