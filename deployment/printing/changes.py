"""What `covey apply` would do, as sentences and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, assert_never

from rich.console import Console

from base.times import utc_text
from deployment.project.evolution import DayBudget, Evolution, FeatureHistory, FirstVersion, ViewDiff
from featurestore.define.changes import Annotated, NewCollection, Recomputed, Unchanged
from featurestore.define.epsilon import rounded_up
from federation.rho import rho_text

from .output import Output

if TYPE_CHECKING:
    from deployment.project.applying import Outcome


def kind_of(diff: ViewDiff) -> str:
    """The kind of a change, as JSON names it."""
    if diff.is_roll_back:
        return "roll back"
    match diff.change:
        case FirstVersion():
            return "first version"
        case Unchanged():
            return "nothing"
        case Annotated():
            return "schema only, in place"
        case Recomputed():
            return "schema only"
        case NewCollection():
            return "new collection"
        case _:
            assert_never(diff.change)


def evolution_to_json(evolution: Evolution) -> dict[str, Any]:
    """What would happen to each view of a file. Times are ISO 8601, ρ is in millionths."""
    return {
        "views": [_to_json(one) for one in evolution.views],
        "left_alone": list(evolution.left_alone),
        "budget_micro_rho": evolution.budget.micro_rho,
        "quotas": dict(evolution.budget.quotas),
    }


def _to_json(diff: ViewDiff) -> dict[str, Any]:
    return {
        "view": diff.view.name,
        "change": kind_of(diff),
        "version": diff.version,
        "before": diff.before,
        "changes": [{"field": one.field, "old": one.old, "new": one.new} for one in diff.change.changes],
        "from": None if diff.from_us is None else utc_text(diff.from_us),
        "until": None if diff.until_us is None else utc_text(diff.until_us),
        "micro_rho": diff.micro_rho,
        "delta": diff.view.privacy.delta,
        "epsilon": asdict(diff.claim),
        "budget": [
            {"from": utc_text(one.from_us), "micro_rho": one.cost, "left_micro_rho": one.left} for one in diff.budget
        ],
        "features": {one.feature: {"keeps_history": one.is_kept, "why": list(one.why)} for one in diff.features},
        "breaks": list(diff.breaks),
    }


def print_evolution(evolution: Evolution, out: Output) -> None:
    """Print what would happen, view by view."""
    for diff in evolution.views:
        out.print(f"{diff.view.name}: {kind_of(diff)}", style="bold")
        facts = [("", text) for text in _steps(diff)]
        facts += [("changed", str(one)) for one in diff.change.changes]
        if diff.collects:
            facts += [("price", _price(diff))]
            facts += [("budget", text) for text in _budget(diff, evolution)]
        if isinstance(diff.change, NewCollection):
            facts += [("history", text) for text in _history(diff.features)]
        facts += [("breaks", f"feature service {one} has no such feature any more") for one in diff.breaks]
        named = [(name if at == 0 or facts[at - 1][0] != name else "", text) for at, (name, text) in enumerate(facts)]
        out.facts([(f"  {name:7}", text) for name, text in named])
    if evolution.left_alone:
        out.print(f"not in the file, and left alone: {', '.join(evolution.left_alone)}")


def _steps(diff: ViewDiff) -> list[str]:
    """The version, and when it takes over."""
    name, mine = diff.view.name, f"{diff.view.name}@v{diff.version}"
    match diff.change:
        case FirstVersion():
            return [f"{mine} is registered, and its panes are collected"]
        case Unchanged():
            return []
        case Annotated():
            return [f"{mine} keeps its number; nothing is collected, and nothing is charged"]
        case Recomputed() | NewCollection():
            pass
        case _:
            assert_never(diff.change)
    before = f"{name}@v{diff.before}"
    if diff.version == diff.before:
        return [f"{mine} has published nothing, and takes the definition in its place"]
    lines = [f"{mine} is current again"] if diff.is_roll_back else []
    if isinstance(diff.change, Recomputed):
        lines.append(f"{mine} is computed from the panes of {before}; nothing is collected, and nothing is charged")
        when = "at once" if diff.is_served else "with the first release of its collection"
        lines.append(f"{name} moves to {mine} {when}; {before} is served on")
    elif diff.from_us is not None:
        lines.append(f"{mine} is collected from {utc_text(diff.from_us)} on")
        if diff.until_us is not None and diff.until_us > diff.from_us:
            lines.append(f"the collection before ends {utc_text(diff.until_us)}: days of both are charged for both")
        if diff.is_served:
            lines.append(f"{name} is {mine} already")
        else:
            lines.append(f"{name} moves to {mine} with its first release; {before} is served on")
    return lines


def _price(diff: ViewDiff) -> str:
    """The price of a client-day, as `covey explain` says it."""
    claim = diff.claim
    if claim.pure is not None:
        return f"ρ = {rho_text(diff.micro_rho)} a client-day: ε ≤ {rounded_up(claim.pure)} without δ"
    return (
        f"ρ = {rho_text(diff.micro_rho)} a client-day: ε ≤ {rounded_up(claim.outsiders)} against outsiders and "
        f"{rounded_up(claim.aggregator)} against an aggregator, at δ = {diff.view.privacy.delta:g}"
    )


def _budget(diff: ViewDiff, evolution: Evolution) -> list[str]:
    """What is left of a client-day's budget now, while both collections run, and afterwards."""
    first, *later = diff.budget
    whole = f"of ρ = {rho_text(evolution.budget.micro_rho)} a client-day ({evolution.budget_from})"
    lines = [f"{_left(first)} {whole} {'now' if later else 'if this is applied'}"]
    for at, one in enumerate(later):
        shared = " while both versions are collected, and both are charged" if at + 1 < len(later) else ""
        lines.append(f"{_left(one)} from {utc_text(one.from_us)[:10]} on{shared}")
    if any(one.left < 0 for one in diff.budget):
        lines.append("a day without budget is published void: lower ρ, or raise `budget` in covey.toml")
    if len(later) > 1:
        lines.append("sites answer both versions only with overlap = true in their policy.toml")
    return lines


def _left(day: DayBudget) -> str:
    return f"{rho_text(day.left)} left" if day.left >= 0 else f"{rho_text(-day.left)} too little"


def _history(features: tuple[FeatureHistory, ...]) -> list[str]:
    """Which features keep their history, and which begin anew and why."""
    lines = []
    if kept := [one.feature for one in features if one.is_kept]:
        lines.append(f"goes on: {', '.join(kept)}")
    if new := [one.feature for one in features if one.is_new]:
        lines.append(f"is new: {', '.join(new)}")
    causes: dict[tuple[str, ...], list[str]] = {}
    for one in features:
        if not one.is_kept and not one.is_new:
            causes.setdefault(one.why, []).append(one.feature)
    lines += [f"begins anew: {', '.join(names)} ({', '.join(why)})" for why, names in causes.items()]
    return lines


def outcome_to_json(done: Outcome) -> dict[str, Any]:
    """The version that has the definition of each view now, and the feature services that wait for a version."""
    return {
        "applied": {one.registered.view.name: one.registered.version for one in done.applied},
        "waiting_services": [one.name for one in done.waiting],
    }


def print_outcome(done: Outcome, talk: Console) -> None:
    """Say which versions the definitions became, and what is left to do."""
    names = ", ".join(one.registered.name for one in done.applied if one.change is None or one.change.changes)
    talk.print(f"applied: {names}" if names else "nothing to apply: the store has these definitions", soft_wrap=True)
    if done.waiting:
        named = ", ".join(one.name for one in done.waiting)
        talk.print(
            f"feature services that name a feature of a version without a release: {named}; apply the file again after its first "
            "release",
            soft_wrap=True,
        )
