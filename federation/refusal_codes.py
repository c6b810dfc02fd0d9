"""The codes of refusals by ledgers and policies: stable words, the same on the wire, in ledgers and in the docs."""

from __future__ import annotations

from enum import StrEnum

from .errors import LedgerRefusal


class RefusalCode(StrEnum):
    """Why a site, or a ledger, does not take part in a plan. None of them depends on events."""

    sentence: str
    """The code in words."""

    def __new__(cls, code: str, sentence: str) -> RefusalCode:
        """A member: its code is its value."""
        self = str.__new__(cls, code)
        self._value_ = code
        self.sentence = sentence
        return self

    NOT_A_PLAN = "NOT_A_PLAN", "The message is no plan, or larger than a plan can be; it was not read."
    PLAN_UNSIGNED = "PLAN_UNSIGNED", "The pinned coordinator did not sign the plan, or the plan was changed."
    PLAN_INVALID = "PLAN_INVALID", "The plan is signed, but this version cannot run it."
    PLAN_EXPIRED = "PLAN_EXPIRED", "The plan's deadline has passed."
    PLAN_LIVES_TOO_LONG = (
        "PLAN_LIVES_TOO_LONG",
        "The secrets that open the plan's reports may exist longer than the policy allows.",
    )
    KEY_NOT_PINNED = "KEY_NOT_PINNED", "The plan names aggregators that are not pinned."
    VIEW_NOT_ALLOWED = "VIEW_NOT_ALLOWED", "The policy does not allow a view of this name."
    DEFINITION_NOT_ALLOWED = "DEFINITION_NOT_ALLOWED", "The policy pins another definition of a view of this name."
    COLUMN_NOT_ALLOWED = "COLUMN_NOT_ALLOWED", "A feature or a `where` reads a column that the policy does not allow."
    JOIN_KEY_NOT_ALLOWED = "JOIN_KEY_NOT_ALLOWED", "A view is split by a column that the policy does not allow."
    TIME_NOT_ALLOWED = (
        "TIME_NOT_ALLOWED",
        "A view reads the time of events from a column that the policy does not allow.",
    )
    EXPRESSION_NOT_ALLOWED = "EXPRESSION_NOT_ALLOWED", "A `where` is outside the closed grammar."
    RHO_TOO_HIGH = "RHO_TOO_HIGH", "The plan alone costs a client-day more than the policy allows."
    DAY_BUDGET_SPENT = "DAY_BUDGET_SPENT", "The plan and earlier charges cost a client-day more than allowed."
    K_TOO_LOW = "K_TOO_LOW", "The plan opens panes with fewer clients than the policy demands."
    NOISE_OFF = "NOISE_OFF", "The plan opens exact sums, without noise."
    PROOFS_REQUIRED = (
        "PROOFS_REQUIRED",
        "The plan's reports carry no proof of a view's bounds; the policy, or an aggregator, demands one.",
    )
    PROTECTION_NOT_ALLOWED = (
        "PROTECTION_NOT_ALLOWED",
        "The policy does not allow the plan's protection (`shares` or `he`).",
    )
    ENCRYPTION_KEYS_INVALID = (
        "ENCRYPTION_KEYS_INVALID",
        "The encryption keys are not those of the plan's key holder.",
    )
    ACTIVITY_VISIBLE = (
        "ACTIVITY_VISIBLE",
        "Under `active`, other parties see how many clients had events; the policy does not allow that.",
    )
    PARTICIPATION_NOT_ALLOWED = (
        "PARTICIPATION_NOT_ALLOWED",
        "The policy allows only the other participation (`all` or `active`).",
    )
    REPORT_PER_NOT_ALLOWED = (
        "REPORT_PER_NOT_ALLOWED",
        "The plan asks for one report of the site, the sum of its clients; the policy allows only reports of single clients.",
    )
    TOO_MANY_CLIENTS = (
        "TOO_MANY_CLIENTS",
        "The site has enrolled more clients than the plan allows one site to declare.",
    )
    ANSWER_TOO_LARGE = (
        "ANSWER_TOO_LARGE",
        "Under `all`, reports of every enrolled client and pane would be larger than the policy allows.",
    )
    PANE_ALREADY_REPORTED = (
        "PANE_ALREADY_REPORTED",
        "A pane of the plan was reported, or collected, under another plan.",
    )
    ATTEMPTS_SPENT = "ATTEMPTS_SPENT", "A pane of the plan was attempted as often as is allowed, without being opened."
    PLAN_FREED = "PLAN_FREED", "The aggregator has erased what it held of the plan, and never opens it."
    VIEW_OVERLAP = "VIEW_OVERLAP", "Another definition of a view was collected on one of its days."
    CLOCK_SKEW = "CLOCK_SKEW", "By the local clock a pane has not ended yet, or the clock went back."
    AGGREGATOR_BEHIND = (
        "AGGREGATOR_BEHIND",
        "An aggregator's ledger is shorter than in a plan answered before, or differs: it was rolled back, or this plan is older.",
    )
    SCHEMA = "SCHEMA", "The site's events lack a column that a view needs, or have another type in it."
    LEDGER_BROKEN = (
        "LEDGER_BROKEN",
        "The ledger was edited, cut or rolled back; the site answers no plan until it is repaired.",
    )
    SITE_FAILED = "SITE_FAILED", "The site's own files or configuration are broken; its log has the reason."


def code_of(refusal: LedgerRefusal) -> RefusalCode:
    """The code of a ledger's refusal."""
    return RefusalCode[refusal.code]
