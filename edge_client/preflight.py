"""What a site would answer to a plan, before the plan exists: it charges nothing, reads no value and writes nothing.

The answer follows from the draft, the policy, the ledger, the clock, whether the source can be read, and the names and types of the
event columns. It says nothing about whether a day has events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from crypto.errors import CryptoError
from featurestore.errors import FeatureStoreError
from federation.errors import FederationError, LedgerBroken
from federation.refusal_codes import RefusalCode

from .errors import EdgeError, LogError, SourceAway
from .events import check_schema, make_events
from .open_ledgers import EACH_TIME, Ledgers
from .policy import Refuse, decide
from .site_config import SiteConfig
from .sources.open import EACH_TIME as OPENED_EACH_TIME
from .sources.open import Sources

_log = logging.getLogger(__name__)


def check_draft(
    signed_draft: bytes,
    config: SiteConfig,
    clock: Callable[[], int],
    ledgers: Ledgers = EACH_TIME,
    sources: Sources = OPENED_EACH_TIME,
) -> Refuse | None:
    """The refusal with which this site would answer the plan of a signed draft; None: it would take part.

    Args:
        clock: wall clock, µs since the epoch.
        ledgers, sources: how the site's ledger and its source are opened.
    """
    settings = config.settings
    try:
        draft = settings.policy.draft(signed_draft)
    except (FederationError, CryptoError):
        return Refuse(RefusalCode.PLAN_UNSIGNED)
    try:
        state = ledgers.reading(settings.ledger, settings.site)
    except LedgerBroken:
        return Refuse(RefusalCode.LEDGER_BROKEN)
    decision = decide(draft, settings.policy, state, clock(), clients=settings.clients)
    if isinstance(decision, Refuse):
        return decision
    try:
        views = [planned.view for planned in draft.views]
        with sources.of(config.source, settings.site) as source:
            rows = source.schema(views)
        events = make_events(rows, config.source.client, config.source.time, strict_times=False)
        for view in views:
            check_schema(view, events)
    except (SourceAway, LogError) as error:
        _log.warning("%s", error)
        return Refuse(RefusalCode.SOURCE_AWAY, draft.hash)
    except (EdgeError, FeatureStoreError) as error:
        _log.warning("the events do not fit the plan: %s", error)
        return Refuse(RefusalCode.SCHEMA, draft.hash)
    return None
