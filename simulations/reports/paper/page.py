"""The report as a page: what the experiments gave, section by section. Every number and sentence is made from their points."""

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
"""Characters of a git revision."""


@dataclass(frozen=True)
class Paper:
    """The page, its figures for PNGs, and its sentences."""

    page: Page
    figures: list[Figure]
    readings: list[str]


def paper(name: str, config: ReportConfig, done: Sequence[FinishedItem], made_by: dict[str, Any]) -> Paper:
    """The page of some experiments."""
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
    return Section.of(title, "The rest of the report contains nothing of them.", Failures(why))


def _methods(config: ReportConfig) -> Section:
    parts = [
        "Every experiment runs the code that a deployment runs: sites compute bounded reports, split them into two additive "
        "shares, seal and sign them; leader and helper open, add, draw discrete Gaussian noise each on its own, and only "
        "their sum is opened. Clients and their events are simulated: a heavy tail of activity, days and places. The clear "
        "sums of the same reports stand beside what is released, so an error is what noise alone has done.",
        f"A view is a count, a mean and a rate at each key, per day, opened from {K} clients on. Its price is ρ of zCDP a "
        f"client-day, split over the three, and reported as ε at δ = {number(config.delta)}; the noise is that of both "
        "aggregators, as either one alone has to protect. The relative error is the root mean square error of a day's "
        "values, divided by their mean size.",
    ]
    if config.attacks is not None:
        parts.append(
            f"An attack takes {config.attacks.trials:,} trials in each world against panes of {config.attacks.clients:,} "
            "clients, with its defence on and off; off is exactly one thing, which the table names. A trial is a pane; of "
            f"reconstruction a secret bit, of attribute a cell, and poisoning has a pane for {TRIALS_A_PANE} trials. An attack "
            "counts as a success if its whole interval lies above what somebody has who saw nothing, by its own margin."
        )
    parts.append(
        "Intervals are 95 %: Student's t over repeats with other events and other noise, or the attack's own. Times are CPU "
        "time of the steps, not wall time."
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
    changed = [] if len(revisions) == 1 else ["The experiments were run at more than one revision of the code."]
    return Section.of("Terms", Facts(tuple(pairs)), repeat, *changed)


def _short(revision: str) -> str:
    dirty = " with changes that are not committed" if revision.endswith("+") else ""
    return revision.rstrip("+")[:_SHOWN] + dirty
