"""The option of the commands that start a role: how its log is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, TypeAlias

import typer

from base.logs import LogFormat, logging_as

LOG_FORMAT: Final = "COVEY_LOG_FORMAT"
"""The environment variable with the format. The processes that a role starts read it."""


def _begin(context: typer.Context, form: LogFormat) -> LogFormat:
    """Log as the role that the command starts, until the command ends."""
    if not context.resilient_parsing:
        context.with_resource(_in_environment(form))
        context.with_resource(logging_as(context.info_name or "covey", form))
    return form


@contextmanager
def _in_environment(form: LogFormat) -> Iterator[None]:
    before = os.environ.get(LOG_FORMAT)
    os.environ[LOG_FORMAT] = form.value
    try:
        yield
    finally:
        if before is None:
            del os.environ[LOG_FORMAT]
        else:
            os.environ[LOG_FORMAT] = before


LogFormatOption: TypeAlias = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        envvar=LOG_FORMAT,
        callback=_begin,
        help="How the lines on stderr are written: text, or json with one object a line.",
    ),
]
