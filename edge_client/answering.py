"""A configured site answers a plan with sealed batches, as bytes. The way in which the plan arrived does not matter."""

from __future__ import annotations

import os
from collections.abc import Sequence

from base.times import wall_clock
from featurestore.define.definitions import FeatureView
from federation.sharding import Protect, protect

from .events import Events, make_events
from .open_ledgers import EACH_TIME, Ledgers
from .policy import Refuse
from .site import respond
from .site_config import SiteConfig
from .sources.files.reading import read_events


def answer_plan(
    signed_plan: bytes,
    encryption_keys: bytes,
    config: SiteConfig,
    protect: Protect = protect,
    ledgers: Ledgers = EACH_TIME,
) -> list[bytes] | Refuse:
    """Read the site's files of events and make its sealed batches, by the wall clock.

    Args:
        encryption_keys, protect, ledgers: see `respond`.
    """

    def load(views: Sequence[FeatureView]) -> Events:
        columns = config.client_column, config.time_column
        table = read_events(config.events, views, *columns, None, strict=False, cache=config.cache)
        return make_events(table, *columns, strict_times=False)

    answer = respond(signed_plan, config.settings, load, wall_clock, os.urandom, protect, encryption_keys, ledgers)
    return answer if isinstance(answer, Refuse) else [batch.to_bytes() for batch in answer]
