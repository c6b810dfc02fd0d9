"""`covey models register`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .store_option import StoreOption

if TYPE_CHECKING:
    from training.serving.kinds.call import CallChoices


def register(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A torch.export program (.pt2), an ONNX file, or trees.json.")
    ],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The name of the model; its next version is made.")
    ],
    features: Annotated[
        str,
        typer.Option("--features", metavar="REF,REF…", help="view:feature, in the order of the model's inputs."),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="NAME", help="A plain column, which requests bring; after the features. Repeat it."
        ),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(
            "--constant", metavar="KEY=VALUE", help="A join key that is the same for all requests. Repeat it."
        ),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=values|mask|se",
            help="What an input of the model gets. Default: mask and se by their names, the only other one the values.",
        ),
    ] = None,
    missing: Annotated[
        str, typer.Option("--missing", metavar="nan|zero", help="How a missing value is written into the values.")
    ] = "nan",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="NAME[:COLUMN]",
            help="The prediction. Default: the only output of floating point, of two columns the last.",
        ),
    ] = None,
    views: Annotated[
        Path | None, typer.Option("--views", metavar="VIEWS.py", help="A file with on-demand views; it is run.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load a model that may run code. Not needed for those of covey train.")
    ] = False,
    store: StoreOption = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Register a model that was trained elsewhere, with the features that it takes. It is run once on zeros.

    Views are pinned at the versions that the store serves now.
    """
    from base.times import wall_clock
    from deployment.inspect.row_keys import constant_keys
    from deployment.printing.console import talk_console
    from featurestore.define.views_file import load_declared
    from featurestore.store import Store
    from training.serving.registration import Registration, register_file

    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    refs = [ref for ref in (part.strip() for part in features.split(",")) if ref]
    choices = _choices(input_ or [], missing, output)
    with Store.open(store, on_demand=on_demand) as opened:
        constants = constant_keys(opened.key_types(refs), constant or [])
    values = {key: value.as_py() for key, value in constants.items()}
    asked = Registration(name, refs, tuple(column or ()), values, choices, views, trust)
    model = register_file(store, file, asked, on_demand, wall_clock)
    shown = {
        "model": str(model),
        "kind": model.lineage["kind"],
        "folder": str(model.folder),
        "call": model.lineage["call"],
    }
    if as_json:
        typer.echo(json.dumps(shown))
    else:
        typer.echo(f"registered as {model}, kind {shown['kind']}")
        talk_console().print(f"its files are in {model.folder}", soft_wrap=True)


def _choices(inputs: list[str], missing: str, output: str | None) -> CallChoices:
    from typing import get_args

    from deployment.errors import UsageError
    from training.serving.kinds.call import CallChoices
    from training.serving.signature import Role

    known: dict[str, Role] = {role: role for role in get_args(Role)}
    roles: dict[str, Role] = {}
    for word in inputs:
        name, _, role = word.rpartition("=")
        if not name or role not in known:
            raise UsageError(f"--input {word} must have the form NAME={'|'.join(known)}")
        roles[name] = known[role]
    match missing:
        case "nan" | "zero":
            return CallChoices(roles, missing, output)
        case _:
            raise UsageError(f"--missing {missing} must be nan or zero")
