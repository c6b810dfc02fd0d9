"""The output of `covey lab run` about the effect of a lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from deployment.printing.output import Output


def print_lie(lie: dict[str, Any], out: Output, talk: Console) -> None:
    """Print a table for each view, and sentences about it on stderr.

    Args:
        lie: as `run.json` keeps it.
    """
    from deployment.printing.tables import Table
    from simulations.attacks.lies.text import COLUMNS, caption, remarks, rows, title

    for why in lie["skipped"].values():
        talk.print(why, style="yellow", soft_wrap=True)
    if not lie["views"]:
        talk.print(
            "no pane has enough honest clients, so nothing is released and the lie has no effect", style="yellow"
        )
    for view in lie["views"]:
        table = Table(*COLUMNS, title=title(lie, view), caption=caption(view), light=True)
        for row in rows(view):
            table.add_row(*row)
        out.table(table)
        for line in remarks(lie, view):
            talk.print(line, soft_wrap=True)
