"""The errors of `federation`, in one tree. An expected refusal carries its numbers."""

from __future__ import annotations

from datetime import date, timedelta

from base.disk import mend_of
from base.errors import NOT_FOUND, REFUSED, USAGE, CoveyError
from base.times import utc_text
from featurestore.errors import DIFFERENCING

from .rho import rho_text


class FederationError(CoveyError):
    """Base of all errors of this package: what a party of a collection refuses."""


class PlanInvalid(FederationError):
    """A plan that no party runs: not canonical, empty, out of order, or with terms that do not exist."""


class TermUnknown(PlanInvalid):
    """A word that names no choice of a term.

    Attributes:
        term: `protection`, for example.
        known: the words that name a choice.
    """

    def __init__(self, term: str, value: object, known: tuple[str, ...]) -> None:
        self.term, self.value, self.known = term, value, known
        super().__init__(f"unknown {term} {value!r}: it must be {' or '.join(map(repr, known))}")


class TermsImpossible(PlanInvalid):
    """Terms that exclude each other.

    Attributes:
        term, value: the chosen term.
        requires: another term, and the value that it must have.
    """

    def __init__(self, term: str, value: str, requires: tuple[str, str], why: str) -> None:
        self.term, self.value, self.requires, self.why = term, value, requires, why
        super().__init__(f"{term} {value!r} requires {requires[0]} {requires[1]!r}: {why}")


class NothingToSuppress(PlanInvalid):
    """A view under finish `mpc` that declares no threshold for suppression."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"view {view!r} has no suppress_below, so finish 'mpc' has nothing to suppress. Add "
            "Privacy(suppress_below=…) to the view, or use finish 'open'"
        )


class HeImpossible(PlanInvalid):
    """A view that cannot be collected under homomorphic encryption."""

    def __init__(self, view: str, why: str) -> None:
        self.view, self.why = view, why
        super().__init__(f"view {view!r} cannot be encrypted: {why}")


class ReportRefused(FederationError):
    """A report that does not belong to the plan: an unknown collection, or a vector of another length."""


class DuplicateReport(FederationError):
    """A report id that was received before. A report counts once."""

    def __init__(self, duplicates: int) -> None:
        self.duplicates = duplicates
        super().__init__(f"{duplicates} report id(s) were received before; a report counts once")


class NoiseRefused(FederationError):
    """A noise source that this aggregator does not accept, or a plan without noise that it does not allow."""

    exit_code = REFUSED


class FinishRefused(FederationError):
    """Shares that must not be opened in this way: the plan says another finish."""


class PaneOpenedBefore(FederationError):
    """A pane that the key holder has opened already. A pane is opened once."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(f"view {view!r}: one of these panes was opened before; a pane is opened once")


class EncryptionKeysInvalid(FederationError):
    """Public keys that must not encrypt a plan's reports."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the encryption keys are not the plan's: {why}")


class KeyBurnt(FederationError):
    """A plan whose keys were erased after a sum that honest reports cannot give. Its other panes are never opened."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(
            f"plan {plan_hash.hex()[:16]}…: a sum was outside the range of its reports, so the plan's keys were erased "
            "and nothing more of it is opened"
        )


class PartyInvalid(FederationError):
    """A site id, a roster or a set of keys that is not valid."""


class NodeKeyInvalid(PartyInvalid):
    """A node key that no SuperLink admits: malformed, or not certified by the site's signing key."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"not the node key of a site: {why}. Copy it from the site's own public key file")


class KeyNotInForce(FederationError):
    """A key that is not its role's key for a plan with this deadline: it was replaced, or its time has not come.

    Attributes:
        key, need: the ids of the key, and of the role's key for the plan.
        deadline: of the plan, µs since the epoch.
        until: the change-over at which the key was replaced, µs since the epoch; None if it was not replaced.
    """

    exit_code = REFUSED

    def __init__(self, role: str, key: str, need: str, deadline: int, until: int | None) -> None:
        self.role, self.key, self.need, self.deadline, self.until = role, key, need, deadline, until
        why = "is not in force yet" if until is None else f"was replaced on {utc_text(until)}"
        super().__init__(
            f"the {role}'s key {key} {why}: for a plan with the deadline {utc_text(deadline)}, the {role}'s key is {need}"
        )


class UnknownSite(FederationError):
    """A site that is not on this aggregator's roster."""

    def __init__(self, site: str) -> None:
        self.site = site
        super().__init__(f"site {site!r} is not on this aggregator's roster")


class RosterExceeded(FederationError):
    """A site reported for more clients in one collection than its roster entry allows."""

    def __init__(self, site: str, collection: int, have: int, most: int) -> None:
        self.site, self.collection, self.have, self.most = site, collection, have, most
        super().__init__(
            f"site {site!r} reports {have} clients in collection {collection}; its roster entry allows {most}"
        )


class ReportedTwice(FederationError):
    """A site's second report of a collection, under a plan with one report per site."""

    def __init__(self, site: str, collection: int) -> None:
        self.site, self.collection = site, collection
        super().__init__(f"site {site!r} has reported collection {collection} before; a site reports it once")


class TooManyDeclared(FederationError):
    """A report that declares more clients than the plan allows a site."""

    def __init__(self, have: int, most: int) -> None:
        self.have, self.most = have, most
        super().__init__(f"a report declares {have:,} clients; the plan allows a site at most {most:,}")


class ReportTooLong(FederationError):
    """A view whose report does not fit into a batch, so that it cannot be sent."""

    def __init__(self, view: str, slots: int, most: int) -> None:
        self.view, self.slots, self.most = view, slots, most
        super().__init__(
            f"view {view!r}: a report has {slots:,} slots, but a batch has room for {most:,}. Split the view"
        )


class BatchRefused(FederationError):
    """A batch that an aggregator refuses as a whole. Other errors say what is wrong with its reports."""


class BatchMalformed(BatchRefused):
    """Bytes that are not a canonical batch, or a part of a batch with a wrong length."""


class BatchTooLarge(BatchRefused):
    """More bytes than a batch may have. They were not read."""

    def __init__(self, have: int, most: int) -> None:
        self.have, self.most = have, most
        super().__init__(f"the batch has {have:,} bytes; at most {most:,} are allowed")


class BatchOfAnotherPlan(BatchRefused):
    """A batch that was sealed for another plan."""

    def __init__(self, have: bytes, need: bytes) -> None:
        self.have, self.need = have, need
        super().__init__(f"the batch is for plan {have.hex()[:16]}…, not for plan {need.hex()[:16]}…")


class DigestMismatch(BatchRefused):
    """A ciphertext that differs from the one that the site signed for this role."""

    def __init__(self, role: str) -> None:
        self.role = role
        super().__init__(f"the {role}'s ciphertext differs from the one that the site signed")


class KeyFileError(FederationError):
    """Key files of a role that cannot be used."""


class KeyFileMissing(KeyFileError):
    """A key file, or its folder, that does not exist."""

    exit_code = NOT_FOUND

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"there is no key file {path}")


class KeyFileExists(KeyFileError):
    """A key file that exists already. Keys are never overwritten: messages sealed to them would be lost."""

    exit_code = USAGE

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} exists; keys are never overwritten. Move it away to make new keys")


class KeyFileExposed(KeyFileError):
    """A secret that other users of this machine may read or change."""

    def __init__(self, path: str, mode: int, need: int) -> None:
        self.path, self.mode, self.need = path, mode, need
        super().__init__(
            f"{path} has mode {mode:04o}, need {need:04o}: other users may have read it. Run chmod {need:o} {path}, and "
            "consider new keys"
        )


class KeyFileMalformed(KeyFileError):
    """A file that does not hold the keys of this role."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class HandoverMissing(KeyFileError):
    """New keys of a role that the pinned key has not signed.

    Attributes:
        pinned, found: the ids of the pinned key and of the new one.
    """

    exit_code = REFUSED

    def __init__(self, role: str, pinned: str, found: str) -> None:
        self.role, self.pinned, self.found, self.settings = role, pinned, found, ("force",)
        super().__init__(
            f"the pinned {role}'s key {pinned} has not signed the new key {found}, so anybody may have made it. Compare "
            f"{found} with the {role}'s operator over a channel that you trust"
        )


class HandoverInvalid(KeyFileError):
    """A handover that its key did not sign, or that is about other keys than those in its file."""

    exit_code = REFUSED

    def __init__(self, source: str, why: str) -> None:
        self.source, self.why = source, why
        super().__init__(f"{source}: {why}. Get the file again from its operator; accept nothing of it")


class TooManyFormerKeys(KeyFileError):
    """A rotation of a role whose file of former keys is full.

    Attributes:
        free: when the oldest of them is erased, µs since the epoch.
    """

    exit_code = REFUSED

    def __init__(self, role: str, count: int, free: int) -> None:
        self.role, self.count, self.free = role, count, free
        super().__init__(
            f"{role} has {count} former keys that a plan may still need, the most that are kept. Rotate it again after "
            f"{utc_text(free)}, when the oldest one is erased"
        )


class KeyFileOutdated(KeyFileMalformed):
    """A key file of an earlier version of Covey, which this version does not read."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            "it is of an older version, in which leader and helper had permanent seal keys. Make new keys of every role, and "
            "new project files",
        )


class LedgerError(FederationError):
    """Base of all errors of a privacy ledger."""


class LedgerBroken(LedgerError):
    """A ledger that was edited, cut or rolled back. Nothing is opened with it."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path}: {why}. Nothing is opened with it. Put the newest copies of this file and of {path}.head back. If they "
            "are lost, rebuild the ledger: then every pane that has ended counts as taken, and every day until today as spent"
        )


class LedgerBehind(LedgerBroken):
    """A ledger that was rolled back: its head file, or another party, names a later entry."""


class LedgerWriteFailed(LedgerError):
    """The head file of a ledger could not be written, for example on a full disk. The ledger itself has the entry.

    Attributes:
        path: the head file; reason: `disk full`, or the operating system's message.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} could not be written ({reason}). The ledger has its newest entry and writes this file when it is opened "
            f"next. To try again, first {mend_of(reason)}"
        )


class LedgersApart(LedgerError):
    """A ledger of a single role, from an earlier version. Ignoring it would spend its budget again."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} is the ledger of a single role, from an earlier version. An operator now has one ledger for all roles, "
            "operator.db, which does not include what this one has spent. Start with new keys in a new folder, and with days "
            "from today on: the days of the old ledgers cannot be collected again"
        )


class LedgerRefusal(LedgerError):
    """A plan that the ledger's rules do not allow. Nothing was charged."""

    exit_code = REFUSED


class PaneTaken(LedgerRefusal):
    """Panes that another plan was charged for. They are opened under that plan, or under one that names it as an attempt.

    Attributes:
        pane_start, last_start: the first and the last pane of a row of taken panes (µs).
    """

    code = "PANE_ALREADY_REPORTED"

    def __init__(self, view: str, pane_start: int, last_start: int) -> None:
        self.view, self.pane_start, self.last_start = view, pane_start, last_start
        panes = "the pane of" if pane_start == last_start else f"each pane from {utc_text(pane_start)} to"
        super().__init__(
            f"view {view!r}: {panes} {utc_text(last_start)} was collected before under another plan; {DIFFERENCING}"
        )


class PaneBeforeRebuild(LedgerRefusal):
    """Panes that had ended when the ledger was rebuilt. The lost entries may have been of plans that opened them.

    Attributes:
        pane_start, last_start: the first and the last pane of a row of such panes (µs).
    """

    code = "PANE_ALREADY_REPORTED"

    def __init__(self, view: str, pane_start: int, last_start: int, rebuilt_us: int) -> None:
        self.view, self.pane_start, self.last_start, self.rebuilt_us = view, pane_start, last_start, rebuilt_us
        super().__init__(
            f"view {view!r}: the pane of {utc_text(last_start)} had ended when the ledger was rebuilt on {utc_text(rebuilt_us)}. "
            "It may have been opened before the loss, so it is never collected. Publish it as void"
        )


class AttemptsSpent(LedgerRefusal):
    """A pane that was planned as often as a pane may be."""

    def __init__(self, view: str, pane_start: int, most: int) -> None:
        self.view, self.pane_start, self.most = view, pane_start, most
        super().__init__(
            f"view {view!r}: the pane of {utc_text(pane_start)} was attempted {most} times, the most that are allowed. "
            "Publish it as void"
        )


class PlanFreed(LedgerRefusal):
    """A plan that this aggregator has freed: it erased the plan's sums, and never opens it."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(
            f"plan {plan_hash.hex()[:16]}… was freed: its sums are erased, and it is never opened. Make a new plan"
        )


class ViewOverlap(LedgerRefusal):
    """Two collections of one view on one day, which a site allows only by its policy: each would cost the day once more."""

    def __init__(self, view: str, day: int) -> None:
        self.view, self.day = view, day
        super().__init__(
            f"view {view!r}: another collection of it was charged on {_date(day)}, and a second one would cost that day again. "
            "Collect it from a later day on; or set overlap = true in policy.toml, which charges the day for each collection"
        )


class DayBudgetSpent(LedgerRefusal):
    """A client-day whose remaining budget does not cover the view."""

    def __init__(self, view: str, day: int, have: int, need: int) -> None:
        self.view, self.day, self.have, self.need = view, day, have, need
        super().__init__(
            f"view {view!r} costs rho = {rho_text(need)} a client-day, but {_date(day)} has only {rho_text(have)} left. Use a "
            "smaller rho, or fewer views"
        )


class ClockWentBack(LedgerRefusal):
    """A clock far behind the ledger's last entry. With it days could be opened twice, and expired plans accepted."""

    code = "CLOCK_SKEW"

    def __init__(self, now_us: int, last_us: int) -> None:
        self.now_us, self.last_us = now_us, last_us
        behind = (last_us - now_us) / 1e6
        super().__init__(f"the clock is {behind:,.0f} s behind the ledger's last entry. Correct the clock")


class AggregatorBehind(LedgerRefusal):
    """An aggregator's ledger that is shorter than in an earlier plan, or differs from it."""

    def __init__(self, role: str, have: int, known: int) -> None:
        self.role, self.have, self.known = role, have, known
        super().__init__(
            f"the {role}'s ledger has {have:,} entries in this plan, but {known:,} or different ones in a plan answered before: "
            f"the {role} was rolled back, or this plan is older. Announce a new plan. If that is refused too, the {role} "
            "must put the newest copy of its ledger back"
        )


class PlanOpenedBefore(LedgerRefusal):
    """A plan that was opened before, with another result. A plan is opened once."""

    code = "PANE_ALREADY_REPORTED"

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(f"plan {plan_hash.hex()[:16]}… was opened before with another result; a plan is opened once")


class StatementMalformed(FederationError):
    """A signed statement that cannot be read, or that is about something else."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"not the expected statement: {why}")


class StatementsDisagree(FederationError):
    """Opening statements of leader and helper that contradict each other. Their shares must not be added."""

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
