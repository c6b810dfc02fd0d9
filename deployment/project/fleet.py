"""A simulated fleet as a project on disk: keys, rosters, each site's own events, the plan, and the coordinator's job."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from federation.parties import Participation, ReportPer, Roster, RosterEntry, default_participation, require_site_id
from federation.plan import (
    Finish,
    FromEvents,
    Noise,
    Plan,
    PlannedView,
    Protection,
    Validity,
    WireTerms,
    max_clients_of,
    plan_to_bytes,
)

from .init import POLICY
from .project import FILE, KEYS, Project

SITES = "sites"


@dataclass(frozen=True, eq=False)
class SiteEvents:
    """The events of one simulated site, and how many clients it may have: declared, with those that have no event."""

    site: str
    table: pa.Table
    clients: int


def split_sites(
    table: pa.Table, client_column: str, site_column: str | None, sites: int, site_clients: int
) -> list[SiteEvents]:
    """Events by site: by the site column, or clients hashed to `sites` sites. Events without a site are nobody's.

    A site's id is its value in the column where that is a valid id, else `site-<number>`. Without the column all `sites` take
    part, those without an event too, and where a client is does not depend on the others.

    Raises:
        TooManyClients: a site has more clients than `site_clients`, which are declared of each.
    """
    column = table[client_column if site_column is None else site_column]
    distinct = pc.unique(column.drop_null())
    index = np.asarray(pc.fill_null(pc.index_in(column, value_set=distinct), -1)).astype(np.int64)
    if site_column is not None:
        names = [_site_id(str(value), i) for i, value in enumerate(distinct.to_pylist())]
    else:
        home = np.array([_hashed(value) % sites for value in distinct.to_pylist()] + [-1], np.int64)
        index, names = home[index], [f"site-{i:04d}" for i in range(sites)]
    fleet = [SiteEvents(name, table.filter(pa.array(index == i)), site_clients) for i, name in enumerate(names)]
    for one in fleet:
        if (have := pc.count_distinct(one.table[client_column]).as_py()) > site_clients:
            raise TooManyClients(f"site {one.site!r}", have, site_clients)
    return fleet


def make_project(
    project: Path,
    planned: Sequence[PlannedView],
    fleet: Sequence[SiteEvents],
    store: Path,
    *,
    client_column: str,
    time_column: str,
    noise: Noise,
    participation: Participation | None,
    protection: Protection,
    validity: Validity,
    finish: Finish,
    report_per: ReportPer,
    from_events: tuple[FromEvents, ...],
    budget: Budget,
    deadline_us: int,
    site_seconds: float,
) -> Job:
    """Make fresh keys for every role, the roster, each site's files and the plan; returns the coordinator's job.

    Args:
        participation: who reports; default: see `default_participation`.
        protection: how reports are protected; under `he` there is room for all clients that the sites may have.
        validity: whether reports carry proofs; the plan gets the hash of its verification key when it is announced.
        finish: how leader and helper open.
        report_per: `site`: each site sends the sum of its clients; one may declare as many as any site may have.
        from_events: what of this was no declaration.
        budget: of the aggregators. The simulated sites allow what this plan needs, and nothing beyond.
        deadline_us: µs since the epoch; the aggregators refuse reports from then on.
        site_seconds: how long the coordinator waits for the sites.
    """
    keys = {role: RoleKeys.generate(role, os.urandom) for role in ("coordinator", "collector", "leader", "helper")}
    site_keys = {one.site: RoleKeys.generate(site_role(one.site), os.urandom) for one in fleet}
    create_folder(project / KEYS, [*keys.values(), *site_keys.values()])
    public = {role: pair.public for role, pair in keys.items()}
    settings = Project(
        "run",
        public["coordinator"].sign,
        public["collector"].collector,
        public["leader"].sign,
        public["helper"].sign,
        Roster(RosterEntry(one.site, site_keys[one.site].public.sign, one.clients) for one in fleet),
        budget=budget,
        allow_noise_off=noise == "none",
        validity="any" if validity == "none" else validity,
    )
    replace_file(project / FILE, settings.to_toml(), private=True, durable=False)
    wire = WireTerms(settings.leader, settings.helper, settings.collector, deadline_us)
    plan = Plan(
        os.urandom(16),
        tuple(planned),
        noise,
        protection=protection,
        max_clients=max_clients_of([one.clients for one in fleet], protection, report_per),
        validity=validity,
        participation=participation or default_participation([one.clients for one in fleet]),
        wire=wire,
        finish=finish,
        report_per=report_per,
        from_events=from_events,
    )
    policy = Policy(
        public["coordinator"].sign,
        settings.leader,
        settings.helper,
        max_micro_rho=sum(charge_of(plan, one) for one in planned),
        min_k=min(one.min_clients for one in planned),
        allow_noise_off=noise == "none",
        allow_activity_visible=plan.participation == "active",
        protection=protection,
        validity=settings.validity,
        time_columns=tuple(sorted({one.view.time for one in planned if one.view.time is not None})),
    )
    replace_file(project / POLICY, policy_to_toml(policy), private=True, durable=False)
    private_folder(project / LEDGERS)
    _write_sites(project, fleet, client_column, time_column)
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


def _write_sites(project: Path, fleet: Sequence[SiteEvents], client_column: str, time_column: str) -> None:
    """Each site's events and configuration, in files of its own."""
    folder = private_folder(project / SITES)
    for one in fleet:
        with create_private(folder / f"{one.site}.parquet", durable=False) as file:
            pq.write_table(one.table, file)
        text = config_to_toml(
            {
                "site": one.site,
                "clients": one.clients,
                "events": f"{one.site}.parquet",
                "client_column": client_column,
                "time_column": time_column,
                "keys": f"../{KEYS}",
                "ledger": f"../{LEDGERS}/{site_role(one.site)}.db",
                "policy": f"../{POLICY}",
            }
        )
        replace_file(folder / f"{one.site}.toml", text, private=True, durable=False)


def _hashed(value: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:8], "big")


def _site_id(value: str, number: int) -> str:
    try:
        return require_site_id(value)
    except PartyInvalid:
        return f"site-{number:04d}"
