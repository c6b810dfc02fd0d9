"""The result of a coordinator's plan or collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from base.errors import DONE, INCOMPLETE, NOTHING_RELEASED, REFUSED
from deployment.coordinator.session import NOTHING_TO_DO
from deployment.coordinator.site_results import SiteOutcome
from federation.plan import Plan

from .console import in_words, pane_ranges, talk_console
from .output import Output
from .tables import Table

_SHOWN: Final = 8
"""Names in one line."""
_MENDS_OF_BATCHES: Final[Mapping[str, str]] = {
    "SIGNATURE_INVALID": "An aggregator's covey.toml has another key for the site: its operator takes the key of site-ID.pub",
    "UNKNOWN_SITE": "An aggregator's covey.toml does not have the site: its operator adds it",
    "ROSTER_EXCEEDED": "Its `max_clients` in an aggregator's covey.toml is too small: the aggregators' operators raise it",
}
"""By an aggregator's reason to refuse a batch: who changes what."""


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
    """Print a table of the views on stdout, and what became of each site and of unopened panes on stderr."""
    talk = talk_console()
    if result == NOTHING_TO_DO:
        talk.print("every pane of these days is published already")
        return
    table = Table("view", "opened", "void", "due")
    for view, counts in result["views"].items():
        table.add_row(view, counts["opened"], counts["void"], counts["due"])
    Output().table(table)
    for line, is_whole in site_lines(result["sites"]):
        talk.print(line, style=None if is_whole else "yellow", soft_wrap=True)
    for view, reports in result["rejected"].items():
        if reports:
            talk.print(f"{view}: {reports:,} report(s) rejected: the proof does not verify", style="yellow")
    for view, panes in result["budget_spent"].items():
        talk.print(f"{view}: no budget left for {pane_ranges(panes)}", style="yellow", soft_wrap=True)
    for view, panes in result["taken"].items():
        talk.print(f"{view}: taken by another plan: {pane_ranges(panes)}", style="yellow", soft_wrap=True)
    for view, panes in result["due"].items():
        why = result["too_few_sites"].get(view) or result["why_due"] or "fewer clients than min_clients"
        talk.print(f"{view}: still due: {pane_ranges(panes)}: {why}", style="yellow", soft_wrap=True)
    if result["due"]:
        talk.print("nothing of these panes was opened: collect them again when the cause is mended")


def site_lines(sites: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """One line for each state and code, and whether these sites answered: who refused and why, was absent, or lost reports."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, one in sites.items():
        groups.setdefault((one["state"], one["code"]), []).append(name)
    for (state, code), names in sorted(groups.items()):
        shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        match SiteOutcome(state):
            case SiteOutcome.ANSWERED:
                yield f"{len(names):,} site(s) answered: {shown}", True
            case SiteOutcome.ABSENT:
                yield (
                    f"{len(names):,} site(s) absent: {shown}: no answer in time. The site's operator starts it with `covey start "
                    "site ID`; its log says why it cannot connect",
                    False,
                )
            case SiteOutcome.REFUSED:
                yield f"{len(names):,} site(s) refused: {shown}: {code}{in_words(code)}", False
            case SiteOutcome.LOST:
                batches = Counter[str]()
                for name in names:
                    batches.update(sites[name]["refused"])
                lost = ", ".join(f"{count:,} batch(es) refused: {reason}" for reason, count in sorted(batches.items()))
                mends = "".join(f". {_MENDS_OF_BATCHES[one]}" for one in sorted(batches) if one in _MENDS_OF_BATCHES)
                yield f"{len(names):,} site(s) lost reports: {shown}: {lost or code}{mends}", False


def exit_code_of(result: dict[str, Any]) -> int:
    """6 if too few sites answered for a view; 0 if a pane was opened or none was due; 4 without budget for any pane; else 3."""
    if result["too_few_sites"]:
        return INCOMPLETE
    if result == NOTHING_TO_DO or any(view["opened"] for view in result["views"].values()):
        return DONE
    if result["why_due"] is not None:
        return INCOMPLETE
    void = sum(view["void"] for view in result["views"].values())
    return (
        REFUSED
        if void and void == sum(map(len, result["budget_spent"].values())) and not result["due"]
        else NOTHING_RELEASED
    )
