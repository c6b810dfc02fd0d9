"""The codes by which ledgers and policies refuse: stable words, the same on the wire, in ledgers and in the docs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from .errors import AggregatorBehind, AlreadyDone, ClockWentBack, DayBudgetSpent, LedgerRefusal, PaneTaken, ViewOverlap


class RefusalCode(StrEnum):
    """Why a site, or a ledger, does not take part in a plan. None of them depends on events."""

    sentence: str
    """The code in words, for people."""

    def __new__(cls, code: str, sentence: str) -> RefusalCode:
        """A member: its code is its value."""
        self = str.__new__(cls, code)
        self._value_ = code
        self.sentence = sentence
        return self

    NOT_A_PLAN = "NOT_A_PLAN", "A message of another kind, or larger than a plan: nothing in it is read or run."
    PLAN_UNSIGNED = "PLAN_UNSIGNED", "Not signed by the pinned coordinator, or changed on the way."
    PLAN_INVALID = "PLAN_INVALID", "Signed, and nothing that this version can run."
    PLAN_EXPIRED = "PLAN_EXPIRED", "Its deadline is over."
    PLAN_LIVES_TOO_LONG = (
        "PLAN_LIVES_TOO_LONG",
        "The secrets that open its reports may exist for longer than the policy allows.",
    )
    KEY_NOT_PINNED = "KEY_NOT_PINNED", "It names other aggregators than the pinned ones."
    VIEW_NOT_ALLOWED = "VIEW_NOT_ALLOWED", "The policy does not allow a view of this name."
    DEFINITION_NOT_ALLOWED = "DEFINITION_NOT_ALLOWED", "The policy pins another definition of a view of this name."
    COLUMN_NOT_ALLOWED = "COLUMN_NOT_ALLOWED", "A feature or a `where` reads a column that the policy does not allow."
    JOIN_KEY_NOT_ALLOWED = "JOIN_KEY_NOT_ALLOWED", "A view is split by a column that the policy does not allow."
    TIME_NOT_ALLOWED = (
        "TIME_NOT_ALLOWED",
        "A view reads the time of events from a column that the policy does not allow.",
    )
    EXPRESSION_NOT_ALLOWED = "EXPRESSION_NOT_ALLOWED", "A `where` outside the closed grammar."
    RHO_TOO_HIGH = "RHO_TOO_HIGH", "By itself it costs a client-day more than the policy allows."
    DAY_BUDGET_SPENT = "DAY_BUDGET_SPENT", "With what was charged before it costs a client-day more than allowed."
    K_TOO_LOW = "K_TOO_LOW", "It opens panes of fewer clients than the policy demands."
    NOISE_OFF = "NOISE_OFF", "It asks for exact sums."
    PROOFS_REQUIRED = (
        "PROOFS_REQUIRED",
        "Its reports carry no proof that they are within a view's bounds; the policy, or an aggregator, demands one.",
    )
    PROTECTION_NOT_ALLOWED = (
        "PROTECTION_NOT_ALLOWED",
        "The policy does not allow reports that are protected so (shares, or encrypted: `he`).",
    )
    ENCRYPTION_KEYS_INVALID = (
        "ENCRYPTION_KEYS_INVALID",
        "The keys that came along are not those of the plan's key holder.",
    )
    ACTIVITY_VISIBLE = (
        "ACTIVITY_VISIBLE",
        "Under `active`, how many clients had events is seen by others; the policy does not allow that.",
    )
    PARTICIPATION_NOT_ALLOWED = (
        "PARTICIPATION_NOT_ALLOWED",
        "The policy takes part in plans of the other kind of participation only.",
    )
    REPORT_PER_NOT_ALLOWED = (
        "REPORT_PER_NOT_ALLOWED",
        "It asks for one report of the site, the sum of its clients; the policy does not allow that.",
    )
    TOO_MANY_CLIENTS = "TOO_MANY_CLIENTS", "More clients are enrolled here than it allows one site to declare."
    ANSWER_TOO_LARGE = (
        "ANSWER_TOO_LARGE",
        "Under `all`, reports of every enrolled client and pane would be larger than the policy allows.",
    )
    PANE_ALREADY_REPORTED = "PANE_ALREADY_REPORTED", "A pane of it was reported, or collected, under another plan."
    VIEW_OVERLAP = "VIEW_OVERLAP", "Another definition of a view was collected on one of its days."
    CLOCK_SKEW = "CLOCK_SKEW", "By this clock a pane has not ended yet, or the clock went back."
    AGGREGATOR_BEHIND = (
        "AGGREGATOR_BEHIND",
        "An aggregator's ledger is shorter, or another one, than by a plan answered before: rolled back, or the plan is older.",
    )
    SCHEMA = "SCHEMA", "The site's events lack a column that a view needs, or hold another type."
    LEDGER_BROKEN = (
        "LEDGER_BROKEN",
        "The ledger was edited, cut or rolled back: nothing is answered until it is mended.",
    )
    SITE_FAILED = "SITE_FAILED", "The site itself is broken (its files, its configuration); its own log says how."


_CODES: Final = {
    PaneTaken: RefusalCode.PANE_ALREADY_REPORTED,
    AlreadyDone: RefusalCode.PANE_ALREADY_REPORTED,
    ViewOverlap: RefusalCode.VIEW_OVERLAP,
    DayBudgetSpent: RefusalCode.DAY_BUDGET_SPENT,
    ClockWentBack: RefusalCode.CLOCK_SKEW,
    AggregatorBehind: RefusalCode.AGGREGATOR_BEHIND,
}


def code_of(refusal: LedgerRefusal) -> RefusalCode:
    """The code of a ledger's refusal."""
    return _CODES[type(refusal)]
