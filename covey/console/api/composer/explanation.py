"""The privacy label of a text that need not be saved, for a fleet of a stated size."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import FailFast, Field

from base.errors import CoveyError
from covey.console.api.form import Body, Form
from covey.console.evaluation import NOTHING_KNOWN, views_of
from covey.console.roles import Reader
from covey.console.text_pool import TextSettings
from deployment.errors import ViewSourceInvalid
from deployment.inspect.explain import label_of
from deployment.inspect.privacy_label import CostExplanation, ViewExplanation
from deployment.project.project import DEFAULT_BUDGET, Project, as_collected_in
from deployment.view_source.graph import Problem

from .graph import GraphProblem, Text, problems_of

MAX_CLIENTS: Final = 10**7


class ExplainBody(Body):
    """A text of a views file.

    Attributes:
        clients: of one join key and pane, each with one event.
    """

    text: Text
    clients: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_CLIENTS)], ...], Field(min_length=1, max_length=8), FailFast()
    ]


class Label(Form):
    """The privacy label of the views that are known.

    Attributes:
        total: None: no view is known.
        budget_micro_rho: of a client-day, in the project, else the default of new projects. over_budget_micro_rho: what all views
            together exceed it by.
        problems: why other views are not known.
        executed: the file was executed, because the operator trusts it.
    """

    views: tuple[ViewExplanation, ...]
    total: CostExplanation | None
    budget_micro_rho: int
    over_budget_micro_rho: int
    problems: tuple[GraphProblem, ...]
    executed: bool


def add_routes(router: APIRouter, settings: TextSettings) -> None:
    """Add the route of the label."""

    @router.post("/explain", operation_id="explainViews")
    def explain_views(body: ExplainBody, _user: Reader) -> Label:
        """The price of each view, and its expected errors. Nothing is collected."""
        try:
            known = views_of(settings, body.text)
            problems = known.problems
        except ViewSourceInvalid as error:
            known, problems = NOTHING_KNOWN, (Problem("", "", error.why, error.line),)
        project = Project.find(settings.directory)
        views: tuple[ViewExplanation, ...] = ()
        total, budget = None, (DEFAULT_BUDGET if project is None else project.budget).micro_rho
        if known.declared.views:
            try:
                found = label_of(
                    as_collected_in(settings.directory, known.declared.views),
                    0,
                    settings.directory,
                    clients=body.clients,
                )
            except CoveyError as error:
                problems = (*problems, Problem("", "", str(error)))
            else:
                views, total = found.views, found.total
        over = 0 if total is None else max(0, total.micro_rho - budget)
        return Label(
            views=views,
            total=total,
            budget_micro_rho=budget,
            over_budget_micro_rho=over,
            problems=problems_of(problems),
            executed=known.executed,
        )
