"""What the API says about how long a budget lasts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from covey.console.api.form import Form
from deployment.inspect import lasting
from deployment.inspect.lasting import MOST_DAYS


class Lasting(Form):
    """For how many days ε stays at most `epsilon`.

    Attributes:
        at_least: the longest time that is looked at. So many days mean that ε stays within the limit for at least that long.
    """

    epsilon: float
    outsiders_days: int
    aggregator_days: int
    at_least: int

    @classmethod
    def of(cls, found: lasting.Lasting) -> Self:
        """The same as a form."""
        return cls(
            epsilon=found.epsilon,
            outsiders_days=found.outsiders_days,
            aggregator_days=found.aggregator_days,
            at_least=MOST_DAYS,
        )


class ViewLeft(Form):
    """A view, and what a day of it costs in a budget.

    Attributes:
        paid: today was charged already. fits: what today has left pays for it.
    """

    view: str
    micro_rho: int
    paid: bool
    fits: bool


class LedgerOutlook(Form):
    """How long the budget of a ledger lasts, and the command that says the same.

    Attributes:
        spent: every day's budget is spent. worst: every day costs as much as the worst one so far; null: none was charged, or no
            ε holds.
        daily_micro_rho: what a day of all views together costs in the budget.
    """

    owner: str
    spent: Lasting
    worst: Lasting | None
    daily_micro_rho: int
    today_left: int
    today: tuple[ViewLeft, ...]
    command: str

    @classmethod
    def of(cls, found: lasting.LedgerOutlook, command: str) -> Self:
        """The same as a form."""
        return cls(
            owner=found.owner,
            spent=Lasting.of(found.spent),
            worst=None if found.worst is None else Lasting.of(found.worst),
            daily_micro_rho=found.daily_micro_rho,
            today_left=found.today_left,
            today=tuple(ViewLeft(**asdict(one)) for one in found.today),
            command=command,
        )
