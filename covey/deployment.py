"""Roles of a deployment beyond the aggregators: a site as a real SuperNode, and the coordinator of one collection.

The SuperLink is Flower's own (`flower-superlink`). A site pins the keys that stand in the project's covey.toml and answers
plans until it is stopped. The coordinator announces one plan, waits for the sites, opens and publishes.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from aggregator.job import Job
from edge_client.flower_app import SITES_VARIABLE
from edge_client.site_config import load_config
from featurestore.definitions import FeatureView
from featurestore.publish import Publisher
from featurestore.times import DAY_US
from federation.keys import public_line
from federation.plan import Noise, Plan, PlannedView, WireTerms, plan_to_bytes

from .errors import CollectionFailed, UsageError
from .fleet import SITES
from .processes import Processes, free_port, script
from .project import KEYS, Project
from .wire import flower_environment

_APP: Final = "flower_app"


def configure_site(
    project: Path, site: str, events: Path, client_column: str, time_column: str, *, allow_noise_off: bool
) -> Path:
    """Write `sites/<site>.toml`: this site's events, and the keys of the project that it trusts from now on."""
    parties = Project.load(project)
    folder = project / SITES
    folder.mkdir(exist_ok=True)
    reports = project / "roles" / f"site-{site}"
    reports.mkdir(parents=True, exist_ok=True)
    keys = {"leader": parties.leader, "helper": parties.helper}
    lines = {
        "site": site,
        "events": str(events.absolute()),
        "client_column": client_column,
        "time_column": time_column,
        "keys": str((project / KEYS).absolute()),
        "report_ids": str((reports / "report_ids.db").absolute()),
        "coordinator": base64.b64encode(parties.coordinator.data).decode("ascii"),
        **{role: public_line(role, pair) for role, pair in keys.items()},
        "allow_noise_off": allow_noise_off,
    }
    path = folder / f"{site}.toml"
    text = {name: value.strip() if isinstance(value, str) else value for name, value in lines.items()}
    path.write_text("".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in text.items()))
    load_config(path)
    return path


def become_site(project: Path, site: str, superlink: str) -> NoReturn:
    """Replace this process by the site's SuperNode, until it is stopped."""
    load_config(project / SITES / f"{site}.toml")
    command = script("flower-supernode")
    arguments = ["--insecure", "--superlink", superlink, "--port", str(free_port()), "--node-config", f'site="{site}"']
    environment = {
        **os.environ,
        **flower_environment(),
        "FLWR_HOME": str((project / "roles" / f"site-{site}" / "flower").absolute()),
        SITES_VARIABLE: str((project / SITES).absolute()),
    }
    os.execve(command, [command, *arguments], environment)  # noqa: S606 - our own command


def run_coordinator(
    project: Path,
    views: Sequence[FeatureView],
    days: tuple[int, int],
    *,
    superlink: str,
    leader: str,
    helper: str,
    noise: Noise,
    seconds: float,
    clock: Callable[[], int],
) -> dict[str, Any]:
    """Run one collection of whole UTC days [from, to) over a running SuperLink; returns the result.

    Raises:
        CollectionFailed: by name; what the aggregators accepted is kept.
    """
    parties = Project.load(project)
    with Publisher(project, clock) as publisher:
        for view in views:
            publisher.register(view)
        planned = [
            PlannedView(view, _panes(view, publisher, days, clock()), view.privacy.min_clients) for view in views
        ]
    planned = [one for one in planned if len(one.pane_starts)]
    if not planned:
        return {"views": {}, "answers": {}, "batches": 0, "refused": {}}
    wire = WireTerms(parties.leader, parties.helper, parties.collector, clock() + int(2 * seconds * 1e6))
    with tempfile.TemporaryDirectory(prefix="covey-collection-") as name:
        folder = Path(name)
        plan = Plan(os.urandom(16), tuple(planned), noise, wire=wire)
        job = Job(
            plan_to_bytes(plan), project / KEYS, leader, helper, project, len(parties.roster.entries), seconds,
            folder / "result.json", folder / "progress.jsonl",
        )  # fmt: skip
        job.save(folder / "job.json")
        return _run(folder, job, superlink)


def _run(folder: Path, job: Job, superlink: str) -> dict[str, Any]:
    home = folder / "flower"
    home.mkdir()
    link = f'[superlink]\ndefault = "there"\n\n[superlink.there]\naddress = "{superlink}"\ninsecure = true\n'
    (home / "config.toml").write_text(link)
    shutil.copytree(str(files("covey") / _APP), folder / "app")
    (folder / "run.toml").write_text(f'job = "{folder / "job.json"}"\n')
    command = [
        script("flwr"),
        "run",
        str(folder / "app"),
        "there",
        "--stream",
        "--run-config",
        str(folder / "run.toml"),
    ]
    with Processes(folder / "logs") as processes:
        processes.start("coordinator", command, {**flower_environment(), "FLWR_HOME": str(home)})
        while not job.result.is_file():
            if job.failure.is_file():
                raise CollectionFailed(job.failure.read_text(encoding="utf-8"))
            if processes.exit_status("coordinator") is not None and not job.result.is_file():
                raise CollectionFailed(f"the coordinator ended without a result: {processes.last_line('coordinator')}")
            time.sleep(0.1)
        result: dict[str, Any] = json.loads(job.result.read_text(encoding="utf-8"))
        return result


def _panes(view: FeatureView, publisher: Publisher, days: tuple[int, int], now: int) -> npt.NDArray[np.int64]:
    first, last = (day * DAY_US for day in days)
    if last + view.release_delay_us > now:
        raise UsageError(f"view {view.name!r}: the last day is not over, or its releases are not due yet")
    return np.setdiff1d(np.arange(first, last, view.pane_us), publisher.opened(view))
