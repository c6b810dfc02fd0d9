"""The tables of a role's file.

plans       opened plans, their state, and both aggregators' commitments once a plan is closed; `over`: its ids are erased
pending     leader only: batches that the helper has not answered; their reports are in `reports` and `sites` already
jobs        job id → digest of its bytes → the recorded answer
keys        plan id → the verification key of the plan. Secret
reports     report ids, each of which counts once, and the number of clients of each: one, or the number that its site declares
rejected    ids of reports whose proof did not hold; no report is verified twice
rejections  number of rejected reports of a collection, after their ids are erased
sites       number of clients of a site in a collection, compared with its roster entry
counted     the sites that are counted in a plan: an empty batch, or a report, was accepted from them
sums        this aggregator's share of the sum of a collection. Secret; erased when its noised share is stored
noised      noised shares, sealed to the collector, with their statements and the signed opened values: everything that a
            collect sends, now or later. With finish mpc: the values that leader and helper opened together, sealed
held        the noised shares themselves, until both have stored the opened values. Secret until then
swaps       SHA-256 of the other aggregator's noised shares; it signed that digest before it received the shares here
drawn       with finish mpc: the statements of the noised shares; the ledger records their digest
ciphertexts with protection he: the encrypted sum of a collection, growing at the leader, as received at the key holder
finished    leader only: the noised, encrypted sum of a collection, until the key holder has opened it
prepared    plan id → hash of its draft and its signed live keys. The live secret itself is in live/
secret_keys key holder only: plan id → the secret keys of the plan's views. Secret; erased when the plan is opened
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from base.sqlite import Migration

VERSION: Final = 12
SCHEMA: Final = """
CREATE TABLE role (name TEXT NOT NULL);
CREATE TABLE plans (
    plan INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, id BLOB NOT NULL, deadline_us INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'noised', 'witnessed', 'freed', 'disowned', 'burnt')),
    signed BLOB NOT NULL, own BLOB, other BLOB, encryption_keys BLOB NOT NULL, over INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX plans_by_id ON plans (id);
CREATE INDEX plans_with_ids ON plans (deadline_us) WHERE over = 0 AND state IN ('noised', 'witnessed');
CREATE INDEX plans_to_delete ON plans (deadline_us) WHERE state = 'witnessed';
CREATE INDEX plans_by_state ON plans (state);
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
CREATE TABLE counted (
    plan INTEGER NOT NULL REFERENCES plans, site TEXT NOT NULL, PRIMARY KEY (plan, site)
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
CREATE INDEX prepared_by_end ON prepared (not_after_us);
CREATE TABLE secret_keys (
    id BLOB NOT NULL PRIMARY KEY, draft BLOB NOT NULL, public BLOB NOT NULL, secret BLOB NOT NULL, until_us INTEGER NOT NULL
) WITHOUT ROWID;
"""


def _index_plans(database: sqlite3.Connection) -> None:
    """From version 11 to 12: indexes, so that no statement reads all plans, and a mark of plans whose ids are erased."""
    database.execute("ALTER TABLE plans ADD COLUMN over INTEGER NOT NULL DEFAULT 0")
    for statement in SCHEMA.split(";"):
        if statement.strip().startswith("CREATE INDEX"):
            database.execute(statement)


MIGRATIONS: Final[Mapping[int, Migration]] = {11: _index_plans}
