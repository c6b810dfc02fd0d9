"""Whether the libraries that a plan's reports need are installed here. A site's light core has those of plain shares only."""

from __future__ import annotations

from typing import assert_never

from base.errors import ExtraMissing
from base.extras import require_extra
from federation.terms import Encrypted, Shares, Terms, Validity


def can_protect(terms: Terms) -> bool:
    """Whether this installation can make reports of these terms."""
    match terms:
        case Encrypted():
            return _has("he")
        case Shares(validity=Validity.PRIO3):
            return _has("proofs")
        case Shares():
            return True
        case _:
            assert_never(terms)


def _has(extra: str) -> bool:
    try:
        require_extra(extra, "this site")
    except ExtraMissing:
        return False
    return True
