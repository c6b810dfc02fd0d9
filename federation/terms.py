"""The terms of a plan: how reports are protected and proven, how their sums are opened, and who reports.

    Terms = Shares(validity, finish, report_per, participation) | Encrypted(participation)

Only combinations that can be collected can be written down. Each edge (command line, configuration file, bytes of a plan)
parses its words once, by `word`, and combines them by `terms_of`, which says what is possible and why not. Behind the edge,
terms are matched as types. Noise stands beside them: whatever the terms, each aggregator adds it, or in a laboratory none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

from .errors import TermsImpossible, TermUnknown


class Noise(StrEnum):
    """`full`: each aggregator adds noise of the full scale, by the mechanism of each view. `none`: tests and labs only."""

    FULL = "full"
    NONE = "none"


class Protection(StrEnum):
    """`shares`: additive, for two aggregators. `he`: BFV ciphertexts, for a leader that adds and a key holder that opens."""

    SHARES = "shares"
    HE = "he"


class Validity(StrEnum):
    """`none`: a client's values are its word. `prio3`: every report proves that it lies within the view's bounds."""

    NONE = "none"
    PRIO3 = "prio3"


class Finish(StrEnum):
    """`open`: the collector adds the noised shares. `mpc`: the aggregators suppress small cells under MPC before they open."""

    OPEN = "open"
    MPC = "mpc"


class ReportPer(StrEnum):
    """`client`: a report is one client's. `site`: it is the sum of a site's clients, each bounded before, and declares how many."""

    CLIENT = "client"
    SITE = "site"


class Participation(StrEnum):
    """`active`: clients with a kept event of the pane report. `all`: every enrolled client reports, zeros too (DESIGN §4)."""

    ACTIVE = "active"
    ALL = "all"


@dataclass(frozen=True)
class Shares:
    """Reports are shared additively between leader and helper."""

    validity: Validity = Validity.NONE
    finish: Finish = Finish.OPEN
    report_per: ReportPer = ReportPer.CLIENT
    participation: Participation = Participation.ACTIVE
    protection: ClassVar[Literal[Protection.SHARES]] = Protection.SHARES


@dataclass(frozen=True)
class Encrypted:
    """Reports are encrypted for a key holder. Each is one client's and carries no proof; the key holder opens their sums."""

    participation: Participation = Participation.ACTIVE
    protection: ClassVar[Literal[Protection.HE]] = Protection.HE
    validity: ClassVar[Literal[Validity.NONE]] = Validity.NONE
    finish: ClassVar[Literal[Finish.OPEN]] = Finish.OPEN
    report_per: ClassVar[Literal[ReportPer.CLIENT]] = ReportPer.CLIENT


Terms: TypeAlias = Shares | Encrypted

Word: TypeAlias = Noise | Protection | Validity | Finish | ReportPer | Participation

_NAMES: Final[dict[type[Word], str]] = {
    Noise: "noise",
    Protection: "protection",
    Validity: "validity",
    Finish: "finish",
    ReportPer: "report_per",
    Participation: "participation",
}
_W = TypeVar("_W", Noise, Protection, Validity, Finish, ReportPer, Participation)


def word(kind: type[_W], text: object) -> _W:
    """The member of an enum that is spelled so. Raises TermUnknown."""
    for known in kind:
        if known.value == text:
            return known
    raise TermUnknown(_NAMES[kind], text, tuple(known.value for known in kind))


def terms_of(
    protection: Protection, validity: Validity, finish: Finish, report_per: ReportPer, participation: Participation
) -> Terms:
    """The terms that these choices make together. Raises TermsImpossible: they exclude each other."""
    match protection:
        case Protection.SHARES:
            return Shares(validity, finish, report_per, participation)
        case Protection.HE:
            for name, choice, possible, why in (
                ("validity", validity, Encrypted.validity, "nothing can be proven of encrypted reports"),
                ("finish", finish, Encrypted.finish, "the aggregators compute with shares under MPC"),
                ("report_per", report_per, Encrypted.report_per, "a site's sum is not encrypted"),
            ):
                if choice is not possible:
                    raise TermsImpossible(name, choice.value, ("protection", Protection.SHARES.value), why)
            return Encrypted(participation)


def require_noise(terms: Terms, noise: Noise) -> None:
    """Return if these terms go with this noise. Raises TermsImpossible."""
    if terms.finish is Finish.MPC and noise is Noise.NONE:
        why = "only noised shares may enter MPC, as what leaves it is opened"
        raise TermsImpossible("finish", terms.finish.value, ("noise", Noise.FULL.value), why)


@dataclass(frozen=True)
class RequestedTerms:
    """What somebody asks of a collection before it is known which sites there are. Possible, as terms are.

    Attributes:
        participation: None: `all` if every enrolled site has one client at most, else `active`.

    Raises:
        TermsImpossible: the choices exclude each other.
    """

    protection: Protection = Protection.SHARES
    validity: Validity = Validity.NONE
    finish: Finish = Finish.OPEN
    report_per: ReportPer = ReportPer.CLIENT
    participation: Participation | None = None
    noise: Noise = Noise.FULL

    def __post_init__(self) -> None:
        require_noise(self.of_sites(()), self.noise)

    def of_sites(self, max_clients: Sequence[int]) -> Terms:
        """The terms of a plan for sites that may have so many clients each."""
        participation = self.participation or default_participation(max_clients)
        return terms_of(self.protection, self.validity, self.finish, self.report_per, participation)


def default_participation(max_clients: Sequence[int]) -> Participation:
    """`all` if every enrolled site has one client at most, else `active` (DESIGN §4): N reports a pane cost N times as much.

    Args:
        max_clients: of each enrolled site, the roster's maximum.
    """
    return Participation.ALL if max_clients and max(max_clients) == 1 else Participation.ACTIVE
