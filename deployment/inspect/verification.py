"""Whether releases follow from their plans, and from what both aggregators signed: of one, check by check, or of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.times import utc_text
from crypto.signing import VerifyKey
from deployment.errors import VerificationUnsuccessful
from deployment.project.project import Project
from featurestore.define.release import BUDGET_SPENT, Manifest, Release, Void
from featurestore.define.wire import definition_hash
from featurestore.errors import StoreCorrupt, UnknownEvidence
from featurestore.store import Store
from federation.errors import VerificationFailed
from federation.parties import CollectorKeys
from federation.release_check import asked_panes, find_plan, verify_opening

from .releases import IN_PROCESS

CHECKS: Final[Mapping[str, str]] = {
    "content": "the stored sums, reason, id and view are those that were published",
    "plan": "the plan is there, signed by the coordinator, and has the hash that the manifest names",
    "parties": "its leader, helper and collector are the pinned ones",
    "view": "it asks for this view",
    "pane": "it asks for this pane, and the times fit",
    "manifest": "definition, noise, price, k, participation and who reports follow from view and plan",
    "commitments": "the statements that leader and helper signed have the hashes that the manifest names",
    "statement": "each is signed by its aggregator, and of this plan and view",
    "agreement": "both opened the same panes, over the same reports",
    "outcome": "what they signed of this pane is what was published",
    "values": "both aggregators (under he the key holder) signed these very sums",
    "signature": "the collector has signed all of it",
}
"""Of one release, in the order in which they are made; the first that fails ends it."""
COMPLETE: Final = "complete"
"""Of all releases together: something was published of every pane that a stored plan asks for."""
REGISTRY: Final = "registry"
"""Of all releases together: the registry's file is whole, and no publication or part of one was taken out."""
UNSIGNED: Final = "in-process: nothing is signed, one process saw everything"

Progress = Callable[[int, int], None]
"""(done, total)."""


@dataclass(frozen=True)
class Pinned:
    """The keys that a project's covey.toml pins; all None where there is none."""

    coordinator: VerifyKey | None = None
    collector: CollectorKeys | None = None
    leader: VerifyKey | None = None
    helper: VerifyKey | None = None

    @classmethod
    def of(cls, directory: Path) -> Pinned:
        """Those of a project directory. Raises UsageError."""
        project = Project.find(directory)
        if project is None:
            return cls()
        return cls(project.coordinator, project.collector, project.leader, project.helper)

    @property
    def whose(self) -> str:
        """In words."""
        return "covey.toml's" if self.coordinator is not None else "the plan's own: no covey.toml here pins any"


@dataclass(frozen=True)
class VerificationResult:
    """What was found of one release. `failed` is the check that did not pass, None if all did; with why.

    Attributes:
        unsigned: a run in one process: there is nothing to check but the stored sums.
        key: id of the collector's key that signed it, where all checks passed.
    """

    release_id: bytes
    view: str
    failed: str | None = None
    why: str = ""
    unsigned: bool = False
    key: bytes | None = None


class Verifier:
    """Checks releases of one store. Signed plans are looked up once each."""

    def __init__(self, store: Store, pinned: Pinned) -> None:
        self._store, self._pinned = store, pinned
        self._plans: dict[str, bytes | None] = {}
        self._evidence: list[bytes] | None = None
        self._definitions = {view.name: definition_hash(view).hex() for view in store.views()}

    def verify(self, view: str, release_id: bytes) -> VerificationResult:
        """Check a release or void, and its tombstone if there is one.

        Raises:
            UnknownRelease.
        """
        try:
            item, tombstone = self._store.release(release_id), self._store.tombstone(release_id)
        except StoreCorrupt as error:
            return VerificationResult(release_id, view, "content", str(error))
        if item.manifest.definition_hash != self._definitions[view]:
            return VerificationResult(
                release_id, view, "content", "it is of another definition than the store's view, which decodes it"
            )
        if item.release_id != release_id:
            return VerificationResult(
                release_id, view, "content", f"it is stored under an id that is not its own, {item.release_id.hex()}"
            )
        if item.manifest.trust == IN_PROCESS and not item.signature:
            return VerificationResult(release_id, view, unsigned=True)
        key = None
        for one, name in ((item, ""), (tombstone, "the tombstone: ")):
            try:
                if one is not None:
                    key = self._check(one)
            except VerificationFailed as error:
                return VerificationResult(release_id, view, error.check, f"{name}{error.why}")
        return VerificationResult(release_id, view, key=key)

    def absent(self, view: str | None) -> Iterator[VerificationResult]:
        """The panes of which nothing is there, though a stored plan asks for them; of one view, or of all."""
        known = {one for view in self._definitions for one in self._store.releases(view)["release_id"].to_pylist()}
        try:
            for asked in asked_panes(self._store.all_evidence(), self._pinned.coordinator):
                if asked.release_id.hex() not in known and view in (None, asked.view):
                    known.add(asked.release_id.hex())
                    why = f"the plan {asked.plan_hash.hex()[:16]}… asks for the pane of {utc_text(asked.pane_start)}, of which "
                    yield VerificationResult(
                        asked.release_id, asked.view, COMPLETE, f"{why}the store has nothing: restore it from a backup"
                    )
        except VerificationFailed as error:
            yield VerificationResult(b"", view or "all views", error.check, error.why)

    def _check(self, item: Release | Void) -> bytes | None:
        """Raises VerificationFailed. Returns the id of the key that signed it."""
        plan = self._plan(item.manifest.plan_hash)
        if plan is None:
            raise VerificationFailed("plan", "the signed plan is not in the store; it was published without it")
        statements: tuple[bytes, bytes] | None = None
        values: tuple[bytes, ...] = ()
        if not _without_statements(item):
            statements, values = self._statements(item.manifest), self._values(item.manifest)
        pinned = self._pinned
        verified = verify_opening(
            item,
            plan,
            statements,
            values,
            coordinator=pinned.coordinator,
            collector=pinned.collector,
            leader=pinned.leader,
            helper=pinned.helper,
        )
        return None if verified.wire is None else verified.wire.collector.sign.id

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
    """Check these, as (view, release id)."""
    verifier = Verifier(store, pinned)
    return [verifier.verify(view, release_id) for view, release_id in releases]


def verify_all(
    store: Store,
    pinned: Pinned,
    releases: Sequence[tuple[str, bytes]],
    view: str | None,
    progress: Progress = lambda *_: None,
) -> list[VerificationResult]:
    """Check all releases of a view, or of the store, as (view, release id); that none is missing; and the registry's file.

    What is wrong with the file, or with a plan, has no release id.
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
            f"{len(unsigned):,} of {len(found):,} release(s): {UNSIGNED}; --allow-unsigned accepts that"
        )


def _without_statements(item: Release | Void) -> bool:
    """Of a pane that was left out for want of budget nothing was opened, and nothing signed by the aggregators."""
    return isinstance(item, Void) and item.reason == BUDGET_SPENT
