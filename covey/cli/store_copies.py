"""`covey store migrate`, `backup` and `restore`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .store_option import StoreOption

_Ledgers = Annotated[
    Path | None,
    typer.Option(
        "--ledgers",
        metavar="DIR",
        help="The folder of the ledgers, as the roles have it. Default: the project's ledgers/.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def migrate(
    store: StoreOption = Path(),
    ledgers: _Ledgers = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files and their versions.")] = False,
    as_json: _Json = False,
) -> None:
    """Bring the files of an earlier version of Covey to this one: registry, ledgers, and the files of roles and sites.

    Stop the roles and servers first. Each file has its old version or the new one, whatever happens; a repeat goes on. The
    newest rows are made again.
    """
    from deployment.migration import found_files
    from deployment.migration import migrate as migrate_now
    from deployment.printing.console import data_console

    found = found_files(store, ledgers)
    older = [one for one in found if one.have < one.need]
    if not dry_run:
        older = migrate_now(store, ledgers)
    if as_json:
        typer.echo(
            json.dumps({"migrated": not dry_run, "files": [asdict(one) for one in (found if dry_run else older)]})
        )
        return
    out, verb = data_console(), "has" if dry_run else "is migrated from"
    for one in older:
        out.print(f"{one.path} {verb} format {one.have}; this version uses {one.need}", soft_wrap=True)
    if not older:
        out.print(f"every file has the formats of this version: {len(found)} file(s)", soft_wrap=True)


def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The folder of the backup, new or empty.")],
    store: StoreOption = Path(),
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Also copy the secret keys of the roles. Then encrypt the backup.")
    ] = False,
    previous: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An earlier backup: files of the same content are linked, not copied."),
    ] = None,
    ledgers: _Ledgers = None,
    as_json: _Json = False,
) -> None:
    """Copy a project or store while everything runs: store, ledgers, plans, settings; never live secrets or events.

    The secret keys are copied only with --with-keys. The list of files and their SHA-256 is written last.
    """
    from base.times import wall_clock
    from deployment.backup.back_up import back_up
    from deployment.printing.console import data_console, progress_bars, talk_console

    with progress_bars(talk_console()) as bars:
        manifest, linked = back_up(
            store,
            target,
            wall_clock,
            with_keys=with_keys,
            previous=previous,
            ledgers=ledgers,
            progress=lambda done, total: bars("store", "copy", done, total),
        )
    files = len(manifest.files)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "made_at": manifest.made_at,
                    "files": files,
                    "bytes": manifest.bytes,
                    "linked": linked,
                    "keys": with_keys,
                }
            )
        )
        return
    keys = (
        "with the secret keys: encrypt it"
        if with_keys
        else "without the secret keys: keep a copy of keys/ elsewhere (--with-keys copies them)"
    )
    data_console().print(
        f"{target}: {files:,} files, {manifest.bytes:,} bytes, {linked:,} linked to the previous backup; {keys}",
        soft_wrap=True,
    )


def restore(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The folder of the backup.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to restore into, new or empty.")],
    as_json: _Json = False,
) -> None:
    """Restore a backup into an empty folder: verify each file, copy it, make the newest rows, verify the store.

    A damaged or incomplete backup is refused, and nothing is written. A ledger that is older than what was collected since is
    behind: rebuild it before a role starts.
    """
    from deployment.backup.restore import restore as restore_now
    from deployment.printing.console import data_console, progress_bars, talk_console

    with progress_bars(talk_console()) as bars:
        made = restore_now(source, to, lambda what, done, total: bars(what, "restore", done, total))
    manifest = made.manifest
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "made_at": manifest.made_at,
                    "files": len(manifest.files),
                    "bytes": manifest.bytes,
                    "keys": manifest.with_keys,
                    "ledgers": made.entries,
                    "migrated": made.migrated,
                    "online_elsewhere": made.online_elsewhere,
                }
            )
        )
        return
    out = data_console()
    out.print(
        f"{to}: {len(manifest.files):,} files of the backup of {manifest.made_at}, nothing damaged", soft_wrap=True
    )
    if made.entries:
        out.print(
            f"ledgers: {', '.join(f'{owner} with {count:,} entries' for owner, count in made.entries.items())}. If anything was "
            f"collected since, they are behind: `covey ledger rebuild --force --project {to}`, before any role starts",
            soft_wrap=True,
        )
    if not manifest.with_keys:
        out.print(f"secret keys are not in this backup: put your copy of keys/ into {to}", soft_wrap=True)
    if made.online_elsewhere is not None:
        out.print(
            f"the newest rows at {made.online_elsewhere} were not touched: `covey store rebuild-online --store {to}` makes them "
            "there",
            soft_wrap=True,
        )
