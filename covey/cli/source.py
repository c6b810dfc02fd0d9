"""`covey source`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .events_option import ClientColumnOption, TimeColumnOption, both_columns
from .project_option import ProjectOption
from .table_options import PlainOption, output_of

if TYPE_CHECKING:
    from edge_client.event_log.log import EventLog
    from edge_client.sources.source import Source
    from featurestore.define.definitions import FeatureView

app = typer.Typer(help="The source of a site's events: check it, and look at its event log.", no_args_is_help=True)

_Site = Annotated[str | None, typer.Option("--site", metavar="ID", help="The site, if the project has several here.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SAMPLE = 1_000


@app.command()
def check(
    project: ProjectOption = Path(),
    site: _Site = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A source that no site's file names yet; with --client-column and --time-column."
        ),
    ] = None,
    client_column: ClientColumnOption = None,
    time_column: TimeColumnOption = None,
    views: Annotated[
        Path | None,
        typer.Option(metavar="VIEWS.py", help="The views to check. Default: those that the project's store has."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="Events of the sample.")] = _SAMPLE,
    no_values: Annotated[
        bool, typer.Option("--no-values", help="Show no value of an event but the earliest and the latest time.")
    ] = False,
    plain: PlainOption = False,
    as_json: _Json = False,
) -> int:
    """Read a sample of a source here, and say what the site understands. Nothing is sent, and no position of a stream moves.

    It shows the type and the examples of each column, the times, the number of clients, and whether each view can be answered.

    Exit code: 0 if the site could answer, 1 if it could not.
    """
    from base.errors import DONE, FAILURE
    from deployment.printing.source_check import check_to_json, print_source_check
    from edge_client.sources.check import check_source
    from edge_client.sources.surroundings import Surroundings

    out = output_of(plain=plain, csv=False, as_json=as_json)
    name, chosen = _source(project, site, source, client_column, time_column)
    found = check_source(chosen, _views(project, views), Surroundings(name), rows, values=not no_values)
    if as_json:
        typer.echo(json.dumps(check_to_json(found)))
    else:
        print_source_check(found, out)
    return DONE if found.usable else FAILURE


@app.command()
def show(project: ProjectOption = Path(), site: _Site = None, as_json: _Json = False) -> None:
    """Show what the event log of a site has: its counts, size, and how far the stream was read."""
    from contextlib import closing
    from dataclasses import asdict

    from base.times import utc_text
    from deployment.printing.output import Output, printable

    with closing(_log(project, site)) as log:
        counts = log.counts()
        positions = {name: value.decode(errors="replace") for name, value in log.positions().items()}
        path = str(log.path)
    oldest, life, bounds = None if counts.oldest_us is None else utc_text(counts.oldest_us), counts.life, counts.bounds
    if as_json:
        state = {"held": counts.held, "bytes": counts.bytes, "size": bounds.size, "days": bounds.days, "oldest": oldest}
        typer.echo(json.dumps({"log": path, **asdict(life), **state, "positions": positions}))
        return
    dropped = f"{life.duplicates:,} duplicates; {life.bad:,} bad records; {life.lost:,} lost before they were read"
    Output().facts(
        [
            ("log", f"{path}: {counts.bytes:,} bytes of at most {bounds.size:,}, events of {bounds.days} days"),
            ("events", f"{counts.held:,} here, of {life.kept:,} kept; {life.expired:,} expired"),
            ("oldest", oldest or "none"),
            ("dropped", dropped),
            ("future", f"{life.future:,} after this machine's clock"),
            *(("position", printable(f"{name}: {value}")) for name, value in positions.items()),
        ]
    )


@app.command()
def bad(
    project: ProjectOption = Path(),
    site: _Site = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The most records.")] = 20,
    plain: PlainOption = False,
    as_json: _Json = False,
) -> None:
    """Show the newest records that could not be understood, with the reason and the place of each."""
    from contextlib import closing

    from deployment.printing.output import printable
    from deployment.printing.tables import Table

    out = output_of(plain=plain, csv=False, as_json=as_json)
    with closing(_log(project, site)) as log:
        found = [(one.reason.value, one.where, one.raw.decode(errors="backslashreplace")) for one in log.bad(limit)]
    if as_json:
        typer.echo(json.dumps([dict(zip(("reason", "where", "content"), one, strict=True)) for one in found]))
        return
    table = Table("reason", "where", "content")
    for reason, where, content in found:
        table.add_row(reason, printable(where), printable(content))
    out.table(table)


@app.command("new-key")
def new_key(file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")]) -> None:
    """Make the key that encrypts an event log, as a private file. Without this file the log cannot be read."""
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from edge_client.event_log.sealing import new_log_key

    try:
        new_log_key(file)
    except FileExistsError:
        raise UsageError(f"{file} is there already; a key is never overwritten") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be made: {error.strerror}") from None
    talk_console().print(
        f"{file} has a new key. Name it in the site's file, key_file of [source.log], before the log is made",
        soft_wrap=True,
    )


def _site_file(project: Path, site: str | None) -> Path:
    """The file of the site, or of the only site here. Raises UsageError."""
    from deployment.errors import UsageError
    from deployment.project.fleet import SITES
    from edge_client.site_config import site_files

    if site is not None:
        return project / SITES / f"{site}.toml"
    here = site_files(project / SITES)
    if len(here) != 1:
        names = ", ".join(path.stem for path in here[:4]) or "none"
        raise UsageError(f"{project / SITES} has {len(here)} sites ({names}); name one", settings=("site",))
    return here[0]


def _source(
    project: Path, site: str | None, url: str | None, client_column: str | None, time_column: str | None
) -> tuple[str, Source]:
    """The site's id and its source, or the source of a URL."""
    from base.config import checked
    from deployment.errors import UsageError
    from edge_client.site_config import source_in
    from edge_client.sources.entries import SourceEntries
    from edge_client.sources.parsing import source_of

    if url is None:
        path = _site_file(project, site)
        return path.stem, source_in(path)
    if site is not None:
        raise UsageError("--source names a source that no site's file names; leave out --site")
    client, time = both_columns(client_column, time_column, "--source")
    here = Path("--source")
    entries = checked(SourceEntries, {"url": url, "client": client, "time": time}, here)
    return "site", source_of(entries, here)


def _views(project: Path, views: Path | None) -> tuple[FeatureView, ...]:
    """The views of a file, or those that the project's store has."""
    from featurestore.define.views_file import load_views
    from featurestore.online.settings import store_path

    if views is not None:
        return load_views(views)
    if not (store_path(project) / "registry.db").is_file():
        return ()
    from deployment.scheduler.registered_views import registered

    return tuple(one.view for one in registered(project))


def _log(project: Path, site: str | None) -> EventLog:
    """The event log of a site. Raises UsageError: its source has none."""
    from deployment.errors import UsageError
    from edge_client.event_log.log import EventLog
    from edge_client.site_config import source_in
    from edge_client.sources.source import KafkaSource, LogSource, MqttSource

    path = _site_file(project, site)
    match source_in(path):
        case LogSource(path=log, key=key):
            return EventLog.existing(log, key=key)
        case KafkaSource(log=settings) | MqttSource(log=settings):
            return EventLog.existing(settings.path, key=settings.key)
        case source:
            raise UsageError(f"the source of {path} has no event log: {source.url}")
