"""The routes of budgets. They read; a budget is changed in covey.toml and policy.toml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import chain
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from base.times import DAY_US, day_of_date
from covey.console.api.composer.file import TextBody
from covey.console.api.composer.graph import problems_of
from covey.console.api.numbers import number_text
from covey.console.commands import command
from covey.console.console import Console
from covey.console.evaluation import views_of
from covey.console.roles import Reader
from deployment.errors import ViewSourceInvalid
from deployment.inspect.budgets_in import budgets_in
from deployment.inspect.lasting import ledger_outlook
from deployment.inspect.ledger_check import verify_ledgers
from deployment.inspect.ledger_view import BrokenLedger, LedgerView, read_ledgers
from deployment.inspect.what_if import chosen_views, what_if
from deployment.project.budgets import budgets_of
from deployment.project.project import as_collected_in
from deployment.view_source.graph import Problem
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from federation.accountant import cost_of_day
from federation.ledger.state import Budget

from .ledger_forms import Ledger, LedgerCheck, LedgerDay, LedgerDays, LedgerList, Refusals
from .outlook_forms import LedgerOutlook
from .what_if_forms import PricedView, PricedViews, WhatIfAnswer, WhatIfRequest

MOST_DAYS: Final = 1_500
"""The most charged days of an answer: four years."""
MOST_LEDGERS: Final = 100

Owner = Annotated[str, Path(max_length=100, description="operator, or site-ID")]
Name = Annotated[str | None, Query(max_length=200)]


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    routes = APIRouter(prefix="/budgets", tags=["budgets"])

    @routes.get("/ledgers", operation_id="listLedgers")
    def ledgers(after: Name = None, limit: Annotated[int, Query(ge=1, le=MOST_LEDGERS)] = 50) -> LedgerList:
        """Every ledger: its budget, what today has left, its refusals, and what is wrong with it."""
        budgets = budgets_of(console.directory)
        owners = list(budgets)
        rest = owners[owners.index(after) + 1 :] if after in owners else owners if after is None else []
        shown, now = rest[:limit], console.clock()
        return LedgerList(
            ledgers=[Ledger.of(_read(console, budgets, owner), now) for owner in shown],
            next=shown[-1] if len(rest) > limit else None,
        )

    @routes.get("/ledgers/{owner}/days", operation_id="listLedgerDays")
    def days(
        owner: Owner,
        view: Name = None,
        first: date | None = None,
        last: date | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 400,
    ) -> LedgerDays:
        """The charged days of a ledger, or the newest of them."""
        ledger = _whole(console, owner, view)
        low = None if first is None else day_of_date(first)
        high = None if last is None else day_of_date(last)
        chosen = [one for one in ledger.days if (low is None or one.day >= low) and (high is None or one.day <= high)]
        shown = list(map(LedgerDay.of, chosen[-limit:]))
        return LedgerDays(
            owner=owner, budget_micro_rho=ledger.budget.micro_rho, days=shown, more=len(chosen) > len(shown)
        )

    @routes.get("/ledgers/{owner}/refusals", operation_id="listRefusals")
    def refusals(owner: Owner, view: Name = None, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Refusals:
        """What a ledger has refused, and why."""
        return Refusals.of(_whole(console, owner, view), limit)

    @routes.get("/ledgers/{owner}/check", operation_id="checkLedger")
    def check(owner: Owner) -> LedgerCheck:
        """Read and check every entry of a ledger, as `covey ledger verify` does."""
        (found,) = verify_ledgers(console.directory, owner)
        return LedgerCheck.of(found)

    @routes.get("/ledgers/{owner}/outlook", operation_id="readLedgerOutlook")
    def outlook(owner: Owner, epsilon: Annotated[float, Query(gt=0, le=10_000)] = 10) -> LedgerOutlook:
        """How long the budget of a ledger lasts."""
        line = command("covey", "ledger", "show", "--ledger", owner, "--limit", number_text(epsilon), *_where(console))
        found = ledger_outlook(_whole(console, owner, None), console.store.views(), console.clock() // DAY_US, epsilon)
        return LedgerOutlook.of(found, line)

    @routes.get("/views", operation_id="listPricedViews")
    def views() -> PricedViews:
        """The registered views, with their prices."""
        return PricedViews(views=_priced(console.store.views()), problems=())

    @routes.post("/views", operation_id="listPricedViewsOf")
    def views_of_text(body: TextBody, _user: Reader) -> PricedViews:
        """The views of a text that need not be saved, with their prices."""
        try:
            known = views_of(console, body.text)
        except ViewSourceInvalid as error:
            return PricedViews(views=[], problems=problems_of((Problem("", "", error.why, error.line),)))
        return PricedViews(
            views=_priced(as_collected_in(console.directory, known.declared.views)),
            problems=problems_of(known.problems),
        )

    @routes.post("/what-if", operation_id="whatIf")
    def collect_every_day(body: WhatIfRequest, _user: Reader) -> WhatIfAnswer:
        """What views would cost if they were collected every day. Nothing is charged."""
        known = (
            console.store.views()
            if body.text is None
            else as_collected_in(console.directory, views_of(console, body.text).views)
        )
        chosen = chosen_views(known, [one.view for one in body.views], {one.view: one.change for one in body.views})
        found = what_if(chosen, budgets_in(console.directory), body.days, body.epsilon)
        return WhatIfAnswer.of(found, what_if_command(console, body))

    return routes


def what_if_command(console: Console, asked: WhatIfRequest) -> str:
    """The command that shows the same; it reads the saved views file."""
    changes = [
        (option, f"{one.view}={value if isinstance(value, str) else number_text(value)}")
        for one in asked.views
        for option, value in (("--rho", one.rho), ("--epsilon", one.epsilon), ("--pane", one.pane))
        if value is not None
    ]
    file = () if asked.text is None else ("--views", str(console.views_file or "VIEWS.py"))
    limit = () if asked.epsilon is None else ("--limit", number_text(asked.epsilon))
    names = [one.view for one in asked.views]
    return command(
        "covey",
        "ledger",
        "what-if",
        *names,
        *file,
        *chain(*changes),
        "--days",
        str(asked.days),
        *limit,
        *_where(console),
    )


def _where(console: Console) -> tuple[str, str]:
    return ("--project" if console.has_project else "--store"), str(console.directory)


def _priced(views: Iterable[FeatureView]) -> list[PricedView]:
    return [PricedView.of(view, cost_of_day([layout_of(view)]).micro_rho) for view in views]


def _read(
    console: Console, budgets: Mapping[str, Budget | None], owner: str, view: str | None = None
) -> LedgerView | BrokenLedger:
    (ledger,) = read_ledgers(console.directory, budgets, owner=owner, view=view)
    return ledger


def _whole(console: Console, owner: str, view: str | None) -> LedgerView:
    """An intact ledger. Raises LedgerBroken, ItemMissing."""
    ledger = _read(console, budgets_of(console.directory), owner, view)
    if isinstance(ledger, BrokenLedger):
        raise ledger.error
    return ledger
