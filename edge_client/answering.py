"""A configured site answers a plan with sealed batches, as bytes. The way in which the plan arrived does not matter."""

from __future__ import annotations

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
            return source.read(views)

    answer = respond(signed_plan, config.settings, load, wall_clock, os.urandom, protect, encryption_keys, ledgers)
    return answer if isinstance(answer, Refuse) else [batch.to_bytes() for batch in answer]
