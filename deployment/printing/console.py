"""Consoles, progress bars, and ranges of days and panes as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Console

from base.times import DAY_US, SECOND_US, runs_of

if TYPE_CHECKING:
    from deployment.in_process.progress import Progress

_MINUTE_US = 60 * SECOND_US
_VERBS = {
    "compute": "computing on the sites",
    "protect": "sharing and adding",
    "noise": "drawing noise (leader and helper)",
    "encrypt": "encrypting and adding",
    "flood": "drawing noise (leader and key holder)",
    "publish": "opened and published",
    "train": "joined and trained",
    "sites": "sites answered",
    "verify": "verified",
    "join": "joined",
    "fit": "epochs trained",
    "measure": "measured on the test days",
    "compare": "versions compared",
    "predict": "predicted",
    "start": "server started",
    "check": "checked",
    "rebuild": "rebuilt",
    "copy": "copied",
    "compact": "compacted",
    "restore": "restored",
    "recompute": "days computed from panes",
    "shards": "blocks of sites collected",
    "runs": "runs finished",
}
_MANY = 6


def data_console() -> Console:
    """stdout without markup: join keys, paths and column names may look like rich's markup."""
    return Console(highlight=False, markup=False, emoji=False)


def talk_console() -> Console:
    """stderr without markup."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def in_words(code: str) -> str:
    """The sentence of a site's refusal and its mend, which follow its code; empty for other answers."""
    from federation.refusal_codes import RefusalCode

    known = RefusalCode.__members__.get(code)
    return "" if known is None else f". {known.sentence} {known.mend}"


@contextmanager
def progress_bars(console: Console, *, eta: bool = False) -> Iterator[Progress]:
    """One bar for each step of each view, on stderr. A terminal is redrawn; a file gets the finished bars.

    Args:
        eta: also show the time that is left. A repeated step reuses its bar.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:44}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *([TextColumn("left:"), TimeRemainingColumn()] if eta else []),
    )
    with Bars(*columns, console=console) as bars:
        tasks: dict[tuple[str, str], TaskID] = {}

        def progress(view: str, step: str, done: int, total: int) -> None:
            if (view, step) not in tasks:
                tasks[view, step] = bars.add_task(f"{view}: {_VERBS.get(step, step)}", total=total)
            elif done == 0 and bars.tasks[tasks[view, step]].finished:
                bars.reset(tasks[view, step], total=total)
            bars.update(tasks[view, step], completed=done, total=total)

        yield progress


def day_ranges(days: Sequence[int]) -> str:
    """Sorted days since the epoch as text: `2013-01-01 … 2013-02-03, 2013-03-01`."""
    return _ranges([day * DAY_US for day in days], DAY_US, "%Y-%m-%d")


def day_spans(days: Sequence[int]) -> str:
    """Sorted days since the epoch as all their ISO 8601 intervals: `2013-01-01/2013-02-03 2013-03-01`."""
    spans = runs_of([day * DAY_US for day in days], DAY_US)
    return " ".join("/".join(dict.fromkeys(_moment(us, "%Y-%m-%d") for us in span)) for span in spans)


def pane_ranges(pane_starts: Sequence[int]) -> str:
    """Sorted pane starts in µs as text, like `day_ranges`; to the minute or second if they are not midnights."""
    exact = to_second_or_minute(pane_starts)
    if len(pane_starts) < 2:
        return _ranges(pane_starts, 1, exact)
    step = min(b - a for a, b in pairwise(pane_starts))
    midnights = all(pane % DAY_US == 0 for pane in pane_starts)
    return _ranges(pane_starts, step, "%Y-%m-%d" if midnights else exact)


def to_second_or_minute(moments: Iterable[int]) -> str:
    """The style in which moments (µs) are shown exactly: to the minute, or to the second if one is within a minute."""
    return "%Y-%m-%dT%H:%MZ" if all(moment % _MINUTE_US == 0 for moment in moments) else "%Y-%m-%dT%H:%M:%SZ"


def _ranges(starts: Sequence[int], step: int, style: str) -> str:
    texts = [
        _moment(a, style) if a == b else f"{_moment(a, style)} … {_moment(b, style)}" for a, b in runs_of(starts, step)
    ]
    more = f" and {len(texts) - _MANY} more" if len(texts) > _MANY else ""
    return ", ".join(texts[:_MANY]) + more


def _moment(us: int, style: str) -> str:
    """A moment as a date, or in seconds if it has no date: a ledger may contain any number."""
    from base.times import from_us

    try:
        return from_us(us).strftime(style)
    except OverflowError:
        return f"{us / 1e6:.0f} s"
