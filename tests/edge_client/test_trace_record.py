"""The trace's context in Flower's messages: a record beside the plan that a site never has to understand."""

from __future__ import annotations

from typing import Any

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from base.trace_export import ToFile
from base.trace_parent import TraceParent
from base.traces import span, tracing_as
from edge_client.plan_messages import PlanAnswer
from edge_client.trace_record import sender_in, with_context

PARENT = TraceParent("0123456789abcdef" * 2, "fedcba9876543210")


def test_without_traces_messages_are_as_before() -> None:
    assert list(with_context(RecordDict({"plan": ConfigRecord({"signed": b""})}))) == ["plan"]
    assert list(PlanAnswer("OK", "a").to_records()) == ["answer"]


def test_a_message_carries_the_running_span_and_an_answer_the_sites(tmp_path: Any) -> None:
    with tracing_as("coordinator", ToFile(tmp_path / "spans.jsonl")), span("sites") as one:
        assert sender_in(with_context(RecordDict())) == one.here
    answer = PlanAnswer("OK", "a", sender=PARENT).to_records()
    assert sender_in(answer) == PARENT
    assert dict(answer["trace"]) == {"traceparent": str(PARENT)}  # an id, and none of the site's times


@pytest.mark.parametrize(
    "record",
    [
        ConfigRecord({}),
        ConfigRecord({"traceparent": "patient 7"}),
        ConfigRecord({"traceparent": str(PARENT) + "x"}),
        ConfigRecord({"traceparent": str(PARENT).encode()}),
        ConfigRecord({"traceparent": 7}),
        ConfigRecord({"traceparent": [str(PARENT)]}),
        MetricRecord({"traceparent": 1}),
        ArrayRecord({"traceparent": Array("uint8", (1,), "numpy.ndarray", b"x")}),
    ],
)
def test_a_record_of_another_form_is_ignored(record: Any) -> None:
    assert sender_in(RecordDict({"trace": record})) is None
