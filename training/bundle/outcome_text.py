"""The outcomes of a deployment's steps, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from training.fit.config import TrainConfig

from .deploy import STEPS, StepOutcome
from .step import LeftOut, Run, Skip

_WIDTH = max(map(len, STEPS))


def outcome_line(outcome: StepOutcome, *, dry_run: bool) -> str:
    """One line: the step, whether it runs, and why."""
    match outcome.verdict:
        case Skip(why):
            did = "skipped"
        case LeftOut(why):
            did = "left out"
        case Run(why):
            did = "would run" if dry_run else "done"
        case _:
            assert_never(outcome.verdict)
    result = "" if outcome.said is None else f"\n{'':{_WIDTH}}  {outcome.said}"
    return f"{outcome.name:{_WIDTH}}  {did} ({why}){result}"


def outcomes_to_json(config: TrainConfig, outcomes: Sequence[StepOutcome], *, dry_run: bool) -> dict[str, Any]:
    """The same for programs; `did` is run, skip or left_out."""
    steps = []
    for outcome in outcomes:
        match outcome.verdict:
            case Skip(why):
                did = "skip"
            case LeftOut(why):
                did = "left_out"
            case Run(why):
                did = "run"
            case _:
                assert_never(outcome.verdict)
        steps.append({"step": outcome.name, "did": did, "why": why, "result": outcome.said})
    return {"model": config.name, "dry_run": dry_run, "steps": steps}
