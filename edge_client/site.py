"""A site's answer to a plan: check it, compute every client's reports, seal them in batches, or refuse with a code.

A refusal is an answer, never silence and never an exception across the wire; no code depends on what events hold.
Report ids are drawn once and stored before anything is sent: a retry keeps the id of each (collection, client) and draws
fresh share randomness, so a report counts once however often it is sent.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.errors import CryptoError, SignatureInvalid
from crypto.signing import SigningKey, VerifyKey
from featurestore.times import DAY_US
from federation.batch import BATCH_ID_BYTES, SealedBatch, max_reports, seal_batch
from federation.errors import FederationError
from federation.parties import PublicKeys
from federation.plan import Plan
from federation.protocol import REPORT_ID_BYTES, Randomness, Reports, shard
from federation.signed_plan import verify_plan

from .compute import compute
from .events import Events

_IDS: Final = """
CREATE TABLE IF NOT EXISTS report_ids (
    plan_hash BLOB NOT NULL, collection INTEGER NOT NULL, client BLOB NOT NULL, report_id BLOB NOT NULL,
    PRIMARY KEY (plan_hash, collection, client)) WITHOUT ROWID
"""


class RefusalCode(StrEnum):
    """Why a site does not take part. None of them depends on events."""

    PLAN_INVALID = "PLAN_INVALID"
    PLAN_UNSIGNED = "PLAN_UNSIGNED"
    PLAN_EXPIRED = "PLAN_EXPIRED"
    KEY_NOT_PINNED = "KEY_NOT_PINNED"
    NOISE_OFF = "NOISE_OFF"
    SCHEMA = "SCHEMA"
    """The site's events lack a column that a view needs, or hold another type."""
    SITE_FAILED = "SITE_FAILED"
    """The site itself is broken (its files, its ledger); its own log says how."""


@dataclass(frozen=True)
class Refusal:
    """A site's refusal."""

    code: RefusalCode


@dataclass(frozen=True)
class SiteSettings:
    """What a site's operator has set.

    Attributes:
        site: this site's id on the aggregators' rosters.
        coordinator, leader, helper: pinned keys.
        ids: the SQLite file that remembers report ids; made if it does not exist.
    """

    site: str
    key: SigningKey = field(repr=False)
    coordinator: VerifyKey
    leader: PublicKeys
    helper: PublicKeys
    ids: Path
    allow_noise_off: bool = False


def check_plan(signed_plan: bytes, settings: SiteSettings, now: int) -> Plan | Refusal:
    """The plan, if this site takes part in it; a pure function of plan and settings.

    Args:
        now: wall clock, µs since the epoch.
    """
    try:
        plan = verify_plan(signed_plan, settings.coordinator)
    except SignatureInvalid:
        return Refusal(RefusalCode.PLAN_UNSIGNED)
    except (FederationError, CryptoError):
        return Refusal(RefusalCode.PLAN_INVALID)
    if plan.wire is None:
        return Refusal(RefusalCode.PLAN_INVALID)
    if (plan.wire.leader, plan.wire.helper) != (settings.leader, settings.helper):
        return Refusal(RefusalCode.KEY_NOT_PINNED)
    if now >= plan.wire.deadline_us:
        return Refusal(RefusalCode.PLAN_EXPIRED)
    if plan.noise == "none" and not settings.allow_noise_off:
        return Refusal(RefusalCode.NOISE_OFF)
    return plan


def answer(plan: Plan, events: Events, settings: SiteSettings, randomness: Randomness) -> Iterator[SealedBatch]:
    """Compute, shard, seal and sign the reports of all clients of this site, view by view.

    Raises:
        EdgeError: the events do not fit a view (tell the coordinator `SCHEMA`); nothing of that view was sent.
    """
    names = [hashlib.sha256(repr(identity).encode()).digest() for identity in events.identities.to_pylist()]
    for index, planned in enumerate(plan.views):
        made = compute(planned.view, events, days=np.unique(planned.pane_starts // DAY_US))  # bounds are a whole day's
        at = np.minimum(np.searchsorted(planned.pane_starts, made.pane_start), len(planned.pane_starts) - 1)
        asked = np.flatnonzero(planned.pane_starts[at] == made.pane_start)
        collection = (at[asked] + plan.offsets[index]).astype(np.uint32)
        who = [names[client] for client in made.client[asked].tolist()]
        ids = _report_ids(settings.ids, plan.hash, collection, who, randomness)
        slots = made.slots.take(asked)
        size = max_reports(planned.layout)
        for start in range(0, len(asked), size):
            part = slice(start, start + size)
            reports = Reports(index, collection[part], slots[part])
            halves = shard(plan, reports, randomness, report_ids=ids[part])
            yield seal_batch(plan, settings.site, randomness(BATCH_ID_BYTES), *halves, settings.key)


def _report_ids(
    path: Path,
    plan_hash: bytes,
    collection: npt.NDArray[np.uint32],
    clients: Sequence[bytes],
    randomness: Randomness,
) -> npt.NDArray[np.uint8]:
    """uint8[R, 16]: the stored id of each (collection, client) of this plan; new ones are stored before they are used."""
    keys = [(plan_hash, number, client) for number, client in zip(collection.tolist(), clients, strict=True)]
    drawn = randomness(REPORT_ID_BYTES * len(keys))
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(_IDS)
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT OR IGNORE INTO report_ids VALUES (?, ?, ?, ?)",
            ((*key, drawn[i * REPORT_ID_BYTES : (i + 1) * REPORT_ID_BYTES]) for i, key in enumerate(keys)),
        )
        db.execute("COMMIT")
        stored = {
            (c, who): report_id
            for c, who, report_id in db.execute(
                "SELECT collection, client, report_id FROM report_ids WHERE plan_hash = ?", (plan_hash,)
            )
        }
    finally:
        db.close()
    joined = b"".join(stored[c, who] for _, c, who in keys)
    return np.frombuffer(joined, np.uint8).reshape(len(keys), REPORT_ID_BYTES)
