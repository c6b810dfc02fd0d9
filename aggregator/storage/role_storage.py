"""The storage of one aggregator: a single SQLite file that is consistent after a kill −9 at any point.

WAL with synchronous=FULL: a transaction that has returned is on disk. Callers put related changes into one `transaction()`;
leader.py and helper.py name them. Each collection's sum is one row, and only the rows that a batch touches are read and written,
so a batch and a view bound the memory, not the number of reports.

schema.py describes the tables. retention.py says how long keys and ids are kept. Charges and panes are not stored here: the
ledger (federation/ledger/ledger.py) has its own file, which outlives this one and detects its own roll-back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from aggregator.collect.aggregate_share import HeldShare, SealedShare
from aggregator.storage.records import MessageTable, Pending, PlanState, SecretKeys, StoredPlan
from aggregator.storage.report_tables import ReportTables
from aggregator.storage.role_file import RoleFile, StoringRole
from aggregator.storage.schema import MIGRATIONS, SCHEMA, VERSION
from federation.circuit.validity import VerificationKey


class Storage(RoleFile):
    """One aggregator's file. Threads may share it.

    Raises:
        StorageUnusable: the file is not a storage, or belongs to another role.
    """

    schema = SCHEMA
    version = VERSION
    migrations = MIGRATIONS

    def __init__(self, path: Path, role: StoringRole) -> None:
        super().__init__(path, role)
        self.reports = ReportTables(self)

    # plans

    def add_plan(
        self, plan_hash: bytes, plan_id: bytes, signed: bytes, deadline_us: int, encryption_keys: bytes = b""
    ) -> None:
        """Store an opened plan. A repeat changes nothing."""
        self.run(
            "INSERT INTO plans (hash, id, signed, deadline_us, state, encryption_keys) VALUES (?, ?, ?, ?, 'open', ?) "
            "ON CONFLICT DO NOTHING",
            *(plan_hash, plan_id, signed, deadline_us, encryption_keys),
        )

    def plan(self, plan_hash: bytes) -> StoredPlan | None:
        """A plan, if it was opened here."""
        found = self.one(f"SELECT {_PLAN} FROM plans WHERE hash = ?", plan_hash)
        return _plan_of(found) if found else None

    def hash_of(self, plan: int) -> bytes:
        """The hash of the plan with this number."""
        ((plan_hash,),) = self.rows("SELECT hash FROM plans WHERE plan = ?", plan)
        return bytes(plan_hash)

    def plans_of_id(self, plan_id: bytes) -> list[StoredPlan]:
        """The plans opened here under an id. An honest coordinator uses an id for one plan."""
        return [_plan_of(found) for found in self.rows(f"SELECT {_PLAN} FROM plans WHERE id = ?", plan_id)]

    def plans(self) -> list[StoredPlan]:
        """All plans, in order of their opening."""
        return [_plan_of(found) for found in self.rows(f"SELECT {_PLAN} FROM plans ORDER BY plan")]

    def closed_plans(self) -> dict[bytes, int]:
        """The hashes and numbers of all plans that were closed here."""
        return dict(self.rows("SELECT hash, plan FROM plans WHERE own IS NOT NULL"))

    def numbered(self, plan: int) -> StoredPlan:
        """The plan with this number."""
        ((*found,),) = self.rows(f"SELECT {_PLAN} FROM plans WHERE plan = ?", plan)
        return _plan_of(tuple(found))

    def unopened_plans(self) -> list[StoredPlan]:
        """The plans for which no noise was drawn yet, in order of their opening."""
        select = f"SELECT {_PLAN} FROM plans WHERE state IN ('open', 'closed') ORDER BY plan"
        return [_plan_of(found) for found in self.rows(select)]

    def states(self) -> dict[str, int]:
        """The number of plans in each `PlanState` that has some."""
        return dict(self.rows("SELECT state, count(*) FROM plans GROUP BY state"))

    def close_plan(self, plan: int, own: bytes, other: bytes | None) -> None:
        """Close a plan, and store the commitments."""
        self.run("UPDATE plans SET state = 'closed', own = ?, other = ? WHERE plan = ?", own, other, plan)

    def set_other(self, plan: int, other: bytes) -> None:
        """Store the other aggregator's commitment."""
        self.run("UPDATE plans SET other = ? WHERE plan = ?", other, plan)

    # live keys

    def prepared(self, plan_id: bytes) -> tuple[bytes, bytes] | None:
        """(hash of the draft, `LiveKeys.to_bytes`) for a plan id, if live keys were signed for it."""
        found = self.one("SELECT draft, live_keys FROM prepared WHERE id = ?", plan_id)
        return (found[0], found[1]) if found else None

    def set_prepared(self, plan_id: bytes, draft: bytes, live_keys: bytes, not_after_us: int) -> None:
        """Store the signed live keys of a plan id, inside a transaction."""
        self.run("INSERT INTO prepared VALUES (?, ?, ?, ?)", plan_id, draft, live_keys, not_after_us)

    # verification keys

    def key(self, plan_id: bytes) -> VerificationKey | None:
        """The verification key of a plan, if one is stored."""
        found = self.one("SELECT key FROM keys WHERE id = ?", plan_id)
        return VerificationKey(found[0]) if found else None

    def keep_key(self, plan_id: bytes, key: VerificationKey, now_us: int) -> VerificationKey:
        """Store a plan's verification key unless one is stored. Returns the stored key."""
        with self.transaction():
            if (kept := self.key(plan_id)) is not None:
                return kept
            self.run("INSERT INTO keys VALUES (?, ?, ?)", plan_id, key.secret_bytes(), now_us)
            return key

    # jobs

    def job(self, plan: int, job: bytes) -> tuple[bytes, bytes] | None:
        """(digest of its bytes, recorded answer) of a job, if it was answered."""
        found = self.one("SELECT digest, answer FROM jobs WHERE plan = ? AND job = ?", plan, job)
        return (found[0], found[1]) if found else None

    def record(self, plan: int, job: bytes, digest: bytes, answer: bytes) -> None:
        """Record the final answer of a job."""
        self.run("INSERT INTO jobs VALUES (?, ?, ?, ?)", plan, job, digest, answer)

    def keep(self, pending: Pending) -> None:
        """Store a batch until the helper answers."""
        self.run(
            "INSERT INTO pending (plan, job, digest, site_key, verdicts, batch) VALUES (?, ?, ?, ?, ?, ?)",
            *(pending.plan, pending.job, pending.digest, pending.site_key, pending.verdicts, pending.batch),
        )

    def pending_jobs(self, plan: int | None = None) -> list[tuple[int, bytes]]:
        """(plan, job) of all waiting batches, oldest first."""
        where, values = ("", ()) if plan is None else ("WHERE plan = ?", (plan,))
        return [
            (number, job) for number, job in self.rows(f"SELECT plan, job FROM pending {where} ORDER BY place", *values)
        ]

    def pending(self, plan: int, job: bytes) -> Pending | None:
        """A waiting batch, if there is one."""
        sql = "SELECT plan, job, digest, site_key, verdicts, batch FROM pending WHERE plan = ? AND job = ?"
        found = self.one(sql, plan, job)
        return Pending(*found) if found else None

    def pending_digest(self, plan: int, job: bytes) -> bytes | None:
        """The digest of a waiting batch, if there is one."""
        found = self.one("SELECT digest FROM pending WHERE plan = ? AND job = ?", plan, job)
        return found[0] if found else None

    def drop_pending(self, plan: int, job: bytes) -> bool:
        """Delete an answered batch. False if another thread has deleted it."""
        return self.run("DELETE FROM pending WHERE plan = ? AND job = ?", plan, job) == 1

    # encrypted sums

    def message(self, table: MessageTable, plan: int, collection: int) -> bytes | None:
        """The ciphertexts of a collection, if stored."""
        found = self.one(f"SELECT message FROM {table} WHERE plan = ? AND collection = ?", plan, collection)
        return found[0] if found else None

    def set_message(self, table: MessageTable, plan: int, collection: int, message: bytes) -> None:
        """Store the ciphertexts of a collection."""
        self.run(
            f"INSERT INTO {table} (plan, collection, message) VALUES (?, ?, ?) "
            "ON CONFLICT (plan, collection) DO UPDATE SET message = excluded.message",
            *(plan, collection, message),
        )

    def drop_messages(self, table: MessageTable, plan: int) -> None:
        """Delete the ciphertexts of a plan. They have pages of their own, which secure_delete overwrites."""
        self.run(f"DELETE FROM {table} WHERE plan = ?", plan)

    def secret_keys(self, plan_id: bytes) -> SecretKeys | None:
        """The secret keys of a plan, if stored."""
        found = self.one("SELECT draft, public, secret FROM secret_keys WHERE id = ?", plan_id)
        return SecretKeys(*found) if found else None

    def keep_secret_keys(self, plan_id: bytes, keys: SecretKeys, until_us: int) -> None:
        """Store the keys of a plan until `until_us` (µs since the epoch) at most. A repeat changes nothing."""
        self.run(
            "INSERT INTO secret_keys VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(plan_id, keys.draft, keys.public, keys.secret, until_us),
        )

    def burn(self, plan: int, plan_id: bytes) -> None:
        """Erase a plan's secret keys and sums. It is never opened."""
        self.erase("secret_keys", "id = ?", plan_id)
        self.drop_messages("ciphertexts", plan)
        self.run("UPDATE plans SET state = 'burnt' WHERE plan = ?", plan)

    def has_finished(self, plan: int) -> bool:
        """Whether a noised, encrypted sum of the plan is stored at the leader: the key holder may have opened it."""
        return self.one("SELECT 1 FROM finished WHERE plan = ? LIMIT 1", plan) is not None

    def free(self, plan: int, plan_id: bytes) -> None:
        """Erase the sums, ids, batches and keys of a plan. It is never opened."""
        for table in ("sums", "reports", "rejected", "sites", "counted"):
            self.erase(table, "plan = ?", plan)
        for table in ("secret_keys", "keys"):
            self.erase(table, "id = ?", plan_id)
        self.drop_messages("ciphertexts", plan)
        self.run("DELETE FROM pending WHERE plan = ?", plan)
        self.run("UPDATE plans SET state = 'freed' WHERE plan = ?", plan)

    # openings

    def noised(self, plan: int) -> list[SealedShare]:
        """The noised shares of a plan's views, in order; empty before noise is drawn."""
        found = self.rows("SELECT sealed, statement, opened FROM noised WHERE plan = ? ORDER BY view", plan)
        return [SealedShare(*row) for row in found]

    def add_noised(self, plan: int, shares: Sequence[SealedShare], held: Sequence[bytes] = ()) -> None:
        """Store the final noised shares and erase the sums without noise.

        Args:
            held: the noised shares by view, for the swap with the other aggregator.
        """
        self._add_shares(plan, shares)
        for view, share in enumerate(held):
            self.run("INSERT INTO held (plan, view, share) VALUES (?, ?, ?)", plan, view, share)
        self._set_noised(plan)

    def _add_shares(self, plan: int, shares: Sequence[SealedShare]) -> None:
        rows = ((plan, view, share.sealed, share.statement, share.opened) for view, share in enumerate(shares))
        self.run_many("INSERT INTO noised VALUES (?, ?, ?, ?, ?)", rows)

    def set_opened(self, plan: int, opened: Sequence[bytes]) -> None:
        """Store the signed values of each view, inside a transaction."""
        for view, signed in enumerate(opened):
            self.run("UPDATE noised SET opened = ? WHERE plan = ? AND view = ?", signed, plan, view)

    def to_swap(self, plan: int) -> list[bytes]:
        """The noised shares for the swap, by view; empty before noise is drawn and after they are settled."""
        return [share for (share,) in self.rows("SELECT share FROM held WHERE plan = ? ORDER BY view", plan)]

    def swap_digest(self, plan: int) -> bytes | None:
        """The digest of the other aggregator's noised shares, if it has signed one."""
        found = self.one("SELECT digest FROM swaps WHERE plan = ?", plan)
        return found[0] if found else None

    def set_swap_digest(self, plan: int, digest: bytes) -> None:
        """Store that digest, unless one is stored."""
        self.run("INSERT INTO swaps VALUES (?, ?) ON CONFLICT DO NOTHING", plan, digest)

    def statements(self, plan: int) -> list[bytes]:
        """The statements of the noised shares, by view. The ledger records their digest as the opening."""
        query = "SELECT statement FROM drawn WHERE plan = ? ORDER BY view"
        return [found for (found,) in self.rows(query, plan)] or [share.statement for share in self.noised(plan)]

    def held(self, plan: int) -> list[HeldShare]:
        """With finish mpc: the noised shares by view; empty before noise is drawn and after they are settled."""
        query = "SELECT share, statement FROM held JOIN drawn USING (plan, view) WHERE plan = ? ORDER BY view"
        return [HeldShare(*row) for row in self.rows(query, plan)]

    def add_held(self, plan: int, shares: Sequence[HeldShare]) -> None:
        """With finish mpc: store the noised shares and erase the sums without noise."""
        for view, share in enumerate(shares):
            self.run("INSERT INTO held (plan, view, share) VALUES (?, ?, ?)", plan, view, share.share)
            self.run("INSERT INTO drawn VALUES (?, ?, ?)", plan, view, share.statement)
        self._set_noised(plan)

    def set_finished(self, plan: int, shares: Sequence[SealedShare]) -> None:
        """With finish mpc: store the opened values. They replace those of an earlier attempt."""
        self.run("DELETE FROM noised WHERE plan = ?", plan)
        self._add_shares(plan, shares)

    def settle(self, plan: int) -> None:
        """Erase the noised shares, inside a transaction: both have stored the opened values."""
        self.erase("held", "plan = ?", plan)

    def _set_noised(self, plan: int) -> None:
        self.erase("sums", "plan = ?", plan)
        self.erase("secret_keys", "id IN (SELECT id FROM plans WHERE plan = ?)", plan)
        self.drop_messages("ciphertexts", plan)
        self.run("UPDATE plans SET state = 'noised' WHERE plan = ?", plan)

    def set_witnessed(self, plan: int) -> None:
        """Record that the other aggregator knows of this opening, so its shares may be sent; or that this plan is freed."""
        with self.transaction():
            self.run("UPDATE plans SET state = 'disowned' WHERE plan = ? AND state = 'freed'", plan)
            if self.run("UPDATE plans SET state = 'witnessed' WHERE plan = ? AND state = 'noised'", plan):
                self.drop_messages("finished", plan)


_PLAN: Final = "plan, hash, signed, deadline_us, state, own, other, encryption_keys"


def _plan_of(row: tuple[Any, ...]) -> StoredPlan:
    """Read a row of the columns `_PLAN`."""
    number, plan_hash, signed, deadline_us, state, *rest = row
    return StoredPlan(number, plan_hash, signed, deadline_us, PlanState(state), *rest)
