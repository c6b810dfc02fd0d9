"""Where the spans of a process go, and what records them: `base.traces` begins them, and `base.open_telemetry` exports them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from base.errors import ConfigInvalid
from base.trace_parent import TraceParent

TRACES: Final = "COVEY_TRACES"
"""The environment variable with the exporter."""
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
Attributes: TypeAlias = Mapping[str, str | int]


@dataclass(frozen=True)
class ToConsole:
    """Spans go to stderr, one JSON object a line."""


@dataclass(frozen=True)
class ToFile:
    """Spans are appended to a file, one JSON object a line. Several processes may share it."""

    path: Path


@dataclass(frozen=True)
class ToCollector:
    """Spans go to a collector by OTLP over HTTP, at the address of the standard OTEL_EXPORTER_OTLP_… variables."""


Export: TypeAlias = ToConsole | ToFile | ToCollector


def export_of(setting: str) -> Export | None:
    """The exporter that a setting names; None: an empty setting, so nothing is traced. Raises ConfigInvalid."""
    match setting.partition(":"):
        case "", "", "":
            return None
        case "console", "", "":
            return ToConsole()
        case "otlp", "", "":
            return ToCollector()
        case "file", ":", path if path:
            return ToFile(Path(path))
        case _:
            raise ConfigInvalid(TRACES, f"{setting!r} names no exporter; write console, otlp or file:PATH")


class OpenSpan(Protocol):
    """A span that has begun."""

    @property
    def here(self) -> TraceParent | None:
        """The context for messages that are sent now; None: they carry none."""
        ...

    def code(self, code: str) -> None:
        """Set the code of the result, such as that of a refusal."""

    def end(self, attributes: Attributes, *, failed: bool) -> None:
        """End the span, with these attributes."""


class Recorder(Protocol):
    """Records the spans of this process."""

    def begin(self, name: str, parent: TraceParent | None) -> OpenSpan:
        """Begin a span. Without a parent it begins a trace."""
        ...

    def close(self) -> None:
        """Send what is not sent yet."""


def require_code(code: str) -> str:
    """The same text, if it is a code. Raises ValueError: a span has no other text."""
    if not _CODE.fullmatch(code):
        raise ValueError("not a code")
    return code
