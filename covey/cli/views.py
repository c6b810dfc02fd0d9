"""`covey views`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .evolution_options import FromOption, OverlapOption, YesOption, timing_of
from .store_option import StoreOption
from .table_options import CsvOption, PlainOption, output_of


def views(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only this view, with all of its versions.")
    ] = None,
    store: StoreOption = Path(),
    feast: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a Feast repository to this directory; its server and SDK read this store (docs/feast.md).",
        ),
    ] = None,
    deprecate: Annotated[
        str | None,
        typer.Option(metavar="vN", help="This version of the view keeps its rows, and gets no new ones."),
    ] = None,
    roll_back: Annotated[
        str | None,
        typer.Option("--roll-back", metavar="vN", help="Apply the definition of this version of the view again."),
    ] = None,
    overlap: OverlapOption = 0,
    start: FromOption = None,
    yes: YesOption = False,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List a store's feature services and views. With NAME: the view's versions, lineage, budget and freshness."""
    from base.times import wall_clock
    from covey.feast_repo import write_repo
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from deployment.printing.views import print_views, view_to_json
    from featurestore.online.blocks import open_blocks
    from featurestore.store import Store

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    if feast is not None:
        if name is not None:
            raise UsageError("--feast writes the definitions of all views; leave out the name")
        written = write_repo(store, feast)
        if as_json:
            typer.echo(json.dumps({"written": [str(path) for path in written]}))
        else:
            talk_console().print(
                f"written: {', '.join(map(str, written))}; next: feast -c {feast} apply", soft_wrap=True
            )
        return
    if deprecate is not None or roll_back is not None:
        if name is None or (deprecate is not None and roll_back is not None):
            raise UsageError(
                "--deprecate and --roll-back change one version of one view: covey views NAME --deprecate vN"
            )
        if deprecate is not None:
            from deployment.project.applying import deprecate_version

            number = _number(deprecate)
            deprecate_version(store, name, number, wall_clock)
            talk_console().print(
                f"deprecated: {name}@v{number}; it keeps its rows, and gets no new ones", soft_wrap=True
            )
        elif roll_back is not None:
            from deployment.inspect.view_versions import definition_of

            from .apply import carry_out

            again = [definition_of(store, name, _number(roll_back))]
            carry_out(store, again, timing_of(start, overlap), yes=yes, as_json=as_json)
        return
    snapshot = open_blocks(store).snapshot
    with Store.open(store) as opened:
        headers = [(view, snapshot.find(view.name).header) for view in opened.views()]
        services = opened.services()
    if name is not None:
        from deployment.inspect.view_versions import read_versions
        from deployment.printing.view_versions import print_versions, versions_to_json

        versions, now = read_versions(store, name), wall_clock()
        if as_json:
            shown = [view_to_json(*one) | versions_to_json(versions, now) for one in headers if one[0].name == name]
            typer.echo(json.dumps({"views": shown, "services": {}}))
        else:
            print_versions(versions, now, out)
    elif as_json:
        listed = {
            "views": [view_to_json(*one) for one in headers],
            "services": {one.name: one.refs for one in services},
        }
        typer.echo(json.dumps(listed))
    else:
        print_views(headers, services, out)


def _number(text: str) -> int:
    """The number of a version, `v2` or `2`."""
    from deployment.errors import UsageError

    digits = text.removeprefix("v")
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"{text!r} is no version; write it as v2")
    return int(digits)
