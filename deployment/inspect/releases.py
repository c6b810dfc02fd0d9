"""Inspect releases: the list, one release by its abbreviated id, and its retraction."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crypto.errors import SignatureInvalid
from deployment.coordinator.decisions import published_reason
from deployment.errors import ItemMissing, UsageError
from deployment.project.folders import KEYS
from deployment.project.known_releases import IN_PROCESS
from deployment.project.project import Project
from featurestore.define.accounting import merged
from featurestore.define.release import MILLION, RETRACTED, Manifest, Release, Void
from featurestore.publish.live import publish_live
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.accountant import Cost, EpsilonClaim
from federation.keys import load_keys
from federation.release_signing import sign_release, verify_release

from .ledger_view import moment_of

if TYPE_CHECKING:
    from .verification import VerificationResult

MIN_HEX: Final = 6
_ID: Final = re.compile(r"[0-9a-f]{6,32}")
_LISTED: Final = ("release_id", "view", "pane_start", "pane_end", "state", "reason", "released_at", "retracted_at",
                  "published_at", "noise", "micro_rho", "trust", "plan_hash")  # fmt: skip


def listed(store: Store, view: str | None) -> list[dict[str, Any]]:
    """One row for each published pane, by view and pane, of all versions; times are UTC datetimes.

    Args:
        view: of this view only, or with `@v<n>` the panes that this version uses.

    Raises:
        UnknownView, UnknownVersion.
    """
    rows: dict[str, dict[str, Any]] = {}  # a version also has the panes that it carries from others
    for version in store.version_names(view):
        name = version.partition("@")[0]
        rows |= {row["release_id"]: {"view": name} | row for row in store.releases(version).to_pylist()}
    ordered = sorted(rows.values(), key=lambda row: (row["view"], row["pane_start"]))
    return [{name: row[name] for name in _LISTED} for row in ordered]


def find_id(store: Store, text: str) -> bytes:
    """The release id that begins with these hex digits.

    Raises:
        UsageError: not hex digits, too few, or several ids begin with them. ItemMissing: no id begins with them.
    """
    prefix = text.lower()
    if not _ID.fullmatch(prefix):
        raise UsageError(f"name a release by {MIN_HEX} to 32 hex digits of its id, got {text[:80]!r}")
    ids = (one for version in store.version_names() for one in store.releases(version)["release_id"].to_pylist())
    found = [one for one in dict.fromkeys(ids) if one.startswith(prefix)]
    if not found:
        raise ItemMissing(f"no release {prefix} in this store; `covey release list` shows them")
    if len(found) > 1:
        raise UsageError(f"{len(found)} ids begin with {prefix}, such as {found[0]} and {found[1]}; give more digits")
    return bytes.fromhex(found[0])


def state_of(item: Release | Void, tombstone: Void | None) -> str:
    """The state of a release: `opened`, `void: REASON` or `retracted: reason`."""
    if tombstone is not None:
        return f"retracted{tombstone.reason.removeprefix(RETRACTED)}"
    return "opened" if isinstance(item, Release) else f"void: {item.reason}"


def to_json(item: Release | Void, tombstone: Void | None) -> dict[str, Any]:
    """A release with its manifest and without its values, as JSON."""
    manifest, newest = item.manifest, tombstone or item
    return {
        "release_id": item.release_id.hex(),
        "state": state_of(item, tombstone).partition(":")[0],
        "reason": newest.reason if isinstance(newest, Void) else None,
        "pane_start": moment_of(item.pane_start),
        "pane_end": moment_of(item.pane_end),
        "released_at": moment_of(item.released_at),
        "published_at": moment_of(item.published_at),
        "retracted_at": None if tombstone is None else moment_of(tombstone.released_at),
        "clock": item.clock,
        "content_hash": item.content_hash.hex(),
        "signature": item.signature.hex(),
        "epsilon": [asdict(claim) for claim in claims_of(manifest)],
        "manifest": manifest.to_dict(),
    }


def sites_to_json(manifest: Manifest, verified: VerificationResult) -> dict[str, Any] | None:
    """Which sites are in a release, and what share of enrolled clients; None if no aggregator counted sites.

    The counted sites have names if the release is verified: they are on the roster of its plan.
    """
    if (sites := manifest.sites) is None:
        return None
    counted = {site: "counted" for site in verified.roster if site not in sites.missing}
    return {
        "counted": sites.counted,
        "enrolled": sites.enrolled,
        "client_share": sites.millionths / MILLION,
        "sites": dict(sorted({**counted, **dict.fromkeys(sites.missing, "not counted")}.items())),
    }


def claims_of(manifest: Manifest) -> tuple[EpsilonClaim, ...]:
    """The claims about a client that is in such releases on 1, 7 and 30 days; none without noise."""
    return _cost_of(manifest).claims(manifest.delta) if manifest.noisy else ()


def _cost_of(manifest: Manifest) -> Cost:
    """The cost of a client-day, from the integers of the noise groups."""
    moves = [one.moves for one in manifest.groups if one.moves is not None]
    return Cost(manifest.micro_rho, merged(moves), manifest.micro_epsilon or 0, manifest.leak_micro_rho)


def retract(directory: Path, release_id: bytes, why: str, clock: Callable[[], int]) -> Void:
    """Publish the tombstone of a release. The collector signs it, except for a run in one process, which signs nothing.

    Raises:
        UsageError: no reason, or another collector's key signed the release. KeyFileMissing.
        PaneNotOpen, PaneRetracted: there is nothing to retract.
    """
    reason = published_reason(why)
    with Store.open(directory) as store:
        item = store.release(release_id)
    collector = None
    if item.manifest.trust != IN_PROCESS:
        if not (directory / KEYS).is_dir():
            raise UsageError(
                f"no keys in {directory}: a `covey run` over processes deletes the keys that signed its releases, and such "
                "releases cannot be retracted. In a project, name the folder with the collector's key",
                settings=("project",),
            )
        collector, project = load_keys(directory / KEYS, "collector"), Project.find(directory)
        own = collector.pinned
        if project is not None and collector.sign.public == project.collector.sign:
            own = project.pinned_collector.sign  # with the keys whose secrets are erased
        try:
            own.signed(lambda key: verify_release(item, key))
        except SignatureInvalid:
            raise UsageError(
                f"the collector's key in {directory / KEYS} did not sign this release; only its own collector can retract it"
            ) from None

    def make(now: int) -> list[Void]:
        released_at = max(now, item.released_at)
        times = item.pane_start, item.pane_end, released_at, now
        tombstone = Void(item.manifest, *times, "live", f"{RETRACTED}: {reason}")
        return [tombstone if collector is None else sign_release(tombstone, collector.sign)]

    with Publisher(directory, clock) as publisher:
        return publish_live(publisher, make, (), clock)[0]
