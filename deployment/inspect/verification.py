"""Verification of releases: they must follow from their plans, and from the statements that both aggregators signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.times import utc_text
from deployment.errors import VerificationUnsuccessful
from deployment.project.known_releases import IN_PROCESS
from deployment.project.project import Project
from featurestore.define.release import Manifest, Release, Void, is_unattempted
from featurestore.errors import ReleaseExpired, StoreCorrupt, UnknownEvidence
from featurestore.store import Store
from federation.errors import VerificationFailed
from federation.former_keys import PinnedKey
from federation.parties import PinnedCollector
from federation.plan import Plan
from federation.release_check import find_plan, planned_panes, verify_opening

CHECKS: Final[Mapping[str, str]] = {
    "content": "the stored sums, reason, id and view are the published ones",
    "plan": "the plan is in the store, signed by the coordinator, and has the hash that the manifest names",
    "parties": "the plan's leader, helper and collector are the pinned ones",
    "view": "the plan contains this view",
    "pane": "the plan contains this pane, and the times fit",
    "manifest": "definition, noise, price, k, participation and reporters follow from view and plan",
    "commitments": "the statements that leader and helper signed have the hashes that the manifest names",
    "statement": "each statement is signed by its aggregator, for this plan and view",
    "agreement": "both aggregators opened the same panes, over the same reports, and count the same sites",
    "sites": "the release names the sites that both counted, and those of the plan's roster that are missing",
    "outcome": "the published result of this pane is the one that both signed",
    "values": "both aggregators (under he the key holder) signed exactly these sums",
    "signature": "the collector has signed all of this",
}
"""The checks of one release, in their order; the first failure ends them."""
COMPLETE: Final = "complete"
"""The check of all releases together: every pane of a stored plan has a release or a void."""
REGISTRY: Final = "registry"
"""The check of the registry: its file is intact, and no publication or part of one is missing."""
UNSIGNED: Final = "in-process: one process saw everything and signed nothing"

_BY_STATEMENTS: Final = ("commitments", "statement", "agreement", "sites", "outcome", "values")

Progress = Callable[[int, int], None]
"""(done, total)."""


@dataclass(frozen=True)
class Pinned:
    """The keys that a project's covey.toml pins; all None without the file."""

    coordinator: PinnedKey | None = None
    collector: PinnedCollector | None = None
    leader: PinnedKey | None = None
    helper: PinnedKey | None = None

    @classmethod
    def of(cls, directory: Path) -> Pinned:
        """The pinned keys of a project directory. Raises UsageError."""
        project = Project.find(directory)
        if project is None:
            return cls()
        return cls(
            project.pinned("coordinator"),
            project.pinned_collector,
            project.pinned("leader"),
            project.pinned("helper"),
        )

    @property
    def whose(self) -> str:
        """The origin of the keys, as text."""
        return (
            "covey.toml's" if self.coordinator is not None else "the plan's own: there is no covey.toml that pins keys"
        )


@dataclass(frozen=True)
class VerificationResult:
    """The verification result of one release.

    Attributes:
        failed: the check that failed; None if all passed. `why`: the reason.
        unsigned: a release of a run in one process, whose stored sums are the only thing to check.
        expired: its sums have left by the view's `retention`, so there is nothing to check.
        key: the id of the collector's key that signed the release, if all checks passed.
        roster: the ids of the sites on the plan's roster, if all checks passed.
    """

    release_id: bytes
    view: str
    failed: str | None = None
    why: str = ""
    unsigned: bool = False
    expired: bool = False
    key: bytes | None = None
    roster: tuple[str, ...] = ()


def skipped_checks(pinned: Pinned, void_reason: str | None) -> frozenset[str]:
    """The checks that a release or void does not need.

    Args:
        void_reason: why it is void; None: it is opened. An aggregator has signed nothing for a void by a decision, and no sums
            for any void.
    """
    skipped = {"parties"} if pinned == Pinned() else set()
    if void_reason is not None:
        skipped |= set(_BY_STATEMENTS) if is_unattempted(void_reason) else {"values"}
    return frozenset(skipped)


class Verifier:
    """Verifies the releases of one store. It reads each signed plan once."""

    def __init__(self, store: Store, pinned: Pinned) -> None:
        self._store, self._pinned = store, pinned
        self._plans: dict[str, bytes | None] = {}
        self._evidence: list[bytes] | None = None
        self._definitions = store.definitions()

    def verify(self, view: str, release_id: bytes) -> VerificationResult:
        """Check a release or void, and its tombstone if there is one.

        Raises:
            UnknownRelease.
        """
        try:
            item, tombstone = self._store.release(release_id), self._store.tombstone(release_id)
        except ReleaseExpired:
            return VerificationResult(release_id, view, expired=True)
        except StoreCorrupt as error:
            return VerificationResult(release_id, view, "content", str(error))
        if self._definitions.get(item.manifest.definition_hash) != f"{view}@v{item.manifest.view_version}":
            return VerificationResult(
                release_id,
                view,
                "content",
                "its definition is not one of the store's versions of the view, which decode it",
            )
        if item.release_id != release_id:
            return VerificationResult(
                release_id, view, "content", f"it is stored under an id that is not its own, {item.release_id.hex()}"
            )
        if item.manifest.trust == IN_PROCESS and not item.signature:
            return VerificationResult(release_id, view, unsigned=True)
        plan: Plan | None = None
        for one, name in ((item, ""), (tombstone, "the tombstone: ")):
            try:
                if one is not None:
                    plan = self._check(one)
            except VerificationFailed as error:
                return VerificationResult(release_id, view, error.check, f"{name}{error.why}")
        if plan is None or plan.wire is None:
            return VerificationResult(release_id, view)
        return VerificationResult(
            release_id, view, key=plan.wire.collector.sign.id, roster=tuple(one.site for one in plan.roster)
        )

    def absent(self, view: str | None) -> Iterator[VerificationResult]:
        """The panes of stored plans that have neither a release nor a void; of one view, or of all."""
        known = self._store.pane_ids()
        try:
            for pane in planned_panes(self._store.all_evidence(), self._pinned.coordinator):
                if pane.release_id.hex() not in known and view in (None, pane.view):
                    known.add(pane.release_id.hex())
                    why = f"the plan {pane.plan_hash.hex()[:16]}… contains the pane of {utc_text(pane.pane_start)}, for which "
                    yield VerificationResult(
                        pane.release_id, pane.view, COMPLETE, f"{why}the store has nothing: restore it from a backup"
                    )
        except VerificationFailed as error:
            yield VerificationResult(b"", view or "all views", error.check, error.why)

    def _check(self, item: Release | Void) -> Plan:
        """The plan that the item follows from. Raises VerificationFailed."""
        plan = self._plan(item.manifest.plan_hash)
        if plan is None:
            raise VerificationFailed(
                "plan", "the signed plan is not in the store; the release was published without it"
            )
        statements: tuple[bytes, bytes] | None = None
        values: tuple[bytes, ...] = ()
        if not _without_statements(item):
            statements, values = self._statements(item.manifest), self._values(item.manifest)
        pinned = self._pinned
        return verify_opening(
            item,
            plan,
            statements,
            values,
            coordinator=pinned.coordinator,
            collector=pinned.collector,
            leader=pinned.leader,
            helper=pinned.helper,
        )

    def _plan(self, plan_hash: str) -> bytes | None:
        if plan_hash not in self._plans:
            if self._evidence is None:
                self._evidence = list(self._store.all_evidence())
            self._plans[plan_hash] = find_plan(self._evidence, bytes.fromhex(plan_hash))
        return self._plans[plan_hash]

    def _statements(self, manifest: Manifest) -> tuple[bytes, bytes]:
        try:
            leader, helper = (self._store.evidence(bytes.fromhex(digest)) for digest in manifest.commitments)
        except (UnknownEvidence, StoreCorrupt, ValueError) as error:
            raise VerificationFailed("commitments", str(error)) from None
        return leader, helper

    def _values(self, manifest: Manifest) -> tuple[bytes, ...]:
        try:
            return tuple(self._store.evidence(bytes.fromhex(digest)) for digest in manifest.opened)
        except (UnknownEvidence, StoreCorrupt, ValueError) as error:
            raise VerificationFailed("values", str(error)) from None


def verify_some(store: Store, pinned: Pinned, releases: Sequence[tuple[str, bytes]]) -> list[VerificationResult]:
    """Verify these releases, given as (view, release id)."""
    verifier = Verifier(store, pinned)
    return [verifier.verify(view, release_id) for view, release_id in releases]


def verify_all(
    store: Store,
    pinned: Pinned,
    releases: Sequence[tuple[str, bytes]],
    view: str | None,
    progress: Progress = lambda *_: None,
) -> list[VerificationResult]:
    """Verify all releases of a view or of the store, given as (view, release id), their completeness, and the registry.

    A result about the registry or a plan has no release id.
    """
    verifier, found = Verifier(store, pinned), []
    for done, (name, release_id) in enumerate(releases, 1):
        found.append(verifier.verify(name, release_id))
        progress(done, len(releases))
    damage = [
        VerificationResult(b"", "registry.db", REGISTRY, f"{one}: restore it from a backup")
        for one in store.registry_problems()
    ]
    return [*found, *verifier.absent(view), *damage]


def require_all(found: Sequence[VerificationResult], *, allow_unsigned: bool) -> None:
    """Return if every release passed. Raises VerificationUnsuccessful."""
    failed = [one for one in found if one.failed is not None]
    unsigned = [one for one in found if one.unsigned]
    if failed:
        first = failed[0]
        raise VerificationUnsuccessful(
            f"{len(failed):,} of {len(found):,} release(s) failed; {first.release_id.hex()} of {first.view}: "
            f"{first.failed}: {first.why}"
        )
    if unsigned and not allow_unsigned:
        raise VerificationUnsuccessful(
            f"{len(unsigned):,} of {len(found):,} release(s): {UNSIGNED}", settings=("allow_unsigned",)
        )


def _without_statements(item: Release | Void) -> bool:
    """Whether the aggregators signed nothing: the pane is void by a decision."""
    return isinstance(item, Void) and is_unattempted(item.reason)
