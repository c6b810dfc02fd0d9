"""The result of a coordinator's plan or collection."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from base.errors import DONE, NOTHING_RELEASED, REFUSED
from deployment.coordinator.serving import NOTHING_TO_DO
from federation.plan import Plan

from .console import data_console, folding_table, in_words, pane_ranges, talk_console


def print_plan(plan: Plan | None, path: Path) -> None:
    """Print the path of a signed plan that is not announced."""
    if plan is None:
        talk_console().print("every pane of these days is published already: there is nothing to plan")
        return
    talk_console().print(
        f"{path}: plan {plan.hash.hex()[:16]}…, signed and not announced; a site's operator checks it with "
        f"`covey policy check {path}`",
        soft_wrap=True,
    )


def plan_to_json(plan: Plan | None, path: Path) -> dict[str, str | None]:
    """The output of `print_plan` as JSON."""
    return {"path": None if plan is None else str(path), "plan": None if plan is None else plan.hash.hex()}


def print_collection(result: dict[str, Any]) -> None:
    """Print a table of the views on stdout, and answers, refusals and rejections on stderr."""
    talk = talk_console()
    if result == NOTHING_TO_DO:
        talk.print("every pane of these days is published already")
        return
    table = folding_table("view", "opened", "void")
    for view, counts in result["views"].items():
        table.add_row(view, f"{counts['opened']:,}", f"{counts['void']:,}")
    data_console().print(table)
    for code, sites in Counter(result["answers"].values()).items():
        style = None if code == "OK" else "yellow"
        talk.print(f"{code}: {sites:,} site(s){in_words(code)}", style=style, soft_wrap=True)
    for reason, batches in result["refused"].items():
        talk.print(f"{batches:,} batch(es) refused: {reason}", style="yellow", soft_wrap=True)
    for view, reports in result["rejected"].items():
        if reports:
            talk.print(f"{view}: {reports:,} report(s) rejected: the proof does not verify", style="yellow")
    for view, panes in result["budget_spent"].items():
        talk.print(f"{view}: no budget left for {pane_ranges(panes)}", style="yellow", soft_wrap=True)


def exit_code_of(result: dict[str, Any]) -> int:
    """0 if a pane was opened or none was due, 4 if no budget was left for any, else 3."""
    if result == NOTHING_TO_DO or any(view["opened"] for view in result["views"].values()):
        return DONE
    spent = sum(map(len, result["budget_spent"].values()))
    return REFUSED if spent == sum(view["void"] for view in result["views"].values()) else NOTHING_RELEASED
