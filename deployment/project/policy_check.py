"""A site's answer to a plan, and the plan's cost for each day. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from base.times import DAY_US, from_us
from crypto.errors import CryptoError
from deployment.errors import ItemMissing
from edge_client.columns import ColumnsRead, columns_read
from edge_client.policy import PIN, Policy, Refuse, all_refusals
from featurestore.define.definitions import FeatureView
from featurestore.define.wire import definition_hash
from federation.accountant import charge_of
from federation.errors import FederationError, LedgerRefusal
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget, LedgerState
from federation.plan import Plan
from federation.price import NO_PRICE, Price
from federation.refusal_codes import RefusalCode

NO_LIMIT: Final = 2**62


@dataclass(frozen=True)
class ViewAsked:
    """One view of a plan, as a site's operator sees it.

    Attributes:
        panes: pane starts, µs since the epoch.
        price: the price of one client-day.
    """

    view: FeatureView
    panes: tuple[int, ...]
    min_clients: int
    price: Price

    @property
    def reads(self) -> ColumnsRead:
        """The columns of the site's events that the view reads."""
        return columns_read(self.view)

    @property
    def pin(self) -> str:
        """The entry of `views` in policy.toml that allows this definition and no other."""
        return f"{self.view.name}{PIN}{definition_hash(self.view).hex()}"


@dataclass(frozen=True)
class DayCost:
    """One UTC day (since the epoch): the micro-ρ spent before, added by the plan, and left after it, as the budget counts."""

    day: int
    spent: int
    plan: int
    left: int


@dataclass(frozen=True)
class PolicyCheck:
    """A site's answer to a plan, and the plan's views and costs.

    Attributes:
        refusals: empty: the site would accept the plan. Else the site answers with the first of them.
        repeated: the ledger was charged for this plan before, so it costs nothing more.
        views, days: empty if the plan cannot be read; `days` also if the ledger's rules allow no charge.
    """

    refusals: tuple[Refuse, ...]
    plan: Plan | None
    repeated: bool
    views: tuple[ViewAsked, ...]
    days: tuple[DayCost, ...]


BROKEN: Final = PolicyCheck((Refuse(RefusalCode.LEDGER_BROKEN),), None, False, (), ())
"""A site's answer to any plan while its ledger is broken."""


def check_plan(signed: bytes, policy: Policy, state: LedgerState, now_us: int) -> PolicyCheck:
    """The current answer of a site with this policy and ledger. No events are read: no answer depends on them.

    Args:
        signed: a signed plan, or a signed draft. A draft has no live keys yet, so no site would answer it.
    """
    draft = _draft(signed, policy)
    refusals = all_refusals(signed if draft is None else draft, policy, state, now_us)
    plan = draft or _read(signed, policy)
    if plan is None:
        return PolicyCheck(refusals, None, False, (), ())
    views = tuple(
        ViewAsked(planned.view, tuple(planned.pane_starts.tolist()), planned.min_clients, charge_of(plan, planned))
        for planned in plan.views
    )
    repeated = plan.hash in state.intended
    return PolicyCheck(refusals, plan, repeated, views, () if repeated else _days(plan, policy.budget, state))


def ledger_state(path: Path, *, may_be_missing: bool = False) -> LedgerState:
    """The state of a site's ledger; the owner is the file's name. Nothing is written.

    Raises:
        ItemMissing: the file does not exist. LedgerBroken.
    """
    if not path.exists() and not path.with_name(path.name + ".head").exists():
        if may_be_missing:
            return LedgerState()
        raise ItemMissing(f"no ledger {path}")
    return read_ledger(path, path.stem).state


def to_json(check: PolicyCheck, policy: Policy) -> dict[str, Any]:
    """The check as JSON; ρ as decimal text, days as dates. The first refusal, which is the site's answer, stands twice."""
    refusals = [_refusal_to_json(one) for one in check.refusals]
    accepted = {"answer": "ACCEPT", "sentence": None, "mend": None, "view": None, "day": None}
    return {
        **(refusals[0] if refusals else accepted),
        "refusals": refusals,
        "plan": None if check.plan is None else check.plan.hash.hex(),
        "participation": None if check.plan is None else check.plan.terms.participation,
        "noise": None if check.plan is None else check.plan.noise,
        "protection": None if check.plan is None else check.plan.terms.protection,
        "validity": None if check.plan is None else check.plan.terms.validity,
        "report_per": None if check.plan is None else check.plan.terms.report_per,
        "repeated": check.repeated,
        "views": [_view_to_json(one) for one in check.views],
        "budget": policy.max_micro_rho / 1e6,
        "budget_counts": policy.budget_counts.value,
        "days": [
            {"day": _date(one.day), "spent": one.spent / 1e6, "plan": one.plan / 1e6, "left": one.left / 1e6}
            for one in check.days
        ],
    }


def _refusal_to_json(one: Refuse) -> dict[str, Any]:
    return {
        "answer": str(one.code),
        "sentence": one.code.sentence,
        "mend": one.code.mend,
        "view": one.view,
        "day": None if one.day is None else _date(one.day),
    }


def _view_to_json(one: ViewAsked) -> dict[str, Any]:
    reads, entity, bounds = one.reads, one.view.entity, one.view.bounds
    return {
        "view": one.view.name,
        "panes": len(one.panes),
        "min_clients": one.min_clients,
        "rho": one.price.aggregator.micro_rho / 1e6,
        "rho_outsiders": one.price.outsiders.micro_rho / 1e6,
        "noisers": one.view.privacy.chosen_noisers,
        "definition": definition_hash(one.view).hex(),
        "pin": one.pin,
        "reads": {
            "time": reads.time,
            "join_keys": list(reads.join_keys),
            "columns": list(reads.values),
            "where": list(reads.where),
        },
        "join_keys": list(entity.keys),
        "domain": len(entity.domain),
        "bounds": {"max_cells": bounds.max_cells, "max_events_per_cell": bounds.max_events_per_cell},
    }


def _draft(signed: bytes, policy: Policy) -> Plan | None:
    """The draft in these bytes, a plan that is not announced yet; None if they are not a draft."""
    try:
        return policy.draft(signed)
    except (FederationError, CryptoError):
        return None


def _read(signed: bytes, policy: Policy) -> Plan | None:
    try:
        return policy.plan(signed)
    except (FederationError, CryptoError):
        return None


def _days(plan: Plan, budget: Budget, state: LedgerState) -> tuple[DayCost, ...]:
    """The plan's charges, whether or not the budget allows them; empty if its panes or views are charged already."""
    try:
        entry = state.intent(plan, Budget(NO_LIMIT), state.last_us)
    except LedgerRefusal:
        return ()
    cost = {int(us) // DAY_US: 0 for planned in plan.views for us in planned.pane_starts}
    for view in entry.views if entry is not None else ():
        for day in view.days.tolist():
            cost[day] += budget.counted(view.price)
    return tuple(
        DayCost(day, budget.counted(state.prices.get(day, NO_PRICE)), of_plan, state.left(day, budget) - of_plan)
        for day, of_plan in sorted(cost.items())
    )


def _date(day: int) -> str:
    return from_us(day * DAY_US).date().isoformat()
