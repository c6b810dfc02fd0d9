"""`covey up` and `covey down`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from base.extras import require_extra
from base.logs import LogFormat
from federation.terms import Finish, Protection, ReportPer, Validity

from .events_option import EVENT_FILES, ClientColumnOption, TimeColumnOption, both_columns
from .log_option import LogFormatOption
from .project_option import ProjectOption
from .read_options import DATES
from .release_clock import CollectionClockOption, ReleaseClock
from .role_options import SECONDS, SecondsOption
from .term_options import (
    FinishOption,
    NoiseOption,
    NoiseSwitch,
    ParticipationOption,
    ProtectionOption,
    ReportPerOption,
    ValidityOption,
)


def up(
    project: ProjectOption = Path(),
    events: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SITE=]PATH",
            help=f"A site's events: {EVENT_FILES}. Repeat it for each site; a project with one site needs no SITE. It is kept: "
            "the next `covey up` starts the same sites.",
        ),
    ] = None,
    client_column: ClientColumnOption = None,
    time_column: TimeColumnOption = None,
    views: Annotated[
        Path | None,
        typer.Option(metavar="VIEWS.py", help="The feature views of the backfill. Default: the project's views.py."),
    ] = None,
    collect: Annotated[
        bool,
        typer.Option("--collect/--no-collect", help="Whether a coordinator collects each pane when it closes."),
    ] = True,
    backfill: Annotated[
        bool | None,
        typer.Option(
            "--backfill/--no-backfill",
            help="Whether to collect earlier days first, once. Default: yes with --events or --from, otherwise no.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=DATES, help="The start of the backfill, UTC. Default: all ended days with events here."
        ),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=DATES, help="The end of the backfill, UTC. It needs --from.")
    ] = None,
    noise: NoiseOption = NoiseSwitch.ON,
    participation: ParticipationOption = None,
    protection: ProtectionOption = Protection.SHARES,
    validity: ValidityOption = Validity.NONE,
    finish: FinishOption = Finish.OPEN,
    report_per: ReportPerOption = ReportPer.CLIENT,
    clock: CollectionClockOption = ReleaseClock.REPLAY,
    seconds: SecondsOption = SECONDS,
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Supervise in this process until Ctrl-C or SIGTERM, instead of a new one."),
    ] = False,
    log_format: LogFormatOption = LogFormat.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the roles and what was collected as JSON.")] = False,
) -> int:
    """Start a whole deployment on this machine, and supervise it: a role that dies is started again.

    It starts the SuperLink, the leader, the helper, the sites whose events are here, the feature server and a coordinator that
    collects each pane when it closes. If there are events, it first collects them once. The command ends when all roles are ready
    and this backfill is over; the roles go on.
    `covey status` shows them, `covey logs` prints their logs, and `covey down` stops them.
    """
    from base.errors import DONE
    from base.times import wall_clock
    from deployment.local.supervision.control import prepared, start_detached, wait_until_up
    from deployment.local.supervision.preparation import CollectionChoice, configure_sites, deployment_of
    from deployment.local.supervision.roles import BACKFILL
    from deployment.local.supervision.supervise import supervise
    from deployment.printing.console import talk_console
    from deployment.printing.supervision import RoleTalk, print_up, up_to_json
    from deployment.run import requested_terms, utc_range

    for extra in ("aggregator", "coordinator", "server"):
        require_extra(extra, "a whole deployment")
    talk = talk_console()
    between = utc_range(start, end)
    terms = requested_terms(noise, protection, validity, finish, report_per, participation)
    if events:
        columns = both_columns(client_column, time_column)
        configure_sites(project, events, *columns, allow_noise_off=noise is NoiseSwitch.OFF)
    first = backfill if backfill is not None else bool(events) or between is not None
    views_file = views or project / "views.py"
    choice = CollectionChoice(views_file, first, between, collect, terms, clock.value, seconds)
    deployment = deployment_of(project, choice, wall_clock())
    with prepared(deployment) as ready:
        if ready.leftovers:
            talk.print(f"ended {ready.leftovers} process(es) of an earlier deployment whose supervisor was killed")
        if foreground:
            supervise(deployment)
            return DONE
        supervisor = start_detached(ready, log_format)
    state = wait_until_up(deployment.project, supervisor, (lambda _: None) if as_json else RoleTalk(talk).show)
    if as_json:
        typer.echo(json.dumps(up_to_json(state)))
    else:
        print_up(state, project)
    first_collection = state.role(BACKFILL)
    return DONE if first_collection is None or first_collection.code is None else first_collection.code


def down(
    project: ProjectOption = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print what was stopped as JSON.")] = False,
) -> None:
    """Stop the deployment that `covey up` started: each role gracefully, then by force. An unfinished plan is kept."""
    from deployment.local.supervision.control import take_down
    from deployment.printing.supervision import down_to_json, print_down
    from deployment.project.project import Project

    Project.load(project)
    stopped = take_down(project)
    if as_json:
        typer.echo(json.dumps(down_to_json(stopped)))
    else:
        print_down(stopped, project)
