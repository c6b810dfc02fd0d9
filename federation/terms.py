"""The terms of a plan: protection and proofs of reports, the finish, who reports, and who participates.

    Terms = Shares(validity, finish, report_per, participation) | Encrypted(participation)

Combinations that cannot be collected cannot be constructed. Each edge (command line, configuration file, bytes of a plan)
parses its words once with `parse_term`, and combines them with `terms_of`, which raises an error if they exclude
each other. Behind the edge, code matches terms as types. Noise is separate from terms: under any terms, each aggregator adds
it; only tests and laboratories turn it off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

from .errors import TermsImpossible, TermUnknown


class Noise(StrEnum):
    """`full`: each aggregator adds the noise of each view's mechanism. `none`: tests and labs only."""

    FULL = "full"
    NONE = "none"


class Protection(StrEnum):
    """`shares`: additive shares for two aggregators. `he`: BFV ciphertexts, which the leader adds and the key holder decrypts."""

    SHARES = "shares"
    HE = "he"


class Validity(StrEnum):
    """`none`: a client may send any values. `prio3`: every report has a proof that it is within the view's bounds."""

    NONE = "none"
    PRIO3 = "prio3"


class Finish(StrEnum):
    """`open`: the collector adds the noised shares. `mpc`: the aggregators open them under MPC, without the small cells."""

    OPEN = "open"
    MPC = "mpc"


class ReportPer(StrEnum):
    """`client`: a report is one client's. `site`: a report is the sum of a site's bounded clients, with their number."""

    CLIENT = "client"
    SITE = "site"


class Participation(StrEnum):
    """`active`: clients with a kept event in the pane report. `all`: every enrolled client reports, some only zeros (DESIGN §4)."""

    ACTIVE = "active"
    ALL = "all"


@dataclass(frozen=True)
class Shares:
    """Each report is split into two additive shares, one for the leader and one for the helper."""

    validity: Validity = Validity.NONE
    finish: Finish = Finish.OPEN
    report_per: ReportPer = ReportPer.CLIENT
    participation: Participation = Participation.ACTIVE
    protection: ClassVar[Literal[Protection.SHARES]] = Protection.SHARES


@dataclass(frozen=True)
class Encrypted:
    """Reports are encrypted for a key holder, which decrypts only sums. A report is one client's and has no proof."""

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


def parse_term(kind: type[_W], text: object) -> _W:
    """The member of an enum that has this text as its value. Raises TermUnknown."""
    for known in kind:
        if known.value == text:
            return known
    raise TermUnknown(_NAMES[kind], text, tuple(known.value for known in kind))


def terms_of(
    protection: Protection, validity: Validity, finish: Finish, report_per: ReportPer, participation: Participation
) -> Terms:
    """The terms with these choices. Raises TermsImpossible: the choices exclude each other."""
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
    """Return if these terms allow this noise. Raises TermsImpossible."""
    if terms.finish is Finish.MPC and noise is Noise.NONE:
        why = "only noised shares may enter MPC, because the values that leave it are opened"
        raise TermsImpossible("finish", terms.finish.value, ("noise", Noise.FULL.value), why)


@dataclass(frozen=True)
class RequestedTerms:
    """The terms that are requested of a collection before its sites are known. As with `Terms`, only possible ones exist.

    Attributes:
        participation: None: see `default_participation`.

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
        """The terms of a plan for sites with at most these numbers of clients."""
        participation = self.participation or default_participation(max_clients)
        return terms_of(self.protection, self.validity, self.finish, self.report_per, participation)


def default_participation(max_clients: Sequence[int]) -> Participation:
    """`all` if every enrolled site has at most one client, otherwise `active`: see DESIGN §4.

    Under `all`, a site of N clients sends N reports a pane, which cost N times as much.

    Args:
        max_clients: the roster's max_clients of each enrolled site.
    """
    return Participation.ALL if max_clients and max(max_clients) == 1 else Participation.ACTIVE
