"""The log of a role: one line a record on stderr, as text or JSON, with one set of fields.

    time  level  role  message  plan  view  pane  site  error

`error` is the traceback of an exception. The other fields are set where they are known (`base.fields`).

A record's values pass by type: numbers, text, paths, and the texts of Covey's own errors. Everything else, such as bytes and
arrays, is replaced by the name of its type, and so is the text of a foreign exception, which may quote the data that it failed
on. Secrets have classes of their own, so none of them passes. A client's id or value is a text or a number like any other: no type
keeps it out, so no line is written with one. Every test searches the logs for planted ones (`tests/planted.py`).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias

from base.errors import CoveyError
from base.fields import current_fields

OURS: Final = ("covey", "deployment", "edge_client", "aggregator", "federation", "featurestore", "base")
"""The loggers whose records are shown from INFO on. Other libraries' records are shown from WARNING on."""
_SHOWN_DIGITS: Final = 16
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_Error: TypeAlias = BaseException | None


FORMAT: Final = "COVEY_LOG_FORMAT"
"""The environment variable with the format. The processes that a role starts read it."""


class LogFormat(StrEnum):
    """How the lines of a log are written."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def logging_as(role: str, form: LogFormat) -> Iterator[None]:
    """Write the log lines of this process to stderr, as those of a role, until the end of the block."""
    handler, root = _Stderr(), logging.getLogger()
    handler.setFormatter(LineFormatter(role, form))
    levels = {name: logging.getLogger(name).level for name in OURS}
    root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        root.removeHandler(handler)


class LineFormatter(logging.Formatter):
    """Writes a record as one line of a role's log. Text has the traceback of an error on the lines below."""

    def __init__(self, role: str, form: LogFormat) -> None:
        super().__init__()
        self._role, self._form = role, form

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = current_fields().texts()
        moment, message = datetime.fromtimestamp(record.created, UTC), message_of(record)
        error = error_text(record.exc_info[1]) if record.exc_info and record.exc_info[1] is not None else None
        match self._form:
            case LogFormat.JSON:
                line = {"time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                        "level": record.levelname.lower(), "role": self._role, "message": message, **fields}  # fmt: skip
                # ASCII: some readers end a line at U+2028
                return json.dumps(line if error is None else line | {"error": error})
            case LogFormat.TEXT:
                site = fields.pop("site", None) if self._role == "site" else None
                who = self._role if site is None else f"{self._role} {site}"
                level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
                about = [f"{name} {_short(value)}" for name, value in fields.items() if _short(value) not in message]
                end = f" ({', '.join(about)})" if about else ""
                line_text = f"{moment:%Y-%m-%d %H:%M:%S} {who}: {level}{_CONTROL.sub(_escaped, message)}{end}"
                return line_text if error is None else f"{line_text}\n{error}"


def message_of(record: logging.LogRecord) -> str:
    """The message of a record with its values, each as `shown`."""
    if not record.args:
        return str(record.msg) if isinstance(record.msg, str) else str(shown(record.msg))
    try:
        if isinstance(record.args, Mapping) and "%(" in str(record.msg):  # else a mapping is the only value
            return str(record.msg % {name: shown(value) for name, value in record.args.items()})
        values = record.args if isinstance(record.args, tuple) else (record.args,)
        return str(record.msg % tuple(map(shown, values)))
    except (TypeError, ValueError, KeyError):  # a number was expected where a value is not shown
        return f"{record.msg} [its values are not shown]"


def shown(value: Any) -> Any:
    """A value as it may stand in a log: itself, or the name of its type."""
    match value:
        case str() | Real() | None:
            return value
        case Path():
            return str(value)
        case CoveyError():
            return value.logged
        case OSError() if value.strerror is not None:
            return f"{type(value).__name__}: {value.strerror}"
        case _:
            return _Hidden(f"<{type(value).__name__}>")


class _Hidden(str):
    """The name of a type, in place of a value. `%r` shows it without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def error_text(error: BaseException) -> str:
    """A traceback like Python's, oldest error first: places in the code, the types of the errors, and texts as `shown`."""
    parts: list[str] = []
    seen: set[int] = set()
    one: _Error = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        parts.append(f"{_frames(one.__traceback__)}{type(one).__name__}{_text_of(one)}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\n".join(reversed(parts))


def _text_of(error: BaseException) -> str:
    match error:
        case CoveyError():
            return f": {_CONTROL.sub(_escaped, error.logged)}"
        case OSError() if error.strerror is not None:
            return f": {_CONTROL.sub(_escaped, error.strerror)}"
        case _:
            return ""


def _frames(trace: TracebackType | None) -> str:
    return "".join(
        f'  File "{one.filename}", line {one.lineno}, in {one.name}\n' for one in traceback.extract_tb(trace)
    )


def _short(value: str) -> str:
    """A field in a line of text: a plan's hash is cut off."""
    return f"{value[:_SHOWN_DIGITS]}…" if len(value) == 64 else value


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class _Stderr(logging.Handler):
    """Writes to the current stderr. A record that cannot be formatted is reported without its values."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - the program must go on, and the values must not be shown
            line = (
                f"a line of the log cannot be written: {type(error).__name__} ({record.pathname}, line {record.lineno})"
            )
        with suppress(OSError, ValueError):  # a full disk or a closed stderr ends no role
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
