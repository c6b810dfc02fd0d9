"""The output of `covey lab run` about the effect of a lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def print_lie(lie: dict[str, Any], talk: Console) -> None:
    """Print a table for each view, and sentences about it on stderr.

    Args:
        lie: as `run.json` keeps it.
    """
    from rich.box import SIMPLE_HEAD

    from deployment.printing.console import data_console, folding_table
    from simulations.attacks.lies.text import COLUMNS, caption, remarks, rows, title

    for why in lie["skipped"].values():
        talk.print(why, style="yellow", soft_wrap=True)
    if not lie["views"]:
        talk.print(
            "no pane has enough honest clients, so nothing is released and the lie has no effect", style="yellow"
        )
    for view in lie["views"]:
        table = folding_table(*COLUMNS, title=title(lie, view))
        table.box, table.show_edge, table.pad_edge, table.padding = SIMPLE_HEAD, False, False, (0, 1, 0, 0)
        table.title_justify = table.caption_justify = "left"
        for row in rows(view):
            table.add_row(*row)
        table.caption = caption(view)
        data_console().print(table)
        for line in remarks(lie, view):
            talk.print(line, soft_wrap=True)
