"""The errors of the protocol, in one tree. An expected refusal carries its numbers."""

from __future__ import annotations

from datetime import date, timedelta

from base.errors import NOT_FOUND, REFUSED, USAGE, CoveyError
from base.times import utc_text
from featurestore.errors import DIFFERENCING

from .rho import rho_text


class FederationError(CoveyError):
    """Anything that a party of a collection refuses."""


class PlanInvalid(FederationError):
    """A plan that no party would run: not canonical, empty, out of order, or asking for what does not exist."""


class TermUnknown(PlanInvalid):
    """A word that names no choice of a term.

    Attributes:
        term: `protection`, for example. known: the words that there are.
    """

    def __init__(self, term: str, value: object, known: tuple[str, ...]) -> None:
        self.term, self.value, self.known = term, value, known
        super().__init__(f"unknown {term} {value!r}: it is {' or '.join(map(repr, known))}")


class TermsImpossible(PlanInvalid):
    """Terms that exclude each other.

    Attributes:
        term, value: what was chosen. requires: the term and the value that it goes with.
    """

    def __init__(self, term: str, value: str, requires: tuple[str, str], why: str) -> None:
        self.term, self.value, self.requires, self.why = term, value, requires, why
        super().__init__(f"{term} {value!r} requires {requires[0]} {requires[1]!r}: {why}")


class NothingToSuppress(PlanInvalid):
    """A view that is to be finished by mpc, and declares no threshold below which a cell is not opened."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"view {view!r} has no suppress_below: finish 'mpc' would have nothing to suppress. Give it "
            "Privacy(suppress_below=…), or take finish 'open'"
        )


class HeImpossible(PlanInvalid):
    """A view that cannot be collected under homomorphic encryption."""

    def __init__(self, view: str, why: str) -> None:
        self.view, self.why = view, why
        super().__init__(f"view {view!r} cannot be encrypted: {why}")


class ReportRefused(FederationError):
    """A report that does not belong to the plan: an unknown collection, or a vector of another length."""


class DuplicateReport(FederationError):
    """A report id was taken before. It counts once."""

    def __init__(self, duplicates: int) -> None:
        self.duplicates = duplicates
        super().__init__(f"{duplicates} report id(s) were taken before; a report counts once")


class NoiseRefused(FederationError):
    """A noise source that this aggregator does not accept, or noise off without its consent."""

    exit_code = REFUSED


class FinishRefused(FederationError):
    """Shares that are to be opened in another way than the plan says, or that must not be opened so."""


class PaneOpenedBefore(FederationError):
    """A pane that the key holder has opened already. It is opened once."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(f"view {view!r}: a pane of these sums was opened before; a pane is opened once")


class EncryptionKeysInvalid(FederationError):
    """Public keys that a plan's reports may not be encrypted under."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the encryption keys are not the plan's: {why}")


class KeyBurnt(FederationError):
    """A plan whose keys were erased after a sum that no honest reports give. The rest of it stays closed."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(
            f"plan {plan_hash.hex()[:16]}…: a sum was outside the range of its reports, so the plan's keys were erased"
        )


class PartyInvalid(FederationError):
    """A site id, a roster or a set of keys that no collection can run with."""


class NodeKeyInvalid(PartyInvalid):
    """A key that no site can connect to a SuperLink with: malformed, or not certified by the site's signing key."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"not the node key of a site: {why}. Copy the one that the site itself has")


class UnknownSite(FederationError):
    """A site that is not on this aggregator's own roster."""

    def __init__(self, site: str) -> None:
        self.site = site
        super().__init__(f"site {site!r} is not on this roster")


class RosterExceeded(FederationError):
    """A site reported for more clients in one collection than its roster entry allows."""

    def __init__(self, site: str, collection: int, have: int, most: int) -> None:
        self.site, self.collection, self.have, self.most = site, collection, have, most
        super().__init__(f"site {site!r}: {have} clients in collection {collection}; its roster entry allows {most}")


class ReportedTwice(FederationError):
    """A site's second report of a collection, under a plan in which it gives one."""

    def __init__(self, site: str, collection: int) -> None:
        self.site, self.collection = site, collection
        super().__init__(f"site {site!r} has reported collection {collection} already; a site reports it once")


class TooManyDeclared(FederationError):
    """A site declares more clients than the plan allows of one."""

    def __init__(self, have: int, most: int) -> None:
        self.have, self.most = have, most
        super().__init__(f"a report declares {have:,} clients; the plan allows {most:,} of a site")


class ReportTooLong(FederationError):
    """A view whose report does not fit into a batch. It cannot go over the wire: split the view."""

    def __init__(self, view: str, slots: int, most: int) -> None:
        self.view, self.slots, self.most = view, slots, most
        super().__init__(f"view {view!r}: a report has {slots:,} slots, a batch has room for {most:,}; split the view")


class BatchRefused(FederationError):
    """A batch that an aggregator does not take. What is wrong with its reports is said by the other errors."""


class BatchMalformed(BatchRefused):
    """Bytes that are not a canonical batch, or parts of it of a wrong length."""


class BatchTooLarge(BatchRefused):
    """More bytes than a batch may have; nothing of it was read."""

    def __init__(self, have: int, most: int) -> None:
        self.have, self.most = have, most
        super().__init__(f"a batch of {have:,} bytes; at most {most:,}")


class BatchOfAnotherPlan(BatchRefused):
    """A batch that was sealed for another plan."""

    def __init__(self, have: bytes, need: bytes) -> None:
        self.have, self.need = have, need
        super().__init__(f"a batch for plan {have.hex()[:16]}…, this is plan {need.hex()[:16]}…")


class DigestMismatch(BatchRefused):
    """A ciphertext that is not the one that the site signed for this role."""

    def __init__(self, role: str) -> None:
        self.role = role
        super().__init__(f"the {role}'s ciphertext is not the one that the site signed")


class KeyFileError(FederationError):
    """A role's key files that cannot be used as they are."""


class KeyFileMissing(KeyFileError):
    """No key of this role in this folder."""

    exit_code = NOT_FOUND

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"no key file {path}")


class KeyFileExists(KeyFileError):
    """Keys are never overwritten: what was sealed to them would be lost."""

    exit_code = USAGE

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} exists; keys are never overwritten (move it away if you mean it)")


class KeyFileExposed(KeyFileError):
    """A secret that others on this machine may read or change."""

    def __init__(self, path: str, mode: int, need: int) -> None:
        self.path, self.mode, self.need = path, mode, need
        super().__init__(f"{path} has mode {mode:04o}, need {need:04o} (chmod {need:o} it, and think about new keys)")


class KeyFileMalformed(KeyFileError):
    """A file that is no key of this role."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class KeyFileOutdated(KeyFileMalformed):
    """A key file of an earlier version of Covey, which is not read any more."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            "it was made by an older version, where leader and helper had seal keys for good. Make new keys of every role, and "
            "new project files",
        )


class LedgerError(FederationError):
    """Anything that a privacy ledger refuses."""


class LedgerBroken(LedgerError):
    """A ledger that was edited, cut or rolled back. Nothing may be opened on it."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path}: {why}. Nothing is opened on it. Put the newest copies of this file and of {path}.head back; if they "
            "are lost, days that it may have paid for stay closed: begin again with new keys, an empty ledger, and days "
            "from today on"
        )


class LedgerBehind(LedgerBroken):
    """Somebody outside remembers a later entry than this ledger has: it was rolled back."""


class LedgersApart(LedgerError):
    """A ledger of one role alone, as earlier versions kept it: what it has spent would be spent again."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} is the ledger of one role, as earlier versions kept it; there is one for all roles of an operator now, "
            "operator.db, which does not know what this one has spent. Begin with new keys in a new folder, and with days "
            "from today on: the days that the old ledgers have paid for stay closed"
        )


class LedgerRefusal(LedgerError):
    """A plan that the ledger's rules do not allow. Nothing was charged."""

    exit_code = REFUSED


class PaneTaken(LedgerRefusal):
    """A pane that another plan was charged for: it is opened under that plan or never."""

    code = "PANE_ALREADY_REPORTED"

    def __init__(self, view: str, pane_start: int) -> None:
        self.view, self.pane_start = view, pane_start
        super().__init__(
            f"view {view!r}: the pane of {utc_text(pane_start)} was collected before under another plan; {DIFFERENCING}"
        )


class ViewOverlap(LedgerRefusal):
    """Two definitions of one view on one day: their sums would share its clients."""

    def __init__(self, view: str, day: int) -> None:
        self.view, self.day = view, day
        super().__init__(
            f"view {view!r}: another definition was collected on {_date(day)}; {DIFFERENCING}. Give the changed view "
            "another name, or begin it on a day that the old one has not collected"
        )


class DayBudgetSpent(LedgerRefusal):
    """A client-day whose budget does not cover the view any more."""

    def __init__(self, view: str, day: int, have: int, need: int) -> None:
        self.view, self.day, self.have, self.need = view, day, have, need
        super().__init__(
            f"view {view!r} costs rho = {rho_text(need)} a client-day; of {_date(day)} {rho_text(have)} are left. A smaller "
            "rho, or fewer views"
        )


class ClockWentBack(LedgerRefusal):
    """A clock far behind the last entry: days could be opened twice, and expired plans would pass."""

    code = "CLOCK_SKEW"

    def __init__(self, now_us: int, last_us: int) -> None:
        self.now_us, self.last_us = now_us, last_us
        behind = (last_us - now_us) / 1e6
        super().__init__(f"the clock is {behind:,.0f} s behind the ledger's last entry; set it right first")


class AggregatorBehind(LedgerRefusal):
    """An aggregator's ledger that stands before, or beside, what a site was told of it before."""

    def __init__(self, role: str, told: int, known: int) -> None:
        self.role, self.told, self.known = role, told, known
        super().__init__(
            f"by this plan the {role}'s ledger has {told:,} entries; by one that was answered before it has {known:,}, or other "
            f"ones: the {role} was rolled back, or this plan is older. Announce a new plan; if that is refused too, the {role} "
            "puts the newest copy of its ledger back"
        )


class AlreadyDone(LedgerRefusal):
    """A plan that has come to another end before: it is opened once."""

    code = "PANE_ALREADY_REPORTED"

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(f"plan {plan_hash.hex()[:16]}… was opened before with other bytes; a plan is opened once")


class StatementMalformed(FederationError):
    """An opening statement that cannot be read, or is of something else."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"an opening statement: {why}")


class StatementsDisagree(FederationError):
    """Leader and helper signed opening statements that do not fit each other. Nothing may be made of their shares."""

    def __init__(self, view: str, what: str) -> None:
        self.view, self.what = view, what
        super().__init__(f"view {view!r}: leader and helper {what}")


class VerificationFailed(FederationError):
    """A release or void that does not follow from its plan and from what both aggregators signed."""

    def __init__(self, check: str, why: str) -> None:
        self.check, self.why = check, why
        super().__init__(f"{check}: {why}")


def _date(day: int) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
    except OverflowError:
        return f"day {day}"
