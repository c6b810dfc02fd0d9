"""The trace's context in a Flower message: a record of its own beside the plan, and beside the answer.

It comes from outside and decides nothing. A record of another form is ignored, and never fails a plan.
"""

from __future__ import annotations

from typing import Final

from flwr.app import ConfigRecord, RecordDict

from base.trace_parent import TRACEPARENT, TraceParent
from base.traces import here

_RECORD: Final = "trace"


def with_context(records: RecordDict, sender: TraceParent | None = None) -> RecordDict:
    """The records of a message, with the span that sends it, if there is one. Default: the running span."""
    named = sender or here()
    if named is not None:
        records[_RECORD] = ConfigRecord({TRACEPARENT: str(named)})
    return records


def sender_in(records: RecordDict) -> TraceParent | None:
    """The span that sent a message; None: it names none."""
    record = records.get(_RECORD)
    return TraceParent.parse(record.get(TRACEPARENT)) if isinstance(record, ConfigRecord) else None
