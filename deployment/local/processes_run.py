"""A run through real processes on one machine: sites behind Flower, leader and helper as services, the coordinator.

    covey run ─┬─ leader, helper    gRPC services with keys and SQLite files of their own (under `he`: leader, key holder)
               ├─ provider        of triples, with finish mpc: a service without keys or files
               └─ coordinator     announces, carries batches, opens, publishes; Flower's simulation runtime is in it
                    └─ sites      in Ray's workers, each over its own events only

The run's project (keys, rosters, each site's events) is in `<store>.unfinished` while it runs (`unfinished_run`). It is deleted
when the run is done, and when the run is interrupted before a day was charged. It stays if the run failed or if its panes are
charged: `resume` continues it, and accepted reports count once. The operator's ledger is permanent, in `<store>/ledgers`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from base.atomic_files import replace_file
from base.ports import free_port
from base.private_files import private_folder
from base.times import wall_clock
from deployment.collecting import collecting, require_nothing_unfinished
from deployment.coordinator.job import Job
from deployment.errors import CollectionFailed, ProcessFailed, UsageError
from deployment.in_process.progress import Progress
from deployment.in_process.run import ViewReport
from deployment.panes import PaneChoice, choose_days, opened_panes, require_scheduled, require_whole_days
from deployment.project.fleet import SITES, CreateKeys, EventColumns, make_project, split_sites
from deployment.project.known_releases import of_runs, require_known_releases
from deployment.project.view_forms import views_in_force
from deployment.request import CollectionRequest, require_convertible, require_possible
from edge_client import flower_app
from edge_client.compute import Dropped
from edge_client.events import check_schema, make_events
from edge_client.flower_app import SITES_VARIABLE
from featurestore.define.definitions import FeatureView
from featurestore.publish.publish import Publisher
from federation.keys import create_folder
from federation.ledger.operator import LEDGERS, charged_plans, operator_path, operator_state, require_room
from federation.plan import PLAN_ID_BYTES, plan_from_bytes
from federation.terms import Finish

from .processes import Processes
from .service_processes import SERVICES, second_of, service_command, services_of
from .unfinished_run import begin, go_on

SITE_SECONDS: Final = 900.0
"""The time that the sites of a simulated fleet have to answer."""
DEADLINE_SECONDS: Final = 86_400.0
"""How long the aggregators accept reports: a failed run can be resumed for a day."""
START_SECONDS: Final = 60.0
ATTEMPTS: Final = 4
"""How often a process is started. Every step may be repeated, so a crash costs time only."""
MAX_RAY_PARENT: Final = 20
_SITE_APP: Final = "site_app"


@dataclass(frozen=True)
class SiteApp:
    """The ClientApp that the sites of a simulated fleet run.

    Attributes:
        name: `module:attribute` of an installed ClientApp.
        files: texts by file name, for files beside the folder of the sites' configurations.
    """

    name: str = f"{flower_app.__name__}:app"
    files: Mapping[str, str] = field(default_factory=dict)

    def save(self, project: Path) -> None:
        """Write the app into a run's project, so that a resumed run has the same sites."""
        for name, text in {_SITE_APP: self.name, **self.files}.items():
            replace_file(project / name, text, private=True)


HONEST: Final = SiteApp()


def flower_environment() -> dict[str, str]:
    """The environment of every process that runs Flower: it turns telemetry off."""
    return {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "PYTHONUNBUFFERED": "1"}


def ray_environment(folder: Path) -> dict[str, str]:
    """The environment of Ray in its own folder: it turns telemetry off, and its ports require the token in the folder.

    Ray's ports are open to every user of the machine and to the network, and a client of theirs can run code.
    """
    token = folder / "token"
    replace_file(token, secrets.token_hex(32), private=True, durable=False)
    return {
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_prestart_worker_first_driver": "0",  # they lack Flower's environment, so Ray ends them unused
    }


def run_over_wire(
    request: CollectionRequest,
    table: pa.Table,
    directory: Path,
    columns: EventColumns,
    *,
    sites: int = 1,
    clock: Callable[[], int] = wall_clock,
    progress: Progress,
    create_keys: CreateKeys = create_folder,
) -> tuple[tuple[ViewReport, ...], dict[str, str]]:
    """Collect every pane of the chosen days that is not open yet, and publish it into the store at `directory`.

    Args:
        sites: without a site column, the number of sites that clients are hashed to.
        create_keys: makes the run's folder of keys; by default without certificates, so the roles speak clear text on the loopback.

    Returns:
        A report for each view, and the code of each site's answer.

    Raises:
        CollectionUnderWay, UsageError: another collection into this store runs, or waits to be continued.
        LedgerRefusal: such as DayBudgetSpent; raised before anything is started or registered. LedgerBroken.
        TooManyClients: a site has more clients than are declared. RunRefused: the terms do not fit the views, or the run takes
            a day in part.
        CollectionFailed, ProcessFailed: the message names the log; `resume` continues.
    """
    ledgers, views = directory / LEDGERS, request.views
    require_whole_days(request.between)
    require_nothing_unfinished(directory)
    events = make_events(table, columns.client, columns.time, columns.site)
    for view in views:
        check_schema(view, events)
    fleet = split_sites(table, columns, sites, request.site_clients)
    clients = [request.site_clients] * max(1, len(fleet))
    require_possible(views_in_force(directory, views), request.terms, request.noise, clients)
    with collecting(directory):
        require_nothing_unfinished(directory)
        with Publisher(directory, clock) as publisher:
            views = tuple(map(publisher.in_force, request.views))
            request = replace(request, views=views)
            choices = {
                view.name: choose_days(view, events, opened_panes(publisher, view), request.between, clock())
                for view in views
            }
            for view in views:
                require_scheduled(publisher, view, choices[view.name].todo)
            planned = [request.planned(view, choices[view.name].todo) for view in views if len(choices[view.name].todo)]
            draft = None
            if planned:
                if request.terms.finish is Finish.MPC:
                    require_convertible(planned, request.site_clients * len(fleet))
                plan_id, by_site = os.urandom(PLAN_ID_BYTES), columns.site is not None
                enrolled = [one.clients for one in fleet]
                draft = request.plan(planned, enrolled, plan_id=plan_id, by_site=by_site)
                require_known_releases(
                    directory, operator_path(ledgers), lambda: operator_state(ledgers), of_runs(directory)
                )
                require_room(ledgers, draft, request.budget, clock())
            for view in views:
                publisher.register(view)
        if draft is None:
            return tuple(_report(view, choices[view.name], {}) for view in views), {}
        if not fleet:
            raise UsageError(
                "no event has a site, so nothing can be collected; name a column of the events that has their sites",
                settings=("site_column",),
            )
        before = charged_plans(ledgers)
        project = begin(directory)
        try:
            job = make_project(
                project,
                draft,
                fleet,
                directory,
                columns,
                request.budget,
                deadline_us=clock() + int(DEADLINE_SECONDS * 1e6),
                site_seconds=SITE_SECONDS,
                create_keys=create_keys,
            )
            result = collect_project(project, job, progress)
        except (CollectionFailed, ProcessFailed):
            raise
        except BaseException:
            if charged_plans(ledgers) == before:  # else its panes are charged, and no other plan can open them
                shutil.rmtree(project, ignore_errors=True)
            raise
        shutil.rmtree(project)
        reports = tuple(_report(view, choices[view.name], _counts(result, view.name)) for view in views)
        return reports, _answers(result)


def resume(directory: Path, progress: Progress) -> tuple[tuple[ViewReport, ...], dict[str, str]]:
    """Continue the failed run of this store. Accepted reports are kept and count once.

    Raises:
        UsageError: the store has no failed run. CollectionFailed, ProcessFailed: the run failed again.
    """
    with go_on(directory) as project:
        result = collect_project(project, Job.load(project / "job.json"), progress)
        shutil.rmtree(project)
    reports = tuple(
        ViewReport(name, None, counts["opened"], counts["void"], (), (), Dropped(), counts["rejected"])
        for name, counts in ((name, _counts(result, name)) for name in result["views"])
    )
    return reports, _answers(result)


def collect_project(project: Path, job: Job, progress: Progress) -> dict[str, Any]:
    """Run a project's job: start every process, wait for the result, end every process.

    Raises:
        CollectionFailed, ProcessFailed: the message names the log; the same job may be run again.
    """
    plan = plan_from_bytes(job.plan)
    ports = {name: free_port() for name in services_of(plan)}
    second = second_of(plan.terms)
    job = replace(job, leader=f"127.0.0.1:{ports['leader']}", helper=f"127.0.0.1:{ports[second]}")
    job.save(project / "job.json")
    ray = ray_folder()
    try:
        with Processes(project / "logs") as processes:
            fleet = _Fleet(processes, project, ports, ray, job)
            fleet.start()
            return fleet.wait(progress)
    finally:
        shutil.rmtree(ray, ignore_errors=True)
        shutil.rmtree(project / "flower", ignore_errors=True)


def lost_mend(folder: Path) -> str:
    """The mend for a plan that can never be opened."""
    return f"its panes stay closed and its days stay charged. Remove {folder} to collect other panes"


class _Fleet:
    """The processes of one run; each is restarted if it dies."""

    def __init__(self, processes: Processes, project: Path, ports: dict[str, int], ray: Path, job: Job) -> None:
        self._processes, self._project, self._ports, self._job = processes, project, ports, job
        self._starts: Counter[str] = Counter()
        self._flower = {
            **flower_environment(),
            **ray_environment(ray),
            "FLWR_HOME": str(private_folder(project / "flower")),
            SITES_VARIABLE: str(project / SITES),
        }

    def start(self) -> None:
        """Start the services, wait until all of them listen, then start the coordinator."""
        for name in self._ports:
            self._launch(name)
        for name in self._ports:
            self._listening(name)
        self._launch("coordinator")

    def wait(self, progress: Progress) -> dict[str, Any]:
        """Wait for the result. A process that died is restarted; it is started at most `ATTEMPTS` times.

        Raises:
            CollectionFailed: the coordinator gave up, with its reason. ProcessFailed: a process keeps dying.
        """
        sites, answered = self._job.sites, 0
        progress("all views", "sites", 0, sites)
        while not self._job.result.is_file():
            if (failed := self._job.failed) is not None:
                why, lost = failed
                if lost:
                    raise CollectionFailed(f"{why}; {lost_mend(self._project)}")
                raise CollectionFailed(f"{why}; the run is kept, so resume it", settings=("resume",))
            for name in (*self._ports, "coordinator"):
                if self._processes.exit_status(name) is not None and not self._job.result.is_file():
                    if self._starts[name] == ATTEMPTS:
                        self._processes.require_running(name)
                    self._launch(name)
            lines = self._job.progress.read_text(encoding="utf-8").splitlines() if self._job.progress.is_file() else []
            if len(lines) != answered:
                answered = len(lines)
                progress("all views", "sites", min(answered, sites), sites)
            time.sleep(0.1)
        result: dict[str, Any] = json.loads(self._job.result.read_text(encoding="utf-8"))
        return result

    def _listening(self, name: str) -> None:
        """Wait until a service listens; it is restarted if it dies before."""
        while True:
            try:
                return self._processes.wait_for_port(name, self._ports[name], START_SECONDS)
            except ProcessFailed:
                if self._starts[name] == ATTEMPTS or self._processes.exit_status(name) is None:
                    raise
                self._launch(name)

    def _launch(self, name: str) -> None:
        self._starts[name] += 1
        if name == "coordinator":
            self._job.failure.unlink(missing_ok=True)
            self._job.progress.unlink(missing_ok=True)
        self._processes.start(name, self._command(name), {} if name in SERVICES else self._flower)

    def _command(self, name: str) -> list[str]:
        if name in SERVICES:
            return service_command(name, self._project, self._job.store / LEDGERS, self._ports)
        chosen = self._project / _SITE_APP
        site_app = chosen.read_text(encoding="utf-8") if chosen.is_file() else HONEST.name
        job = str(self._project.absolute() / "job.json")
        return [sys.executable, "-m", "deployment.local.simulated_fleet", job, site_app]


def ray_folder() -> Path:
    """A folder of mode 0700. Ray's sockets need a short path, 107 bytes at most with some 75 of its own."""
    parent = tempfile.gettempdir() if len(tempfile.gettempdir()) <= MAX_RAY_PARENT else "/tmp"  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="r", dir=parent))


def _counts(result: dict[str, Any], view: str) -> dict[str, int]:
    """The counts of a view in a collection's result."""
    panes: dict[str, int] = result["views"].get(view, {"opened": 0, "void": 0})
    return {**panes, "rejected": result["rejected"].get(view, 0)}


def _answers(result: dict[str, Any]) -> dict[str, str]:
    """The code of each site's answer."""
    return {name: one["code"] for name, one in result["sites"].items()}


def _report(view: FeatureView, choice: PaneChoice, result: dict[str, int]) -> ViewReport:
    return ViewReport(
        view.name,
        None,
        result.get("opened", 0),
        result.get("void", 0),
        tuple(choice.already_open.tolist()),
        tuple(choice.days_not_over.tolist()),
        Dropped(),
        result.get("rejected", 0),
    )
