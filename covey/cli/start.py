"""`covey start`: one role of a project, in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from base.extras import require_extra
from base.logs import LogFormat
from federation.terms import Finish, Protection, ReportPer, Validity

from .collection_result import show
from .events_option import EVENT_FILES, ClientColumnOption, TimeColumnOption, both_columns
from .log_option import LogFormatOption
from .project_option import ProjectOption
from .read_options import DATES
from .release_clock import CollectionClockOption, ReleaseClock
from .role_options import (
    SECONDS,
    HelperOption,
    HostOption,
    KeyHolderOption,
    LeaderOption,
    LedgersOption,
    MonitorOption,
    SecondsOption,
)
from .term_options import (
    FinishOption,
    NoiseOption,
    NoiseSwitch,
    ParticipationOption,
    ProtectionOption,
    ReportPerOption,
    ValidityOption,
)

app = typer.Typer(help="Start one role of a project; it runs until Ctrl-C or SIGTERM.", no_args_is_help=True)


def _port(default: int) -> Any:
    return typer.Option(
        min=0,
        max=65535,
        help=f"The port; 0 takes a free one. Default: the one in covey.toml, or {default}.",
        show_default=False,
    )


@app.command()
def leader(
    project: ProjectOption = Path(),
    host: HostOption = None,
    port: Annotated[int | None, _port(7301)] = None,
    helper: HelperOption = None,
    keyholder: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The address of the key holder. Default: that of covey.toml; without any, the leader refuses plans with "
            "protection he.",
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The address of the provider. Default: that of covey.toml; without any, the leader refuses plans with finish "
            "mpc.",
        ),
    ] = None,
    ledgers: LedgersOption = None,
    monitor: MonitorOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run the leader: it receives batches from the coordinator, adds shares or ciphertexts, and drives the helper."""
    require_extra("aggregator", "the leader")
    from deployment.local.roles import PeerAddresses, serve_leader
    from deployment.project.network import Listening

    serve_leader(project, Listening(host, port, monitor), PeerAddresses(helper, keyholder, provider), ledgers)


@app.command()
def helper(
    project: ProjectOption = Path(),
    host: HostOption = None,
    port: Annotated[int | None, _port(7302)] = None,
    ledgers: LedgersOption = None,
    monitor: MonitorOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run the helper: it holds the seeds, answers the leader, and decides by itself what may be opened."""
    require_extra("aggregator", "the helper")
    from deployment.local.roles import serve_helper
    from deployment.project.network import Listening

    serve_helper(project, Listening(host, port, monitor), ledgers)


@app.command()
def keyholder(
    project: ProjectOption = Path(),
    host: HostOption = None,
    port: Annotated[int | None, _port(7303)] = None,
    ledgers: LedgersOption = None,
    monitor: MonitorOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run the key holder of protection he, by the helper's operator: it makes a plan's keys and opens noised sums once."""
    require_extra("aggregator", "the key holder")
    from deployment.local.roles import serve_key_holder
    from deployment.project.network import Listening

    serve_key_holder(project, Listening(host, port, monitor), ledgers)


@app.command()
def provider(
    project: ProjectOption = Path(),
    host: HostOption = None,
    port: Annotated[int | None, _port(7304)] = None,
    monitor: MonitorOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run the provider of triples for --finish mpc (experimental): a third operator, who sees no share. See docs/mpc.md."""
    require_extra("aggregator", "the provider")
    from deployment.local.roles import serve_provider
    from deployment.project.network import Listening

    serve_provider(project, Listening(host, port, monitor))


@app.command()
def superlink(
    project: ProjectOption = Path(),
    host: HostOption = None,
    port: Annotated[int | None, _port(8000)] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host name by which sites reach the SuperLink; may be repeated."),
    ] = None,
    monitor: MonitorOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run Flower's SuperLink: sites connect by TLS, the coordinator by a socket in the project on the same machine.

    Sites verify its certificate by the coordinator's authority. A site that joins the roster may connect at once. Restart
    the SuperLink when one has left.
    """
    require_extra("coordinator", "the SuperLink")
    from deployment.local.superlink import serve_superlink
    from deployment.project.network import Listening

    serve_superlink(project, Listening(host, port, monitor), name or [])


@app.command()
def site(
    site: Annotated[str, typer.Argument(help="The site's id, as on the aggregators' rosters.")],
    project: ProjectOption = Path(),
    superlink: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The address of Flower's SuperLink, which keys/trust/superlink.crt authenticates. Default: that of "
            "covey.toml, or 127.0.0.1:8000.",
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="For tests and labs: connect without TLS to Flower's own SuperLink on this machine. `covey start superlink` "
            "always has TLS.",
        ),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"This site's events: {EVENT_FILES}; or duckdb://FILE?table=NAME, sqlite://FILE?table=NAME, "
            "postgresql://USER@HOST/DB?table=NAME, log://FILE. Each plan takes up new and changed files. The URL is written to the "
            "site's configuration, with the two columns. A stream needs more entries there: see docs/sources.md.",
        ),
    ] = None,
    client_column: ClientColumnOption = None,
    time_column: TimeColumnOption = None,
    allow_noise_off: Annotated[bool, typer.Option("--allow-noise-off", help="For tests and labs only.")] = False,
    monitor: MonitorOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run a site: it answers the coordinator's plans over its own events, and never runs code that it receives."""
    from deployment.project.site_folders import configure_site, serve_site

    if source is not None:
        columns = both_columns(client_column, time_column, "--source")
        configure_site(project, site, source, *columns, allow_noise_off=allow_noise_off, must_be_there=True)
    serve_site(project, site, superlink, insecure=insecure, monitor=monitor)


@app.command()
def coordinator(
    views_file: Annotated[Path | None, typer.Argument(metavar="VIEWS.py", help="The feature views to collect.")] = None,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=DATES, help="The start of the first pane, UTC.")
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option("--to", formats=DATES, help="The end of the last pane, UTC; later panes stay due."),
    ] = None,
    project: ProjectOption = Path(),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the plan that an earlier coordinator did not finish.")
    ] = False,
    give_up: Annotated[
        bool,
        typer.Option(
            "--give-up", help="Free the plan that an earlier coordinator did not finish; its panes are due again."
        ),
    ] = False,
    plan_only: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Sign a plan, write it to this file for `covey policy check`, and announce nothing. Such a plan needs no keys of "
            "its own.",
        ),
    ] = None,
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> int:
    """Run the coordinator of one collection: it announces a plan, waits for the sites, opens and publishes, and ends.

    It runs beside the project's SuperLink, as the same user, and reaches it by a socket in roles/superlink/.
    The coordinator keeps the plan until its releases are published: after a failure, --resume continues it.
    """
    require_extra("coordinator", "the coordinator")
    from base.errors import DONE
    from base.metrics import Role
    from base.times import wall_clock
    from deployment.coordinator.planning import Addresses, PlanRequest, write_plan
    from deployment.errors import UsageError
    from deployment.monitor.coordinator import CoordinatorState
    from deployment.monitor.monitor import monitored
    from deployment.printing.collection import plan_to_json, print_plan
    from deployment.printing.console import progress_bars, talk_console
    from deployment.project.project import Project
    from deployment.run import requested_terms, utc_range
    from deployment.scheduler.coordinator import Coordinator, Surroundings, coordinating
    from deployment.scheduler.registered_views import declared
    from deployment.scheduler.session_collector import CollectionTerms
    from featurestore.define.views_file import load_views

    addresses, state = Addresses(leader, helper, keyholder), CoordinatorState(project)
    if resume or give_up:
        if resume and give_up:
            raise UsageError("--resume continues the plan, and --give-up frees it: give one of them")
        if views_file is not None or start is not None or end is not None or plan_only is not None:
            raise UsageError(
                "--resume and --give-up take the plan as it is: give no VIEWS.py, --from, --to or --plan-only"
            )
    terms = requested_terms(noise, protection, validity, finish, report_per, participation)

    def act(step: Callable[[Coordinator], dict[str, Any]]) -> int:
        chosen = CollectionTerms(terms, seconds, clock.value)
        with (
            progress_bars(talk_console()) as progress,
            monitored(monitor, Role.COORDINATOR, project, state),
            coordinating(project, addresses, chosen, Surroundings(state.watching(progress), state.meters)) as one,
        ):
            result = step(one)
        return show(result, as_json=as_json)

    if give_up:
        return act(lambda one: one.give_up())
    if resume:
        return act(lambda one: one.resume())
    between = utc_range(start, end)
    if views_file is None or between is None:
        raise UsageError("give VIEWS.py, --from and --to (or --resume)")
    views = Project.load(project).with_default_noisers(load_views(views_file))
    if plan_only is not None:
        request = PlanRequest(views, between, terms, seconds, clock.value)
        plan = write_plan(project, request, plan_only, wall_clock)
        if as_json:
            typer.echo(json.dumps(plan_to_json(plan, plan_only)))
        else:
            print_plan(plan, plan_only)
        return DONE
    return act(lambda one: one.collect_range(declared(project, views), between))


@app.command()
def server(
    project: ProjectOption = Path(),
    host: HostOption = None,
    port: Annotated[int | None, _port(6566)] = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run the feature server of the project's store; `covey serve --store PROJECT` has more options."""
    require_extra("server", "the feature server")
    from deployment.project.network import Listening
    from deployment.project.project import Project

    from .serve import serve

    at, number = Listening(host, port).at(Project.load(project).network, "server")
    serve(store=project, host=at, port=number)
