"""The option of the commands that start a role: how its log is written. Where its traces go is in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeAlias

import typer

from base.logs import FORMAT, LogFormat, logging_as
from base.traces import TRACES, export_of, tracing_as


def _begin(context: typer.Context, form: LogFormat) -> LogFormat:
    """Log and trace as the role that the command starts, until the command ends."""
    if not context.resilient_parsing:
        role = context.info_name or "covey"
        context.with_resource(_in_environment(form))
        context.with_resource(logging_as(role, form))
        context.with_resource(tracing_as(role, export_of(os.environ.get(TRACES, ""))))
    return form


@contextmanager
def _in_environment(form: LogFormat) -> Iterator[None]:
    before = os.environ.get(FORMAT)
    os.environ[FORMAT] = form.value
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORMAT]
        else:
            os.environ[FORMAT] = before


LogFormatOption: TypeAlias = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        envvar=FORMAT,
        callback=_begin,
        help="How the lines on stderr are written: text, or json with one object a line.",
    ),
]
