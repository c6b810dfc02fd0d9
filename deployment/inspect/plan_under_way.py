"""The plan that a project's coordinator carries out now: its panes, its deadline, and what the sites have answered so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.errors import CoveyError
from deployment.coordinator.site_results import SiteResult, SiteResults
from deployment.errors import JobMalformed
from deployment.local.unfinished_collection import Unfinished
from federation.plan import plan_from_bytes

_TRIES: Final = 5


@dataclass(frozen=True)
class PlanUnderWay:
    """A plan that is not finished.

    Attributes:
        plan_hash: 32 bytes.
        deadline_us: until when the sites answer, µs since the epoch.
        panes: by view, the number of planned panes.
        first_us, last_us: the starts of the first and the last planned pane, µs since the epoch.
        sites: of each site of the roster and each node that named none, what it has answered; None: nothing yet.
    """

    plan_hash: bytes
    deadline_us: int
    panes: Mapping[str, int]
    first_us: int
    last_us: int
    sites: Mapping[str, SiteResult | None]


def read_plan_under_way(directory: Path, roster: Iterable[str]) -> PlanUnderWay | None:
    """The unfinished plan of a project directory; None: there is none.

    Args:
        roster: the ids of the project's sites.

    Raises:
        JobMalformed.
    """
    unfinished = Unfinished(directory)
    if not unfinished.folder.exists():
        return None
    try:
        job = unfinished.load()
        plan, answered = plan_from_bytes(job.plan), _answers(job.progress)
    except (CoveyError, OSError):
        if not unfinished.folder.exists():  # it was finished meanwhile
            return None
        raise
    ends = [int(pane) for one in plan.views for pane in (one.pane_starts.min(), one.pane_starts.max())]
    return PlanUnderWay(
        plan.hash,
        0 if plan.wire is None else plan.wire.deadline_us,
        {one.view.name: len(one.pane_starts) for one in plan.views},
        min(ends, default=0),
        max(ends, default=0),
        dict(sorted({**dict.fromkeys(roster), **answered}.items())),
    )


def _answers(progress: Path) -> dict[str, SiteResult]:
    """The answers so far. Raises JobMalformed."""
    why: Exception | None = None
    for _ in range(_TRIES):
        try:
            return SiteResults(progress).of(())
        except (ValueError, KeyError, TypeError) as error:  # a line that is being written
            why = error
    raise JobMalformed(f"{progress} is not the progress of a plan: {why!r}")
