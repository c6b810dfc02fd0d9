"""The trace's context across gRPC: each call of a service is a span below its caller's, whatever the metadata holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from aggregator.errors import RemoteRefusal
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.client import Aggregators
from aggregator.services.services import serve
from base.trace_export import ToFile
from base.traces import span, tracing_as
from tests.aggregator.world import make_helper

CONTEXT = "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a traced helper."""
    with tracing_as("helper", ToFile(tmp_path / "spans.jsonl")):
        service = serve(make_helper(tmp_path), "127.0.0.1", 0)
        try:
            yield service.address
        finally:
            service.stop()


def spans(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "spans.jsonl").read_text().splitlines()]


def test_a_call_is_a_span_below_the_callers(address: str, tmp_path: Path) -> None:
    with Aggregators(address, address) as client, span("asked") as asked:
        assert client.status("helper") == []
    (status, own) = spans(tmp_path)
    assert (status["name"], own["name"]) == ("Status", "asked")
    assert asked.here is not None
    assert (status["context"]["trace_id"], status["parent_id"]) == (f"0x{asked.here.trace}", f"0x{asked.here.span}")


def test_a_refusal_ends_the_span_as_failed_and_leaves_no_text(address: str, tmp_path: Path) -> None:
    with Aggregators(address, address) as client, pytest.raises(RemoteRefusal, match="PLAN_UNKNOWN"):
        client.status("helper", b"x" * 32)
    (status,) = spans(tmp_path)
    assert (status["status"], status["attributes"], status["events"]) == ({"status_code": "ERROR"}, {}, [])


@pytest.mark.parametrize(
    ("metadata", "parent"),
    [
        ([], None),
        ([("traceparent", CONTEXT)], "0xfedcba9876543210"),
        ([("traceparent", "x" * 4096)], None),
        ([("traceparent", CONTEXT.upper())], None),
        ([("traceparent-bin", CONTEXT.encode())], None),
    ],
)
def test_foreign_metadata_costs_a_call_nothing(address: str, tmp_path: Path, metadata: Any, parent: Any) -> None:
    with grpc.insecure_channel(address) as channel:
        reply = pb_grpc.HelperStub(channel).Status(pb.StatusRequest(), metadata=metadata, timeout=30)
    assert reply.role == "helper"
    (status,) = spans(tmp_path)
    assert status["parent_id"] == parent
