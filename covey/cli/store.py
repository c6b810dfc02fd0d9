"""`covey store`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import store_copies
from .store_option import StoreOption

if TYPE_CHECKING:
    from featurestore.publish.verify import Mend

app = typer.Typer(
    help="The files of a store or project: verify, back up, restore, migrate and compact them, and rebuild online rows.",
    no_args_is_help=True,
)
app.command("backup")(store_copies.backup)
app.command("restore")(store_copies.restore)
app.command("migrate")(store_copies.migrate)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def verify(store: StoreOption = Path(), as_json: _Json = False) -> int:
    """Check every file: registry, Parquet, online rows and blocks, each alone and against the others.

    Nothing is changed. The command is refused during a publication. Exit code 1: a file is damaged.
    """
    from base.errors import DONE, FAILURE
    from deployment.printing.console import data_console, progress_bars, talk_console
    from featurestore.publish.verify import check_store

    with progress_bars(talk_console()) as bars:
        checked = check_store(store, lambda what, done, total: bars(what, "check", done, total))
    if as_json:
        damaged = [asdict(one) | {"mend": _mend(one.mend)} for one in checked.damaged]
        typer.echo(json.dumps({"files": checked.files, "damaged": damaged}))
    else:
        out = data_console()
        for one in checked.damaged:
            out.print(f"{one.path}: {one.what}; {_mend(one.mend)}", style="red", soft_wrap=True)
        out.print(f"{checked.files:,} files checked, {len(checked.damaged) or 'nothing'} damaged")
    return FAILURE if checked.damaged else DONE


@app.command()
def compact(store: StoreOption = Path(), as_json: _Json = False) -> None:
    """Merge the files of each day into one, let rows leave that are older than `retention`, and free unused space.

    Readers go on, and no value changes. The newest day is left as it is. The command is refused during a publication.
    """
    from deployment.printing.console import data_console, progress_bars, talk_console
    from featurestore.publish.compact import compact as compact_store

    with progress_bars(talk_console()) as bars:
        done = compact_store(store, lambda what, days, total: bars(what, "compact", days, total))
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    data_console().print(
        f"{done.before_bytes:,} bytes before, {done.after_bytes:,} after: {done.merged:,} files merged by day, {done.expired:,} "
        "files left by retention",
        soft_wrap=True,
    )


@app.command("rebuild-online")
def rebuild_online(store: StoreOption = Path(), as_json: _Json = False) -> None:
    """Rebuild the online rows and the blocks from the offline store. Readers continue, and use the new rows immediately."""
    from deployment.printing.console import data_console, progress_bars, talk_console
    from featurestore.publish.rebuild import rebuild_online as rebuild

    with progress_bars(talk_console()) as bars:
        views = rebuild(store, lambda done, total: bars("online rows", "rebuild", done, total))
    if as_json:
        typer.echo(json.dumps({"views": views}))
    elif views:
        data_console().print(
            f"rebuilt the online rows and blocks of {len(views)} view(s): {', '.join(views)}", soft_wrap=True
        )
    else:
        data_console().print("no view is registered, so there are no online rows to rebuild", soft_wrap=True)


def _mend(mend: Mend) -> str:
    from featurestore.publish.verify import Mend

    match mend:
        case Mend.REBUILD:
            return "`covey store rebuild-online` rebuilds it from offline/"
        case Mend.BACKUP | Mend.STRAY:
            return str(mend.value)
