"""A question that waits for its batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Final, TypeAlias

from training.serving.ask import Ask, Predicted

Outcome: TypeAlias = Predicted | Exception
LOOP: Final = "loop"
"""The pool of batches that the event loop computes itself."""
SHARED: Final = "shared"
"""The pool of compute threads that versions share. A version with a thread of its own has a pool of its own."""
INTERVALS: Final = "intervals"
"""The pool of requests with intervals: one thread, because the noised copies of many keys take seconds."""

Done: TypeAlias = Callable[[Outcome], None]
"""Receives the outcome of a question, on the event loop, once."""

_log = logging.getLogger("covey.server")


class Job:
    """A question to one version of a model. Only the event loop uses it.

    Attributes:
        target: the loaded version that answers. The queue only compares it.
        pool: what computes it.
        arrived_s, due_s: when it arrived, and until when its client waits; seconds of a steady clock.
    """

    __slots__ = ("_done", "arrived_s", "ask", "due_s", "pool", "target")

    def __init__(
        self, ask: Ask, target: Hashable, done: Done, arrived_s: float, due_s: float, pool: Hashable = None
    ) -> None:
        self.ask, self.target, self._done = ask, target, done
        self.arrived_s, self.due_s, self.pool = arrived_s, due_s, pool

    @property
    def rows(self) -> int:
        """How many predictions are asked for."""
        return self.ask.rows

    @property
    def is_open(self) -> bool:
        """Whether its client waits for an outcome."""
        return self._done is not _nothing

    def end(self, outcome: Outcome) -> None:
        """Give the outcome to the client; the first one counts. A defect of its receiver does not reach other clients."""
        done, self._done = self._done, _nothing
        try:
            done(outcome)
        except Exception:  # noqa: BLE001 - the jobs of a batch end one after the other
            _log.exception("an outcome cannot be answered")

    def drop(self) -> None:
        """The client has gone away: the outcome is dropped."""
        self._done = _nothing


def _nothing(_: Outcome) -> None:
    """The outcome is given already."""
