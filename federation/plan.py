"""A plan: the numbered (view, pane) pairs that are collected together, and the terms that every party checks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from crypto.bfv_parameters import BfvParameters
from crypto.sharing import PLAN_HASH_BYTES
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import Layout, layout_of
from featurestore.define.wire import view_from_bytes, view_to_bytes
from federation.he.view import he_parameters, leak_micro_rho

from . import plan_pb2 as pb
from .attempt import Attempt
from .errors import NothingToSuppress, PlanInvalid
from .parties import MAX_CLIENTS, MAX_SITES, Aggregator, EnrolledSite
from .terms import (
    Encrypted,
    Finish,
    Noise,
    Participation,
    Protection,
    ReportPer,
    Shares,
    Terms,
    Validity,
    parse_term,
    require_noise,
    terms_of,
)
from .wire_terms import WireTerms

FromEvents = Literal["days", "sites"]
"""A part of a plan that follows from events, not from a declaration. `days`: its panes. `sites`: the enrolled sites."""

FROM_EVENTS: Final[tuple[FromEvents, ...]] = get_args(FromEvents)
MAX_COLLECTIONS: Final = 2**24
PLAN_ID_BYTES: Final = 16
AGGREGATORS: Final[tuple[Aggregator, Aggregator]] = ("leader", "helper")
MAX_EARLIER: Final = 1_000
MAX_VIEWS: Final = 256
"""Of an earlier attempt: it has at most one statement of each aggregator for each view."""
LARGEST_PROVEN: Final = 2**60
"""The largest slot of a site's report with a proof. Twice this fits into int64 and is below p/2, so no relation wraps."""


@dataclass(frozen=True, eq=False)
class PlannedView:
    """One view of a plan.

    Attributes:
        pane_starts: int64[C], µs since the epoch, strictly increasing, aligned to the view's pane.
        min_clients: k of these panes; at least the view's own k, unless the plan has no noise.
        min_sites: how many sites must be counted before a pane is opened.
    """

    view: FeatureView
    pane_starts: npt.NDArray[np.int64]
    min_clients: int
    min_sites: int = 0

    @cached_property
    def layout(self) -> Layout:
        """The layout that follows from the view."""
        return layout_of(self.view)


@dataclass(frozen=True, eq=False)
class Plan:
    """A plan of collections. Their indices (u32) number the panes of the first view, then those of the second, and so on.

    Attributes:
        noise, terms: every party checks them; see terms.py.
        plan_id: 16 random bytes, so that no two plans have the same hash, even for the same panes.
        wire: keys and deadline; None if all parties are one process. The hash includes them, so a share for one set of keys
            fits no other.
        max_clients: under `he`, the most reports of a collection, which sets the size of the encryption. If a report is a
            site's sum, the most clients that a site may declare. Otherwise 0. It is declared (ADR 0020), never counted from
            events.
        from_events: the parts of this plan that follow from events nevertheless, sorted. Manifests name them in
            `outside_claim`.
        earlier: the earlier plans for some of these panes, in order of their hashes (ADR 0029).
    """

    plan_id: bytes
    views: tuple[PlannedView, ...]
    noise: Noise
    terms: Terms
    wire: WireTerms | None = None
    max_clients: int = 0
    from_events: tuple[FromEvents, ...] = ()
    earlier: tuple[Attempt, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 of the canonical bytes: 32 bytes that bind every share to this plan."""
        return hashlib.sha256(plan_to_bytes(self)).digest()

    @property
    def deadline_us(self) -> int:
        """µs since the epoch: the aggregators refuse reports from then on. In one process, the end of the last pane."""
        if self.wire is not None:
            return self.wire.deadline_us
        return max(int(planned.pane_starts[-1]) + planned.view.pane_us for planned in self.views)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The first collection index of each view, then the number of collections."""
        sizes = [len(planned.pane_starts) for planned in self.views]
        return tuple(int(end) for end in np.concatenate(([0], np.cumsum(sizes))))

    @property
    def noisy(self) -> bool:
        """Whether the aggregators add noise."""
        return self.noise is not Noise.NONE

    @property
    def roster(self) -> tuple[EnrolledSite, ...]:
        """The sites that may report, in order of their ids; none if all parties are one process."""
        return () if self.wire is None else self.wire.roster

    @cached_property
    def sites(self) -> frozenset[str]:
        """The ids of the roster."""
        return frozenset(one.site for one in self.roster)

    @cached_property
    def roster_bytes(self) -> int:
        """The bytes of all ids of the roster, as a statement lists counted sites."""
        return sum(1 + len(one.site) for one in self.roster)

    @property
    def clients_a_report(self) -> int:
        """The most clients whose sum one report is. The bounds of the report are the view's bounds times this number."""
        return self.max_clients if self.terms.report_per is ReportPer.SITE else 1

    def he_parameters(self, planned: PlannedView) -> BfvParameters:
        """Under `he`: the encryption parameters of a view of this plan. Every party derives the same ones."""
        return he_parameters(planned.view, self.max_clients, self.noisy)

    def leak_micro_rho(self, planned: PlannedView) -> int:
        """The cost of a client-day of the view beyond its layout's price, in micro-ρ: see he/view.py. 0 under shares."""
        match self.terms:
            case Shares():
                return 0
            case Encrypted():
                return leak_micro_rho(planned.view, self.max_clients, self.noisy)


def new_plan(
    views: Sequence[PlannedView],
    terms: Terms,
    noise: Noise,
    *,
    plan_id: bytes,
    sites: Sequence[int],
    wire: WireTerms | None = None,
    from_events: tuple[FromEvents, ...] = (),
    earlier: tuple[Attempt, ...] = (),
) -> Plan:
    """A new plan. Every plan that is not read from bytes is made here.

    Args:
        plan_id: 16 random bytes.
        sites: the most clients of each site: declared, never counted from events.
    """
    return Plan(plan_id, tuple(views), noise, terms, wire, max_clients_of(sites, terms), from_events, earlier)


def max_clients_of(sites: Sequence[int], terms: Terms) -> int:
    """`Plan.max_clients` of a plan for sites with at most these numbers of clients."""
    match terms:
        case Encrypted():
            return sum(sites)
        case Shares(report_per=ReportPer.SITE):
            return max(sites, default=1)
        case Shares():
            return 0


def plan_to_bytes(plan: Plan) -> bytes:
    """The canonical encoding of a plan."""
    message = pb.Plan(
        id=plan.plan_id,
        views=[
            pb.PlannedView(
                view=view_to_bytes(planned.view),
                pane_starts=planned.pane_starts.tolist(),
                min_clients=planned.min_clients,
                min_sites=planned.min_sites,
            )
            for planned in plan.views
        ],
        protection=plan.terms.protection.value,
        validity=plan.terms.validity.value,
        participation=plan.terms.participation.value,
        noise=plan.noise.value,
        wire=None if plan.wire is None else plan.wire.to_message(),
        max_clients=plan.max_clients,
        finish=_term_text(plan.terms.finish, Finish.OPEN),
        report_per=_term_text(plan.terms.report_per, ReportPer.CLIENT),
        from_events=plan.from_events,
        earlier=[pb.Attempt(plan_hash=one.plan_hash, statements=one.statements) for one in plan.earlier],
    )
    return message.SerializeToString(deterministic=True)


def plan_from_bytes(data: bytes) -> Plan:
    """Parse the canonical encoding of a plan.

    Raises:
        PlanInvalid: not protobuf, not canonical, or terms that do not exist.
        DefinitionError: a view of the plan is not valid.
    """
    try:
        message = pb.Plan.FromString(data)
    except DecodeError:
        raise PlanInvalid("the bytes of a plan are not protobuf") from None
    views = tuple(
        PlannedView(
            view_from_bytes(planned.view),
            np.array(planned.pane_starts, dtype=np.int64),
            planned.min_clients,
            planned.min_sites,
        )
        for planned in message.views
    )
    plan = Plan(
        message.id,
        views,
        parse_term(Noise, message.noise),
        terms_of(
            parse_term(Protection, message.protection),
            parse_term(Validity, message.validity),
            parse_term(Finish, message.finish or Finish.OPEN.value),
            parse_term(ReportPer, message.report_per or ReportPer.CLIENT.value),
            parse_term(Participation, message.participation),
        ),
        WireTerms.from_message(message.wire) if message.HasField("wire") else None,
        message.max_clients,
        tuple(_parse_from_events(text) for text in message.from_events),
        tuple(Attempt(one.plan_hash, tuple(one.statements)) for one in message.earlier),
    )
    if plan_to_bytes(plan) != data:
        raise PlanInvalid("the bytes of a plan are not canonical")
    return plan


def _term_text(choice: Finish | ReportPer, default: Finish | ReportPer) -> str:
    """The text of a term in the bytes of a plan: empty for the default."""
    return "" if choice is default else choice.value


def _parse_from_events(text: str) -> FromEvents:
    for known in FROM_EVENTS:
        if text == known:
            return known
    raise PlanInvalid(f"unknown from_events {text!r}: it must be {' or '.join(map(repr, FROM_EVENTS))}")


def _check(plan: Plan) -> None:
    if len(plan.plan_id) != PLAN_ID_BYTES:
        raise PlanInvalid(f"the plan's id has {len(plan.plan_id)} bytes, need {PLAN_ID_BYTES} bytes")
    if plan.terms.validity is Validity.NONE and plan.wire is not None and plan.wire.verify_key_hash:
        raise PlanInvalid("the plan has validity 'none', so it must not have a hash of a verification key")
    names: Sequence[str] = [planned.view.name for planned in plan.views]
    if not names or len(set(names)) != len(names):
        raise PlanInvalid(
            f"a plan must have at least one view, and each view only once; this plan has {', '.join(names) or 'none'}"
        )
    for planned in plan.views:
        _ = planned.layout  # raises DefinitionError if there is none
        panes, name = planned.pane_starts, planned.view.name
        if len(panes) == 0 or (np.diff(panes) <= 0).any() or (panes % planned.view.pane_us).any():
            raise PlanInvalid(
                f"view {name!r}: a plan needs at least one pane, and its panes must be aligned and strictly increasing"
            )
        least = planned.view.privacy.min_clients if plan.noisy else 1
        if planned.min_clients < least:
            raise PlanInvalid(
                f"view {name!r}: the plan's min_clients {planned.min_clients} is below {least}, the least that is allowed"
            )
        if not 0 <= planned.min_sites <= MAX_SITES:
            raise PlanInvalid(f"view {name!r}: min_sites {planned.min_sites} is outside [0, {MAX_SITES:,}]")
    if list(plan.from_events) != sorted(set(plan.from_events)):
        raise PlanInvalid(
            f"from_events is {', '.join(plan.from_events)}; it must name each once, in alphabetical order"
        )
    _check_earlier(plan)
    require_noise(plan.terms, plan.noise)
    match plan.terms:
        case Encrypted():
            for planned in plan.views:
                plan.he_parameters(planned)  # raises HeImpossible if there are none
        case Shares() as terms:
            _check_shares(plan, terms)
    if plan.offsets[-1] > MAX_COLLECTIONS:
        raise PlanInvalid(
            f"the plan has {plan.offsets[-1]:,} collections; at most {MAX_COLLECTIONS:,} are allowed. Make several plans"
        )


def _check_earlier(plan: Plan) -> None:
    hashes = [one.plan_hash for one in plan.earlier]
    if hashes != sorted(set(hashes)) or any(len(one) != PLAN_HASH_BYTES for one in hashes):
        raise PlanInvalid(f"earlier attempts are named by hashes of {PLAN_HASH_BYTES} bytes, each once and in order")
    if len(hashes) > MAX_EARLIER or any(len(one.statements) > 2 * MAX_VIEWS for one in plan.earlier):
        raise PlanInvalid(f"a plan names at most {MAX_EARLIER} earlier attempts, each with {2 * MAX_VIEWS} statements")


def _check_shares(plan: Plan, terms: Shares) -> None:
    if plan.wire is not None and plan.wire.encryption_keys_hash:
        raise PlanInvalid("the plan has protection 'shares', so it must not have a hash of encryption keys")
    match terms.report_per:
        case ReportPer.SITE:
            _check_site_reports(plan, terms.validity)
        case ReportPer.CLIENT:
            if plan.max_clients:
                raise PlanInvalid(
                    "a plan with shares of single clients has room for any number of clients, so max_clients must be 0, not "
                    f"{plan.max_clients:,}"
                )
    match terms.finish:
        case Finish.OPEN:
            return
        case Finish.MPC:
            for planned in plan.views:
                if planned.view.privacy.suppress_below is None:
                    raise NothingToSuppress(planned.view.name)


def _check_site_reports(plan: Plan, validity: Validity) -> None:
    if not 1 <= plan.max_clients <= MAX_CLIENTS:
        raise PlanInvalid(f"the clients that a site may declare must be 1 to {MAX_CLIENTS:,}, not {plan.max_clients:,}")
    match validity:
        case Validity.NONE:
            return
        case Validity.PRIO3:
            for planned in plan.views:
                most = max(slot.max_value for slot in planned.layout.slots) * plan.max_clients
                if most > LARGEST_PROVEN:
                    raise PlanInvalid(
                        f"view {planned.view.name!r}: the sum of {plan.max_clients:,} clients of a site may reach {most:,}, but "
                        f"above {LARGEST_PROVEN:,} nothing can be proven. Lower the max_clients of the sites"
                    )
