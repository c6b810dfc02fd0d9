"""The routes that price the views of a text, which need not be saved. Nothing is charged."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter

from covey.console.api.budgets.what_if_forms import PricedView, WhatIfAnswer, WhatIfRequest, priced
from covey.console.api.budgets.words import what_if_command
from covey.console.api.form import Form
from covey.console.evaluation import views_of
from covey.console.roles import Reader
from covey.console.text_pool import TextSettings
from deployment.errors import ViewSourceInvalid
from deployment.inspect.budgets_in import budgets_in
from deployment.inspect.what_if import chosen_views, what_if
from deployment.project.project import as_collected_in
from deployment.view_source.graph import Problem

from .graph import GraphProblem, Text, problems_of
from .texts import TextBody

SAVED: Final = Path("VIEWS.py")
"""Stands in a command for the file that the text will be saved to, if the console has none."""


class PricedText(Form):
    """The views of a text, and why others are not known."""

    views: list[PricedView]
    problems: tuple[GraphProblem, ...]


class WhatIfOfText(WhatIfRequest):
    """Views of a text to collect every day."""

    text: Text


def add_routes(router: APIRouter, settings: TextSettings) -> None:
    """Add the routes to those of texts."""
    directory = settings.directory

    @router.post("/prices", operation_id="listPricesOfText")
    def prices(body: TextBody, _user: Reader) -> PricedText:
        """The views of a text, with their prices."""
        try:
            known = views_of(settings, body.text)
        except ViewSourceInvalid as error:
            return PricedText(views=[], problems=problems_of((Problem("", "", error.why, error.line),)))
        views = as_collected_in(directory, known.declared.views)
        return PricedText(views=priced(views), problems=problems_of(known.problems))

    @router.post("/what-if", operation_id="whatIfOfText")
    def collect_every_day(body: WhatIfOfText, _user: Reader) -> WhatIfAnswer:
        """What views of a text would cost if they were collected every day."""
        known = as_collected_in(directory, views_of(settings, body.text).declared.views)
        chosen = chosen_views(known, [one.view for one in body.views], {one.view: one.change for one in body.views})
        found = what_if(chosen, budgets_in(directory), body.days, body.epsilon)
        return WhatIfAnswer.of(found, what_if_command(directory, body, settings.views_file or SAVED))
