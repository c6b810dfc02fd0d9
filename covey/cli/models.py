"""`covey models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .models_register import register
from .store_option import StoreOption
from .table_options import CsvOption, PlainOption, output_of

if TYPE_CHECKING:
    from featurestore.publish.model_versions import Change

app = typer.Typer(help="The registered models: which versions answer requests, and which go.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a model.")]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only the versions of this model.")] = None,
    store: StoreOption = Path(),
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: _Json = False,
) -> None:
    """List the versions of models, with the shares of those in force."""
    from deployment.inspect.models import model_versions
    from deployment.printing.models import model_to_json, print_models
    from featurestore.store import Store

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    with Store.open(store) as opened:
        found = model_versions(opened, name)
    if as_json:
        typer.echo(json.dumps([model_to_json(one) for one in found]))
    else:
        print_models(found, out)


@app.command()
def show(
    model: Annotated[
        str, typer.Argument(metavar="NAME[@vN]", help="A version; a name is its version with the largest share.")
    ],
    store: StoreOption = Path(),
    as_json: _Json = False,
) -> None:
    """Show a version: what it was made from, its test, the SHA-256 of its files, and what was promoted when."""
    from deployment.inspect.models import model_version, reported_metrics
    from deployment.printing.models import details_to_json, print_model
    from deployment.printing.output import Output
    from featurestore.store import Store

    with Store.open(store) as opened:
        found = model_version(opened, model)
    metrics = reported_metrics(found.model)
    if as_json:
        typer.echo(json.dumps(details_to_json(found, metrics)))
    else:
        print_model(found, metrics, Output())


app.command()(register)


@app.command()
def promote(
    name: _Name,
    versions: Annotated[
        list[str],
        typer.Argument(
            metavar="v2 | v1=0.9 v2=0.1 | newest", help="One version, versions with weights, or always the newest."
        ),
    ],
    store: StoreOption = Path(),
    as_json: _Json = False,
) -> None:
    """Put versions of a model in force. Running servers take them up between two batches; a collection may go on.

    A pinned version stays in force when another one is registered, until the next promotion.
    """
    from base.times import wall_clock
    from featurestore.publish.model_versions import promote as promote_versions
    from featurestore.registry.serving_versions import parse_serving

    _report(name, promote_versions(store, name, parse_serving(name, versions), wall_clock), as_json=as_json)


@app.command()
def rollback(name: _Name, store: StoreOption = Path(), as_json: _Json = False) -> None:
    """Bring back the versions that were in force before the last promotion, or before the newest version took over.

    Repeat it to go further back. It pins: a later registration does not take over until you promote `newest`.
    """
    from base.times import wall_clock
    from featurestore.publish.model_versions import roll_back

    _report(name, roll_back(store, name, wall_clock), as_json=as_json)


@app.command()
def delete(
    model: Annotated[str, typer.Argument(metavar="NAME[@vN]", help="A version, or a name with all of its versions.")],
    store: StoreOption = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: _Json = False,
) -> int:
    """Delete the files of a version that is not in force, or of a whole model. Its number is never given again."""
    import click

    from base.errors import DONE, FAILURE
    from base.times import wall_clock
    from deployment.inspect.models import model_version, model_versions
    from deployment.printing.console import talk_console
    from featurestore.publish.model_versions import delete_models
    from featurestore.store import Store

    talk = talk_console()
    with Store.open(store) as opened:
        found = [model_version(opened, model)] if "@" in model else model_versions(opened, model)
    if "@" in model:
        found[0].history.require_deletable(found[0].model.version)
    try:
        agreed = yes or typer.confirm(
            f"Delete {' '.join(str(one.model) for one in found)}? This cannot be undone", err=True
        )
    except click.exceptions.Abort:  # there is no terminal for the question
        agreed = False
    if not agreed:
        talk.print("nothing was deleted; --yes confirms without a question", style="yellow")
        return FAILURE
    gone = delete_models(store, model, wall_clock)
    if as_json:
        typer.echo(json.dumps({"deleted": gone}))
    else:
        talk.print(f"deleted: {' '.join(gone)}", soft_wrap=True)
    return DONE


def _report(name: str, change: Change, *, as_json: bool) -> None:
    from deployment.printing.console import talk_console
    from featurestore.registry.serving_versions import Newest

    if as_json:
        of = {"before": change.before, "in_force": change.after}
        shares = {key: {f"v{version}": share for version, share in weights.shares} for key, weights in of.items()}
        typer.echo(json.dumps({"name": name, "serving": str(change.serving)} | shares))
        return
    followed = "; a registration takes over" if isinstance(change.serving, Newest) else ""
    talk_console().print(f"{name}: {change.after} is in force{followed}; before: {change.before}", soft_wrap=True)
