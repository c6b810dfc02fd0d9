"""The routes of budgets. They read; a budget is changed in covey.toml and policy.toml."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from base.times import DAY_US, day_of_date
from covey.console.console import Console
from covey.console.roles import Reader
from deployment.inspect.budgets_in import budgets_in
from deployment.inspect.lasting import ledger_outlook
from deployment.inspect.ledger_check import verify_ledgers
from deployment.inspect.ledger_view import BrokenLedger, LedgerView, read_ledgers
from deployment.inspect.what_if import chosen_views, what_if
from deployment.project.budgets import budgets_of
from federation.ledger.state import Budget

from .ledger_forms import Ledger, LedgerCheck, LedgerDay, LedgerDays, LedgerList, Refusals
from .outlook_forms import LedgerOutlook
from .what_if_forms import PricedViews, WhatIfAnswer, WhatIfRequest, priced
from .words import outlook_command, what_if_command

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
        found = ledger_outlook(_whole(console, owner, None), console.store.views(), console.clock() // DAY_US, epsilon)
        return LedgerOutlook.of(found, outlook_command(console.directory, owner, epsilon))

    @routes.get("/views", operation_id="listPricedViews")
    def views() -> PricedViews:
        """The registered views, with their prices."""
        return PricedViews(views=priced(console.store.views()))

    @routes.post("/what-if", operation_id="whatIf")
    def collect_every_day(body: WhatIfRequest, _user: Reader) -> WhatIfAnswer:
        """What views would cost if they were collected every day. Nothing is charged."""
        known = console.store.views()
        chosen = chosen_views(known, [one.view for one in body.views], {one.view: one.change for one in body.views})
        found = what_if(chosen, budgets_in(console.directory), body.days, body.epsilon)
        return WhatIfAnswer.of(found, what_if_command(console.directory, body, None))

    return routes


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
