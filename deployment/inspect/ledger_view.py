"""The ledgers of a project: each day's spent and remaining budget, and the refusals with their reasons.

Ledgers are read with all of their checks, and never written. A broken ledger is reported, and the other ledgers are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from base.times import DAY_US, from_us
from deployment.errors import ItemMissing
from deployment.project.project import DEFAULT_BUDGET
from federation.accountant import EpsilonClaim
from federation.errors import LedgerBroken
from federation.ledger.entries import Head, RebuiltEntry, RefusalEntry
from federation.ledger.operator import LEDGERS, OPERATOR
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget, LedgerState
from federation.price import Observer, Price
from federation.refusal_codes import RefusalCode

from .ledger_claims import LEDGER_DELTA, budget_claims, opened_exactly, spent_claims

_SUFFIX: Final = ".db"
_HEAD_SUFFIX: Final = ".db.head"


@dataclass(frozen=True)
class DaySpent:
    """One UTC day (since the epoch): micro-ρ by view, over all views, and left of the budget (negative if it was lowered).

    Attributes:
        price: both prices of the day, over all views. The numbers of micro-ρ are those that the budget counts.
        overlaps: by view, how many collections of it have charged the day, where that is more than one.
        roles: by view, the roles that charged it; empty in a site's ledger. Roles that open a plan together charge it once.
    """

    day: int
    by_view: Mapping[str, int]
    overlaps: Mapping[str, int]
    roles: Mapping[str, tuple[str, ...]]
    price: Price
    spent: int
    left: int


@dataclass(frozen=True)
class LedgerView:
    """One intact ledger.

    Attributes:
        views: the charged views, or the requested ones among them.
        charged: the number of charged plans; `unfinished`: the number of those that are not done yet.
        remembered: the heads of other parties' ledgers, as seen at the last opening.
        entries: their number.
        rebuilt: the last time that the ledger was rebuilt after a loss; None: never.
        spent: ε of the worst day, the worst 7 and the worst 30 days that were charged; empty: none was, or no ε holds.
        exact: whether exact sums were charged, without noise.
    """

    owner: str
    path: Path
    head: Head
    entries: int
    rebuilt: RebuiltEntry | None
    budget: Budget
    views: tuple[str, ...]
    days: tuple[DaySpent, ...]
    refused: tuple[RefusalEntry, ...]
    charged: int
    unfinished: int
    remembered: Mapping[str, Head]
    spent: tuple[EpsilonClaim, ...]
    exact: bool


@dataclass(frozen=True)
class BrokenLedger:
    """A broken ledger: no plan may be opened with it."""

    owner: str
    error: LedgerBroken


def owners_in(folder: Path) -> list[str]:
    """The owners of a folder's ledgers, the operator first. A ledger without its database is found by its head file."""
    found = {path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}")}
    found |= {path.name.removesuffix(_HEAD_SUFFIX) for path in folder.glob(f"*{_HEAD_SUFFIX}")}
    return sorted(found, key=lambda owner: (owner != OPERATOR, owner))


def chosen_owners(folder: Path, owner: str | None) -> list[str]:
    """This owner, or all owners in a folder of ledgers. Raises ItemMissing: there is no such ledger, or none at all."""
    owners = owners_in(folder)
    if owner is not None and owner not in owners:
        raise ItemMissing(f"no ledger of {owner!r} in {folder}; it has: {', '.join(owners) or 'none'}")
    if not owners:
        raise ItemMissing(f"no ledger in {folder}: no plan was charged or refused here yet")
    return owners if owner is None else [owner]


def read_ledgers(
    directory: Path, budgets: Mapping[str, Budget | None], *, owner: str | None = None, view: str | None = None
) -> list[LedgerView | BrokenLedger]:
    """The ledgers of a project or store directory.

    Args:
        budgets: each owner's budget of a client-day; None: the budget in the ledger's last charge.
        owner: read only this owner's ledger. view: keep only this view's part of each day, and its refusals.

    Raises:
        ItemMissing: no ledger, or no ledger with the view.
    """
    folder = directory / LEDGERS
    shown = [_read(folder, each, budgets[each], view) for each in chosen_owners(folder, owner)]
    whole = [one for one in shown if isinstance(one, LedgerView)]
    if view is not None and len(whole) == len(shown) and not any(one.views or one.refused for one in whole):
        raise ItemMissing(f"no ledger in {folder} has a view {view!r}")
    return shown


def to_json(ledger: LedgerView | BrokenLedger) -> dict[str, Any]:
    """The ledgers as JSON: days as dates, ρ as whole millionths, refusals with their sentence."""
    if isinstance(ledger, BrokenLedger):
        return {"ledger": ledger.owner, "path": ledger.error.path, "whole": False, "why": str(ledger.error)}
    return {
        "ledger": ledger.owner,
        "path": str(ledger.path),
        "whole": True,
        "entries": ledger.entries,
        "rebuilt_at": None if ledger.rebuilt is None else moment_of(ledger.rebuilt.at_us),
        "head": ledger.head.digest.hex(),
        "budget_micro_rho": ledger.budget.micro_rho,
        "budget_counts": ledger.budget.counts.value,
        "budget_epsilon": [asdict(claim) for claim in budget_claims(ledger.budget)],
        "spent_epsilon": [asdict(claim) for claim in ledger.spent],
        "delta": LEDGER_DELTA,
        "exact_sums": ledger.exact,
        "quotas": dict(ledger.budget.quotas),
        "plans": {"charged": ledger.charged, "unfinished": ledger.unfinished},
        "days": [
            {
                "day": date_of(day.day),
                "micro_rho": dict(day.by_view),
                "overlaps": dict(day.overlaps),
                "roles": {view: list(roles) for view, roles in day.roles.items()},
                "price": {one.value: day.price.micro_rho(one) for one in Observer},
                "spent_micro_rho": day.spent,
                "left_micro_rho": day.left,
            }
            for day in ledger.days
        ],
        "refused": [
            {
                "code": one.code,
                "why": sentence_of(one.code),
                "view": one.view,
                "day": None if one.day is None else date_of(one.day),
                "at": moment_of(one.at_us),
                "plan": one.plan.hex(),
                "role": one.role or None,
            }
            for one in ledger.refused
        ],
        "remembers": {
            name: {"entries": head.seq, "head": head.digest.hex()} for name, head in ledger.remembered.items()
        },
    }


def sentence_of(code: str) -> str:
    """The sentence of a refusal's code; empty for a code that is unknown to this version."""
    return RefusalCode[code].sentence if code in RefusalCode.__members__ else ""


def date_of(day: int) -> str:
    """A UTC day as `2013-01-31`, or its number if it has no date."""
    try:
        return from_us(day * DAY_US).strftime("%Y-%m-%d")
    except OverflowError:
        return f"day {day}"


def moment_of(at_us: int) -> str:
    """µs since the epoch as `2013-01-31T10:00:00Z`."""
    from base.times import from_us

    return from_us(at_us).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(folder: Path, owner: str, given: Budget | None, view: str | None) -> LedgerView | BrokenLedger:
    path = folder / f"{owner}{_SUFFIX}"
    try:
        found = read_ledger(path, owner)
    except LedgerBroken as error:
        return BrokenLedger(owner, error)
    budget = given or found.state.budget or DEFAULT_BUDGET
    state, days = found.state, _days(found.state, budget, view)
    return LedgerView(
        owner,
        path,
        found.head,
        state.length,
        state.rebuilt,
        budget,
        tuple(sorted({name for day in days for name in day.by_view})),
        days,
        tuple(one for one in state.refused if view is None or one.view == view),
        len(state.charged_by),
        sum(not all(ended.values()) for ended in state.charged_by.values()),
        found.peers,
        spent_claims(state),
        opened_exactly(state),
    )


def _days(state: LedgerState, budget: Budget, view: str | None) -> tuple[DaySpent, ...]:
    by_day: dict[int, dict[str, int]] = {}
    roles: dict[int, dict[str, dict[str, None]]] = {}
    for charge, price in state.paid.items():
        if view is None or charge.view == view:
            of_day = by_day.setdefault(charge.day, {})
            of_day[charge.view] = of_day.get(charge.view, 0) + budget.counted(price)
            roles.setdefault(charge.day, {}).setdefault(charge.view, {}).update(state.roles[charge])
    return tuple(
        DaySpent(
            day,
            dict(sorted(by_day[day].items())),
            {name: many for name in sorted(by_day[day]) if (many := len(state.collections_of(name, day))) > 1},
            {name: tuple(filter(None, sorted(who))) for name, who in sorted(roles[day].items())},
            state.prices[day],
            budget.counted(state.prices[day]),
            state.left(day, budget),
        )
        for day in sorted(by_day)
    )


def day_groups(days: Sequence[DaySpent]) -> list[tuple[list[int], DaySpent]]:
    """Groups of days with the same spending: (sorted days, one of them), in order of the first day."""
    groups: dict[tuple[object, ...], list[DaySpent]] = {}
    for day in days:
        groups.setdefault(
            (*day.by_view.items(), *day.overlaps.items(), *day.roles.items(), day.price, day.left), []
        ).append(day)
    return [([one.day for one in group], group[0]) for group in groups.values()]


def refusal_groups(refused: Sequence[RefusalEntry]) -> list[tuple[list[int], list[RefusalEntry]]]:
    """Groups of refusals with one role, code and view: (sorted days, the refusals), in order of the first refusal."""
    groups: dict[tuple[str, str, str | None], list[RefusalEntry]] = {}
    for one in refused:
        groups.setdefault((one.role, one.code, one.view), []).append(one)
    return [(sorted({one.day for one in group if one.day is not None}), group) for group in groups.values()]
