"""The errors of the protocol, in one tree. An expected refusal carries its numbers."""

from __future__ import annotations


class FederationError(Exception):
    """Anything that a party of a collection refuses."""


class PlanInvalid(FederationError):
    """A plan that no party would run: not canonical, empty, out of order, or asking for what does not exist."""


class ReportRefused(FederationError):
    """A report that does not belong to the plan: an unknown collection, or a vector of another length."""


class DuplicateReport(FederationError):
    """A report id was taken before. It counts once."""

    def __init__(self, duplicates: int) -> None:
        self.duplicates = duplicates
        super().__init__(f"{duplicates} report id(s) were taken before; a report counts once")


class NoiseRefused(FederationError):
    """A noise source that this aggregator does not accept, or noise off without its consent."""


class PartyInvalid(FederationError):
    """A site id, a roster or a set of keys that no collection can run with."""


class UnknownSite(FederationError):
    """A site that is not on this aggregator's own roster."""

    def __init__(self, site: str) -> None:
        self.site = site
        super().__init__(f"site {site!r} is not on this roster")


class RosterExceeded(FederationError):
    """A site reported for more clients in one collection than its roster entry allows."""

    def __init__(self, site: str, collection: int, have: int, most: int) -> None:
        self.site, self.collection, self.have, self.most = site, collection, have, most
        super().__init__(f"site {site!r}: {have} reports in collection {collection}; its roster entry allows {most}")


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

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"no key file {path}; `covey keys init` makes a project's keys")


class KeyFileExists(KeyFileError):
    """Keys are never overwritten: what was sealed to them would be lost."""

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
