"""`covey release`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from .read_options import DATES
from .store_option import StoreOption
from .table_options import CsvOption, PlainOption, output_of

app = typer.Typer(help="The releases of a store: list, show, verify and retract them.", no_args_is_help=True)

_JSON = typer.Option("--json", help="Print JSON.")
_ID = typer.Argument(metavar="ID", help="The release's id, or its first digits (6 at least).")


@app.command("list")
def list_(
    store: StoreOption = Path(),
    view: Annotated[str | None, typer.Option(help="List this view only.")] = None,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """List every published pane, one line each: opened, void with its reason, or retracted."""
    from deployment.inspect.releases import listed
    from deployment.printing.releases import print_releases
    from featurestore.store import Store

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    with Store.open(store) as opened:
        rows = listed(opened, view)
    if as_json:
        typer.echo(json.dumps(rows, default=datetime.isoformat))
    else:
        print_releases(rows, out)


@app.command()
def show(
    release: Annotated[str, _ID],
    store: StoreOption = Path(),
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Show the terms of a pane's release: noise, price, trust, what is outside the claim, hashes, signature."""
    from deployment.inspect.releases import find_id, sites_to_json, to_json
    from deployment.inspect.verification import Pinned, Verifier
    from deployment.printing.release_terms import print_terms
    from featurestore.store import Store

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    with Store.open(store) as opened:
        release_id = find_id(opened, release)
        item, tombstone = opened.release(release_id), opened.tombstone(release_id)
        verified = Verifier(opened, Pinned.of(store)).verify(item.manifest.view, release_id)
    if as_json:
        key = None if verified.key is None else verified.key.hex()
        sites = sites_to_json(item.manifest, verified)
        typer.echo(json.dumps({**to_json(item, tombstone), "sites": sites, "verified": key is not None, "key": key}))
    else:
        print_terms(item, tombstone, verified, out)


@app.command()
def verify(
    release: Annotated[str | None, _ID] = None,
    every: Annotated[bool, typer.Option("--all", help="Every release of the store.")] = False,
    view: Annotated[str | None, typer.Option(help="With --all: verify this view only.")] = None,
    store: StoreOption = Path(),
    allow_unsigned: Annotated[
        bool, typer.Option("--allow-unsigned", help="Accept the unsigned releases of runs in one process.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Check the signatures of releases, and the hashes of plan, view and both aggregators' statements.

    With --all, also check that the registry is intact, and that every pane of a stored plan has a release or a void. The keys
    are those that the project's covey.toml pins; without one, those that the plan names.
    """
    from deployment.errors import UsageError
    from deployment.inspect.releases import find_id, listed
    from deployment.inspect.verification import Pinned, require_all, verify_all, verify_some
    from deployment.printing.console import progress_bars, talk_console
    from deployment.printing.output import Output
    from deployment.printing.releases import print_verified, verified_to_json
    from featurestore.store import Store

    if (release is not None) == every or (view is not None and not every):
        raise UsageError("give the ID of a release, or --all (and --view)")
    pinned = Pinned.of(store)
    with Store.open(store) as opened:
        rows = listed(opened, view)
        if release is not None:
            wanted = find_id(opened, release).hex()
            rows = [row for row in rows if row["release_id"] == wanted]
        chosen = [(row["view"], bytes.fromhex(row["release_id"])) for row in rows]
        if every:
            with progress_bars(talk_console()) as bars:
                found = verify_all(
                    opened, pinned, chosen, view, lambda done, total: bars(view or "all views", "verify", done, total)
                )
        else:
            found = verify_some(opened, pinned, chosen)
    if as_json:
        typer.echo(json.dumps({"keys": pinned.whose, "releases": [verified_to_json(one) for one in found]}))
    else:
        print_verified(found, pinned.whose, Output(), one_by_one=not every)
    require_all(found, allow_unsigned=allow_unsigned)


@app.command()
def retract(
    release: Annotated[str, _ID],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason; it is published with the tombstone.")],
    store: StoreOption = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Retract a release by a signed tombstone. From then on the pane counts as not opened."""
    import click

    from base.errors import DONE, FAILURE
    from base.times import wall_clock
    from deployment.inspect.ledger_view import moment_of
    from deployment.inspect.releases import find_id, state_of, to_json
    from deployment.inspect.releases import retract as publish_tombstone
    from deployment.printing.console import talk_console
    from deployment.printing.releases import name_of
    from featurestore.store import Store

    talk = talk_console()
    with Store.open(store) as opened:
        release_id = find_id(opened, release)
        item = opened.release(release_id)
        talk.print(f"{name_of(item)}: {state_of(item, opened.tombstone(release_id))}", soft_wrap=True)
    try:
        agreed = yes or typer.confirm(
            "Retract this release? This cannot be undone, and the pane is never collected again", err=True
        )
    except click.exceptions.Abort:  # there is no terminal for the question
        agreed = False
    if not agreed:
        talk.print("nothing was retracted; --yes confirms without a question", style="yellow")
        return FAILURE
    tombstone = publish_tombstone(store, release_id, reason, wall_clock)
    if as_json:
        typer.echo(json.dumps(to_json(item, tombstone)))
    signed = (
        "signed by the collector" if tombstone.signature else "unsigned, like every release of a run in one process"
    )
    talk.print(f"retracted at {moment_of(tombstone.released_at)}; the tombstone is {signed}", soft_wrap=True)
    talk.print(
        "from now on its pane is VOID, and the windows that contain it were issued again without it. Joins at earlier times give "
        "the same values as before. Its price stays spent",
        soft_wrap=True,
    )
    return DONE


@app.command()
def void(
    view: Annotated[
        str, typer.Argument(help="The name of the view; or `view@v1`, if two versions are collected at that time.")
    ],
    pane: Annotated[
        list[datetime], typer.Argument(metavar="PANE…", help="The start of a pane that is due, in UTC.", formats=DATES)
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason; it is published with the void.")],
    project: Annotated[Path, typer.Option(metavar="DIR", help="The project's directory, with its keys.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Give panes up: publish them as void, signed by the collector. They are never collected."""
    import click

    from base.errors import DONE, FAILURE
    from base.times import to_us, wall_clock
    from deployment.coordinator.decisions import decide_void
    from deployment.inspect.releases import to_json
    from deployment.printing.console import talk_console

    talk = talk_console()
    try:
        agreed = yes or typer.confirm(
            f"Publish {len(pane)} pane(s) of {view} as void? They are never collected", err=True
        )
    except click.exceptions.Abort:  # there is no terminal for the question
        agreed = False
    if not agreed:
        talk.print("nothing was published; --yes confirms without a question", style="yellow")
        return FAILURE
    voids = decide_void(project, view, [to_us(moment) for moment in pane], reason, wall_clock)
    if as_json:
        typer.echo(json.dumps([to_json(one, None) for one in voids]))
    talk.print(f"{view}: {len(voids)} pane(s) are void: {voids[0].reason}", soft_wrap=True)
    return DONE
