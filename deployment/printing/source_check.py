"""What a site understands of its source, for the person who runs the site."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edge_client.sources.check import ColumnCheck, SourceCheck

from .output import Output, printable
from .tables import Cell, Table


def check_to_json(found: SourceCheck) -> dict[str, Any]:
    """The check as JSON."""
    return asdict(found) | {"usable": found.usable}


def print_source_check(found: SourceCheck, out: Output) -> None:
    """Print the parts, the columns, the times, the clients, the bad records, and the views."""
    out.facts(
        [
            ("source", f"{found.url} ({found.kind})"),
            *(("", printable(part)) for part in found.parts),
            ("sample", f"{found.rows:,} events"),
            *_times(found),
            *_clients(found),
            *(("bad", f"{count:,} record(s): {reason}") for reason, count in found.bad.items()),
            *(("", printable(example)) for example in found.bad_examples),
        ]
    )
    table = Table("column", "in the source", "found", "read as", "missing", "unfit", "examples")
    for one in found.columns:
        table.add_row(*_row(one))
    out.table(table)
    for problem in found.problems:
        out.print(f"problem: {printable(problem)}", style="red")
    for view, why in found.views.items():
        answer = "can be answered" if why is None else printable(why)
        out.print(f"view {view}: {answer}", style=None if why is None else "red")


def _row(one: ColumnCheck) -> tuple[Cell | str, ...]:
    return (
        printable(one.name),
        printable(one.origin),
        one.found or "not there",
        one.read or "as its use demands",
        Cell(f"{one.missing:.1%}", one.missing),
        Cell(f"{one.unfit:.1%}", one.unfit),
        Cell(printable(", ".join(one.examples)), list(one.examples)),
    )


def _times(found: SourceCheck) -> list[tuple[str, str]]:
    times = found.times
    if times is None:
        return []
    span = "no time can be read" if times.earliest is None else f"{times.earliest} to {times.latest} (UTC)"
    more = [f"{times.unreadable:,} without a time"] if times.unreadable else []
    more += [f"{times.future:,} after this machine's clock"] if times.future else []
    return [("times", ", ".join([span, *more]))]


def _clients(found: SourceCheck) -> list[tuple[str, str]]:
    if found.clients is None:
        return []
    without = f", {found.without_client:,} events without one" if found.without_client else ""
    return [("clients", f"{found.clients:,} different ones{without}")]
