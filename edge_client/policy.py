"""The decision whether a site answers a plan: a pure function of plan, policy, ledger and clock. It reads no events.

    signature     PLAN_UNSIGNED                                checked before anything in the plan is read
    form          PLAN_INVALID, EXPRESSION_NOT_ALLOWED
    parties       KEY_NOT_PINNED
    time          PLAN_EXPIRED, PLAN_LIVES_TOO_LONG, CLOCK_SKEW
    terms         NOISE_OFF, PROTECTION_NOT_ALLOWED, PROOFS_REQUIRED, PARTICIPATION_NOT_ALLOWED, ACTIVITY_VISIBLE,
                  REPORT_PER_NOT_ALLOWED, TOO_MANY_CLIENTS, ANSWER_TOO_LARGE
    each view     VIEW_NOT_ALLOWED, DEFINITION_NOT_ALLOWED, COLUMN_NOT_ALLOWED, JOIN_KEY_NOT_ALLOWED, TIME_NOT_ALLOWED,
                  K_TOO_LOW, NOISERS_NOT_ALLOWED, RHO_TOO_HIGH
    the ledger    PANE_ALREADY_REPORTED, ATTEMPTS_SPENT, VIEW_OVERLAP, DAY_BUDGET_SPENT

The answer is the first code whose condition holds. When an accepted plan is charged, the ledger may still refuse it:
AGGREGATOR_BEHIND (ledger.py). A plan that was charged before is a retry; the ledger's rules are not applied to it again.
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
from featurestore.define.privacy import Noisers
from featurestore.define.wire import definition_hash
from featurestore.errors import ExpressionRefused
from federation.accountant import charge_of
from federation.batch.reports import REPORT_ID_BYTES
from federation.circuit.validity import report_elements
from federation.draft import verify_draft
from federation.errors import (
    AttemptsSpent,
    DayBudgetSpent,
    FederationError,
    KeyNotInForce,
    LedgerRefusal,
    PaneTaken,
    ViewOverlap,
)
from federation.former_keys import NO_FORMER_KEYS, FormerKeys, PinnedKey
from federation.ledger.ledger import CLOCK_SLACK_US
from federation.ledger.state import Budget, LedgerState
from federation.plan import Plan, PlannedView
from federation.price import Observer
from federation.refusal_codes import RefusalCode, code_of
from federation.signed_bytes import signed_bytes
from federation.signed_plan import DOMAIN as PLAN_DOMAIN
from federation.signed_plan import verify_plan
from federation.terms import Encrypted, Participation, Protection, ReportPer, Shares, Validity

from .columns import columns_read
from .libraries import can_protect

FUTURE_SLACK_US: Final = CLOCK_SLACK_US
"""How far after the local time a pane may end. Clocks differ by seconds. A pane that has not ended would be reported in part."""

ANY: Final = "*"
"""Any column."""
PIN: Final = "@"
"""Separates the name of a view from the hash of its definition. Names cannot contain it."""
HOUR_US: Final = 3_600 * 10**6

KEPT_BYTES: Final = REPORT_ID_BYTES + 3 * 4
"""Bytes in the site's ledger per client and pane: report id, collection, reporter, cells."""


@dataclass(frozen=True)
class Policy:
    """The settings of `policy.toml`, written by the site's operator. No plan can change them.

    Attributes:
        coordinator, leader, helper: the pinned keys. Plans under other keys are refused. Under `he` the key holder uses the
            helper's key.
        former: the keys that coordinator, leader and helper have replaced.
        views: glob patterns of view names (case matters), and pins `NAME@HASH`. A pinned view must have the pinned
            definition, even if a pattern matches its name.
        max_micro_rho: the most that one client-day may cost over all views, in millionths of ρ.
        budget_counts: the prices that count in it. Those against outsiders trust both aggregators.
        min_k: the smallest `min_clients` of a pane.
        allow_noise_off: for tests and labs only.
        allow_activity_visible: allow `active`, under which coordinator, leader and helper see how many clients had events.
        participation, protection, validity, report_per: the site answers plans with this value only. None: with any value.
            Under `he` the leader alone counts the clients of a sum.
        noisers: the site answers plans whose views have these noisers only. None: with any. `each`: the price that a view
            states holds if one aggregator is honest. Under `shared` it needs both; the ledger charges twice the price.
        time_columns: columns from which a view may take the time of events, besides the site's own. A ledger charges days:
            an event with three time columns may lie on three days and be charged three times.
        max_answer_mib: the largest answer under `all`, where the plan alone determines the size. For a site's sums, the
            ledger's record of each client counts too.
        columns: event columns that features and `where` may read; `*` is any.
        join_keys: columns by which a view may split its counts; `*` is any.
        overlap: allow several collections of one view on one day, such as its old and its new version. Each costs the day once.
        max_plan_hours: the longest time from now for which a plan's live secrets may exist. Until they are erased, an
            attacker with the site's batches and both aggregators' secrets can open the reports.
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
    noisers: Noisers | None = None
    budget_counts: Observer = Observer.AGGREGATOR
    overlap: bool = False
    former: FormerKeys = NO_FORMER_KEYS

    @property
    def coordinator_keys(self) -> PinnedKey:
        """The coordinator's keys."""
        return self.former.pinned("coordinator", self.coordinator)

    def plan(self, signed: bytes) -> Plan:
        """The plan in these bytes, if the coordinator signed it. Raises KeyNotInForce, and as `verify_plan`."""
        return self.coordinator_keys.verified(lambda key: verify_plan(signed, key), lambda plan: plan.deadline_us)

    def draft(self, signed: bytes) -> Plan:
        """The draft in these bytes, if the coordinator signed it. Raises KeyNotInForce, and as `verify_draft`."""
        return self.coordinator_keys.verified(lambda key: verify_draft(signed, key), lambda plan: plan.deadline_us)

    def aggregators_at(self, deadline_us: int) -> tuple[VerifyKey, VerifyKey]:
        """The keys of leader and helper for plans with this deadline."""
        pinned = self.former.pinned("leader", self.leader), self.former.pinned("helper", self.helper)
        return pinned[0].at(deadline_us), pinned[1].at(deadline_us)

    @property
    def budget(self) -> Budget:
        """The budget of the site's ledger."""
        return Budget(self.max_micro_rho, counts=self.budget_counts, overlap=self.overlap)


@dataclass(frozen=True, eq=False)
class Accept:
    """The site answers the plan."""

    plan: Plan


@dataclass(frozen=True)
class Refuse:
    """The site refuses the plan.

    Attributes:
        plan: hash of the plan, if the pinned coordinator signed it.
        view, day: the view and UTC day (since the epoch) that the reason concerns, if it concerns one.
    """

    code: RefusalCode
    plan: bytes | None = None
    view: str | None = None
    day: int | None = None


def decide(plan: bytes | Plan, policy: Policy, state: LedgerState, now_us: int, *, clients: int = 1) -> Accept | Refuse:
    """Decide whether a site answers a plan. Pure.

    Args:
        plan: a signed plan, or one whose signature was checked before.
        now_us: wall clock, µs since the epoch.
        clients: number of clients enrolled at the site.
    """
    if isinstance(plan, bytes):
        read = _read(plan, policy)
        if isinstance(read, Refuse):
            return read
        plan = read
    first = next(_refusals(plan, policy, state, now_us, clients), None)
    return Accept(plan) if first is None else first


def all_refusals(
    plan: bytes | Plan, policy: Policy, state: LedgerState, now_us: int, *, clients: int = 1
) -> tuple[Refuse, ...]:
    """All refusals of a plan, for the site's operator; `decide` answers with the first. Empty: the site answers the plan.

    A plan that cannot be read has one refusal. The ledger contributes the first of its rules that does not hold.

    Args:
        plan, policy, state, now_us, clients: see `decide`.
    """
    if isinstance(plan, bytes):
        read = _read(plan, policy)
        if isinstance(read, Refuse):
            return (read,)
        plan = read
    return tuple(_refusals(plan, policy, state, now_us, clients))


def refusal_of(plan: Plan, refusal: LedgerRefusal) -> Refuse:
    """A refusal of the ledger as a site's answer."""
    view: str | None = None
    day: int | None = None
    match refusal:
        case PaneTaken() | AttemptsSpent():
            view, day = refusal.view, refusal.pane_start // DAY_US
        case ViewOverlap() | DayBudgetSpent():
            view, day = refusal.view, refusal.day
    return Refuse(code_of(refusal), plan.hash, view, day)


def _read(signed: bytes, policy: Policy) -> Plan | Refuse:
    try:
        coordinator = policy.coordinator_keys
        plan_hash = hashlib.sha256(coordinator.signed(lambda key: signed_bytes(signed, PLAN_DOMAIN, key))).digest()
    except (FederationError, CryptoError):
        return Refuse(RefusalCode.PLAN_UNSIGNED)
    try:
        return policy.plan(signed)
    except KeyNotInForce:
        return Refuse(RefusalCode.PLAN_UNSIGNED)
    except (FederationError, CryptoError) as error:
        refused = any(isinstance(cause, ExpressionRefused) for cause in _causes(error))
        return Refuse(RefusalCode.EXPRESSION_NOT_ALLOWED if refused else RefusalCode.PLAN_INVALID, plan_hash)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _refusals(plan: Plan, policy: Policy, state: LedgerState, now_us: int, clients: int) -> Iterator[Refuse]:
    """The refusals in order: those of the policy and the clock, then the ledger's."""
    for code, view in _reasons(plan, policy, state, now_us, clients):
        yield Refuse(code, plan.hash, view)
    if plan.wire is None:
        return
    if plan.hash in state.retried:
        yield Refuse(RefusalCode.PANE_ALREADY_REPORTED, plan.hash)
        return
    try:
        state.intent(plan, policy.budget, now_us)
    except LedgerRefusal as refusal:
        yield refusal_of(plan, refusal)


def _reasons(
    plan: Plan, policy: Policy, state: LedgerState, now_us: int, clients: int
) -> Iterator[tuple[RefusalCode, str | None]]:
    """The reasons for a refusal, in order, without the ledger's rules; with the view if a reason concerns one view."""
    if plan.wire is None:
        yield RefusalCode.PLAN_INVALID, None
        return
    if (plan.wire.leader, plan.wire.helper) != policy.aggregators_at(plan.deadline_us):
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
    if not can_protect(plan.terms):
        yield RefusalCode.EXTRA_MISSING, None
        return
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
    exact = not plan.noisy  # k protects nothing in exact sums
    if planned.min_clients < policy.min_k and not exact:
        yield RefusalCode.K_TOO_LOW
    if policy.noisers not in (None, planned.view.privacy.chosen_noisers) and not exact:
        yield RefusalCode.NOISERS_NOT_ALLOWED
    if policy.budget.counted(charge_of(plan, planned)) > policy.max_micro_rho:
        yield RefusalCode.RHO_TOO_HIGH


def _reasons_of_definition(view: FeatureView, policy: Policy) -> Iterator[RefusalCode]:
    """The reasons that lie in a view's definition and the columns that it reads."""
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
    """The bytes of an answer in which every enrolled client reports every pane: shares with their proofs, or ciphertexts.

    Under `report_per="site"`: the bytes of the sums, and of the ledger's record of each client and pane.
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
