"""The requests and answers about runs. Times are ISO 8601."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import FailFast, Field

from base.errors import CoveyError
from base.times import utc_text
from covey.console.api.failure import Failure
from covey.console.api.form import Body, Form
from covey.console.evaluation import KnownViews
from covey.console.problems import ProblemFound, problem_of
from covey.console.run_registry import RunSnapshot
from deployment.inspect.explain import label_of
from deployment.inspect.ledger_view import date_of
from deployment.run_preview import RunPreview
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
    refusal: Failure | None
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


class ServicesResult(Form):
    """The feature services of the text after a run. `waiting`: they read a view that was left out and the store does not have."""

    registered: tuple[str, ...]
    waiting: tuple[str, ...]


class CollectionRun(Form):
    """A run that this console has started. Times are ISO 8601.

    Attributes:
        result, services: of a run that is done.
    """

    id: str
    views: tuple[str, ...]
    command: str
    started_at: str
    ended_at: str | None
    status: Literal["running", "done", "failed", "cancelled"]
    progress: tuple[RunProgress, ...]
    result: tuple[ViewResult, ...] | None
    services: ServicesResult | None
    failure: Failure | None


class CollectionRuns(Form):
    """The runs of this console, the newest first. `why_not`: why it cannot start one; empty: it can."""

    runs: tuple[CollectionRun, ...]
    why_not: str


def previewed(found: RunPreview, views: Sequence[FeatureView], known: KnownViews, line: str) -> Previewed:
    """What a run of these views would do. `line`: the command that does the same."""
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
        refusal=None if found.refusal is None else Failure.of(found.refusal),
        problems=problems_of(known.problems),
        command=line,
    )


def refused(error: CoveyError | ProblemFound, known: KnownViews, line: str) -> Previewed:
    """A run that cannot be previewed."""
    problem = problem_of(error)
    return Previewed(
        views=(),
        panes=0,
        days=0,
        budget_micro_rho=0,
        day_micro_rho=0,
        epsilon=(),
        least_left=None,
        refusal=Failure(code=problem.code, detail=problem.detail, mend=problem.mend),
        problems=problems_of(known.problems),
        command=line,
    )


def shown(run: RunSnapshot) -> CollectionRun:
    """What is known of a run."""
    result = services = None
    if run.result is not None:
        kept = ViewResult.model_fields
        result = tuple(ViewResult(**{key: view[key] for key in kept}) for view in run.result["views"])
        services = ServicesResult(registered=run.result["services"], waiting=run.result["services_waiting"])
    return CollectionRun(
        id=run.id,
        views=run.views,
        command=run.command,
        started_at=utc_text(run.started_us),
        ended_at=None if run.ended_us is None else utc_text(run.ended_us),
        status=run.status,
        progress=tuple(RunProgress(**one) for one in run.progress),
        result=result,
        services=services,
        failure=None if run.failure is None else Failure(**run.failure),
    )
