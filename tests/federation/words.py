"""Plans for tests whose terms are spelled in words, as on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from deployment.run import requested_terms
from federation.plan import FromEvents, Plan, PlannedView
from federation.terms import (
    Finish,
    Noise,
    Participation,
    Protection,
    ReportPer,
    RequestedTerms,
    Shares,
    Terms,
    Validity,
    parse_term,
    terms_of,
)
from federation.wire_terms import WireTerms

WORDS: Final[dict[str, Any]] = {
    "protection": Protection,
    "validity": Validity,
    "finish": Finish,
    "report_per": ReportPer,
    "participation": Participation,
}
USUAL: Final = Shares()


def terms_in_words(usual: Terms = USUAL, **words: str) -> Terms:
    """The usual terms, changed by these words."""
    chosen = {name: parse_term(kind, words.pop(name, getattr(usual, name))) for name, kind in WORDS.items()}
    assert not words, words
    return terms_of(**chosen)


def requested_in_words(noise: str = "on", **words: str | None) -> RequestedTerms:
    """The request that these words make, as in `covey.run`; the usual words for the others."""
    usual = {
        "protection": "shares",
        "validity": "none",
        "finish": "open",
        "report_per": "client",
        "participation": None,
    }
    return requested_terms(noise, **(usual | words))  # type: ignore[arg-type]


def plan_in_words(
    plan_id: bytes,
    views: Sequence[PlannedView],
    noise: str = "full",
    *,
    wire: WireTerms | None = None,
    max_clients: int = 0,
    from_events: tuple[FromEvents, ...] = (),
    **words: Any,
) -> Plan:
    """A plan of these fields, with terms in words."""
    return Plan(
        plan_id, tuple(views), parse_term(Noise, noise), terms_in_words(**words), wire, max_clients, from_events
    )


def with_words(plan: Plan, **changes: Any) -> Plan:
    """A plan changed by these words and other fields."""
    words = {name: changes.pop(name) for name in WORDS if name in changes}
    if "noise" in changes:
        changes["noise"] = parse_term(Noise, changes["noise"])
    return replace(plan, terms=terms_in_words(plan.terms, **words), **changes)
