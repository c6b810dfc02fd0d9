"""Deploy a bundle: collect, train, register, promote, serve. Each step runs if its inputs have changed, or its output is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from base.times import SECOND_US, utc_text, wall_clock
from featurestore.errors import StoreNotFound
from featurestore.online.settings import store_path
from training.fit.config import TrainConfig
from training.fit.train import require_no_code

from .collect import COLLECT, CollectStep
from .lock import deploying
from .promote import PROMOTE, PromoteStep
from .record import BundleRecord, StepRecord
from .register import REGISTER, RegisterStep
from .serve import SERVE, ServeStep
from .step import LeftOut, Progress, Run, Skip, Step, Verdict, judge
from .train_step import TRAIN, TrainStep

STEPS: Final = (COLLECT, TRAIN, REGISTER, PROMOTE, SERVE)


@dataclass(frozen=True)
class StepOutcome:
    """What became of a step.

    Attributes:
        said: the result in one line; None: there is none.
    """

    name: str
    verdict: Verdict
    said: str | None = None


@dataclass(frozen=True)
class Watch:
    """Who is told how a deployment goes on.

    Attributes:
        progress: called within a step, with (name, step, done, total).
        outcome: called after each step.
    """

    progress: Progress = lambda *_: None
    outcome: Callable[[StepOutcome], None] = lambda _: None


def deploy(config: TrainConfig, watch: Watch, *, trust: bool) -> list[StepOutcome]:
    """Do the steps of a bundle that are due. After an interruption, the next call goes on with the same step.

    Args:
        trust: run the Python files that the configuration names, and serve models that may run code.

    Raises:
        CodeUntrusted, StoreNotFound, DeployUnderWay, BundleRecordBroken. And what the steps raise.
    """
    if not trust:
        require_no_code(config)
    _require_store(config)
    root = store_path(config.store)
    outcomes: list[StepOutcome] = []
    with deploying(root, config.name):
        record = BundleRecord.load(root, config.name)
        for name in STEPS:
            step = _step(name, config, record, trust=trust)
            if isinstance(step, LeftOut):
                outcome = StepOutcome(name, step)
            else:
                record, outcome = _due(step, record, watch.progress)
                if isinstance(step, ServeStep):
                    said = [one for one in (outcome.said, step.wait()) if one is not None]
                    outcome = replace(outcome, said="; ".join(said) or None)
            outcomes.append(outcome)
            watch.outcome(outcome)
    return outcomes


def planned(config: TrainConfig, *, trust: bool) -> Iterator[StepOutcome]:
    """What `deploy` would do, without doing it. A step after one that would run may turn out to be unnecessary.

    Raises:
        As `deploy`; but it takes no lock.
    """
    if not trust:
        require_no_code(config)
    _require_store(config)
    record = BundleRecord.load(store_path(config.store), config.name)
    due: str | None = None
    for name in STEPS:
        if due is not None and name in (TRAIN, REGISTER, PROMOTE):
            yield StepOutcome(name, Run(f"if the step {due} makes something else"))
            continue
        step = _step(name, config, record, trust=trust)
        if isinstance(step, LeftOut):
            yield StepOutcome(name, step)
            continue
        verdict = judge(step, record.steps.get(name), step.inputs())
        due = name if isinstance(verdict, Run) else due
        yield StepOutcome(name, verdict)


def is_unchanged(outcomes: Sequence[StepOutcome]) -> bool:
    """Whether no step ran."""
    return not any(isinstance(one.verdict, Run) for one in outcomes)


def _due(step: Step, record: BundleRecord, progress: Progress) -> tuple[BundleRecord, StepOutcome]:
    """Do a step if it is due; returns the record with it."""
    inputs = step.inputs()
    verdict = judge(step, record.steps.get(step.name), inputs)
    match verdict:
        case Skip():
            return record, StepOutcome(step.name, verdict)
        case Run():
            made = step.run(progress)
            after = record.with_step(
                step.name, StepRecord(inputs, made.output, utc_text(wall_clock() // SECOND_US * SECOND_US))
            )
            after.save()
            return after, StepOutcome(step.name, verdict, made.said)


def _step(name: str, config: TrainConfig, record: BundleRecord, *, trust: bool) -> Step | LeftOut:
    """The step of this name, made from the outputs of earlier ones."""
    match name:
        case "collect":
            if config.collect is None:
                return LeftOut("the configuration has no section [collect]")
            return CollectStep(config, config.collect)
        case "train":
            return TrainStep(config)
        case "register":
            return RegisterStep(config.store, config.name, record.steps[TRAIN].output)
        case "promote":
            return PromoteStep(config, record.steps[REGISTER].output, trust)
        case "serve":
            if config.serve is None:
                return LeftOut("the configuration has no section [serve]")
            return ServeStep(config, config.serve, trust)
    raise ValueError(name)


def _require_store(config: TrainConfig) -> None:
    """Return if there is a store, or a collection makes one, so that a wrong path makes no folder. Raises StoreNotFound."""
    if config.collect is None and not (store_path(config.store) / "registry.db").is_file():
        raise StoreNotFound(str(config.store))
