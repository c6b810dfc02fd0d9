"""`covey apply`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .evolution_options import FromOption, OverlapOption, RepriceOption, StoreOption, ViewsFile, YesOption, timing_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.define.definitions import FeatureView
    from featurestore.define.on_demand import OnDemandView
    from featurestore.define.services import FeatureService
    from featurestore.registry.hand_over import Timing


def apply(
    views_file: ViewsFile,
    store: StoreOption = Path(),
    overlap: OverlapOption = 0,
    start: FromOption = None,
    reprice: RepriceOption = False,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would happen, as `covey diff` does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the definitions of a file those of its views, all or none. Servers, readers and collections go on meanwhile.

    Texts, ttl and tags change in place. Windows, derived and filtered features and coverage make the next version, computed
    from the panes that are there. Everything else makes the next version with sums of its own, from the next UTC midnight on.
    """
    from deployment.project.project import as_collected_in
    from featurestore.define.views_file import load_declared

    declared = load_declared(views_file, need_views=True)
    views = as_collected_in(store, declared.views)
    carry_out(
        store,
        views,
        timing_of(start, overlap),
        services=declared.services,
        on_demand=declared.on_demand,
        reprice=reprice,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def carry_out(
    store: Path,
    views: Sequence[FeatureView],
    timing: Timing,
    *,
    services: tuple[FeatureService, ...] = (),
    on_demand: tuple[OnDemandView, ...] = (),
    reprice: bool = False,
    yes: bool,
    dry_run: bool = False,
    as_json: bool,
) -> None:
    """Show what would happen to these views, ask where something is newly collected, and do it."""
    import sys

    from base.times import wall_clock
    from deployment.printing.changes import evolution_to_json, outcome_to_json, print_evolution, print_outcome
    from deployment.printing.console import progress_bars, talk_console
    from deployment.printing.output import Output
    from deployment.project.applying import apply_views
    from deployment.project.evolution import evolution_of

    found = evolution_of(store, views, timing, as_defined=reprice)
    if not as_json:
        print_evolution(found, Output())
    if dry_run:
        if as_json:
            typer.echo(json.dumps(evolution_to_json(found)))
        return
    talk = talk_console()
    asks = any(one.collects for one in found.views) and not yes and sys.stdin.isatty()
    if asks and not typer.confirm("Apply this?", err=True):
        talk.print("nothing was applied")
        return
    with progress_bars(talk) as progress:
        done = apply_views(store, found, timing, wall_clock, progress, services, on_demand)
    if as_json:
        typer.echo(json.dumps(evolution_to_json(found) | outcome_to_json(done)))
    else:
        print_outcome(done, talk)
