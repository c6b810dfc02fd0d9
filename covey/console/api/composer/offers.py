"""What the composer offers: the palette of nodes, and the columns of sources."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter

from base.errors import CoveyError
from covey.console.api.form import Form
from covey.console.console import Console
from deployment.project.fleet import SITES
from deployment.view_source import palette as parts
from edge_client.site_config import site_files, source_in
from edge_client.sources.source_columns import SourceColumn, columns_of_files, columns_of_source

MAX_SITES: Final = 50
"""Sites whose columns are read, in order of name."""


class Source(Form):
    """The events of the console, or of a site of its project: columns and their types, never a row.

    Attributes:
        client, time, site: the columns that have these; empty: there is none.
        why_not: why its columns are not known; else empty.
    """

    id: str
    name: str
    columns: tuple[SourceColumn, ...]
    client: str
    time: str
    site: str
    why_not: str


class Sources(Form):
    """All sources that are known here. `collects`: the id of the one that runs of the console collect over; empty: none."""

    sources: tuple[Source, ...]
    collects: str


def add_routes(router: APIRouter, console: Console) -> None:
    """Add the routes of the palette and of the sources."""

    @router.get("/palette", operation_id="getPalette")
    def get_palette() -> parts.Palette:
        """Every type of node, with its fields."""
        return parts.palette()

    @router.get("/sources", operation_id="getSources")
    def get_sources() -> Sources:
        """The columns of the console's events, and of the sites in the project's folder."""
        own = _own(console)
        return Sources(sources=(*own, *_of_sites(console)), collects=own[0].id if own else "")


def _own(console: Console) -> tuple[Source, ...]:
    given = console.inputs.source
    if given is None:
        return ()
    found: tuple[SourceColumn, ...] = ()
    why_not = ""
    try:
        found = columns_of_files(Path(given.path))
    except CoveyError as error:
        why_not = error.logged
    return (
        Source(
            id="events",
            name=Path(given.path).name,
            columns=found,
            client=given.client_column,
            time=given.time_column,
            site=given.site_column or "",
            why_not=why_not,
        ),
    )


def _of_sites(console: Console) -> tuple[Source, ...]:
    return tuple(_of_site(path) for path in site_files(console.directory / SITES)[:MAX_SITES])


def _of_site(path: Path) -> Source:
    """A site's source. An error says only what its operator's log may have: it quotes no value of an event."""
    client = time = why_not = ""
    found: tuple[SourceColumn, ...] = ()
    try:
        source = source_in(path)
        client, time = source.client, source.time
        found = columns_of_source(source)
    except CoveyError as error:
        why_not = error.logged
    return Source(
        id=f"site-{path.stem}",
        name=f"site {path.stem}",
        columns=found,
        client=client,
        time=time,
        site="",
        why_not=why_not,
    )
