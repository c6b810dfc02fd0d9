"""What one aggregator keeps: a single SQLite file that is right after a kill −9 at any point.

WAL with synchronous=FULL: a transaction that has returned is on disk. Callers put what belongs together into one
`transaction()`; leader.py and helper.py say what that is. Sums are one row a collection, and only the rows that a batch
touches are read and written, so memory is bounded by a batch and a view, never by the reports.

    plans       what was opened, its state, and both aggregators' commitments once it is closed
    pending     leader only: batches that the helper has not answered; their reports are in `reports` and `sites` already
    jobs        job id → digest of its bytes → the recorded answer
    keys        plan id → the key that proofs of the plan are verified with. Secret
    reports     report ids, each of which counts once, and of how many clients it is: one, or what its site declares
    rejected    ids of reports whose proof did not hold; none is verified a second time
    rejections  how many those were in a collection, once their ids are gone
    sites       clients of a site in a collection, against its roster maximum
    sums        this aggregator's share of the sum of a collection. Secret; deleted when its noised share is stored
    noised      the noised shares, sealed to the collector, with their statements, and the signed values that were opened of them:
                all that a collect sends, now or later. With finish mpc, what leader and helper have opened together instead
    held        the noised shares themselves, until both have stored what they opened of them. Secret until then
    swaps       SHA-256 of the other aggregator's noised shares, as it has signed it before it saw those here
    drawn       with finish mpc, the statements of those shares, which the ledger knows
    ciphertexts with protection he, the encrypted sum of a collection: as it grows at the leader, as it came at the key holder
    finished    leader only: what the key holder gets of a collection, until it has opened it
    prepared    plan id → hash of its draft and the live keys that were signed of it. What they were signed of is in live/
    secret_keys key holder only: plan id → the secret keys of the plan's views. Secret; erased when the plan is opened

How long keys and ids are kept: retention.py. What a plan costs, and which panes were taken, is not kept here: the ledger
(federation/ledger/ledger.py) is a file of its own, which outlives this one and notices if it is rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from aggregator.collect.sealed_share import HeldShare, SealedShare
from crypto import field as field64
from federation.batch.reports import REPORT_ID_BYTES
from federation.circuit.validity import VerificationKey

from .role_file import RoleFile

ReportTable = Literal["reports", "rejected"]
MessageTable = Literal["ciphertexts", "finished"]
REPORT_TABLES: Final[tuple[ReportTable, ReportTable]] = ("reports", "rejected")
PlanState = Literal["open", "closed", "noised", "witnessed", "burnt"]
"""`open` takes reports; `closed` is charged and committed; `noised` has its shares stored; `witnessed` may send them; `burnt`
is a key holder's plan whose keys are gone, because a sum of it was none of honest reports."""

_VERSION: Final = 9
_IDS_A_QUERY: Final = 1_000
_SCHEMA: Final = """
CREATE TABLE role (name TEXT NOT NULL);
CREATE TABLE plans (
    plan INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, id BLOB NOT NULL, deadline_us INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'noised', 'witnessed', 'burnt')),
    signed BLOB NOT NULL, own BLOB, other BLOB, encryption_keys BLOB NOT NULL
);
CREATE TABLE pending (
    place INTEGER PRIMARY KEY AUTOINCREMENT, plan INTEGER NOT NULL REFERENCES plans, job BLOB NOT NULL,
    digest BLOB NOT NULL, site_key BLOB NOT NULL, verdicts BLOB NOT NULL, batch BLOB NOT NULL, UNIQUE (plan, job)
);
CREATE TABLE jobs (
    plan INTEGER NOT NULL REFERENCES plans, job BLOB NOT NULL, digest BLOB NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (plan, job)
) WITHOUT ROWID;
CREATE TABLE keys (id BLOB NOT NULL PRIMARY KEY, key BLOB NOT NULL, kept_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rejected (
    plan INTEGER NOT NULL REFERENCES plans, report BLOB NOT NULL, collection INTEGER NOT NULL,
    PRIMARY KEY (plan, report)
) WITHOUT ROWID;
CREATE TABLE rejections (
    plan INTEGER NOT NULL REFERENCES plans, collection INTEGER NOT NULL, reports INTEGER NOT NULL,
    PRIMARY KEY (plan, collection)
) WITHOUT ROWID;
CREATE TABLE reports (
    plan INTEGER NOT NULL REFERENCES plans, report BLOB NOT NULL, collection INTEGER NOT NULL, clients INTEGER NOT NULL,
    PRIMARY KEY (plan, report)
) WITHOUT ROWID;
CREATE TABLE sites (
    plan INTEGER NOT NULL REFERENCES plans, site TEXT NOT NULL, collection INTEGER NOT NULL, clients INTEGER NOT NULL,
    PRIMARY KEY (plan, site, collection)
) WITHOUT ROWID;
CREATE TABLE sums (
    row INTEGER PRIMARY KEY, plan INTEGER NOT NULL REFERENCES plans, collection INTEGER NOT NULL, total BLOB NOT NULL,
    UNIQUE (plan, collection)
);
CREATE TABLE noised (
    plan INTEGER NOT NULL REFERENCES plans, view INTEGER NOT NULL, sealed BLOB NOT NULL, statement BLOB NOT NULL,
    opened BLOB NOT NULL, PRIMARY KEY (plan, view)
);
CREATE TABLE swaps (plan INTEGER PRIMARY KEY REFERENCES plans, digest BLOB NOT NULL);
CREATE TABLE held (
    row INTEGER PRIMARY KEY, plan INTEGER NOT NULL REFERENCES plans, view INTEGER NOT NULL, share BLOB NOT NULL,
    UNIQUE (plan, view)
);
CREATE TABLE drawn (
    plan INTEGER NOT NULL REFERENCES plans, view INTEGER NOT NULL, statement BLOB NOT NULL, PRIMARY KEY (plan, view)
);
CREATE TABLE ciphertexts (
    row INTEGER PRIMARY KEY, plan INTEGER NOT NULL REFERENCES plans, collection INTEGER NOT NULL, message BLOB NOT NULL,
    UNIQUE (plan, collection)
);
CREATE TABLE finished (
    row INTEGER PRIMARY KEY, plan INTEGER NOT NULL REFERENCES plans, collection INTEGER NOT NULL, message BLOB NOT NULL,
    UNIQUE (plan, collection)
);
CREATE TABLE prepared (
    id BLOB NOT NULL PRIMARY KEY, draft BLOB NOT NULL, live_keys BLOB NOT NULL, not_after_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE secret_keys (
    id BLOB NOT NULL PRIMARY KEY, draft BLOB NOT NULL, public BLOB NOT NULL, secret BLOB NOT NULL, until_us INTEGER NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it is stored. `own` and `other` are the bytes of commitments, or of statements at a key holder.

    Attributes:
        encryption_keys: the key holder's signed public keys; none under shares.
    """

    number: int
    hash: bytes
    signed: bytes = field(repr=False)
    deadline_us: int
    state: PlanState
    own: bytes | None = field(repr=False)
    other: bytes | None = field(repr=False)
    encryption_keys: bytes = field(repr=False)


@dataclass(frozen=True)
class Pending:
    """A batch that the leader has checked and counted, and the helper has not answered.

    Attributes:
        site_key: the key that signed it, as the roster had it then: a later roster does not undo what was taken.
    """

    plan: int
    job: bytes
    digest: bytes
    site_key: bytes
    verdicts: bytes = field(repr=False)
    batch: bytes = field(repr=False)


@dataclass(frozen=True)
class SecretKeys:
    """The keys of a plan's views at its key holder. **Secret**.

    Attributes:
        draft: SHA-256 of the plan that they were made for, when it had no keys yet.
        public: as `he_keys.sign_keys` gave them.
        secret: `SecretKey.to_bytes` of each view, one after another.
    """

    draft: bytes
    public: bytes = field(repr=False)
    secret: bytes = field(repr=False)


class Storage(RoleFile):
    """One aggregator's file. Threads may share it.

    Raises:
        StorageUnusable: the file is something else, or the other role's.
    """

    schema = _SCHEMA
    version = _VERSION

    # plans

    def add_plan(
        self, plan_hash: bytes, plan_id: bytes, signed: bytes, deadline_us: int, encryption_keys: bytes = b""
    ) -> None:
        """Open a plan; a repeat changes nothing."""
        self.run(
            "INSERT INTO plans (hash, id, signed, deadline_us, state, encryption_keys) VALUES (?, ?, ?, ?, 'open', ?) "
            "ON CONFLICT DO NOTHING",
            *(plan_hash, plan_id, signed, deadline_us, encryption_keys),
        )

    def plan(self, plan_hash: bytes) -> StoredPlan | None:
        """A plan, if it was opened here."""
        found = self.one(f"SELECT {_PLAN} FROM plans WHERE hash = ?", plan_hash)
        return StoredPlan(*found) if found else None

    def hash_of(self, plan: int) -> bytes:
        """The hash of a plan that is stored under this number."""
        ((plan_hash,),) = self.rows("SELECT hash FROM plans WHERE plan = ?", plan)
        return bytes(plan_hash)

    def plans_of_id(self, plan_id: bytes) -> list[StoredPlan]:
        """The plans that were opened here under an id: one, where the coordinator is honest."""
        return [StoredPlan(*found) for found in self.rows(f"SELECT {_PLAN} FROM plans WHERE id = ?", plan_id)]

    def plans(self) -> list[StoredPlan]:
        """All plans, in the order in which they were opened."""
        return [StoredPlan(*found) for found in self.rows(f"SELECT {_PLAN} FROM plans ORDER BY plan")]

    def close_plan(self, plan: int, own: bytes, other: bytes | None) -> None:
        """Take no more reports; remember what this aggregator commits to."""
        self.run("UPDATE plans SET state = 'closed', own = ?, other = ? WHERE plan = ?", own, other, plan)

    def set_other(self, plan: int, other: bytes) -> None:
        """Remember what the other aggregator commits to."""
        self.run("UPDATE plans SET other = ? WHERE plan = ?", other, plan)

    # live keys

    def prepared(self, plan_id: bytes) -> tuple[bytes, bytes] | None:
        """(hash of the draft, `LiveKeys.to_bytes`) of a plan id, if live keys were signed for it."""
        found = self.one("SELECT draft, live_keys FROM prepared WHERE id = ?", plan_id)
        return (found[0], found[1]) if found else None

    def set_prepared(self, plan_id: bytes, draft: bytes, live_keys: bytes, not_after_us: int) -> None:
        """Remember what was signed for a plan id; inside a transaction."""
        self.run("INSERT INTO prepared VALUES (?, ?, ?, ?)", plan_id, draft, live_keys, not_after_us)

    # verification keys

    def key(self, plan_id: bytes) -> VerificationKey | None:
        """The verification key of a plan, if one is kept."""
        found = self.one("SELECT key FROM keys WHERE id = ?", plan_id)
        return VerificationKey(found[0]) if found else None

    def keep_key(self, plan_id: bytes, key: VerificationKey, now_us: int) -> VerificationKey:
        """Keep a plan's verification key; the key that is kept now, which is the first one."""
        with self.transaction():
            if (kept := self.key(plan_id)) is not None:
                return kept
            self.run("INSERT INTO keys VALUES (?, ?, ?)", plan_id, key.secret_bytes(), now_us)
            return key

    # jobs

    def job(self, plan: int, job: bytes) -> tuple[bytes, bytes] | None:
        """(digest of its bytes, recorded answer) of an answered job."""
        found = self.one("SELECT digest, answer FROM jobs WHERE plan = ? AND job = ?", plan, job)
        return (found[0], found[1]) if found else None

    def record(self, plan: int, job: bytes, digest: bytes, answer: bytes) -> None:
        """Record the answer of a job, for good."""
        self.run("INSERT INTO jobs VALUES (?, ?, ?, ?)", plan, job, digest, answer)

    def keep(self, pending: Pending) -> None:
        """Keep a batch until the helper answers."""
        self.run(
            "INSERT INTO pending (plan, job, digest, site_key, verdicts, batch) VALUES (?, ?, ?, ?, ?, ?)",
            *(pending.plan, pending.job, pending.digest, pending.site_key, pending.verdicts, pending.batch),
        )

    def pending_jobs(self, plan: int | None = None) -> list[tuple[int, bytes]]:
        """(plan, job) of all batches that wait, oldest first."""
        where, values = ("", ()) if plan is None else ("WHERE plan = ?", (plan,))
        return [
            (number, job) for number, job in self.rows(f"SELECT plan, job FROM pending {where} ORDER BY place", *values)
        ]

    def pending(self, plan: int, job: bytes) -> Pending | None:
        """A batch that waits."""
        sql = "SELECT plan, job, digest, site_key, verdicts, batch FROM pending WHERE plan = ? AND job = ?"
        found = self.one(sql, plan, job)
        return Pending(*found) if found else None

    def pending_digest(self, plan: int, job: bytes) -> bytes | None:
        """The digest of a batch that waits."""
        found = self.one("SELECT digest FROM pending WHERE plan = ? AND job = ?", plan, job)
        return found[0] if found else None

    def drop_pending(self, plan: int, job: bytes) -> bool:
        """Forget a batch that was answered; False if another thread did so before."""
        return self.run("DELETE FROM pending WHERE plan = ? AND job = ?", plan, job) == 1

    # reports and sites

    def known(
        self, plan: int, report_ids: npt.NDArray[np.uint8], table: ReportTable = "reports"
    ) -> npt.NDArray[np.bool_]:
        """bool[R]: which of these ids (uint8[R, 16]) were taken (or rejected) before, in any collection of the plan."""
        ids = _split(report_ids)
        found: set[bytes] = set()
        for at in range(0, len(ids), _IDS_A_QUERY):
            some = ids[at : at + _IDS_A_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT report FROM {table} WHERE plan = ? AND report IN ({marks})"
            found.update(report for (report,) in self.rows(query, plan, *some))
        return np.fromiter((one in found for one in ids), np.bool_, len(ids))

    def add_reports(
        self,
        plan: int,
        collection: npt.NDArray[np.uint32],
        report_ids: npt.NDArray[np.uint8],
        clients: npt.NDArray[np.uint32] | None = None,
    ) -> None:
        """Take these ids, of so many clients each; None: of one."""
        counts = np.ones(len(collection), np.uint32) if clients is None else clients
        rows = zip(_split(report_ids), collection.tolist(), counts.tolist(), strict=True)
        ordered = sorted(rows)  # kinder to the B-tree
        self.run_many("INSERT INTO reports VALUES (?, ?, ?, ?)", ((plan, *row) for row in ordered))

    def add_rejected(self, plan: int, collection: npt.NDArray[np.uint32], report_ids: npt.NDArray[np.uint8]) -> None:
        """Reject these ids."""
        ordered = sorted(zip(_split(report_ids), collection.tolist(), strict=True))
        self.run_many("INSERT INTO rejected VALUES (?, ?, ?)", ((plan, *row) for row in ordered))

    def drop_reports(self, plan: int, report_ids: npt.NDArray[np.uint8]) -> None:
        """Give these ids back: the other aggregator did not take them."""
        self.run_many("DELETE FROM reports WHERE plan = ? AND report = ?", ((plan, one) for one in _split(report_ids)))

    def reports(self, plan: int) -> Iterator[tuple[int, bytes, int]]:
        """(collection, report id, clients) of all reports, in order of the sorted ids of each collection."""
        with self._lock:
            query = "SELECT collection, report, clients FROM reports WHERE plan = ? ORDER BY collection, report"
            yield from self._connection.execute(query, (plan,))

    def most_reports(self, plan: int) -> int:
        """The most reports that were taken in one collection, whatever number of clients they declare."""
        query = "SELECT max(reports) FROM (SELECT count(*) AS reports FROM reports WHERE plan = ? GROUP BY collection)"
        (most,) = self.one(query, plan) or (None,)
        return most or 0

    def rejected(self, plan: int, collections: int) -> npt.NDArray[np.int64]:
        """int64[collections]: how many reports were rejected in each."""
        counts = np.zeros(collections, np.int64)
        query = (
            "SELECT collection, count(*) FROM rejected WHERE plan = ? GROUP BY collection "
            "UNION ALL SELECT collection, reports FROM rejections WHERE plan = ?"
        )
        for collection, count in self.rows(query, plan, plan):
            counts[collection] = count
        return counts

    def site_counts(
        self, plan: int, site: str, touched: npt.NDArray[np.uint32], collections: int
    ) -> npt.NDArray[np.int64]:
        """int64[collections]: clients of a site in each of those that are touched, and zero elsewhere."""
        counts = np.zeros(collections, np.int64)
        query = (
            "SELECT collection, clients FROM sites "
            "WHERE plan = ? AND site = ? AND collection IN (SELECT value FROM json_each(?))"
        )
        found = self.rows(query, plan, site, json.dumps(np.unique(touched).tolist()))
        if found:
            table = np.array(found, np.int64)
            counts[table[:, 0]] = table[:, 1]
        return counts

    def set_site_counts(
        self, plan: int, site: str, collections: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64]
    ) -> None:
        """Write how many clients of a site are in some collections."""
        self.run_many(
            "INSERT INTO sites VALUES (?, ?, ?, ?) "
            "ON CONFLICT (plan, site, collection) DO UPDATE SET clients = excluded.clients",
            ((plan, site, of, count) for of, count in zip(collections.tolist(), counts.tolist(), strict=True)),
        )

    # sums

    def sums(self, plan: int, collections: npt.NDArray[np.uint32], length: int) -> npt.NDArray[np.uint64]:
        """uint64[T, length]: the totals of some collections (increasing), zero where there is none yet."""
        totals = np.zeros((len(collections), length), np.uint64)
        query = "SELECT collection, total FROM sums WHERE plan = ? AND collection IN (SELECT value FROM json_each(?))"
        found = self.rows(query, plan, json.dumps(collections.tolist()))
        at = np.searchsorted(collections, np.array([of for of, _ in found], np.uint32))
        for row, (_, total) in zip(at.tolist(), found, strict=True):
            totals[row] = field64.from_bytes(total)
        return totals

    def set_sums(self, plan: int, collections: npt.NDArray[np.uint32], totals: npt.NDArray[np.uint64]) -> None:
        """Write the totals of some collections."""
        self.run_many(
            "INSERT INTO sums (plan, collection, total) VALUES (?, ?, ?) "
            "ON CONFLICT (plan, collection) DO UPDATE SET total = excluded.total",
            ((plan, of, field64.to_bytes(total)) for of, total in zip(collections.tolist(), totals, strict=True)),
        )

    # encrypted sums

    def reports_in(self, plan: int, collections: Sequence[int]) -> dict[int, int]:
        """How many reports were taken in each of these collections, over all sites."""
        query = (
            "SELECT collection, sum(clients) FROM sites "
            "WHERE plan = ? AND collection IN (SELECT value FROM json_each(?)) GROUP BY collection"
        )
        return {**dict.fromkeys(collections, 0), **dict(self.rows(query, plan, json.dumps(list(collections))))}

    def message(self, table: MessageTable, plan: int, collection: int) -> bytes | None:
        """The ciphertexts of a collection, if there are any."""
        found = self.one(f"SELECT message FROM {table} WHERE plan = ? AND collection = ?", plan, collection)
        return found[0] if found else None

    def set_message(self, table: MessageTable, plan: int, collection: int, message: bytes) -> None:
        """Write the ciphertexts of a collection."""
        self.run(
            f"INSERT INTO {table} (plan, collection, message) VALUES (?, ?, ?) "
            "ON CONFLICT (plan, collection) DO UPDATE SET message = excluded.message",
            *(plan, collection, message),
        )

    def drop_messages(self, table: MessageTable, plan: int) -> None:
        """Delete the ciphertexts of a plan. They lie in pages of their own, which secure_delete overwrites."""
        self.run(f"DELETE FROM {table} WHERE plan = ?", plan)

    def secret_keys(self, plan_id: bytes) -> SecretKeys | None:
        """The keys that were made for a plan, if they are held."""
        found = self.one("SELECT draft, public, secret FROM secret_keys WHERE id = ?", plan_id)
        return SecretKeys(*found) if found else None

    def keep_secret_keys(self, plan_id: bytes, keys: SecretKeys, until_us: int) -> None:
        """Hold the keys of a plan, that long at most (µs since the epoch). A repeat changes nothing."""
        self.run(
            "INSERT INTO secret_keys VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(plan_id, keys.draft, keys.public, keys.secret, until_us),
        )

    def burn(self, plan: int, plan_id: bytes) -> None:
        """Erase a plan's secret keys and sums; nothing of it is ever opened."""
        self.erase("secret_keys", "id = ?", plan_id)
        self.drop_messages("ciphertexts", plan)
        self.run("UPDATE plans SET state = 'burnt' WHERE plan = ?", plan)

    # what is opened

    def noised(self, plan: int) -> list[SealedShare]:
        """The noised shares of a plan's views, in order; none before there is noise."""
        found = self.rows("SELECT sealed, statement, opened FROM noised WHERE plan = ? ORDER BY view", plan)
        return [SealedShare(*row) for row in found]

    def add_noised(self, plan: int, shares: Sequence[SealedShare], held: Sequence[bytes] = ()) -> None:
        """Store what will be sent, for good, and forget the shares without noise.

        Args:
            held: the noised shares by view, to be swapped with the other aggregator's.
        """
        self._add_shares(plan, shares)
        for view, share in enumerate(held):
            self.run("INSERT INTO held (plan, view, share) VALUES (?, ?, ?)", plan, view, share)
        self._set_noised(plan)

    def _add_shares(self, plan: int, shares: Sequence[SealedShare]) -> None:
        rows = ((plan, view, share.sealed, share.statement, share.opened) for view, share in enumerate(shares))
        self.run_many("INSERT INTO noised VALUES (?, ?, ?, ?, ?)", rows)

    def set_opened(self, plan: int, opened: Sequence[bytes]) -> None:
        """Store the signed values of each view; inside a transaction."""
        for view, signed in enumerate(opened):
            self.run("UPDATE noised SET opened = ? WHERE plan = ? AND view = ?", signed, plan, view)

    def to_swap(self, plan: int) -> list[bytes]:
        """The noised shares of a plan's views, in order; none before there is noise, or once they are settled."""
        return [share for (share,) in self.rows("SELECT share FROM held WHERE plan = ? ORDER BY view", plan)]

    def swap_digest(self, plan: int) -> bytes | None:
        """The digest of the other aggregator's noised shares, if it has signed one."""
        found = self.one("SELECT digest FROM swaps WHERE plan = ?", plan)
        return found[0] if found else None

    def set_swap_digest(self, plan: int, digest: bytes) -> None:
        """Remember that digest; the first one stays."""
        self.run("INSERT INTO swaps VALUES (?, ?) ON CONFLICT DO NOTHING", plan, digest)

    def statements(self, plan: int) -> list[bytes]:
        """The statements of the noise that was drawn, by view: what the ledger knows of an opening."""
        query = "SELECT statement FROM drawn WHERE plan = ? ORDER BY view"
        return [found for (found,) in self.rows(query, plan)] or [share.statement for share in self.noised(plan)]

    def held(self, plan: int) -> list[HeldShare]:
        """With finish mpc: the noised shares of a plan's views, in order; none before there is noise, or once it is settled."""
        query = "SELECT share, statement FROM held JOIN drawn USING (plan, view) WHERE plan = ? ORDER BY view"
        return [HeldShare(*row) for row in self.rows(query, plan)]

    def add_held(self, plan: int, shares: Sequence[HeldShare]) -> None:
        """With finish mpc: store the noised shares, and forget those without noise."""
        for view, share in enumerate(shares):
            self.run("INSERT INTO held (plan, view, share) VALUES (?, ?, ?)", plan, view, share.share)
            self.run("INSERT INTO drawn VALUES (?, ?, ?)", plan, view, share.statement)
        self._set_noised(plan)

    def set_finished(self, plan: int, shares: Sequence[SealedShare]) -> None:
        """Store what leader and helper have opened together; in the place of what an earlier try has left."""
        self.run("DELETE FROM noised WHERE plan = ?", plan)
        self._add_shares(plan, shares)

    def settle(self, plan: int) -> None:
        """Erase the noised shares: what was opened of them is stored at both; inside a transaction."""
        self.erase("held", "plan = ?", plan)

    def _set_noised(self, plan: int) -> None:
        self.erase("sums", "plan = ?", plan)
        self.erase("secret_keys", "id IN (SELECT id FROM plans WHERE plan = ?)", plan)
        self.drop_messages("ciphertexts", plan)
        self.run("UPDATE plans SET state = 'noised' WHERE plan = ?", plan)

    def set_witnessed(self, plan: int) -> None:
        """The other aggregator knows of this opening: its shares may be sent."""
        with self.transaction():
            if self.run("UPDATE plans SET state = 'witnessed' WHERE plan = ? AND state = 'noised'", plan):
                self.drop_messages("finished", plan)


_PLAN: Final = "plan, hash, signed, deadline_us, state, own, other, encryption_keys"


def _split(report_ids: npt.NDArray[np.uint8]) -> list[bytes]:
    data = report_ids.tobytes()
    return [data[at : at + REPORT_ID_BYTES] for at in range(0, len(data), REPORT_ID_BYTES)]
