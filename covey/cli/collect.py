"""`covey collect`: the coordinator that stays."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.extras import require_extra
from base.logs import LogFormat
from federation.terms import Finish, Protection, ReportPer, Validity

from .collection_result import show
from .log_option import LogFormatOption
from .project_option import ProjectOption
from .read_options import DATES
from .release_clock import CollectionClockOption, ReleaseClock
from .role_options import SECONDS, HelperOption, KeyHolderOption, LeaderOption, MonitorOption, SecondsOption
from .term_options import (
    FinishOption,
    NoiseOption,
    NoiseSwitch,
    ParticipationOption,
    ProtectionOption,
    ReportPerOption,
    ValidityOption,
)

if TYPE_CHECKING:
    from deployment.coordinator.planning import Addresses
    from deployment.monitor.coordinator import CoordinatorState
    from deployment.scheduler.session_collector import CollectionTerms

log = logging.getLogger(__name__)


def collect(
    views: Annotated[
        list[str] | None, typer.Argument(metavar="[VIEW…]", help="Registered views. Default: all of them.")
    ] = None,
    project: ProjectOption = Path(),
    once: Annotated[bool, typer.Option("--once", help="Collect what is due now, and end.")] = False,
    yesterday: Annotated[bool, typer.Option("--yesterday", help="Collect the last UTC day, and end.")] = False,
    start: Annotated[
        datetime | None,
        typer.Option("--from", formats=DATES, help="A backfill: the start of the first pane, UTC. Then end."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=DATES, help="A backfill: the end of the last pane, UTC.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the plan that is not finished, and end.")] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Free the plan that is not finished, and end; its panes are due again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is due, and when the next pane closes. Collect nothing.")
    ] = False,
    leader: LeaderOption = None,
    helper: HelperOption = None,
    keyholder: KeyHolderOption = None,
    noise: NoiseOption = NoiseSwitch.ON,
    participation: ParticipationOption = None,
    protection: ProtectionOption = Protection.SHARES,
    validity: ValidityOption = Validity.NONE,
    finish: FinishOption = Finish.OPEN,
    report_per: ReportPerOption = ReportPer.CLIENT,
    clock: CollectionClockOption = ReleaseClock.LIVE,
    seconds: SecondsOption = SECONDS,
    monitor: MonitorOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object for each step, or the result of what ends.")
    ] = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> int:
    """Collect the registered views whenever their panes close, until Ctrl-C or SIGTERM.

    A pane is collected when it has ended and the release_delay of its view is over. Panes that are due from earlier are
    caught up, the oldest first, and a plan that is not finished goes on first. A second one waits until the first one ends.
    """
    require_extra("coordinator", "the coordinator")
    from base.metrics import Role
    from base.times import DAY_US, wall_clock
    from deployment.coordinator.planning import Addresses
    from deployment.errors import UsageError
    from deployment.monitor.coordinator import CoordinatorState
    from deployment.monitor.monitor import monitored
    from deployment.printing.console import progress_bars, talk_console
    from deployment.run import requested_terms, utc_range
    from deployment.scheduler.coordinator import Surroundings, coordinating
    from deployment.scheduler.registered_views import require_registered
    from deployment.scheduler.session_collector import CollectionTerms

    between = utc_range(start, end)
    ways = {"--once": once, "--yesterday": yesterday, "--from": between is not None, "--resume": resume,
            "--give-up": give_up, "--dry-run": dry_run}  # fmt: skip
    if len(given := [name for name, is_given in ways.items() if is_given]) > 1:
        raise UsageError(f"{' and '.join(given)} exclude one another: give one of them")
    names = tuple(views or ())
    if dry_run:
        return _dry_run(project, names, as_json=as_json)
    terms = CollectionTerms(
        requested_terms(noise, protection, validity, finish, report_per, participation), seconds, clock.value
    )
    addresses, state, talk = Addresses(leader, helper, keyholder), CoordinatorState(project), talk_console()
    if not given:
        return _stay(project, addresses, terms, names, state, monitor, as_json=as_json)
    with (
        progress_bars(talk) as progress,
        monitored(monitor, Role.COORDINATOR, project, state),
        coordinating(project, addresses, terms, Surroundings(state.watching(progress), state.meters), names) as one,
    ):
        if resume:
            result = one.resume()
        elif give_up:
            result = one.give_up()
        else:
            found = require_registered(project, names)
            if yesterday:
                today = wall_clock() // DAY_US * DAY_US
                between = today - DAY_US, today
            result = one.collect_due() if between is None else one.collect_range(found, between)
    return show(result, as_json=as_json)


def _stay(
    project: Path,
    addresses: Addresses,
    terms: CollectionTerms,
    names: tuple[str, ...],
    state: CoordinatorState,
    monitor: str | None,
    *,
    as_json: bool,
) -> int:
    """Collect until an interrupt. An interrupt between two plans ends the command as done."""
    import time

    from base.errors import DONE
    from base.metrics import Role
    from base.times import utc_text, wall_clock
    from deployment.collecting import plan_folder
    from deployment.monitor.monitor import monitored
    from deployment.printing.steps import NewSteps, step_lines, step_to_json
    from deployment.scheduler.coordinator import Surroundings, coordinating
    from deployment.scheduler.steps import Step

    news = NewSteps()

    def report(step: Step) -> None:
        if monitor is not None:  # nobody else reads the state, and it checks for drift
            state.follow(step, wall_clock())
        if news.is_new(step):
            for line, is_trouble in step_lines(step, wall_clock()):
                log.log(logging.WARNING if is_trouble else logging.INFO, "%s", line)
            if as_json:
                typer.echo(json.dumps({"at": utc_text(wall_clock()), **step_to_json(step)}))

    progress = state.watching(lambda *_: None)
    try:
        with (
            monitored(monitor, Role.COORDINATOR, project, state),
            coordinating(project, addresses, terms, Surroundings(progress, state.meters, report), names) as one,
        ):
            one.collect_for_ever(time.sleep)
    except KeyboardInterrupt:
        if plan_folder(project).exists():
            raise
        log.info("stopped; the next start catches up on the panes that close meanwhile")
    return DONE


def _dry_run(project: Path, names: tuple[str, ...], *, as_json: bool) -> int:
    from base.errors import DONE
    from base.times import wall_clock
    from deployment.printing.outlook import outlook_to_json, print_outlook
    from deployment.scheduler.outlook import look_ahead

    found = look_ahead(project, names, wall_clock())
    if as_json:
        typer.echo(json.dumps(outlook_to_json(found)))
    else:
        print_outlook(found)
    return DONE
