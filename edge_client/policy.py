"""What a site takes part in: a pure function of a plan, the site's policy, its ledger and the clock. No events.

    signature     PLAN_UNSIGNED                                nothing in a plan is read before
    form          PLAN_INVALID, EXPRESSION_NOT_ALLOWED
    parties       KEY_NOT_PINNED
    time          PLAN_EXPIRED, PLAN_LIVES_TOO_LONG, CLOCK_SKEW
    terms         NOISE_OFF, PROTECTION_NOT_ALLOWED, PROOFS_REQUIRED, PARTICIPATION_NOT_ALLOWED, ACTIVITY_VISIBLE,
                  REPORT_PER_NOT_ALLOWED, TOO_MANY_CLIENTS, ANSWER_TOO_LARGE
    each view     VIEW_NOT_ALLOWED, DEFINITION_NOT_ALLOWED, COLUMN_NOT_ALLOWED, JOIN_KEY_NOT_ALLOWED, TIME_NOT_ALLOWED,
                  K_TOO_LOW, RHO_TOO_HIGH
    the ledger    PANE_ALREADY_REPORTED, VIEW_OVERLAP, DAY_BUDGET_SPENT

When an accepted plan is charged, the ledger may still refuse it: AGGREGATOR_BEHIND (ledger.py).
The first that holds is the answer. A plan that the ledger was charged for before is a retry: its rules are not asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from base.times import DAY_US
from crypto.bfv import message_bytes
from crypto.errors import CryptoError
from crypto.field import ELEMENT_BYTES
from crypto.signing import VerifyKey
from featurestore.define.definitions import FeatureView
from featurestore.define.wire import definition_hash
from featurestore.errors import ExpressionRefused
from federation.accountant import charge_of
from federation.batch.reports import REPORT_ID_BYTES
from federation.circuit.validity import report_elements
from federation.errors import DayBudgetSpent, FederationError, LedgerRefusal, PaneTaken, ViewOverlap
from federation.ledger.ledger import CLOCK_SLACK_US
from federation.ledger.state import Budget, LedgerState
from federation.plan import Plan, PlannedView
from federation.refusal_codes import RefusalCode, code_of
from federation.signed_bytes import signed_bytes
from federation.signed_plan import DOMAIN as PLAN_DOMAIN
from federation.signed_plan import verify_plan
from federation.terms import Encrypted, Participation, Protection, ReportPer, Shares, Validity

from .columns import columns_read

FUTURE_SLACK_US: Final = CLOCK_SLACK_US
"""How far beyond this clock a pane may end: clocks differ by seconds, and an open pane would be reported in part."""

ANY: Final = "*"
"""Any column."""
PIN: Final = "@"
"""Between the name of a view, which cannot hold it, and the hash of its definition."""
HOUR_US: Final = 3_600 * 10**6

KEPT_BYTES: Final = REPORT_ID_BYTES + 3 * 4
"""Of a client's part in a pane, in the site's ledger: report id, collection, reporter, cells."""


@dataclass(frozen=True)
class Policy:
    """What the owner of a site has set. It stands in `policy.toml`; no plan can change it.

    Attributes:
        coordinator, leader, helper: pinned keys: plans of others are refused. Under `he` the key holder has the helper's.
        views: glob patterns of the names of views (case matters), and pins `NAME@HASH`: a view of that name has that
            definition, whatever else matches.
        max_micro_rho: what one client-day may cost over all views, in millionths of ρ.
        min_k: the smallest `min_clients` of a pane.
        allow_noise_off: for tests and labs only.
        allow_activity_visible: under `active`, how many clients had events is seen by coordinator, leader and helper.
        participation, protection, validity, report_per: the site takes part in plans of this kind only; None: of every
            kind. Under `he` the leader alone counts the clients of a sum.
        time_columns: by which columns a view may tell an event's day, beside the site's own one. A ledger charges days: by
            three columns one event lies on three days, and pays three times.
        max_answer_mib: how large an answer may become under `all`, where the plan alone decides it; of a site's sums with
            what is kept of each client.
        columns: of the events that features and `where` may read; `*` is any.
        join_keys: columns by which a view may split its counts; `*` is any.
        max_plan_hours: how long from now on the live secrets of a plan may exist at most: until they are erased, who records
            the site's batches and breaks into both aggregators opens them.
    """

    coordinator: VerifyKey
    leader: VerifyKey
    helper: VerifyKey
    views: tuple[str, ...] = ("*",)
    max_micro_rho: int = 100_000
    min_k: int = 50
    allow_noise_off: bool = False
    allow_activity_visible: bool = False
    participation: Participation | None = None
    protection: Protection | None = Protection.SHARES
    validity: Validity | None = None
    time_columns: tuple[str, ...] = ()
    max_answer_mib: int = 1024
    report_per: ReportPer | None = None
    columns: tuple[str, ...] = (ANY,)
    join_keys: tuple[str, ...] = (ANY,)
    max_plan_hours: int = 168

    @property
    def budget(self) -> Budget:
        """What the site's ledger may be charged."""
        return Budget(self.max_micro_rho)


@dataclass(frozen=True, eq=False)
class Accept:
    """The site takes part."""

    plan: Plan


@dataclass(frozen=True)
class Refuse:
    """The site does not take part.

    Attributes:
        plan: hash of the plan, if the pinned coordinator signed it.
        view, day: which view and UTC day (since the epoch), where the reason is one view's or one day's.
    """

    code: RefusalCode
    plan: bytes | None = None
    view: str | None = None
    day: int | None = None


def decide(plan: bytes | Plan, policy: Policy, state: LedgerState, now_us: int, *, clients: int = 1) -> Accept | Refuse:
    """Whether a site takes part in a plan; pure.

    Args:
        plan: a signed plan, or one whose signature was checked before.
        now_us: wall clock, µs since the epoch.
        clients: how many are enrolled at the site.
    """
    if isinstance(plan, bytes):
        read = _read(plan, policy.coordinator)
        if isinstance(read, Refuse):
            return read
        plan = read
    for code, view in _reasons(plan, policy, state, now_us, clients):
        return Refuse(code, plan.hash, view)
    try:
        state.intent(plan, policy.budget, now_us)
    except LedgerRefusal as refusal:
        return refusal_of(plan, refusal)
    return Accept(plan)


def refusal_of(plan: Plan, refusal: LedgerRefusal) -> Refuse:
    """A ledger's refusal as a site's answer."""
    view: str | None = None
    day: int | None = None
    match refusal:
        case PaneTaken():
            view, day = refusal.view, refusal.pane_start // DAY_US
        case ViewOverlap() | DayBudgetSpent():
            view, day = refusal.view, refusal.day
    return Refuse(code_of(refusal), plan.hash, view, day)


def _read(signed: bytes, coordinator: VerifyKey) -> Plan | Refuse:
    try:
        plan_hash = hashlib.sha256(signed_bytes(signed, PLAN_DOMAIN, coordinator)).digest()
    except (FederationError, CryptoError):
        return Refuse(RefusalCode.PLAN_UNSIGNED)
    try:
        return verify_plan(signed, coordinator)
    except (FederationError, CryptoError) as error:
        refused = any(isinstance(cause, ExpressionRefused) for cause in _causes(error))
        return Refuse(RefusalCode.EXPRESSION_NOT_ALLOWED if refused else RefusalCode.PLAN_INVALID, plan_hash)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _reasons(
    plan: Plan, policy: Policy, state: LedgerState, now_us: int, clients: int
) -> Iterator[tuple[RefusalCode, str | None]]:
    """Why not, besides the ledger's rules, in order; with the view, where it is one view's."""
    if plan.wire is None:
        yield RefusalCode.PLAN_INVALID, None
        return
    if (plan.wire.leader, plan.wire.helper) != (policy.leader, policy.helper):
        yield RefusalCode.KEY_NOT_PINNED, None
    if now_us >= plan.wire.deadline_us:
        yield RefusalCode.PLAN_EXPIRED, None
    if plan.wire.ends_us > now_us + policy.max_plan_hours * HOUR_US:
        yield RefusalCode.PLAN_LIVES_TOO_LONG, None
    if now_us < state.last_us - CLOCK_SLACK_US:
        yield RefusalCode.CLOCK_SKEW, None
    for planned in plan.views:
        if int(planned.pane_starts[-1]) + planned.view.pane_us > now_us + FUTURE_SLACK_US:
            yield RefusalCode.CLOCK_SKEW, planned.view.name
    if not plan.noisy and not policy.allow_noise_off:
        yield RefusalCode.NOISE_OFF, None
    if policy.protection not in (None, plan.terms.protection):
        yield RefusalCode.PROTECTION_NOT_ALLOWED, None
    if policy.validity not in (None, plan.terms.validity):
        yield RefusalCode.PROOFS_REQUIRED, None
    if policy.participation not in (None, plan.terms.participation):
        yield RefusalCode.PARTICIPATION_NOT_ALLOWED, None
    if plan.terms.participation is Participation.ACTIVE and not policy.allow_activity_visible:
        yield RefusalCode.ACTIVITY_VISIBLE, None
    if policy.report_per not in (None, plan.terms.report_per):
        yield RefusalCode.REPORT_PER_NOT_ALLOWED, None
    if plan.terms.report_per is ReportPer.SITE and clients > plan.max_clients:
        yield RefusalCode.TOO_MANY_CLIENTS, None
    if plan.terms.participation is Participation.ALL and _answer_bytes(plan, clients) > policy.max_answer_mib * 2**20:
        yield RefusalCode.ANSWER_TOO_LARGE, None
    for planned in plan.views:
        for code in _reasons_of(plan, planned, policy):
            yield code, planned.view.name


def _reasons_of(plan: Plan, planned: PlannedView, policy: Policy) -> Iterator[RefusalCode]:
    yield from _reasons_of_definition(planned.view, policy)
    if planned.view.time is not None and planned.view.time not in policy.time_columns:
        yield RefusalCode.TIME_NOT_ALLOWED
    exact = not plan.noisy  # there is nothing left for k to protect
    if planned.min_clients < policy.min_k and not exact:
        yield RefusalCode.K_TOO_LOW
    if charge_of(plan, planned) > policy.max_micro_rho:
        yield RefusalCode.RHO_TOO_HIGH


def _reasons_of_definition(view: FeatureView, policy: Policy) -> Iterator[RefusalCode]:
    """What the view is and what it reads, which its name does not tell."""
    pins = [pin for name, at, pin in (entry.partition(PIN) for entry in policy.views) if at and name == view.name]
    if pins and definition_hash(view).hex() not in pins:
        yield RefusalCode.DEFINITION_NOT_ALLOWED
    if not pins and not any(fnmatchcase(view.name, pattern) for pattern in policy.views):
        yield RefusalCode.VIEW_NOT_ALLOWED
    read = columns_read(view)
    if not _allowed({*read.values, *read.where}, policy.columns):
        yield RefusalCode.COLUMN_NOT_ALLOWED
    if not _allowed(set(read.join_keys), policy.join_keys):
        yield RefusalCode.JOIN_KEY_NOT_ALLOWED


def _allowed(columns: set[str], allowed: tuple[str, ...]) -> bool:
    return ANY in allowed or columns <= set(allowed)


def _answer_bytes(plan: Plan, clients: int) -> int:
    """What an answer takes in which everybody enrolled reports every pane: the shares of all, with proofs, or their ciphertexts.

    Where the site reports, those of its sums, and what its ledger keeps of each client and pane that they are of.
    """
    of_site = plan.terms.report_per is ReportPer.SITE
    reporters, kept = (1, clients * KEPT_BYTES) if of_site else (clients, 0)
    return sum(len(one.pane_starts) * (reporters * _report_bytes(plan, one) + kept) for one in plan.views)


def _report_bytes(plan: Plan, planned: PlannedView) -> int:
    match plan.terms:
        case Encrypted():
            return message_bytes(plan.he_parameters(planned))
        case Shares(validity=validity):
            return report_elements(planned.layout, validity, plan.clients_a_report) * ELEMENT_BYTES
