"""Runs over the console's events: what one would cost, starting it, following it, and ending it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import FailFast, Field

from base.errors import CoveyError
from base.times import utc_text
from covey.cli.mends import mend_of
from covey.console.api.form import Body, Form
from covey.console.commands import command
from covey.console.console import Console, EventSource
from covey.console.evaluation import NOTHING_KNOWN, KnownViews, views_of
from covey.console.live import LastEvent, Streams
from covey.console.roles import Operator
from covey.console.run_registry import RunRegistry, RunSnapshot
from covey.console.run_request import RunRequest, encoded
from covey.errors import NoEvents, ViewsNotKnown, require_confirmed
from deployment.inspect.explain import label_of
from deployment.inspect.ledger_view import date_of
from deployment.project.fleet import EventColumns
from deployment.project.project import as_collected_in
from deployment.run_preview import RunPreview, preview
from featurestore.define.definitions import FeatureView
from federation.accountant import EpsilonClaim

from .graph import GraphProblem, Name, Text, problems_of

Budget = Annotated[str, Field(max_length=40, pattern=r"^[0-9.eE+-]+$")]


class RunBody(Body):
    """Which views of a text to collect, and under which terms.

    Attributes:
        views: the names of feature views; none: all of the text.
        start, end: the panes inside [start, end), UTC; none: those of the ended days that hold events.
        noise: `off` publishes the exact sums.
        budget: the most ρ of a client-day.
    """

    text: Text
    views: Annotated[tuple[Name, ...], Field(max_length=1_000), FailFast()] = ()
    start: date | None = None
    end: date | None = None
    noise: Literal["on", "off"] = "on"
    budget: Budget = "0.1"


class StartBody(RunBody):
    """A run that the user has said yes to."""

    confirmed: bool = False


class PreviewedView(Form):
    """What a run would do for a view: see `deployment.run_preview.ViewPreview`. Days are such as `2013-01-31`."""

    view: str
    panes: int
    already_open: int
    days_not_over: int
    first_day: str | None
    last_day: str | None
    micro_rho: int


class PreviewedDay(Form):
    """A day that would be charged: its cost, and what is left of it before."""

    day: str
    micro_rho: int
    left_micro_rho: int


class RunFailure(Form):
    """Why a run has failed, or would be refused, and the mend."""

    code: str
    detail: str
    mend: str


class Previewed(Form):
    """What a run would collect and charge.

    Attributes:
        day_micro_rho: of the dearest day.
        epsilon: what 1, 7 and 30 such days cost a client, over all of these views.
        least_left: the day with the least left of those that would be charged.
        days: how many days would be charged.
        refusal: why the ledger or the views would refuse the run; None: they would not.
        command: the command that does the same.
    """

    views: tuple[PreviewedView, ...]
    panes: int
    days: int
    budget_micro_rho: int
    day_micro_rho: int
    epsilon: tuple[EpsilonClaim, ...]
    least_left: PreviewedDay | None
    refusal: RunFailure | None
    problems: tuple[GraphProblem, ...]
    command: str


class RunProgress(Form):
    """How far a step of a view is."""

    view: str
    step: str
    done: int
    total: int


class ViewResult(Form):
    """What a run has collected of a view."""

    view: str
    reports: int | None
    opened: int
    void: int
    rejected: int
    already_open: int
    dropped: dict[str, int]


class CollectionRun(Form):
    """A run that this console has started. Times are ISO 8601.

    Attributes:
        result: of a run that is done.
    """

    id: str
    views: tuple[str, ...]
    command: str
    started_at: str
    ended_at: str | None
    status: Literal["running", "done", "failed", "cancelled"]
    progress: tuple[RunProgress, ...]
    result: tuple[ViewResult, ...] | None
    failure: RunFailure | None


class CollectionRuns(Form):
    """The runs of this console, the newest first. `why_not`: why it cannot start one; empty: it can."""

    runs: tuple[CollectionRun, ...]
    why_not: str


def add_routes(router: APIRouter, console: Console, registry: RunRegistry) -> None:
    """Add the routes of runs."""
    streams = Streams()

    @router.post("/runs/preview", operation_id="previewRun")
    def preview_run(body: RunBody, _user: Operator) -> Previewed:
        """What a run would collect, and what it would cost. Nothing is charged."""
        source = _source(console)
        line = _command(console, source, body)
        known = NOTHING_KNOWN
        try:
            known = views_of(console, body.text)
            views = _chosen(console, known, body.views)
            found = preview(
                views,
                source.path,
                store=console.directory,
                columns=EventColumns(source.client_column, source.time_column, source.site_column),
                start=_moment(body.start),
                end=_moment(body.end),
                noise=body.noise,
                budget=body.budget,
            )
        except CoveyError as error:
            return _refused(error, known, line)
        return _previewed(found, views, known, line)

    @router.post("/runs", operation_id="startRun")
    def start_run(body: StartBody, _user: Operator) -> CollectionRun:
        """Collect: charge the days, add noise, and publish the releases into the console's store."""
        source = _source(console)
        require_confirmed(body.confirmed, "a run, which spends the budget of its days,")
        views = _chosen(console, views_of(console, body.text), body.views)
        request = RunRequest(
            views=encoded(views),
            events=source.path,
            client_column=source.client_column,
            time_column=source.time_column,
            site_column=source.site_column,
            store=str(console.directory),
            start=_moment(body.start),
            end=_moment(body.end),
            noise=body.noise,
            budget=body.budget,
        )
        run = registry.start(request, tuple(view.name for view in views), _command(console, source, body))
        return _shown(run.snapshot())

    @router.get("/runs", operation_id="getRuns")
    def get_runs() -> CollectionRuns:
        """The runs that this console has started."""
        why_not = "" if console.source is not None else str(NoEvents())
        return CollectionRuns(runs=tuple(_shown(run.snapshot()) for run in registry.all()), why_not=why_not)

    @router.get("/runs/{run_id}", operation_id="getRun")
    def get_run(run_id: Name) -> CollectionRun:
        """One run."""
        return _shown(registry.get(run_id).snapshot())

    @router.delete("/runs/{run_id}", operation_id="cancelRun")
    def cancel_run(run_id: Name, _user: Operator) -> CollectionRun:
        """Interrupt a run. What it has published stays, and a repeated run continues."""
        run = registry.get(run_id)
        run.cancel()
        return _shown(run.snapshot())

    @router.get("/runs/{run_id}/events", operation_id="followRun", response_class=StreamingResponse)
    async def follow_run(run_id: Name, last: LastEvent = None) -> StreamingResponse:
        """The events of a run as they come: `progress`, then `done`, `failed` or `cancelled`."""
        return streams.answer(registry.get(run_id).log.follow(last))


def _source(console: Console) -> EventSource:
    if console.source is None:
        raise NoEvents
    return console.source


def _chosen(console: Console, known: KnownViews, names: Sequence[str]) -> tuple[FeatureView, ...]:
    """The views to collect, as the console's directory has them. Raises ViewsNotKnown."""
    have = {view.name: view for view in known.views}
    missing = [name for name in names if name not in have]
    why = [f"line {one.line}: {one.message}" if one.line else one.message for one in known.problems]
    if missing or not have or (not names and known.problems):
        raise ViewsNotKnown(missing, why)
    return as_collected_in(console.directory, [have[name] for name in names] if names else known.views)


def _command(console: Console, source: EventSource, body: RunBody) -> str:
    """The command that collects all views of the saved file likewise."""
    words = ["covey", "run", str(console.views_file or "VIEWS.py"), "--events", source.path]
    words += ["--client-column", source.client_column, "--time-column", source.time_column]
    words += [] if source.site_column is None else ["--site-column", source.site_column]
    words += ["--store", str(console.directory), "--in-process"]
    words += [] if body.start is None else ["--from", body.start.isoformat()]
    words += [] if body.end is None else ["--to", body.end.isoformat()]
    words += [] if body.noise == "on" else ["--noise", body.noise]
    return command(*words, "--budget", body.budget)


def _moment(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def _previewed(found: RunPreview, views: Sequence[FeatureView], known: KnownViews, line: str) -> Previewed:
    least = min(found.days, key=lambda one: one.left_micro_rho, default=None)
    return Previewed(
        views=tuple(
            PreviewedView(
                view=one.view,
                panes=one.panes,
                already_open=one.already_open,
                days_not_over=one.days_not_over,
                first_day=None if one.first_day is None else date_of(one.first_day),
                last_day=None if one.last_day is None else date_of(one.last_day),
                micro_rho=one.micro_rho,
            )
            for one in found.views
        ),
        panes=found.panes,
        days=len(found.days),
        budget_micro_rho=found.budget_micro_rho,
        day_micro_rho=max((one.micro_rho for one in found.days), default=0),
        epsilon=label_of(views).total.epsilon,
        least_left=None
        if least is None
        else PreviewedDay(day=date_of(least.day), micro_rho=least.micro_rho, left_micro_rho=least.left_micro_rho),
        refusal=None if found.refusal is None else _failure(found.refusal),
        problems=problems_of(known.problems),
        command=line,
    )


def _refused(error: CoveyError, known: KnownViews, line: str) -> Previewed:
    return Previewed(
        views=(),
        panes=0,
        days=0,
        budget_micro_rho=0,
        day_micro_rho=0,
        epsilon=(),
        least_left=None,
        refusal=_failure(error),
        problems=problems_of(known.problems),
        command=line,
    )


def _failure(error: CoveyError) -> RunFailure:
    return RunFailure(code=error.code, detail=str(error), mend=mend_of(error))


def _shown(run: RunSnapshot) -> CollectionRun:
    names = RunFailure.model_fields
    result = None
    if run.result is not None:
        kept = ViewResult.model_fields
        result = tuple(ViewResult(**{key: view[key] for key in kept}) for view in run.result["views"])
    return CollectionRun(
        id=run.id,
        views=run.views,
        command=run.command,
        started_at=utc_text(run.started_us),
        ended_at=None if run.ended_us is None else utc_text(run.ended_us),
        status=run.status,
        progress=tuple(RunProgress(**one) for one in run.progress),
        result=result,
        failure=None if run.failure is None else RunFailure(**{key: run.failure[key] for key in names}),
    )
