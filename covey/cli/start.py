"""`covey start`: one role of a project, in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from deployment.coordinator.serving import Wanted

app = typer.Typer(help="Start one role of a project; it runs until Ctrl-C or SIGTERM.", no_args_is_help=True)

_PROJECT = typer.Option(metavar="DIR", help="The project's directory.")
_PORT = typer.Option(min=0, max=65535, help="Loopback port; 0 takes a free one.")
_LEDGERS = typer.Option(metavar="DIR", help="The folder of its ledger. Default: the project's ledgers/.")


@app.command()
def leader(
    project: Annotated[Path, _PROJECT] = Path(),
    port: Annotated[int, _PORT] = 7301,
    helper: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the helper listens.")] = "127.0.0.1:7302",
    keyholder: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where the key holder listens. Without it, plans under he are refused."),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where the provider listens. Without it, plans with finish mpc are refused."
        ),
    ] = None,
    ledgers: Annotated[Path | None, _LEDGERS] = None,
) -> None:
    """The leader: holds the long shares or adds ciphertexts, takes batches from the coordinator, drives the helper."""
    from deployment.local.roles import serve_leader

    serve_leader(project, port, helper, keyholder, provider, ledgers)


@app.command()
def helper(
    project: Annotated[Path, _PROJECT] = Path(),
    port: Annotated[int, _PORT] = 7302,
    ledgers: Annotated[Path | None, _LEDGERS] = None,
) -> None:
    """The helper: holds the seeds, answers the leader, decides for itself what may be opened."""
    from deployment.local.roles import serve_helper

    serve_helper(project, port, ledgers)


@app.command()
def keyholder(
    project: Annotated[Path, _PROJECT] = Path(),
    port: Annotated[int, _PORT] = 7303,
    ledgers: Annotated[Path | None, _LEDGERS] = None,
) -> None:
    """The key holder of encrypted reports (he): makes a plan's keys, opens its noised sums once. The helper's operator."""
    from deployment.local.roles import serve_key_holder

    serve_key_holder(project, port, ledgers)


@app.command()
def provider(
    project: Annotated[Path, _PROJECT] = Path(),
    port: Annotated[int, _PORT] = 7304,
) -> None:
    """The provider of triples for --finish mpc (experimental): a third operator's, who sees no share. See docs/mpc.md."""
    from deployment.local.roles import serve_provider

    serve_provider(project, port)


@app.command()
def superlink(
    project: Annotated[Path, _PROJECT] = Path(),
    host: Annotated[
        str, typer.Option(help="Where sites reach it. Default: this machine only, so sites elsewhere need a tunnel.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for sites; 0 takes a free one.")] = 8000,
    name: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="A host name under which sites reach it; may be repeated.")
    ] = None,
) -> None:
    """Flower's SuperLink, for the sites by TLS and for the coordinator by a socket in the project; on its machine.

    Sites need keys/superlink.crt, which is made at the first start. Restart it when the roster has changed.
    """
    from deployment.local.superlink import serve_superlink

    serve_superlink(project, host, port, name or [])


@app.command()
def site(
    site: Annotated[str, typer.Argument(help="The site's id, as on the aggregators' rosters.")],
    project: Annotated[Path, _PROJECT] = Path(),
    superlink: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Flower's SuperLink; keys/superlink.crt says that it is the right one."),
    ] = "127.0.0.1:8000",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Without TLS and certificate; only to a SuperLink on this machine.")
    ] = False,
    events: Annotated[
        Path | None, typer.Option(help="This site's events; with the columns, they are written to its configuration.")
    ] = None,
    client_column: Annotated[str | None, typer.Option(help="Whose event it is.")] = None,
    time_column: Annotated[str | None, typer.Option(help="When it happened.")] = None,
    allow_noise_off: Annotated[bool, typer.Option("--allow-noise-off", help="For tests and labs only.")] = False,
) -> None:
    """One site: answers the coordinator's plans over its own events, and runs nothing that it receives."""
    from deployment.errors import UsageError
    from deployment.project.site_folders import configure_site, serve_site

    if events is not None:
        if client_column is None or time_column is None:
            raise UsageError("--events goes with --client-column and --time-column")
        configure_site(project, site, events, client_column, time_column, allow_noise_off=allow_noise_off)
    serve_site(project, site, superlink, insecure=insecure)


@app.command()
def coordinator(
    views_file: Annotated[Path | None, typer.Argument(metavar="VIEWS.py", help="The feature views to collect.")] = None,
    start: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day.")] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The UTC day after the last.")
    ] = None,
    project: Annotated[Path, _PROJECT] = Path(),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the plan that an earlier coordinator did not finish.")
    ] = False,
    plan_only: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Sign a plan that needs no keys of its own, write it here for `covey policy check`; announce nothing.",
        ),
    ] = None,
    leader: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where the leader listens. Default: 127.0.0.1:7301.")
    ] = None,
    helper: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where the helper listens. Default: 127.0.0.1:7302.")
    ] = None,
    keyholder: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="With --protection he: where the key holder listens. Default: 127.0.0.1:7303."
        ),
    ] = None,
    noise: Annotated[str, typer.Option(metavar="on|off", help="off: every party must allow it.")] = "on",
    participation: Annotated[
        str | None,
        typer.Option(
            metavar="all|active",
            help="Who reports: every client, or those with an event of the pane. Default: all, if every site has one.",
        ),
    ] = None,
    protection: Annotated[
        str,
        typer.Option(
            metavar="shares|he", help="he: reports are encrypted for the key holder, and the leader adds them."
        ),
    ] = "shares",
    validity: Annotated[
        str, typer.Option(metavar="none|prio3", help="prio3: reports prove that they are within the view's bounds.")
    ] = "none",
    finish: Annotated[
        str,
        typer.Option(
            metavar="open|mpc",
            help="mpc (experimental): cells below suppress_below are never opened; the leader needs a provider.",
        ),
    ] = "open",
    report_per: Annotated[
        str,
        typer.Option(
            metavar="client|site",
            help="site: each site bounds its clients one by one and sends one report a pane, their sum: docs/cross-silo.md.",
        ),
    ] = "client",
    seconds: Annotated[float, typer.Option(min=1, help="How long the sites have to answer.")] = 300.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """The coordinator of one collection: announces a plan, waits for the sites, opens, publishes, ends.

    It runs beside the project's SuperLink, as the same user, and reaches it by a socket in roles/superlink/.
    The plan is kept from before it is announced until it is published: after a failure, --resume continues it.
    """
    from base.errors import DONE
    from base.times import wall_clock
    from deployment.coordinator.serving import Addresses, resume_coordinator, run_coordinator, write_plan
    from deployment.errors import UsageError
    from deployment.printing.collection import plan_to_json, print_plan
    from deployment.printing.console import progress_bars, talk_console

    addresses = Addresses(leader, helper, keyholder)
    talk = talk_console()
    if resume:
        if views_file is not None or start is not None or end is not None or plan_only is not None:
            raise UsageError("--resume continues the plan as it is: give no VIEWS.py, --from, --to or --plan-only")
        with progress_bars(talk) as progress:
            result = resume_coordinator(project, addresses, wall_clock, progress)
        return _report(result, as_json=as_json)
    wanted = _wanted(views_file, start, end, noise, participation, protection, validity, finish, report_per, seconds)
    if plan_only is not None:
        plan = write_plan(project, wanted, plan_only, wall_clock)
        if as_json:
            typer.echo(json.dumps(plan_to_json(plan, plan_only)))
        else:
            print_plan(plan, plan_only)
        return DONE
    with progress_bars(talk) as progress:
        result = run_coordinator(project, wanted, addresses, wall_clock, progress)
    return _report(result, as_json=as_json)


def _report(result: dict[str, Any], *, as_json: bool) -> int:
    """Print the result of a collection; returns the exit code."""
    from deployment.printing.collection import exit_code_of, print_collection

    if as_json:
        typer.echo(json.dumps(result))
    else:
        print_collection(result)
    return exit_code_of(result)


def _wanted(
    views_file: Path | None,
    start: datetime | None,
    end: datetime | None,
    noise: str,
    participation: str | None,
    protection: str,
    validity: str,
    finish: str,
    report_per: str,
    seconds: float,
) -> Wanted:
    from deployment.coordinator.serving import Wanted
    from deployment.errors import UsageError
    from deployment.run import utc_days
    from featurestore.define.views_file import load_views
    from federation.plan import FINISHES, PARTICIPATIONS, PROTECTIONS, REPORT_PERS, VALIDITIES

    days = utc_days(start, end)
    if views_file is None or days is None:
        raise UsageError("give VIEWS.py, --from and --to (or --resume)")
    if noise not in ("on", "off"):
        raise UsageError(f"--noise is on or off, got {noise!r}")
    chosen = next((known for known in PARTICIPATIONS if known == participation), None)
    if chosen is None and participation is not None:
        raise UsageError(f"--participation is all or active, got {participation!r}")
    proofs = next((known for known in VALIDITIES if known == validity), None)
    if proofs is None:
        raise UsageError(f"--validity is none or prio3, got {validity!r}")
    protected = next((known for known in PROTECTIONS if known == protection), None)
    if protected is None:
        raise UsageError(f"--protection is shares or he, got {protection!r}")
    ending = next((known for known in FINISHES if known == finish), None)
    if ending is None:
        raise UsageError(f"--finish is open or mpc, got {finish!r}")
    reporter = next((known for known in REPORT_PERS if known == report_per), None)
    if reporter is None:
        raise UsageError(f"--report-per is client or site, got {report_per!r}")
    if reporter == "site" and protected != "shares":
        raise UsageError("a site's sum is not encrypted: --report-per site goes with --protection shares only")
    views = load_views(views_file)
    terms = chosen, seconds, protected, proofs, ending, reporter
    return Wanted(views, days, "none" if noise == "off" else "full", *terms)


@app.command()
def server(
    project: Annotated[Path, _PROJECT] = Path(),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Loopback port; 0 takes a free one.")] = 6566,
) -> None:
    """The feature server of the project's store, on the loopback; `covey serve --store PROJECT` has more options."""
    from .serve import serve

    serve(store=project, host="127.0.0.1", port=port)
