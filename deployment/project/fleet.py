"""A simulated fleet as a project on disk: keys, rosters, each site's own events, the plan, and the coordinator's job."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from base.atomic_files import replace_file
from base.private_files import create_private, private_folder
from deployment.coordinator.job import Job
from deployment.errors import TooManyClients
from edge_client.policy import Policy
from edge_client.policy_file import policy_to_toml
from edge_client.site_config import config_to_toml
from federation.accountant import charge_of
from federation.errors import PartyInvalid
from federation.keys import RoleKeys, create_folder, site_role
from federation.ledger.operator import LEDGERS
from federation.ledger.state import Budget
from federation.parties import Roster, RosterEntry, require_site_id
from federation.plan import PLAN_ID_BYTES, Plan, plan_to_bytes
from federation.terms import Participation, Validity

from .folders import KEYS
from .init import POLICY
from .project import FILE, Project

SITES = "sites"

CreateKeys: TypeAlias = Callable[[Path, Iterable[RoleKeys]], None]
"""Makes a folder with the keys of some roles: `create_folder`, or with certificates beside them."""


@dataclass(frozen=True)
class EventColumns:
    """The columns of a table of events with the client, the time and, if there is one, the site."""

    client: str
    time: str
    site: str | None = None


@dataclass(frozen=True, eq=False)
class SiteEvents:
    """The events of one simulated site, and its declared number of clients, which includes clients without events."""

    site: str
    table: pa.Table
    clients: int


def split_sites(table: pa.Table, columns: EventColumns, sites: int, site_clients: int) -> list[SiteEvents]:
    """Events by site: by the site column, or with clients hashed to `sites` sites. Events without a site are dropped.

    A site's id is its value in the column if that is a valid id, else `site-<number>`. Without the column all `sites` take
    part, also sites without events, and a client's site does not depend on the other clients.

    Raises:
        TooManyClients: a site has more clients than the declared `site_clients`.
    """
    column = table[columns.client if columns.site is None else columns.site]
    distinct = pc.unique(column.drop_null())
    index = np.asarray(pc.fill_null(pc.index_in(column, value_set=distinct), -1)).astype(np.int64)
    if columns.site is not None:
        names = [_site_id(str(value), i) for i, value in enumerate(distinct.to_pylist())]
    else:
        home = np.array([_hashed(value) % sites for value in distinct.to_pylist()] + [-1], np.int64)
        index, names = home[index], [f"site-{i:04d}" for i in range(sites)]
    fleet = [SiteEvents(name, table.filter(pa.array(index == i)), site_clients) for i, name in enumerate(names)]
    for one in fleet:
        if (have := pc.count_distinct(one.table[columns.client]).as_py()) > site_clients:
            raise TooManyClients(f"site {one.site!r}", have, site_clients)
    return fleet


def make_project(
    project: Path,
    draft: Plan,
    fleet: Sequence[SiteEvents],
    store: Path,
    columns: EventColumns,
    budget: Budget,
    *,
    deadline_us: int,
    site_seconds: float,
    create_keys: CreateKeys = create_folder,
) -> Job:
    """Make fresh keys for every role, the roster, each site's files and the plan; returns the coordinator's job.

    Args:
        draft: the views and terms. The plan has the same ones, with these parties and a new id. It gets the hashes of its
            keys when it is announced.
        budget: the aggregators' budget. The policies of the simulated sites allow exactly this plan.
        deadline_us: µs since the epoch; the aggregators refuse later reports.
        site_seconds: the time that the coordinator waits for the sites.
    """
    keys = {role: RoleKeys.generate(role, os.urandom) for role in ("coordinator", "collector", "leader", "helper")}
    site_keys = {one.site: RoleKeys.generate(site_role(one.site), os.urandom) for one in fleet}
    create_keys(project / KEYS, [*keys.values(), *site_keys.values()])
    public = {role: pair.public for role, pair in keys.items()}
    settings = Project(
        "run",
        public["coordinator"].sign,
        public["collector"].collector,
        public["leader"].sign,
        public["helper"].sign,
        Roster(RosterEntry(one.site, site_keys[one.site].public.sign, one.clients) for one in fleet),
        budget=budget,
        allow_noise_off=not draft.noisy,
        validity=_required(draft.terms.validity),
    )
    replace_file(project / FILE, settings.to_toml(), private=True, durable=False)
    plan = replace(draft, plan_id=os.urandom(PLAN_ID_BYTES), wire=settings.wire_terms(deadline_us))
    policy = Policy(
        public["coordinator"].sign,
        settings.leader,
        settings.helper,
        max_micro_rho=sum(charge_of(plan, one).aggregator.micro_rho for one in plan.views),
        min_k=min(one.min_clients for one in plan.views),
        allow_noise_off=not plan.noisy,
        allow_activity_visible=plan.terms.participation is Participation.ACTIVE,
        protection=plan.terms.protection,
        validity=settings.validity,
        time_columns=tuple(sorted({one.view.time for one in plan.views if one.view.time is not None})),
    )
    replace_file(project / POLICY, policy_to_toml(policy), private=True, durable=False)
    private_folder(project / LEDGERS)
    _write_sites(project, fleet, columns)
    return Job(
        plan_to_bytes(plan),
        project / KEYS,
        "",
        "",
        store,
        len(fleet),
        site_seconds,
        project / "result.json",
        project / "progress.jsonl",
    )


def _required(validity: Validity) -> Validity | None:
    """The validity that aggregators require, so that they refuse plans that prove less; None for a plan without proofs."""
    match validity:
        case Validity.NONE:
            return None
        case Validity.PRIO3:
            return validity


def _write_sites(project: Path, fleet: Sequence[SiteEvents], columns: EventColumns) -> None:
    """Write each site's events and configuration, in separate files."""
    folder = private_folder(project / SITES)
    for one in fleet:
        with create_private(folder / f"{one.site}.parquet", durable=False) as file:
            pq.write_table(one.table, file)
        text = config_to_toml(
            {
                "site": one.site,
                "clients": one.clients,
                "keys": f"../{KEYS}",
                "ledger": f"../{LEDGERS}/{site_role(one.site)}.db",
                "policy": f"../{POLICY}",
            },
            {"url": f"{one.site}.parquet", "client": columns.client, "time": columns.time},
        )
        replace_file(folder / f"{one.site}.toml", text, private=True, durable=False)


def _hashed(value: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:8], "big")


def _site_id(value: str, number: int) -> str:
    try:
        return require_site_id(value)
    except PartyInvalid:
        return f"site-{number:04d}"
