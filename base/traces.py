"""Traces: what a process does for a collection, as spans that go to the exporter of its own operator (docs/tracing.md).

    with span("noise", Fields(plan=plan.hash)): …

A span has a name, two times, `Fields`, a number of panes and a code: nothing else can be given. Messages to other parties carry
two random ids and no more (`trace_parent`), so each operator sees only the times of its own processes. Without
COVEY_TRACES, a span only names the fields of the log lines in its block, and OpenTelemetry is not imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Final

from base.errors import CoveyError
from base.fields import Fields, about, current_fields
from base.trace_export import Attributes, Export, OpenSpan, Recorder
from base.trace_parent import TraceParent

_NOTHING: Final = Fields()


class _NotRecorded:
    """A span of a process that traces nothing."""

    here: Final = None

    def code(self, code: str) -> None:
        """Nothing is recorded."""

    def end(self, attributes: Attributes, *, failed: bool) -> None:
        """Nothing is recorded."""


_NOT_RECORDED: Final = _NotRecorded()
_recorder: Recorder | None = None
_CURRENT: Final[ContextVar[TraceParent | None]] = ContextVar("covey-trace", default=None)


@contextmanager
def tracing_as(role: str, export: Export | None) -> Iterator[None]:
    """Record the spans of this process, as those of a role, until the end of the block.

    Raises:
        ExtraMissing: OpenTelemetry, or its exporter, is not installed. NotPrivate: the file is another user's, or a link.
    """
    global _recorder
    if export is None:
        yield
        return
    from base.open_telemetry import recorder_of

    _recorder = recorder_of(role, export)
    try:
        yield
    finally:
        _recorder.close()
        _recorder = None


def is_tracing() -> bool:
    """Whether this process records spans."""
    return _recorder is not None


def here() -> TraceParent | None:
    """The running span; None: nothing is traced."""
    return _CURRENT.get()


@contextmanager
def span(
    name: str, fields: Fields = _NOTHING, *, panes: int | None = None, sender: TraceParent | None = None
) -> Iterator[OpenSpan]:
    """A span of this block. Its log lines have the fields, too. An error ends it with the error's code, never with its text.

    Args:
        sender: the span that a message names. Inside another span it counts only if it is of the same trace: a party that
            answers cannot move the spans of the party that called it into another trace.
    """
    with about(fields):
        if _recorder is None:
            yield _NOT_RECORDED
            return
        outer = _CURRENT.get()
        parent = sender if sender is not None and (outer is None or outer.trace == sender.trace) else outer
        begun, failed = _recorder.begin(name, parent), True
        token = _CURRENT.set(begun.here)
        try:
            yield begun
            failed = False
        except CoveyError as error:
            begun.code(error.code)
            raise
        finally:
            with suppress(ValueError):  # a generator that another thread closes
                _CURRENT.reset(token)
            attributes: dict[str, str | int] = {f"covey.{key}": text for key, text in current_fields().texts().items()}
            if panes is not None:
                attributes["covey.panes"] = panes
            begun.end(attributes, failed=failed)
