"""Whether a ledger knows the plans of the releases that lie in the store beside it. A ledger that does not has lost entries.

A pane whose charge was lost could be opened again, so nothing is collected until the ledger is rebuilt (ADR 0032).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from base.times import DAY_US
from crypto.errors import SignatureInvalid
from featurestore.define.release import Manifest
from featurestore.errors import StoreNotFound, UnknownEvidence
from featurestore.online.settings import store_path
from featurestore.registry.registry import Registry
from federation.errors import LedgerBehind, StatementMalformed
from federation.former_keys import PinnedKey
from federation.ledger.state import LedgerState
from federation.parties import Aggregator
from federation.plan import AGGREGATORS
from federation.statement import verify_statement

from .folders import KEYS
from .project import Project

IN_PROCESS: Final = "in-process"
"""The trust of a release that was made in one process."""

Mine: TypeAlias = Callable[[Registry, Manifest], bool]
"""Whether a ledger must know the plan of a manifest."""


def require_known_releases(directory: Path, ledger: Path, state: Callable[[], LedgerState], mine: Mine) -> None:
    """Return if a ledger knows the plans of the store's releases. A directory without a store has none.

    Args:
        ledger: its path, for the error. state: reads it; called after the releases were read.

    Raises:
        LedgerBehind: entries of the ledger were lost.
    """
    if (lost := lost_plans(directory, state, mine)) > 0:
        raise LedgerBehind(str(ledger), f"it lacks {lost} plan(s) whose releases are in the store")


def lost_plans(directory: Path, state: Callable[[], LedgerState], mine: Mine) -> int:
    """The number of plans with releases in the store of a directory that a ledger should know and does not."""
    with registry_of(directory) as registry:
        if registry is None:
            return 0
        manifests, known = registry.publications.manifests(), state()
        return len({one.plan_hash for one, last in manifests if not _covers(known, one, last) and mine(registry, one)})


def last_pane(directory: Path) -> int:
    """The start (µs) of the last pane that the store of a directory has; 0: it has none."""
    with registry_of(directory) as registry:
        return 0 if registry is None else max((last for _, last in registry.publications.manifests()), default=0)


def signed_by(role: Aggregator, keys: PinnedKey) -> Mine:
    """The releases of plans that these keys of an aggregator have opened. The signature counts, whoever says otherwise."""

    def is_mine(registry: Registry, manifest: Manifest) -> bool:
        statement = manifest.commitments[AGGREGATORS.index(role)]
        try:
            if not statement:
                return False
            signed = registry.publications.evidence(bytes.fromhex(statement))
            return bool(keys.signed(lambda key: verify_statement(signed, key)))
        except (SignatureInvalid, StatementMalformed, UnknownEvidence):
            return False

    return is_mine


def of_runs(directory: Path) -> Mine:
    """The releases of runs into a directory. Those of its project's aggregators are in these aggregators' own ledgers."""
    project = Project.find(directory)
    of_project = None if project is None else signed_by("leader", project.pinned("leader"))

    def is_of_run(registry: Registry, manifest: Manifest) -> bool:
        if manifest.trust == IN_PROCESS:
            return True
        return any(manifest.commitments) and (of_project is None or not of_project(registry, manifest))

    return is_of_run


def of_operator(directory: Path) -> Mine:
    """The releases of runs into a directory, and of the aggregators whose keys are there."""
    project = Project.find(directory)
    kinds = [of_runs(directory)]
    if project is not None:
        pinned = [(role, project.pinned(role)) for role in AGGREGATORS]
        kinds += [signed_by(role, key) for role, key in pinned if (directory / KEYS / f"{role}.key").exists()]
    return lambda registry, manifest: any(mine(registry, manifest) for mine in kinds)


@contextmanager
def registry_of(directory: Path) -> Iterator[Registry | None]:
    """The registry of the store of a directory, read only; None if there is no store."""
    path = store_path(directory) / "registry.db"
    if not path.is_file():
        yield None
        return
    try:
        registry = Registry(path, read_only=True)
    except StoreNotFound:  # its first writer has made the file, and no table in it yet
        yield None
        return
    try:
        yield registry
    finally:
        registry.close()


def _covers(state: LedgerState, manifest: Manifest, last_pane: int) -> bool:
    """Whether a ledger has the plan of a manifest, or was rebuilt after its last pane."""
    if bytes.fromhex(manifest.plan_hash) in state.charged_by:
        return True
    return state.rebuilt is not None and last_pane // DAY_US <= state.rebuilt.day
