"""The steps of a coordinator that stays, one line each, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, assert_never

from base.disk import reason_of
from base.errors import CoveyError
from base.times import SECOND_US, utc_text
from deployment.scheduler.steps import (
    Begins,
    Busy,
    ClockWentBack,
    Ended,
    Failed,
    Idle,
    NothingRegistered,
    Step,
    WaitsForTurn,
)

from .collection import site_lines
from .console import pane_ranges


class NewSteps:
    """Leaves out the steps that say nothing new: a coordinator looks around each second."""

    def __init__(self) -> None:
        self._last: Step | None = None

    def is_new(self, step: Step) -> bool:
        """Whether a step says something that the last one did not say."""
        match step:
            case Idle(next_us, views) if (
                next_us is not None and not views
            ):  # the pause after a failure, which has said so
                return False
            case Busy():
                is_new = not isinstance(self._last, Busy)
            case Idle() | NothingRegistered():
                is_new = step != self._last
            case _:
                is_new = True
        self._last = step
        return is_new


def step_lines(step: Step, now_us: int) -> Iterator[tuple[str, bool]]:
    """The lines of a step, and whether each reports trouble."""
    match step:
        case WaitsForTurn(holder):
            by = (
                ""
                if holder is None
                else f": process {holder.pid} on {holder.machine}, since {utc_text(holder.since_us)}"
            )
            yield f"another coordinator of this project runs{by}. This one waits, and takes over when it ends", True
        case NothingRegistered():
            yield "no view is registered, so nothing is collected yet. `covey apply VIEWS.py` registers views", True
        case ClockWentBack(by_us):
            yield (
                f"the clock is {_span(by_us)} behind the last collection. No pane is planned twice, and none closes until "
                "the clock has caught up. Set it by NTP",
                True,
            )
        case Begins(panes, resumes):
            verb = "continues a plan" if resumes else "collects"
            yield f"{verb}: {_panes(panes) or 'panes that are not in the schedule'}", False
        case Ended(result, given_up):
            yield from _ended(result, given_up)
        case Failed(error, retry_us, is_kept):
            kept = "the plan is kept, and continues" if is_kept else "tries again"
            text = error.logged if isinstance(error, CoveyError) else reason_of(error)
            yield f"{text}; {kept} {_when(retry_us, now_us)}", True
        case Busy():
            yield "another command collects into this store now; waits for its end", False
        case Idle(next_us, views):
            coming = "nothing is due" if next_us is None else f"next: {', '.join(views)} {_when(next_us, now_us)}"
            yield coming, False
        case other:
            assert_never(other)


def step_to_json(step: Step) -> dict[str, Any]:
    """A step as one object."""
    match step:
        case WaitsForTurn(holder):
            return {"step": "waits", "pid": None if holder is None else holder.pid}
        case NothingRegistered():
            return {"step": "nothing_registered"}
        case ClockWentBack(by_us):
            return {"step": "clock_went_back", "by_s": by_us / 1e6}
        case Begins(panes, resumes):
            return {"step": "begins", "resumes": resumes, "panes": _times(panes)}
        case Ended(result, given_up):
            return {"step": "ended", "result": dict(result), "given_up": _times(given_up)}
        case Failed(error, retry_us, is_kept):
            code = error.code if isinstance(error, CoveyError) else type(error).__name__
            return {
                "step": "failed", "code": code, "error": str(error), "retry_at": utc_text(retry_us), "plan_is_kept": is_kept
            }  # fmt: skip
        case Busy(retry_us):
            return {"step": "busy", "retry_at": utc_text(retry_us)}
        case Idle(next_us, views):
            return {"step": "idle", "next_at": None if next_us is None else utc_text(next_us), "views": list(views)}
        case other:
            assert_never(other)


def _ended(result: Mapping[str, Any], given_up: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, bool]]:
    for line, is_whole in site_lines(result["sites"]):
        if not is_whole:
            yield line, True
    for name, counts in result["views"].items():
        yield f"{name}: {counts['opened']:,} opened, {counts['void']:,} void, {counts['due']:,} due", False
    for name, panes in result["due"].items():
        why = result["too_few_sites"].get(name) or result["why_due"] or "fewer clients than min_clients"
        yield f"{name}: still due: {pane_ranges(panes)}: {why}", True
    for name, panes in given_up.items():
        yield f"{name}: given up, and published void: {pane_ranges(panes)}", True


def _panes(panes: Mapping[str, Sequence[int]]) -> str:
    return "; ".join(f"{name}: {pane_ranges(found)}" for name, found in panes.items())


def _times(panes: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    return {name: [utc_text(pane) for pane in found] for name, found in panes.items()}


def _when(moment_us: int, now_us: int) -> str:
    seconds = max(0, moment_us - now_us)
    return f"at {utc_text(-(-moment_us // SECOND_US) * SECOND_US)}, in {_span(seconds)}"


def _span(us: int) -> str:
    return str(timedelta(seconds=-(-us // SECOND_US)))
