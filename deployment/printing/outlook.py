"""What a coordinator would do now: for people, and as JSON."""

from __future__ import annotations

from typing import Any

from base.times import utc_text
from deployment.scheduler.outlook import Outlook

from .console import pane_ranges, talk_console
from .output import Output
from .tables import Table


def print_outlook(outlook: Outlook) -> None:
    """Print a table of the views on stdout, and the kept plan on stderr."""
    table = Table("view", "would be collected now", "tried again later", "attempted too often", "next pane closes")
    for one in outlook.views:
        view, when = one.collected, "never" if one.next_us is None else utc_text(one.next_us)
        panes = (pane_ranges(found) or "–" for found in (one.ready, one.pausing, one.exhausted))
        table.add_row(f"{view.view.name}@v{view.version}", *panes, when)
    Output().table(table)
    if outlook.unfinished_until is not None:
        talk_console().print(
            f"first, the plan that is not finished would go on; its deadline is {utc_text(outlook.unfinished_until)}",
            soft_wrap=True,
        )


def outlook_to_json(outlook: Outlook) -> dict[str, Any]:
    """The same for programs."""
    until, views = outlook.unfinished_until, dict[str, dict[str, Any]]()
    for one in outlook.views:  # a version that was rolled back to has two times
        name = f"{one.collected.view.name}@v{one.collected.version}"
        shown = views.setdefault(name, {"due": [], "later": [], "exhausted": [], "next_at": None})
        for key, panes in (("due", one.ready), ("later", one.pausing), ("exhausted", one.exhausted)):
            shown[key] += map(utc_text, panes)
        shown["next_at"] = shown["next_at"] or (None if one.next_us is None else utc_text(one.next_us))
    return {"unfinished_until": None if until is None else utc_text(until), "views": views}
