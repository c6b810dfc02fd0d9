"""What the API takes and says about collections that are planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator

from covey.console.api.days_epsilon import DaysEpsilon
from covey.console.api.form import Body, Form
from deployment.inspect.lasting import MOST_DAYS
from deployment.inspect.what_if import CostChange, WhatIf
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from federation.accountant import cost_of_day
from federation.price import Observer

from .outlook_forms import Lasting

MOST_VIEWS = 100
Pane = Literal["5s", "15s", "1m", "5m", "15m", "1h", "1d"]


class PricedView(Form):
    """A view that can be collected. One of `rho` and `epsilon` is the price as it is defined, by its mechanism."""

    view: str
    pane: str
    windows: list[str]
    mechanism: Literal["gaussian", "laplace"]
    rho: float | None
    epsilon: float | None
    micro_rho: int

    @classmethod
    def of(cls, view: FeatureView, micro_rho: int) -> Self:
        """A registered view, and what a client-day of it costs."""
        privacy = view.privacy
        is_gaussian = privacy.mechanism == "gaussian"
        return cls(
            view=view.name,
            pane=view.pane,
            windows=list(view.windows),
            mechanism=privacy.mechanism,
            rho=privacy.micro_rho / 1e6 if is_gaussian else None,
            epsilon=None if is_gaussian else privacy.micro_epsilon / 1e6,
            micro_rho=micro_rho,
        )


class PricedViews(Form):
    """All views of the store."""

    views: list[PricedView]


def priced(views: Iterable[FeatureView]) -> list[PricedView]:
    """Views, and what a client-day of each costs."""
    return [PricedView.of(view, cost_of_day([layout_of(view)]).micro_rho) for view in views]


class ChosenView(Form):
    """A view to collect every day; null: as it is defined."""

    view: Annotated[str, Field(max_length=200)]
    rho: Annotated[float, Field(gt=0, le=1_000)] | None = None
    epsilon: Annotated[float, Field(gt=0, le=1_000)] | None = None
    pane: Pane | None = None

    @property
    def change(self) -> CostChange:
        """What differs from the definition."""
        return CostChange(self.rho, self.epsilon, self.pane)


class WhatIfRequest(Body):
    """Registered views to collect every day, for so many days. `epsilon`: how long ε stays at most this."""

    views: Annotated[list[ChosenView], Field(min_length=1, max_length=MOST_VIEWS)]
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 365
    epsilon: Annotated[float, Field(gt=0, le=10_000)] | None = None

    @field_validator("views")
    @classmethod
    def _each_once(cls, views: list[ChosenView]) -> list[ChosenView]:
        twice = [name for name, many in Counter(one.view for one in views).items() if many > 1]
        if twice:
            raise ValueError(f"view {twice[0]!r} is named more than once; name each view once")
        return views


class ViewCost(Form):
    """One view, collected every day: a client-day against an aggregator and outsiders, in millionths of ρ, and ε at its δ."""

    view: str
    pane: str
    panes_per_day: int
    micro_rho: int
    outsiders_micro_rho: int
    claims: list[DaysEpsilon]


class OverQuota(Form):
    """A view that costs more than its own quota."""

    view: str
    micro_rho: int
    quota: int


class BudgetFit(Form):
    """Whether the budget of one ledger pays for a day, and so for every day."""

    owner: str
    budget_micro_rho: int
    counts: Observer
    micro_rho: int
    left: int
    over_quota: list[OverQuota]
    fits: bool


class WhatIfAnswer(Form):
    """The cost of all chosen views together, and of each. `command` shows the same; it reads the saved file."""

    command: str
    delta: float
    days: int
    micro_rho: int
    outsiders_micro_rho: int
    claims: list[DaysEpsilon]
    curve: list[DaysEpsilon]
    views: list[ViewCost]
    budgets: list[BudgetFit]
    lasting: Lasting | None

    @classmethod
    def of(cls, found: WhatIf, command: str) -> Self:
        """The cost as JSON has it."""
        lasting = found.lasting
        return cls(
            command=command,
            delta=found.delta,
            days=found.days,
            micro_rho=found.micro_rho,
            outsiders_micro_rho=found.outsiders_micro_rho,
            claims=list(map(DaysEpsilon.of, found.claims)),
            curve=list(map(DaysEpsilon.of, found.curve)),
            views=[
                ViewCost(
                    view=one.view,
                    pane=one.pane,
                    panes_per_day=one.panes_per_day,
                    micro_rho=one.micro_rho,
                    outsiders_micro_rho=one.outsiders_micro_rho,
                    claims=list(map(DaysEpsilon.of, one.claims)),
                )
                for one in found.views
            ],
            budgets=[
                BudgetFit(
                    owner=one.owner,
                    budget_micro_rho=one.budget_micro_rho,
                    counts=one.counts,
                    micro_rho=one.cost,
                    left=one.left,
                    over_quota=[
                        OverQuota(view=view, micro_rho=cost, quota=most) for view, cost, most in one.over_quota
                    ],
                    fits=one.fits,
                )
                for one in found.budgets
            ],
            lasting=None if lasting is None else Lasting.of(lasting),
        )
