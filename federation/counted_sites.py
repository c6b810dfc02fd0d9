"""The counted sites of a plan: those whose signed batch, empty or with reports, an aggregator has accepted.

Leader and helper commit to them before anything is opened, and both sign them in their opening statements. A release says
from them who is missing. Whoever is on either list has reported, and cannot report the same panes once more.

    bytes: the ids in order, each after one byte with its length
"""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.define.release import CountedSites

from .errors import PartyInvalid
from .parties import MAX_SITE_ID, MAX_SITES, EnrolledSite, require_site_id

MOST_BYTES = MAX_SITES * (1 + MAX_SITE_ID)
"""Most bytes of the counted sites of a plan."""


def sites_to_bytes(sites: Iterable[str]) -> bytes:
    """The canonical encoding."""
    return b"".join(bytes([len(site)]) + site.encode("ascii") for site in sites)


def sites_from_bytes(data: bytes) -> tuple[str, ...]:
    """Parse. Raises PartyInvalid: not ids, each once and in order."""
    if len(data) > MOST_BYTES:
        raise PartyInvalid(f"the counted sites have {len(data):,} bytes; at most {MOST_BYTES:,} are possible")
    found, at = list[str](), 0
    while at < len(data):
        end = at + 1 + data[at]
        site = data[at + 1 : end].decode("ascii", "replace")
        if end > len(data) or (found and site <= found[-1]):
            raise PartyInvalid("the counted sites are not ids of sites, each once and in order")
        found.append(require_site_id(site))
        at = end
    return tuple(found)


def require_enrolled(sites: Iterable[str], roster: Iterable[EnrolledSite]) -> None:
    """Return if all of these sites are on a plan's roster. Raises PartyInvalid."""
    for site in sorted(set(sites) - {one.site for one in roster}):
        raise PartyInvalid(f"site {site!r} is counted, but it is not on the plan's roster")


def coverage_of(roster: tuple[EnrolledSite, ...], counted: Iterable[str]) -> CountedSites:
    """What a release says about these counted sites of a roster."""
    there = frozenset(counted)
    return CountedSites(
        counted=sum(one.site in there for one in roster),
        enrolled=len(roster),
        missing=tuple(one.site for one in roster if one.site not in there),
        clients=sum(one.max_clients for one in roster if one.site in there),
        enrolled_clients=sum(one.max_clients for one in roster),
    )
