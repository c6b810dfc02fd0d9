"""The settings of an event log: what its events are, which never changes, and its bounds, which its owner may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from base.sizes import parse_size

WhenFull: TypeAlias = Literal["wait", "drop-oldest"]

DAYS: Final = 35
"""How long a log keeps events: a month of panes, and some days for late plans."""
SIZE: Final = 2 * 10**9
LEAST_SIZE: Final = 8 * 10**6
"""SQLite's write-ahead log takes up to 4 MB of it."""
MOST_DAYS: Final = 36_500
_MOST_NAME: Final = 1_024


@dataclass(frozen=True)
class Columns:
    """The columns of a log's events that the log itself reads. They are set when it is made.

    Attributes:
        event_id: the column by which an event is recognised when it is sent twice; None: it never is.
    """

    client: str
    time: str
    event_id: str | None = None

    def __post_init__(self) -> None:
        names = [self.client, self.time, *([] if self.event_id is None else [self.event_id])]
        for name in names:
            if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME:
                raise ValueError(f"the name of a column is text of 1 to {_MOST_NAME:,} characters, not {name!r:.80}")
        if len(set(names)) != len(names):
            raise ValueError(f"client, time and event_id are different columns, not {', '.join(map(repr, names))}")


@dataclass(frozen=True)
class Bounds:
    """How much a log keeps.

    Attributes:
        days: an event is erased when it has been in the log for this long.
        size: bytes on disk.
        when_full: `wait`: an append to a full log raises LogFull; `drop-oldest`: it erases the oldest events.
    """

    days: int = DAYS
    size: int = SIZE
    when_full: WhenFull = "wait"

    def __post_init__(self) -> None:
        if type(self.days) is not int or not 0 < self.days <= MOST_DAYS:
            raise ValueError(f"days is a whole number from 1 to {MOST_DAYS:,}, not {self.days!r:.80}")
        if type(self.size) is not int:
            raise ValueError(f"size is a number of bytes, not {self.size!r:.80}")
        _require_size(self.size)
        if self.when_full not in get_args(WhenFull):
            raise ValueError(f"when_full is 'wait' or 'drop-oldest', not {self.when_full!r:.80}")


def bounds(days: int, size: int | str, when_full: WhenFull) -> Bounds:
    """Bounds from arguments; the size may be text such as `2GB`. Raises ValueError."""
    return Bounds(days, parse_log_size(size) if isinstance(size, str) else size, when_full)


def parse_log_size(text: str) -> int:
    """Bytes of a size such as `2GB`. Raises ValueError: it is no size, or smaller than a log can be."""
    return _require_size(parse_size(text))


def _require_size(size: int) -> int:
    if size < LEAST_SIZE:
        raise ValueError(f"an event log takes at least {LEAST_SIZE // 10**6} MB, and size is {size:,} B")
    return size
