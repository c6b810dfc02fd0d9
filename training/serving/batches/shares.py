"""Which model computes next: by priority, then by shares of the time that models have used (stride scheduling).

A model that computed for t seconds advances by t / share. The one that has advanced least is next, so each gets the time of
its share while all have work, and a flooded model delays another one by at most the batch that is computed. A model that was idle
starts where the others are: it saves up no time.
"""

from __future__ import annotations

from collections.abc import Iterable

from .model_queue import ModelQueue


class Shares:
    """The shares of the models of a server."""

    def __init__(self) -> None:
        self._now = 0.0
        """How far the model that was chosen last had advanced."""

    def activate(self, queue: ModelQueue) -> None:
        """A model gets its first job after it was idle."""
        queue.passed = max(queue.passed, self._now)

    def choose(self, ready: Iterable[ModelQueue]) -> ModelQueue | None:
        """The model that computes next, of those that have a batch."""
        chosen = min(ready, key=lambda queue: (queue.settings.priority, queue.passed), default=None)
        if chosen is not None:
            self._now = max(self._now, chosen.passed)
        return chosen

    def charge(self, queue: ModelQueue, seconds: float) -> None:
        """A model has computed; a negative time corrects a charge."""
        queue.passed += seconds / queue.settings.share
