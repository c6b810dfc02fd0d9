"""The steps of a bundle: what each was made from decides whether it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from .record import StepRecord

Progress: TypeAlias = Callable[[str, str, int, int], None]
Inputs: TypeAlias = Mapping[str, str]
"""What a step is made from, by name: hashes and versions."""


@dataclass(frozen=True)
class Made:
    """The result of a step.

    Attributes:
        output: as in `StepRecord`.
        said: one line for people.
    """

    output: str
    said: str


class Step(Protocol):
    """One step. Its values are inputs of the step; nothing else decides what it makes."""

    @property
    def name(self) -> str:
        """Its name in the record."""
        ...

    def inputs(self) -> Inputs:
        """What it is made from."""
        ...

    def lost(self, output: str) -> str | None:
        """Why an earlier output cannot be used any more; None: it can."""
        ...

    def run(self, progress: Progress) -> Made:
        """Do it."""
        ...


@dataclass(frozen=True)
class Skip:
    """The step is done, and its inputs are the same."""

    why: str


@dataclass(frozen=True)
class Run:
    """The step runs, or would run."""

    why: str


@dataclass(frozen=True)
class LeftOut:
    """The bundle does not have the step."""

    why: str


Verdict = Skip | Run | LeftOut


def judge(step: Step, done: StepRecord | None, inputs: Inputs) -> Skip | Run:
    """Decide whether a step runs.

    Args:
        done: the step's record; None: it has none.
        inputs: what the step is made from now.
    """
    if done is None:
        return Run("for the first time")
    changed = [name for name in {**done.inputs, **inputs} if done.inputs.get(name) != inputs.get(name)]
    if changed:
        return Run(f"changed: {', '.join(map(_shown(done.inputs, inputs), changed))}")
    why = step.lost(done.output)
    return Skip(f"nothing has changed since {done.at}") if why is None else Run(why)


def _shown(before: Inputs, now: Inputs) -> Callable[[str], str]:
    """The name of an input, with the values of short ones: versions and counts, but no hashes."""

    def shown(name: str) -> str:
        values = before.get(name), now.get(name)
        if all(value is not None and len(value) <= _SHORT for value in values):
            return f"{name} ({values[0]} → {values[1]})"
        return name

    return shown


_SHORT = 24


def digest(value: Any) -> str:
    """The hex SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
