"""`covey run`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.extras import require_extra
from federation.terms import Finish, Protection, ReportPer, Validity

from .events_option import ClientColumnOption, EventsOption
from .read_options import DATES
from .release_clock import ReplaySwitch
from .store_option import store_directory
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
    from rich.console import Console


def run(
    store: Annotated[
        Path, typer.Option(callback=store_directory, help="The store's directory; made if it does not exist.")
    ],
    views_file: Annotated[
        Path | None, typer.Argument(metavar="VIEWS.py", help="A Python file with FeatureView objects at module level.")
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Collect only this view of the file; repeat it for more. Default: all. Services of other views wait.",
        ),
    ] = None,
    events: EventsOption = None,
    client_column: ClientColumnOption = None,
    time_column: Annotated[
        str | None, typer.Option(help="The column with the time of an event; a view may name another one.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a failed run of this store over real processes.")
    ] = False,
    give_up: Annotated[
        bool,
        typer.Option("--give-up", help="Erase a failed run of this store with its events and keys; its charges stay."),
    ] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Run all roles in this process instead of one process each.")
    ] = False,
    replay: Annotated[
        ReplaySwitch,
        typer.Option(
            help="When joins can read a release. day: as if the panes of a day had been collected at once, after the last of them. "
            "pane (with --in-process): as if each had been collected when it ended."
        ),
    ] = ReplaySwitch.DAY,
    site_column: Annotated[
        str | None,
        typer.Option(
            help="The column with the site of an event; a client is identified by (site, client). Default: one site."
        ),
    ] = None,
    sites: Annotated[
        int, typer.Option(min=1, help="Without --site-column: the number of sites that clients are hashed to.")
    ] = 1,
    start: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=DATES, help="The start of the first pane, UTC. Default: the ended days with events."
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            "--to", formats=DATES, help="The end of the last pane, UTC. Without --in-process, whole days are collected."
        ),
    ] = None,
    noise: NoiseOption = NoiseSwitch.ON,
    min_clients: Annotated[
        int | None,
        typer.Option(help="k for every view. It must not be smaller than a view's own, except with --noise off."),
    ] = None,
    participation: ParticipationOption = None,
    site_clients: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How many clients a site may have: others see the number, so declare it; it is never counted from the "
            "events. Default: 100000; --participation all needs it.",
        ),
    ] = None,
    protection: ProtectionOption = Protection.SHARES,
    validity: ValidityOption = Validity.NONE,
    finish: FinishOption = Finish.OPEN,
    report_per: ReportPerOption = ReportPer.CLIENT,
    budget: Annotated[
        str,
        typer.Option(
            metavar="RHO",
            help="The most that a client-day may cost, over all views and runs into this store. In a project covey.toml limits it.",
        ),
    ] = "0.1",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Collect feature views over events: compute, protect, aggregate, add noise, publish.

    The run skips and lists panes that an earlier run opened. The same command continues an interrupted run.
    """
    require_extra("coordinator", "a run")
    from base.errors import DONE, NOTHING_RELEASED
    from base.times import wall_clock
    from deployment.errors import UsageError
    from deployment.printing.console import progress_bars, talk_console
    from deployment.printing.run_report import print_run, published_voids, run_to_json
    from deployment.run import resume as resume_run
    from deployment.run import run as run_views
    from deployment.run_services import NO_SERVICES, FileServices, choose_views
    from featurestore.define.views_file import load_declared

    talk = talk_console()
    services = NO_SERVICES
    if give_up:
        if resume or views_file is not None:
            raise UsageError("--give-up only erases a failed run: give --store and no other argument")
        return _give_up(store, talk, as_json=as_json)
    if noise is NoiseSwitch.OFF:
        talk.print("warning: noise is off. The exact sums are published, without any privacy.", style="bold yellow")
    if resume:
        with progress_bars(talk) as progress:
            report = resume_run(store, progress)
    else:
        needed = {
            "VIEWS.py": views_file,
            "--events": events,
            "--client-column": client_column,
            "--time-column": time_column,
        }
        if views_file is None or events is None or client_column is None or time_column is None:
            missing = ", ".join(name for name, value in needed.items() if value is None)
            raise UsageError(f"missing {missing}; see `covey run --help`")
        declared = load_declared(views_file, need_views=True)
        chosen = choose_views(declared.views, view or ())
        of_file = FileServices.of(declared, chosen)
        of_file.require(store)  # before the run charges anything
        terms: dict[str, Any] = {
            "noise": noise.value,
            "participation": None if participation is None else participation.value,
            "protection": protection.value,
            "validity": validity.value,
            "finish": finish.value,
            "report_per": report_per.value,
        }
        with progress_bars(talk) as progress:
            report = run_views(
                chosen,
                events,
                store=store,
                client_column=client_column,
                time_column=time_column,
                site_column=site_column,
                start=start,
                end=end,
                min_clients=min_clients,
                site_clients=site_clients,
                budget=budget,
                in_process=in_process,
                replay=replay.value,
                sites=sites,
                progress=progress,
                **terms,
            )
        services = of_file.register(report.store, wall_clock)
    voids = published_voids(report)
    if as_json:
        typer.echo(json.dumps(run_to_json(report, voids, services)))
    else:
        print_run(report, voids, services, talk)
    return DONE if report.opened or report.already_open else NOTHING_RELEASED


def _give_up(store: Path, talk: Console, *, as_json: bool) -> int:
    from base.errors import DONE
    from deployment.local.unfinished_run import give_up

    given_up = give_up(store)
    if as_json:
        typer.echo(json.dumps({"store": str(store), "charged_panes": given_up.panes}))
        return DONE
    talk.print(f"the unfinished run of {store} is erased: its events, its keys, and what was sent", soft_wrap=True)
    for view, panes in given_up.panes.items():
        talk.print(f"{view}: {panes:,} pane(s) stay closed forever, and their days stay charged", soft_wrap=True)
    if not given_up.panes:
        talk.print("nothing was charged: the next run collects the same panes", soft_wrap=True)
    return DONE
