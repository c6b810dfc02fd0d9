"""The roles of a deployment on one machine: the command of each, and what it needs before it is started."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from deployment.collecting import plan_folder
from featurestore.online.settings import store_path

from .deployment import Deployment
from .health import Monitors

BACKFILL: Final = "backfill"
"""Collects once, and ends."""
COORDINATOR: Final = "coordinator"
"""Collects each pane when it closes."""
SERVER: Final = "server"
SUPERLINK: Final = "superlink"
_AGGREGATION: Final = ("provider", "keyholder", "helper", "leader")
"""In the order of their start: the leader calls the others."""
STOP_ORDER: Final = (BACKFILL, COORDINATOR, SERVER, "site-", SUPERLINK, "leader", "keyholder", "helper", "provider")
"""What collects stops first, and the roles that answer others stop last; `site-` means all sites."""


@dataclass(frozen=True)
class SupervisedRole:
    """A process of the deployment.

    Attributes:
        command: makes the command of the next start.
        address: where it listens; None: nowhere.
        needs: the roles that must be ready before it is started.
        after: the task that must have ended before it is started; None: none.
        needs_file: a path that must exist before it is started; None: nothing.
        is_task: it ends when its work is done.
    """

    name: str
    command: Callable[[], tuple[str, ...]]
    address: str | None = None
    needs: tuple[str, ...] = ()
    after: str | None = None
    needs_file: Path | None = None
    is_task: bool = False


def roles_of(deployment: Deployment, monitors: Monitors) -> tuple[SupervisedRole, ...]:
    """The roles in the order of their start. A backfill ends before the coordinator that stays begins."""
    return tuple(_roles(deployment, monitors))


def _roles(deployment: Deployment, monitors: Monitors) -> Iterator[SupervisedRole]:
    project, at = deployment.project, deployment.addresses

    def command(name: str, *words: str) -> Callable[[], tuple[str, ...]]:
        return lambda: (*_start(project, *words), f"--monitor={monitors.next_of(name)}")

    services = [name for name in _AGGREGATION if name in at]
    for name in services:
        # covey.toml need not name these two; the leader gets their addresses here
        links = [f"--{other}={at[other]}" for other in ("keyholder", "provider") if other in at and name == "leader"]
        yield SupervisedRole(name, command(name, name, *links), at[name])
    yield SupervisedRole(SUPERLINK, command(SUPERLINK, SUPERLINK), at[SUPERLINK])
    sites = [f"site-{site}" for site in deployment.sites]
    for name, site in zip(sites, deployment.sites, strict=True):
        yield SupervisedRole(name, command(name, "site", site), needs=(SUPERLINK,))
    needs = (*services, SUPERLINK, *sites)
    collects_once = deployment.backfill is not None or (deployment.collection is None and plan_folder(project).exists())
    if collects_once:
        yield SupervisedRole(BACKFILL, lambda: _backfill_command(deployment, monitors), needs=needs, is_task=True)
    if deployment.collection is not None:
        words = ("collect", *deployment.collection)
        after = BACKFILL if collects_once else None
        yield SupervisedRole(
            COORDINATOR, partial(_monitored, project, COORDINATOR, words, monitors), needs=needs, after=after
        )
    store = store_path(project) / "registry.db"
    yield SupervisedRole(SERVER, partial(_start, project, SERVER), at[SERVER], needs_file=store)


def _backfill_command(deployment: Deployment, monitors: Monitors) -> tuple[str, ...]:
    """The command that continues the unfinished plan of the project, or else begins the backfill."""
    is_unfinished = plan_folder(deployment.project).exists() or deployment.backfill is None
    words = ("--resume",) if is_unfinished else deployment.backfill or ()
    return _monitored(deployment.project, BACKFILL, ("start", "coordinator", *words), monitors)


def _monitored(project: Path, name: str, words: Sequence[str], monitors: Monitors) -> tuple[str, ...]:
    return (*_covey(project, *words), f"--monitor={monitors.next_of(name)}")


def _start(project: Path, *words: str) -> tuple[str, ...]:
    return _covey(project, "start", *words)


def _covey(project: Path, *words: str) -> tuple[str, ...]:
    # -P: do not import from the working directory
    return (sys.executable, "-P", "-m", "covey", *words, "--project", str(project))
