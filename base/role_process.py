"""How a process logs and traces as a role. Its environment says how, and the processes that it starts inherit that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from base.logs import FORMAT, LogFormat, logging_as
from base.trace_export import TRACES, export_of
from base.traces import tracing_as


@contextmanager
def working_as(role: str, form: LogFormat | None = None) -> Iterator[None]:
    """Log and trace as a role until the end of the block.

    Args:
        form: how the log is written; None: as the environment says.

    Raises:
        ConfigInvalid, ExtraMissing, NotPrivate: traces are switched on, and cannot be written.
    """
    form = form or LogFormat(os.environ.get(FORMAT, LogFormat.TEXT))
    before = os.environ.get(FORMAT)
    os.environ[FORMAT] = form.value
    try:
        with logging_as(role, form), tracing_as(role, export_of(os.environ.get(TRACES, ""))):
            yield
    finally:
        if before is None:
            del os.environ[FORMAT]
        else:
            os.environ[FORMAT] = before
