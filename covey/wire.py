"""A run through real processes on one machine: sites behind Flower, leader and helper as services, the coordinator.

    covey run ─┬─ leader, helper          gRPC services with keys and SQLite files of their own
               └─ SuperLink ─┬─ ServerApp  the coordinator: announces, carries batches, opens, publishes
                             └─ ClientApps one site each, over its own events only

The run's project (keys, rosters, each site's events) is temporary; what stays is the store.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregator.job import Job
from edge_client.compute import Dropped
from edge_client.events import make_events
from edge_client.flower_app import SITES_VARIABLE
from featurestore.definitions import FeatureView
from featurestore.layout import layout_of
from featurestore.publish import Publisher
from federation.keys import RoleKeys, create_folder, public_line, site_role
from federation.parties import PublicKeys, Roster, RosterEntry
from federation.plan import Plan, PlannedView, WireTerms, plan_to_bytes
from simulations.in_process import PaneChoice, Progress, ViewReport, choose_panes

from .errors import CollectionFailed, ProcessFailed, UsageError
from .processes import Processes, free_port, script
from .project import FILE, KEYS, Project

SITE_SECONDS: Final = 900.0
"""How long the sites of a simulated fleet have to answer."""
START_SECONDS: Final = 60.0
MAX_RAY_PARENT: Final = 20
_QUIET: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, eq=False)
class SiteEvents:
    """The events of one simulated site, and how many clients it has."""

    site: str
    table: pa.Table
    clients: int


def split_sites(table: pa.Table, client_column: str, site_column: str | None, sites: int) -> list[SiteEvents]:
    """Events by site: by the site column, or clients hashed to `sites` sites. Events without a site are nobody's.

    A site's id is its value in the column where that is a valid id, else `site-<number>`.
    """
    if site_column is not None:
        encoded = pc.dictionary_encode(table[site_column].combine_chunks())
        encoded = encoded if isinstance(encoded, pa.DictionaryArray) else encoded.chunk(0)
        index = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy()
        names = [_site_id(str(value), i) for i, value in enumerate(encoded.dictionary.to_pylist())]
    else:
        clients = pc.dictionary_encode(table[client_column].combine_chunks())
        clients = clients if isinstance(clients, pa.DictionaryArray) else clients.chunk(0)
        codes = pc.fill_null(clients.indices.cast(pa.int64()), -1).to_numpy()
        index = np.where(codes < 0, 0, codes % sites)
        names = [f"site-{i:04d}" for i in range(sites)]
    found = []
    for number, name in enumerate(names):
        own = table.filter(pa.array(index == number))
        if own.num_rows:
            found.append(SiteEvents(name, own, max(1, pc.count_distinct(own[client_column]).as_py())))
    return found


def run_over_wire(
    views: Sequence[FeatureView],
    table: pa.Table,
    directory: Path,
    *,
    client_column: str,
    time_column: str,
    site_column: str | None,
    sites: int,
    noise: Literal["discrete-gaussian", "none"],
    min_clients: int | None,
    days: tuple[int, int] | None,
    clock: Callable[[], int],
    progress: Progress,
) -> tuple[tuple[ViewReport, ...], dict[str, str]]:
    """Collect every pane of the chosen days that is not open yet, and publish it into the store at `directory`.

    Returns:
        A report a view, and the code of each site's answer.

    Raises:
        CollectionFailed, ProcessFailed: with the log that says why; the logs are kept then.
    """
    events = make_events(table, client_column, time_column, site_column)
    with Publisher(directory, clock) as publisher:
        for view in views:
            publisher.register(view)
        choices = {view.name: choose_panes(view, events, publisher.opened(view), days, clock()) for view in views}
    asked = [view for view in views if len(choices[view.name].todo)]
    if not asked:
        return tuple(_report(view, choices[view.name], {}) for view in views), {}
    fleet = split_sites(table, client_column, site_column, sites)
    if not fleet:
        raise UsageError("no event has a site; nothing can be collected")
    project = Path(tempfile.mkdtemp(prefix="covey-run-"))
    try:
        result = _run(
            project, asked, choices, fleet, directory, client_column, time_column, noise, min_clients, clock, progress
        )
    except (CollectionFailed, ProcessFailed):
        raise
    except BaseException:
        shutil.rmtree(project, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(_ray_folder(project), ignore_errors=True)
    shutil.rmtree(project, ignore_errors=True)
    reports = tuple(_report(view, choices[view.name], result["views"].get(view.name, {})) for view in views)
    return reports, result["answers"]


def _run(
    project: Path,
    views: Sequence[FeatureView],
    choices: dict[str, PaneChoice],
    fleet: Sequence[SiteEvents],
    store: Path,
    client_column: str,
    time_column: str,
    noise: Literal["discrete-gaussian", "none"],
    min_clients: int | None,
    clock: Callable[[], int],
    progress: Progress,
) -> dict[str, Any]:
    keys = {role: RoleKeys.generate(role, os.urandom) for role in ("coordinator", "collector", "leader", "helper")}
    site_keys = {one.site: RoleKeys.generate(site_role(one.site), os.urandom) for one in fleet}
    create_folder(project / KEYS, [*keys.values(), *site_keys.values()])
    public = {role: pair.public for role, pair in keys.items()}
    budget = sum(layout_of(view).micro_rho for view in views)
    roster = Roster(RosterEntry(one.site, site_keys[one.site].public.sign, one.clients) for one in fleet)
    settings = Project(
        "run", public["coordinator"].sign, public["collector"], public["leader"], public["helper"], roster,
        budget_micro_rho=budget, allow_noise_off=noise == "none",
    )  # fmt: skip
    (project / FILE).write_text(settings.to_toml(), encoding="utf-8")
    _write_sites(project, fleet, public, client_column, time_column, noise == "none")
    plan = Plan(
        os.urandom(16),
        tuple(PlannedView(v, choices[v.name].todo, min_clients or v.privacy.min_clients) for v in views),
        noise,
        wire=WireTerms(
            public["leader"], public["helper"], public["collector"], clock() + int((SITE_SECONDS + START_SECONDS) * 1e6)
        ),
    )
    ports = {name: free_port() for name in ("leader", "helper", "superlink")}
    job = Job(
        plan_to_bytes(plan), project / KEYS, f"127.0.0.1:{ports['leader']}", f"127.0.0.1:{ports['helper']}", store,
        len(fleet), SITE_SECONDS, project / "result.json", project / "progress.jsonl",
    )  # fmt: skip
    job.save(project / "job.json")
    with ExitStack() as stack:
        processes = stack.enter_context(Processes(project / "logs"))
        _start(processes, project, ports)
        progress("all views", "sites", 0, len(fleet))
        _start_flower(processes, project, ports["superlink"], len(fleet))
        return _wait(processes, job, len(fleet), progress)


def _start(processes: Processes, project: Path, ports: dict[str, int]) -> None:
    covey = script("covey")
    at = ["--project", str(project)]
    processes.start("helper", [covey, "start", "helper", *at, "--port", str(ports["helper"])])
    peer = ["--helper", f"127.0.0.1:{ports['helper']}"]
    processes.start("leader", [covey, "start", "leader", *at, "--port", str(ports["leader"]), *peer])
    home = project / "flower"
    home.mkdir()
    address = f"127.0.0.1:{ports['superlink']}"
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "local"\n\n[superlink.local]\naddress = "{address}"\ninsecure = true\n'
    )
    command = [
        script("flower-superlink"), "--insecure", "--simulation", "--disable-runtime-dependency-installation",
        "--port", str(ports["superlink"]),
    ]  # fmt: skip
    processes.start("superlink", command, _flower_environment(project))
    for name in ("helper", "leader", "superlink"):
        processes.wait_for_port(name, ports[name], START_SECONDS)


def _start_flower(processes: Processes, project: Path, port: int, sites: int) -> None:
    app = project / "app"
    shutil.copytree(str(files("covey") / "flower_app"), app)
    (project / "run.toml").write_text(f'job = "{project / "job.json"}"\n')
    command = [
        script("flwr"), "run", str(app), "local", "--stream", "--run-config", str(project / "run.toml"),
        "--federation-config", f"num-supernodes={sites} client-resources-num-cpus=1",
    ]  # fmt: skip
    processes.start("coordinator", command, _flower_environment(project))


def _flower_environment(project: Path) -> dict[str, str]:
    ray = _ray_folder(project)
    ray.mkdir(exist_ok=True)
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {
        **_QUIET,
        "PATH": beside,  # Flower starts its own commands by name
        "FLWR_HOME": str(project / "flower"),
        "RAY_TMPDIR": str(ray),
        SITES_VARIABLE: str(project / "sites"),
    }


def _ray_folder(project: Path) -> Path:
    """Ray's sockets need a short path, 107 bytes at most with some 75 of its own: beside the project, or in /tmp."""
    parent = project.parent if len(str(project.parent)) <= MAX_RAY_PARENT else Path("/tmp")  # noqa: S108 - a fresh name
    return parent / f"r{project.name[-8:]}"


def _wait(processes: Processes, job: Job, sites: int, progress: Progress) -> dict[str, Any]:
    """Until the result file is there; CollectionFailed if the run ends without one."""
    answered = 0
    while not job.result.is_file():
        for name in ("leader", "helper", "superlink"):
            processes.require_running(name)
        if processes.exit_status("coordinator") is not None and not job.result.is_file():
            log = processes.log("coordinator")
            raise CollectionFailed(f"the coordinator ended without a result; its log is {log}")
        if job.progress.is_file():
            lines = job.progress.read_text(encoding="utf-8").splitlines()
            if len(lines) > answered:
                answered = len(lines)
                progress("all views", "sites", answered, max(sites, answered))
        time.sleep(0.1)
    result: dict[str, Any] = json.loads(job.result.read_text(encoding="utf-8"))
    return result


def _write_sites(
    project: Path,
    fleet: Sequence[SiteEvents],
    public: dict[str, PublicKeys],
    client_column: str,
    time_column: str,
    allow_noise_off: bool,
) -> None:
    """Each site's events and configuration, in files of its own."""
    folder = project / "sites"
    folder.mkdir()
    for one in fleet:
        pq.write_table(one.table, folder / f"{one.site}.parquet")
        entries: dict[str, object] = {
            "site": one.site,
            "events": f"{one.site}.parquet",
            "client_column": client_column,
            "time_column": time_column,
            "keys": f"../{KEYS}",
            "report_ids": f"{one.site}.report_ids.db",
            **{role: public_line(role, public[role]).strip() for role in ("coordinator", "leader", "helper")},
            "allow_noise_off": allow_noise_off,
        }
        text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in entries.items())
        (folder / f"{one.site}.toml").write_text(text, encoding="utf-8")


def _report(view: FeatureView, choice: PaneChoice, result: dict[str, int]) -> ViewReport:
    return ViewReport(
        view.name,
        None,
        result.get("opened", 0),
        result.get("void", 0),
        tuple(choice.already_open.tolist()),
        tuple(choice.days_not_over.tolist()),
        Dropped(),
    )


def _site_id(value: str, number: int) -> str:
    from federation.errors import PartyInvalid
    from federation.parties import require_site_id

    try:
        return require_site_id(value)
    except PartyInvalid:
        return f"site-{number:04d}"
