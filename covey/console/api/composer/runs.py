"""Runs over the console's events: what one would cost, starting it, following it, and ending it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from base.errors import CoveyError
from covey.console.commands import command
from covey.console.console import Console, EventSource
from covey.console.evaluation import NOTHING_KNOWN, KnownViews
from covey.console.live import LastEvent, Streams
from covey.console.problems import ProblemFound
from covey.console.roles import Operator, Reader
from covey.console.run_registry import RunRegistry
from covey.console.run_request import RunRequest, RunServicesRequest, encoded
from covey.errors import NoEvents, ViewsNotKnown, require_confirmed
from deployment.project.fleet import EventColumns
from deployment.project.project import as_collected_in
from deployment.run_preview import preview
from deployment.run_services import FileServices
from featurestore.define.definitions import FeatureView

from .graph import Name
from .reading import views_for
from .run_forms import CollectionRun, CollectionRuns, Previewed, RunBody, StartBody, previewed, refused, shown


def add_routes(router: APIRouter, console: Console, registry: RunRegistry) -> None:
    """Add the routes of runs."""
    streams = Streams()

    @router.post("/runs/preview", operation_id="previewRun")
    def preview_run(body: RunBody, user: Operator) -> Previewed:
        """What a run would collect, and what it would cost. Nothing is charged."""
        source = _source(console)
        known = NOTHING_KNOWN
        line = _command(console, source, body, known)
        try:
            known = views_for(console, user, body.text)
            line = _command(console, source, body, known)
            views = _chosen(console, known, body.views)
            FileServices.of(known.declared, views).require(console.directory)
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
        except (CoveyError, ProblemFound) as error:
            return refused(error, known, line)
        return previewed(found, views, known, line)

    @router.post("/runs", operation_id="startRun")
    def start_run(body: StartBody, user: Operator) -> CollectionRun:
        """Collect: charge the days, add noise, and publish the releases into the console's store."""
        source = _source(console)
        require_confirmed(body.confirmed, "a run, which spends the budget of its days,")
        known = views_for(console, user, body.text)
        views = _chosen(console, known, body.views)
        names = tuple(view.name for view in views)
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
            services=RunServicesRequest.of(FileServices.of(known.declared, views)),
        )
        run = registry.start(request, names, _command(console, source, body, known))
        return shown(run.snapshot())

    @router.get("/runs", operation_id="getRuns")
    def get_runs() -> CollectionRuns:
        """The runs that this console has started."""
        why_not = "" if console.inputs.source is not None else str(NoEvents())
        return CollectionRuns(runs=tuple(shown(run.snapshot()) for run in registry.all()), why_not=why_not)

    @router.get("/runs/{run_id}", operation_id="getRun")
    def get_run(run_id: Name) -> CollectionRun:
        """One run."""
        return shown(registry.get(run_id).snapshot())

    @router.delete("/runs/{run_id}", operation_id="cancelRun")
    def cancel_run(run_id: Name, _user: Operator) -> CollectionRun:
        """Interrupt a run. What it has published stays, and a repeated run continues."""
        run = registry.get(run_id)
        run.cancel()
        return shown(run.snapshot())

    @router.get("/runs/{run_id}/events", operation_id="followRun", response_class=StreamingResponse)
    async def follow_run(run_id: Name, user: Reader, last: LastEvent = None) -> StreamingResponse:
        """The events of a run as they come: `progress`, then `done`, `failed` or `cancelled`."""
        return streams.answer(user, registry.get(run_id).log.follow(last))


def _source(console: Console) -> EventSource:
    if console.inputs.source is None:
        raise NoEvents
    return console.inputs.source


def _chosen(console: Console, known: KnownViews, names: Sequence[str]) -> tuple[FeatureView, ...]:
    """The views to collect, as the console's directory has them. Raises ViewsNotKnown."""
    have = {view.name: view for view in known.declared.views}
    missing = [name for name in names if name not in have]
    why = [f"line {one.line}: {one.message}" if one.line else one.message for one in known.problems]
    if missing or not have or (not names and known.problems):
        raise ViewsNotKnown(missing, why)
    return as_collected_in(console.directory, [have[name] for name in names] if names else known.declared.views)


def _command(console: Console, source: EventSource, body: RunBody, known: KnownViews) -> str:
    """The command that collects the same views of the saved file likewise."""
    words = ["covey", "run", str(console.inputs.views_file or "VIEWS.py")]
    if body.views and (known.problems or {view.name for view in known.declared.views} != set(body.views)):
        words += [word for name in body.views for word in ("--view", name)]
    words += ["--events", source.path]
    words += ["--client-column", source.client_column, "--time-column", source.time_column]
    words += [] if source.site_column is None else ["--site-column", source.site_column]
    words += ["--store", str(console.directory), "--in-process"]
    words += [] if body.start is None else ["--from", body.start.isoformat()]
    words += [] if body.end is None else ["--to", body.end.isoformat()]
    words += [] if body.noise == "on" else ["--noise", body.noise]
    return command(*words, "--budget", body.budget)


def _moment(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
