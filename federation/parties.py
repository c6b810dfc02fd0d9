"""The parties of a collection: roles, public keys, and an aggregator's roster of sites."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from crypto.seal import SealPublicKey
from crypto.signing import VerifyKey

from .errors import PartyInvalid, ReportedTwice, RosterExceeded, UnknownSite
from .former_keys import FormerKey, PinnedKey
from .node_keys import NodeCertificate

Aggregator: TypeAlias = Literal["leader", "helper"]

MAX_SITE_ID: Final = 64
MAX_CLIENTS: Final = 2**31 - 1
MAX_SITES: Final = 2**17
DEFAULT_SITE_CLIENTS: Final = 100_000
"""The declared clients of a site by default: a public number, never a count of events."""
_SITE_ID: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_SITE_ID - 1}}}", re.ASCII)


def require_site_id(site: str) -> str:
    """The same text, if it is a site id: 1 to 64 letters, digits, `.`, `_`, `-`, starting with a letter or digit.

    Raises PartyInvalid.
    """
    if not _SITE_ID.fullmatch(site):
        shown = repr(site) if len(site) <= MAX_SITE_ID else f"of {len(site)} characters"
        raise PartyInvalid(
            f"site id {shown} is not valid: use 1 to {MAX_SITE_ID} letters, digits, '.', '_' or '-', starting with a "
            "letter or digit"
        )
    return site


@dataclass(frozen=True)
class CollectorKeys:
    """The collector's public keys: one for its signatures, and one to which noised shares are sealed."""

    sign: VerifyKey
    seal: SealPublicKey


@dataclass(frozen=True)
class PinnedCollector:
    """The collector's keys, as another party knows them.

    Attributes:
        former: those that were replaced, oldest first.
    """

    current: CollectorKeys
    former: tuple[FormerKey, ...] = ()

    def at(self, deadline_us: int) -> CollectorKeys:
        """The collector's keys for plans with this deadline."""
        for one in self.former:
            if one.seal is not None and deadline_us <= one.until_us:
                return CollectorKeys(one.key, one.seal)
        return self.current

    @property
    def sign(self) -> PinnedKey:
        """The signing keys."""
        return PinnedKey("collector", self.current.sign, self.former)


@dataclass(frozen=True)
class PublicKeys:
    """A party's public keys: the signing key of every party, the collector's seal key, and a site's node key.

    Batches are sealed to live keys, which an aggregator has for each plan (live_keys.py).
    """

    sign: VerifyKey
    seal: SealPublicKey | None = None
    node: NodeCertificate | None = None

    @property
    def collector(self) -> CollectorKeys:
        """These keys as the collector's. Raises PartyInvalid: they are another role's."""
        if self.seal is None:
            raise PartyInvalid("these keys are not the collector's: they have no seal key")
        return CollectorKeys(self.sign, self.seal)


@dataclass(frozen=True, order=True)
class EnrolledSite:
    """A site that may report, as a plan names it. Raises PartyInvalid.

    Attributes:
        max_clients: the number of its enrolled clients: declared, never counted from events.
    """

    site: str
    max_clients: int

    def __post_init__(self) -> None:
        require_site_id(self.site)
        require_max_clients(self.site, self.max_clients)


def require_max_clients(site: str, max_clients: int) -> None:
    """Return if a site may have this number of clients. Raises PartyInvalid."""
    if not 1 <= max_clients <= MAX_CLIENTS:
        raise PartyInvalid(f"site {site!r}: max_clients {max_clients} is outside [1, {MAX_CLIENTS:,}]")


@dataclass(frozen=True)
class RosterEntry:
    """A site from which an aggregator accepts reports.

    Attributes:
        max_clients: the most clients of the site in one collection, by its reports or its declaration. A site can invent up
            to this many clients.
        node: the key with which the site connects to a SuperLink; verified here. None: no SuperLink admits the site.
        former: the site's signing keys before `key`, oldest first.
    """

    site: str
    key: VerifyKey
    max_clients: int
    node: NodeCertificate | None = None
    former: tuple[FormerKey, ...] = ()

    def __post_init__(self) -> None:
        require_site_id(self.site)
        if self.node is not None:
            self.node.verify(self.site, self.key)
        require_max_clients(self.site, self.max_clients)

    def key_at(self, deadline_us: int) -> VerifyKey:
        """The site's signing key for plans with this deadline."""
        return PinnedKey(self.site, self.key, self.former).at(deadline_us)

    def count(
        self,
        before: npt.NDArray[np.int64],
        collection: npt.NDArray[np.uint32],
        clients: npt.NDArray[np.uint32] | None = None,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """The collections of a batch (uint32[T], increasing), and this site's clients in each, the batch included (int64[T]).

        Run by each aggregator in the transaction that accepts the batch: `before[touched] = counts` afterwards.

        Args:
            before: int64[collections of the plan], this site's clients that are counted already; not changed.
            collection: uint32[R], the batch's collection indices, all below `len(before)`.
            clients: uint32[R], the clients that the site declares for each report, at least 1. None: each report is one
                client's.

        Raises:
            ReportedTwice: a second report of a collection, if a report is the sum of a site's clients.
            RosterExceeded: with the batch a collection has more than `max_clients`.
        """
        touched, new = clients_in(collection, clients)
        if clients is not None:
            again = (before[touched] > 0) | (np.unique(collection, return_counts=True)[1] > 1)
            if again.any():
                raise ReportedTwice(self.site, int(touched[np.argmax(again)]))
        counts = before[touched] + new
        if len(counts) and counts.max() > self.max_clients:
            worst = int(np.argmax(counts))
            raise RosterExceeded(self.site, int(touched[worst]), int(counts[worst]), self.max_clients)
        return touched, counts


def clients_in(
    collection: npt.NDArray[np.uint32], clients: npt.NDArray[np.uint32] | None
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """The collections of these reports (uint32[T], increasing), and the number of clients in each (int64[T])."""
    touched, at = np.unique(collection, return_inverse=True)
    counts = np.zeros(len(touched), np.int64)
    np.add.at(counts, at, 1 if clients is None else clients)
    return touched, counts


class Roster:
    """An aggregator's own list of sites. Raises PartyInvalid: a site or a key is listed twice."""

    def __init__(self, entries: Iterable[RosterEntry]) -> None:
        self.entries = tuple(entries)
        for what, values in (
            ("site", [entry.site for entry in self.entries]),
            ("key", [entry.key.id.hex() for entry in self.entries]),
            ("node key", [entry.node.key.id.hex() for entry in self.entries if entry.node is not None]),
        ):
            twice = [value for value, times in Counter(values).items() if times > 1]
            if twice:
                raise PartyInvalid(f"{what} {twice[0]} is on the roster twice. Remove one of the entries")
        if len(self.entries) > MAX_SITES:
            raise PartyInvalid(f"the roster has {len(self.entries):,} sites; at most {MAX_SITES:,} are possible")
        self._by_site = {entry.site: entry for entry in self.entries}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roster) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"Roster({len(self.entries)} sites)"

    @property
    def enrolled(self) -> tuple[EnrolledSite, ...]:
        """The sites as a plan names them, in order."""
        return tuple(sorted(EnrolledSite(entry.site, entry.max_clients) for entry in self.entries))

    def __getitem__(self, site: str) -> RosterEntry:
        """The entry of a site. Raises UnknownSite."""
        try:
            return self._by_site[site]
        except KeyError:
            raise UnknownSite(site) from None
