"""`covey deploy`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .predict import require_torch
from .store_option import store_directory

if TYPE_CHECKING:
    from rich.console import Console

    from training.bundle.deploy import StepOutcome
    from training.fit.config import TrainConfig


def deploy(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="The configuration of `covey train`, with [promote] and [serve]."),
    ],
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            callback=store_directory,
            help="The store's directory. Default: the one in CONFIG.toml.",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Allow CONFIG.toml to name Python files with views, which are run, and serve models that may run code.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print which steps would run, and why.")] = False,
    status: Annotated[
        bool,
        typer.Option("--status", help="Print which steps are done, what is in force, and whether the server runs."),
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the server that `covey deploy` has started.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Collect, train, register, promote and serve a model: each step only if its inputs have changed.

    A new version takes over unless it is worse than the running one on the same test rows. The second run does nothing.
    """
    from deployment.errors import UsageError

    if sum((dry_run, status, stop)) > 1:
        raise UsageError("--dry-run, --status and --stop exclude each other")
    require_torch()
    from deployment.printing.console import talk_console
    from training.fit.config import TrainConfig

    settings = TrainConfig.load(config, store)
    talk = talk_console()
    if stop:
        _stop(settings, talk, as_json=as_json)
    elif status:
        _status(settings, as_json=as_json)
    elif dry_run:
        from training.bundle.deploy import planned

        _report(settings, list(planned(settings, trust=trust)), as_json=as_json, dry_run=True)
    else:
        _report(settings, _deployed(settings, talk, trust=trust, quiet=as_json), as_json=as_json, dry_run=False)


def _deployed(settings: TrainConfig, talk: Console, *, trust: bool, quiet: bool) -> list[StepOutcome]:
    from deployment.printing.console import progress_bars
    from featurestore.join.mixed_clocks import MixedClocks
    from training.bundle.deploy import Watch, deploy
    from training.bundle.outcome_text import outcome_line

    def said(outcome: StepOutcome) -> None:
        if not quiet:
            typer.echo(outcome_line(outcome, dry_run=False))

    with progress_bars(talk) as progress, warnings.catch_warnings():
        warnings.simplefilter("default", MixedClocks)
        warnings.showwarning = lambda message, *_, **__: talk.print(
            f"warning: {message}", style="yellow", soft_wrap=True
        )
        return deploy(settings, Watch(progress, said), trust=trust)


def _report(settings: TrainConfig, outcomes: list[StepOutcome], *, as_json: bool, dry_run: bool) -> None:
    from training.bundle.outcome_text import outcome_line, outcomes_to_json

    if as_json:
        typer.echo(json.dumps(outcomes_to_json(settings, outcomes, dry_run=dry_run)))
    elif dry_run:
        for outcome in outcomes:
            typer.echo(outcome_line(outcome, dry_run=True))
    else:
        from training.bundle.deploy import is_unchanged

        typer.echo(f"{settings.name}: nothing to do" if is_unchanged(outcomes) else f"{settings.name}: deployed")


def _stop(settings: TrainConfig, talk: Console, *, as_json: bool) -> None:
    from training.bundle.server_control import stop_server
    from training.bundle.server_files import ServerFolder

    stop_server(ServerFolder(settings.store, settings.name))
    if as_json:
        typer.echo(json.dumps({"model": settings.name, "stopped": True}))
    else:
        talk.print(f"the server of model {settings.name} is stopped")


def _status(settings: TrainConfig, *, as_json: bool) -> None:
    from training.bundle.status import status_lines, status_of

    found = status_of(settings)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for line in status_lines(found):
            typer.echo(line)
