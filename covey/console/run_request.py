"""What the console and the child process of a run say to each other: a request, then lines of events."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from featurestore.define.definitions import FeatureView
from featurestore.define.wire import view_from_bytes, view_to_bytes

MAX_REQUEST: Final = 64 * 2**20
"""Bytes of a request: views with large domains."""
MAX_LINE: Final = 2**20
"""Bytes of one line of the child: an error, or the result of many views."""

EventName = Literal["progress", "done", "failed"]


class RunRequest(BaseModel):
    """A run in one process over a file of events. Views are canonical protobuf, which cannot run.

    Attributes:
        views: base64 of each view's canonical bytes.
        store: the directory of the store or project.
        start, end: the panes inside [start, end), UTC; None: those of the ended days that hold events.
        budget: the most ρ of a client-day, as `covey run --budget` takes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    views: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000)]
    events: str
    client_column: str
    time_column: str
    site_column: str | None
    store: str
    start: datetime | None
    end: datetime | None
    noise: Literal["on", "off"]
    budget: str

    def declared(self) -> tuple[FeatureView, ...]:
        """The views. Raises ViewMalformed."""
        return tuple(view_from_bytes(base64.b64decode(view, validate=True)) for view in self.views)


def encoded(views: tuple[FeatureView, ...]) -> tuple[str, ...]:
    """The views as a request has them."""
    return tuple(base64.b64encode(view_to_bytes(view)).decode("ascii") for view in views)


class RunEvent(BaseModel):
    """One line of the child.

    Attributes:
        data: of `progress` view, step, done and total; of `done` what `covey run --json` prints; of `failed` code, detail, mend
            and exit code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: EventName
    data: dict[str, Any]
