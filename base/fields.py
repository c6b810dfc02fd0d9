"""What a log line or a span is about: a closed set of typed fields, none of which can hold a value of a client or a key.

A block names its fields once (`about`). Every line and span that the block makes has them, also in functions that it calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from base.times import utc_text

HASH_BYTES: Final = 32
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,254}", re.ASCII)
_SITE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Fields:
    """The fields that a log line and a span may have. All of them are in messages that the other parties read anyway.

    Attributes:
        plan: the hash of a plan.
        view: the name of a feature view.
        pane: the start of a pane, µs since the epoch.
        site: the id of a site, as on the roster.

    Raises:
        ValueError: a field has another form.
    """

    plan: bytes | None = None
    view: str | None = None
    pane: int | None = None
    site: str | None = None

    def __post_init__(self) -> None:
        if self.plan is not None and len(self.plan) != HASH_BYTES:
            raise ValueError(f"a plan's hash has {HASH_BYTES} bytes, not {len(self.plan)}")
        if self.view is not None and not _NAME.fullmatch(self.view):
            raise ValueError("not the name of a view")
        if self.site is not None and not _SITE.fullmatch(self.site):
            raise ValueError("not the id of a site")

    def over(self, outer: Fields) -> Fields:
        """These fields; where one is missing, the outer one."""
        return replace(outer, **{name: value for name, value in self._set().items() if value is not None})

    def texts(self) -> dict[str, str]:
        """The fields that are set, as text: the hash in hex, the pane as a UTC time."""
        shown = {name: value for name, value in self._set().items() if value is not None}
        if self.plan is not None:
            shown["plan"] = self.plan.hex()
        if self.pane is not None:
            shown["pane"] = utc_text(self.pane)
        return shown

    def _set(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


_CURRENT: Final[ContextVar[Fields]] = ContextVar("covey-fields", default=Fields())  # noqa: B039 - Fields is immutable


def current_fields() -> Fields:
    """The fields of the block that is running."""
    return _CURRENT.get()


@contextmanager
def about(fields: Fields) -> Iterator[None]:
    """Every log line of the block has these fields, beside those of the block around it."""
    token = _CURRENT.set(fields.over(_CURRENT.get()))
    try:
        yield
    finally:
        with suppress(ValueError):  # a generator that another thread closes
            _CURRENT.reset(token)
