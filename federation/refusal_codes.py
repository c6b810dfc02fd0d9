"""The codes of refusals by ledgers and policies: stable words, the same on the wire, in ledgers and in the docs."""

from __future__ import annotations

from enum import StrEnum

from .errors import LedgerRefusal


class RefusalCode(StrEnum):
    """Why a site, or a ledger, does not take part in a plan. None of them depends on events."""

    sentence: str
    """The code in words."""
    mend: str
    """What changes the answer, and who changes it in which file."""

    def __new__(cls, code: str, sentence: str, mend: str) -> RefusalCode:
        """A member: its code is its value."""
        self = str.__new__(cls, code)
        self._value_ = code
        self.sentence, self.mend = sentence, mend
        return self

    NOT_A_PLAN = (
        "NOT_A_PLAN",
        "The message is no plan, or larger than a plan can be; it was not read.",
        "Coordinator and site need the same version of Covey.",
    )
    PLAN_UNSIGNED = (
        "PLAN_UNSIGNED",
        "The pinned coordinator did not sign the plan, or the plan was changed.",
        "The site's operator compares `coordinator` in policy.toml with coordinator.pub, and takes a new key (docs/keys.md).",
    )
    PLAN_INVALID = (
        "PLAN_INVALID",
        "The plan is signed, but this version cannot run it.",
        "Coordinator, aggregators and sites need the same version of Covey.",
    )
    PLAN_EXPIRED = (
        "PLAN_EXPIRED",
        "The plan's deadline has passed.",
        "The coordinator collects the panes again and gives the sites more time; both operators check their clocks.",
    )
    PLAN_LIVES_TOO_LONG = (
        "PLAN_LIVES_TOO_LONG",
        "The secrets that open the plan's reports may exist longer than the policy allows.",
        "The coordinator gives the sites less time, or the site's operator raises `max_plan_hours` in policy.toml.",
    )
    KEY_NOT_PINNED = (
        "KEY_NOT_PINNED",
        "The plan names aggregators that are not pinned.",
        "The site's operator compares `leader` and `helper` in policy.toml with leader.pub and helper.pub, and takes "
        "new keys (docs/keys.md).",
    )
    VIEW_NOT_ALLOWED = (
        "VIEW_NOT_ALLOWED",
        "The policy does not allow a view of this name.",
        "The site's operator adds the name to `views` in policy.toml, or the coordinator leaves the view out.",
    )
    DEFINITION_NOT_ALLOWED = (
        "DEFINITION_NOT_ALLOWED",
        "The policy pins another definition of a view of this name.",
        "The site's operator checks the new definition and replaces its pin in `views` of policy.toml.",
    )
    COLUMN_NOT_ALLOWED = (
        "COLUMN_NOT_ALLOWED",
        "A feature or a `where` reads a column that the policy does not allow.",
        "The site's operator adds the column to `columns` in policy.toml, or the coordinator leaves the view out.",
    )
    JOIN_KEY_NOT_ALLOWED = (
        "JOIN_KEY_NOT_ALLOWED",
        "A view is split by a column that the policy does not allow.",
        "The site's operator adds the column to `join_keys` in policy.toml, or the coordinator leaves the view out.",
    )
    TIME_NOT_ALLOWED = (
        "TIME_NOT_ALLOWED",
        "A view reads the time of events from a column that the policy does not allow.",
        "The site's operator adds the column to `time_columns` in policy.toml, or the coordinator leaves the view out.",
    )
    EXPRESSION_NOT_ALLOWED = (
        "EXPRESSION_NOT_ALLOWED",
        "A `where` is outside the closed grammar.",
        "The coordinator writes the view's `where` with comparisons, AND, OR, NOT, IS NULL, IN, BETWEEN and LIKE only.",
    )
    RHO_TOO_HIGH = (
        "RHO_TOO_HIGH",
        "The plan alone costs a client-day more than the policy allows.",
        "The coordinator collects fewer or cheaper views, or the site's operator raises `max_rho_per_day` in policy.toml.",
    )
    DAY_BUDGET_SPENT = (
        "DAY_BUDGET_SPENT",
        "The plan and earlier charges cost a client-day more than allowed.",
        "A site's operator raises `max_rho_per_day` in policy.toml, an aggregator's operator `budget` in covey.toml.",
    )
    K_TOO_LOW = (
        "K_TOO_LOW",
        "The plan opens panes with fewer clients than the policy demands.",
        "The coordinator raises the view's `min_clients`, or the site's operator lowers `min_k` in policy.toml.",
    )
    NOISERS_NOT_ALLOWED = (
        "NOISERS_NOT_ALLOWED",
        "Leader and helper each add only half of a view's noise (`shared`); the policy demands all of it from each.",
        "The coordinator gives the view `noisers='each'`, or the site's operator sets `noisers = 'any'` in policy.toml.",
    )
    NOISE_OFF = (
        "NOISE_OFF",
        "The plan opens exact sums, without noise.",
        "The coordinator collects with noise. For tests and labs only: `allow_noise_off = true` in the site's policy.toml.",
    )
    PROOFS_REQUIRED = (
        "PROOFS_REQUIRED",
        "The plan's reports carry no proof of a view's bounds; the policy, or an aggregator, demands one.",
        "The coordinator collects with the validity `prio3`, or the operator sets `validity = 'any'` (policy.toml, covey.toml).",
    )
    EXTRA_MISSING = (
        "EXTRA_MISSING",
        "The site lacks the libraries with which the plan's reports are proven or encrypted.",
        "The site's operator gives `pip install 'covey[proofs]'` for proofs, or `pip install 'covey[he]'` for encryption.",
    )
    PROTECTION_NOT_ALLOWED = (
        "PROTECTION_NOT_ALLOWED",
        "The policy does not allow the plan's protection (`shares` or `he`).",
        "The site's operator changes `protection` in policy.toml, or the coordinator collects with that protection.",
    )
    ENCRYPTION_KEYS_INVALID = (
        "ENCRYPTION_KEYS_INVALID",
        "The encryption keys are not those of the plan's key holder.",
        "The coordinator frees the plan and collects again; if that fails, the key holder does not have the helper's keys.",
    )
    ACTIVITY_VISIBLE = (
        "ACTIVITY_VISIBLE",
        "Under `active`, other parties see how many clients had events; the policy does not allow that.",
        "The site's operator sets `allow_activity_visible = true` in policy.toml, or the coordinator takes participation `all`.",
    )
    PARTICIPATION_NOT_ALLOWED = (
        "PARTICIPATION_NOT_ALLOWED",
        "The policy allows only the other participation (`all` or `active`).",
        "The site's operator sets `participation = 'any'` in policy.toml, or the coordinator takes the other participation.",
    )
    REPORT_PER_NOT_ALLOWED = (
        "REPORT_PER_NOT_ALLOWED",
        "The plan asks for one report of the site, the sum of its clients; the policy allows only reports of single clients.",
        "The coordinator collects a report for each client, or the site's operator sets `report_per = 'any'` in policy.toml.",
    )
    TOO_MANY_CLIENTS = (
        "TOO_MANY_CLIENTS",
        "The site has enrolled more clients than the plan allows one site to declare.",
        "The coordinator raises `max_clients` of the site in covey.toml, as do both aggregators.",
    )
    ANSWER_TOO_LARGE = (
        "ANSWER_TOO_LARGE",
        "Under `all`, reports of every enrolled client and pane would be larger than the policy allows.",
        "The coordinator collects fewer panes at once, or the site's operator raises `max_answer_mib` in policy.toml.",
    )
    PANE_ALREADY_REPORTED = (
        "PANE_ALREADY_REPORTED",
        "A pane of the plan was reported, or collected, under another plan.",
        "The coordinator continues that plan or gives it up; a pane that it opened cannot be collected again.",
    )
    ATTEMPTS_SPENT = (
        "ATTEMPTS_SPENT",
        "A pane of the plan was attempted as often as is allowed, without being opened.",
        "The pane cannot be collected any more; the coordinator publishes it void.",
    )
    PLAN_FREED = (
        "PLAN_FREED",
        "The aggregator has erased what it held of the plan, and never opens it.",
        "The coordinator collects the panes again, with a new plan.",
    )
    VIEW_OVERLAP = (
        "VIEW_OVERLAP",
        "Another collection of a view was charged on one of its days, and the site's policy does not allow a second one.",
        "The coordinator collects later days. The site's operator allows overlaps with overlap = true in policy.toml: each "
        "collection of a view then costs a day once.",
    )
    CLOCK_SKEW = (
        "CLOCK_SKEW",
        "By the local clock a pane has not ended yet, or the clock went back.",
        "The operators of coordinator and site set their clocks; after that, the coordinator collects the panes again.",
    )
    AGGREGATOR_BEHIND = (
        "AGGREGATOR_BEHIND",
        "An aggregator's ledger is shorter than in a plan answered before, or differs: it was rolled back, or this plan is older.",
        "The aggregator's operator restores the newest copy of its ledger.",
    )
    SCHEMA = (
        "SCHEMA",
        "The site's events lack a column that a view needs, or have another type in it.",
        "The site's operator reads its log, which names the column, and corrects the events or the columns in sites/ID.toml.",
    )
    SOURCE_AWAY = (
        "SOURCE_AWAY",
        "The site's source of events cannot be read now: it is missing, locked, slow, or refuses the site.",
        "The site's operator reads its log, which names the cause; the coordinator then collects the panes again.",
    )
    LEDGER_BROKEN = (
        "LEDGER_BROKEN",
        "The ledger was edited, cut or rolled back; the site answers no plan until it is repaired.",
        "The site's operator reads its log, which names the mend.",
    )
    SITE_FAILED = (
        "SITE_FAILED",
        "The site's own files or configuration are broken; its log has the reason.",
        "The site's operator reads its log, and mends what it names.",
    )


def code_of(refusal: LedgerRefusal) -> RefusalCode:
    """The code of a ledger's refusal."""
    return RefusalCode[refusal.code]
