"""Parameters of the routes of this place. Times are µs since the epoch, UTC; the end of a time range is not in it."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from fastapi import Path, Query
from pydantic import Field

MAX_MOMENT: Final = 2**53
"""The largest whole number that a page holds exactly: the year 2255 in µs."""
MOST_POINTS: Final = 5_000
MOST_KEYS: Final = 8
"""The most keys that are compared in one chart."""

ViewName: TypeAlias = Annotated[
    str, Path(max_length=200, description="The name of a view, or `view@v<n>` for a pinned version.")
]
Name: TypeAlias = Annotated[str, Query(max_length=200)]
Keys: TypeAlias = Annotated[
    tuple[Annotated[str, Field(max_length=4_000)], ...],
    Query(
        max_length=MOST_KEYS,
        description="Join keys as text; one of several columns is a JSON list, such as [1, true].",
    ),
]
From: TypeAlias = Annotated[int | None, Query(alias="from", ge=-MAX_MOMENT, le=MAX_MOMENT)]
To: TypeAlias = Annotated[int | None, Query(ge=-MAX_MOMENT, le=MAX_MOMENT)]
Cell: TypeAlias = Annotated[int, Query(ge=0, le=2**16, description="The cell of a histogram.")]
