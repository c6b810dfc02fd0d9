"""The report as a page. Every number and sentence comes from the points of the experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulations.attacks.poisoning import TRIALS_A_PANE
from simulations.reports.numbered import Numbered
from simulations.reports.page import Facts, Failure, Failures, Figure, Items, Page, Section
from simulations.reports.texts import number

from . import accuracy, attacks, costs
from .config import ReportConfig
from .items import FinishedItem
from .running import K

_SECTIONS: Final = (accuracy.utility, attacks.attacks, accuracy.clients, costs.costs)
_SHOWN: Final = 12
"""Characters of a git revision that are shown."""


@dataclass(frozen=True)
class Paper:
    """A page, its figures for PNGs, and its main results as sentences."""

    page: Page
    figures: list[Figure]
    readings: list[str]


def paper(name: str, config: ReportConfig, done: Sequence[FinishedItem], made_by: dict[str, Any]) -> Paper:
    """Make the page of finished experiments."""
    numbered, parts, readings = Numbered(), [], []
    for write in _SECTIONS:
        if (part := write(done, numbered)) is not None:
            parts.append(part.section)
            readings += part.readings
    failed = [one for one in done if one.error is not None]
    failures = () if not failed else (_failures(failed),)
    found = Section.of("In short", Items(tuple(readings)))
    sections = (*failures, found, _methods(config), *parts, _terms(name, config, done, made_by))
    return Paper(Page(config.title, sections), numbered.figures, readings)


def _failures(failed: Sequence[FinishedItem]) -> Section:
    why = tuple(Failure(one.item.name, str(one.error)) for one in failed)
    title = f"{len(failed)} experiment(s) failed"
    return Section.of(title, "The rest of the report leaves them out.", Failures(why))


def _methods(config: ReportConfig) -> Section:
    parts = [
        "Every experiment runs the code that a deployment runs. Sites compute bounded reports, split them into two additive "
        "shares, seal and sign them. Leader and helper unseal and add the shares, and each draws its own discrete Gaussian "
        "noise. Only the noised sum is opened. Clients and their events are simulated, with heavy-tailed activity, hours of "
        "the day and places. Errors compare the released values with the exact sums of the same reports, so they come from "
        "noise alone.",
        f"The view has a count, a mean and a rate for each key and day. A pane is opened if at least {K} clients report. A "
        f"client-day costs ρ (zCDP), split over the three features; the report shows it as ε at δ = {number(config.delta)}. "
        "Each aggregator adds the full noise, because the noise of one alone has to protect, so values carry the noise of "
        "both. The relative error is the root mean square error of the values of a day, divided by their mean size.",
    ]
    if config.attacks is not None:
        parts.append(
            f"An attack runs {config.attacks.trials:,} trials in each world, against panes of {config.attacks.clients:,} "
            "clients, with its defence on and off. Off means exactly one change, which the table names. A trial is a pane; for "
            f"reconstruction it is a secret bit, for attribute a cell, and poisoning uses a pane for {TRIALS_A_PANE} trials. An "
            "attack succeeds if its whole interval lies above the baseline (an adversary that observes nothing) plus the margin "
            "of the attack."
        )
    parts.append(
        "Intervals are 95 %: Student's t over repeats with other events and other noise, or the interval of the attack. Times "
        "are CPU time of the steps, not wall time."
    )
    return Section.of("Methods", *parts)


def _terms(name: str, config: ReportConfig, done: Sequence[FinishedItem], made_by: dict[str, Any]) -> Section:
    revisions = sorted({one.revision or "no clone" for one in done})
    pairs = [
        ("command", f"covey lab report {name}"),
        ("seed", number(config.seed)),
        ("code", ", ".join(_short(revision) for revision in revisions)),
        ("versions", ", ".join(f"{package} {version}" for package, version in made_by["versions"].items())),
        (
            "machine",
            f"{made_by['machine']['cores']} cores, {made_by['machine']['kind']}, load {made_by['machine']['load']}",
        ),
        ("experiments", f"{len(done)}, {number(round(sum(one.seconds for one in done)))} seconds"),
    ]
    repeat = "The same command with the same seed gives the same values; times differ."
    changed = [] if len(revisions) == 1 else ["The experiments ran with more than one revision of the code."]
    return Section.of("Terms", Facts(tuple(pairs)), repeat, *changed)


def _short(revision: str) -> str:
    dirty = " with changes that are not committed" if revision.endswith("+") else ""
    return revision.rstrip("+")[:_SHOWN] + dirty
