from __future__ import annotations

from dataclasses import dataclass

import pytest

from training.bundle.record import StepRecord
from training.bundle.step import Inputs, Made, Progress, Run, Skip, digest, judge

DONE = StepRecord({"labels": "a" * 64, "rows": "3,000", "torch": "2.9"}, "out", "2026-01-01T00:00:00Z")


@dataclass(frozen=True)
class Fake:
    """A step whose output is lost for a reason."""

    why_lost: str | None = None
    name = "fake"

    def inputs(self) -> Inputs:
        return {}

    def lost(self, output: str) -> str | None:
        assert output == "out"
        return self.why_lost

    def run(self, progress: Progress) -> Made:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("step", "done", "inputs", "verdict"),
    [
        (Fake(), None, DONE.inputs, Run("for the first time")),
        (Fake(), DONE, DONE.inputs, Skip("nothing has changed since 2026-01-01T00:00:00Z")),
        (Fake("it was deleted"), DONE, DONE.inputs, Run("it was deleted")),
        (Fake(), DONE, {**DONE.inputs, "torch": "2.10"}, Run("changed: torch (2.9 → 2.10)")),
        (
            Fake("it was deleted"),
            DONE,
            {**DONE.inputs, "labels": "b" * 64, "rows": "10"},
            Run("changed: labels, rows (3,000 → 10)"),
        ),
        (Fake(), DONE, {**DONE.inputs, "on-demand views": "c"}, Run("changed: on-demand views")),
        (Fake(), DONE, {"labels": "a" * 64, "rows": "3,000"}, Run("changed: torch")),
    ],
)
def test_a_step_runs_if_an_input_has_changed_or_its_output_is_lost(
    step: Fake, done: StepRecord | None, inputs: Inputs, verdict: Run | Skip
) -> None:
    assert judge(step, done, inputs) == verdict


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
