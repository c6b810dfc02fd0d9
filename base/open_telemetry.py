"""The only module that imports OpenTelemetry. It translates, and is imported only where spans are recorded.

Spans get neither events nor links, so the text and the locals of an exception cannot get into them.
"""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO, assert_never

from base.errors import ExtraMissing
from base.private_files import open_private
from base.trace_export import Attributes, Export, ToCollector, ToConsole, ToFile, require_code
from base.trace_parent import TraceParent

try:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from opentelemetry.trace import (
        NonRecordingSpan,
        Span,
        SpanContext,
        StatusCode,
        TraceFlags,
        Tracer,
        set_span_in_context,
    )
except ImportError:
    raise ExtraMissing("COVEY_TRACES", "opentelemetry-sdk", "trace") from None

_SCOPE: Final = "covey"


class OpenTelemetrySpan:
    """A `trace_export.OpenSpan`."""

    def __init__(self, made: Span) -> None:
        self._made = made
        context = made.get_span_context()
        valid = context.is_valid  # it is not if OTEL_SDK_DISABLED is set
        self._here = TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}") if valid else None

    @property
    def here(self) -> TraceParent | None:
        """The span, for messages."""
        return self._here

    def code(self, code: str) -> None:
        """Set the code of the result."""
        self._made.set_attribute("covey.code", require_code(code))

    def end(self, attributes: Attributes, *, failed: bool) -> None:
        """End and export the span."""
        self._made.set_attributes(attributes)
        self._made.set_status(StatusCode.ERROR if failed else StatusCode.OK)
        self._made.end()


class OpenTelemetryRecorder:
    """A `trace_export.Recorder`."""

    def __init__(self, role: str, processor: SpanProcessor, file: TextIO | None) -> None:
        resource = Resource.create({"service.namespace": "covey", "service.name": role})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer: Tracer = self._provider.get_tracer(_SCOPE)
        self._file = file

    def begin(self, name: str, parent: TraceParent | None) -> OpenTelemetrySpan:
        """Begin a span."""
        context = set_span_in_context(NonRecordingSpan(_remote(parent)))
        return OpenTelemetrySpan(self._tracer.start_span(name, context=context, record_exception=False))

    def close(self) -> None:
        """Export what is left."""
        self._provider.shutdown()
        if self._file is not None:
            self._file.close()


def recorder_of(role: str, export: Export) -> OpenTelemetryRecorder:
    """The recorder of a process. Raises ExtraMissing, NotPrivate."""
    match export:
        case ToConsole():
            return OpenTelemetryRecorder(role, SimpleSpanProcessor(_lines(sys.stderr)), None)
        case ToFile(path=path):
            file = os.fdopen(open_private(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8")
            return OpenTelemetryRecorder(role, SimpleSpanProcessor(_lines(file)), file)
        case ToCollector():
            try:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            except ImportError:
                raise ExtraMissing("COVEY_TRACES=otlp", "opentelemetry-exporter-otlp-proto-http", "otlp") from None
            return OpenTelemetryRecorder(role, BatchSpanProcessor(OTLPSpanExporter()), None)
        case other:
            assert_never(other)


def _lines(out: TextIO) -> ConsoleSpanExporter:
    return ConsoleSpanExporter(out=out, formatter=_line)


def _line(span: ReadableSpan) -> str:
    return f"{span.to_json(indent=None)}\n"


def _remote(parent: TraceParent | None) -> SpanContext:
    """The context of the parent; an invalid one, which begins a trace, if there is none."""
    trace, own = (0, 0) if parent is None else (int(parent.trace, 16), int(parent.span, 16))
    return SpanContext(trace, own, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
