"""Plans: the (view, pane) pairs that are collected together, numbered, and the terms that every party checks."""

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
from crypto.errors import CryptoError
from crypto.seal import SealPublicKey
from crypto.signing import VerifyKey
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import Layout, layout_of
from featurestore.define.wire import view_from_bytes, view_to_bytes
from federation.he.view import he_parameters, leak_micro_rho

from . import plan_pb2 as pb
from .errors import NothingToSuppress, PlanInvalid
from .live_keys import MOST_AFTER_DEADLINE_US, LiveKeys
from .parties import MAX_CLIENTS, Aggregator, CollectorKeys
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
    require_noise,
    terms_of,
    word,
)

FromEvents = Literal["days", "sites"]
"""What of a plan follows from events instead of a declaration. `days`: which panes it has. `sites`: who is enrolled."""

FROM_EVENTS: Final[tuple[FromEvents, ...]] = get_args(FromEvents)
MAX_COLLECTIONS: Final = 2**24
PLAN_ID_BYTES: Final = 16
KEY_HASH_BYTES: Final = 32
AGGREGATORS: Final[tuple[Aggregator, Aggregator]] = ("leader", "helper")
LARGEST_PROVEN: Final = 2**60
"""Of a slot in a site's report with a proof: twice that is below p/2, so that no relation wraps, and fits into int64."""


@dataclass(frozen=True, eq=False)
class PlannedView:
    """One view of a plan.

    Attributes:
        pane_starts: int64[C], µs since the epoch, strictly increasing, aligned to the view's pane.
        min_clients: k of these panes; at least the view's own, except with noise off.
    """

    view: FeatureView
    pane_starts: npt.NDArray[np.int64]
    min_clients: int

    @cached_property
    def layout(self) -> Layout:
        """The layout that follows from the view."""
        return layout_of(self.view)


@dataclass(frozen=True)
class WireTerms:
    """What a plan says beyond its views when its parties are processes of their own.

    Attributes:
        leader, helper: what they sign with; under `he` the helper is the key holder: the helper's operator in another role.
        deadline_us: µs since the epoch, wall clock; the aggregators refuse reports from then on.
        verify_key_hash: commits the aggregators to the key that they verify proofs with (validity.py), 32 bytes; empty
            with validity none, and in a plan that is not signed yet.
        encryption_keys_hash: commits all parties to what reports are encrypted under (he_keys.py), 32 bytes; empty under
            shares, and in a plan that is not signed yet.
        leader_live, helper_live: what both aggregators have signed of their live secrets of this plan (live_keys.py); None
            in a draft.
    """

    leader: VerifyKey
    helper: VerifyKey
    collector: CollectorKeys
    deadline_us: int
    verify_key_hash: bytes = b""
    encryption_keys_hash: bytes = b""
    leader_live: LiveKeys | None = None
    helper_live: LiveKeys | None = None

    def __post_init__(self) -> None:
        same_seal = self.leader_live and self.helper_live and self.leader_live.seal == self.helper_live.seal
        if self.leader == self.helper or same_seal:
            raise PlanInvalid("leader and helper have the same key: one operator would open every report")
        if not -(2**63) <= self.deadline_us < 2**63:
            raise PlanInvalid(f"the deadline {self.deadline_us} does not fit into 64 bits")
        for what, key_hash in (("a verification key", self.verify_key_hash), ("keys", self.encryption_keys_hash)):
            if len(key_hash) not in (0, KEY_HASH_BYTES):
                raise PlanInvalid(f"the hash of {what} has {KEY_HASH_BYTES} bytes")

    def sign_key(self, role: Aggregator) -> VerifyKey:
        """What an aggregator signs with."""
        return self.leader if role == "leader" else self.helper

    def live(self, role: Aggregator) -> LiveKeys:
        """An aggregator's live keys. Raises PlanInvalid: this is a draft."""
        live = self.leader_live if role == "leader" else self.helper_live
        if live is None:
            raise PlanInvalid(f"the plan is a draft: it has no live keys of the {role}, so nothing can be sealed to it")
        return live

    @property
    def ends_us(self) -> int:
        """µs since the epoch: from when on no live key of the plan opens anything; of a draft, at the latest."""
        live = [one.not_after_us for one in (self.leader_live, self.helper_live) if one is not None]
        return max(live) if live else self.deadline_us + MOST_AFTER_DEADLINE_US


@dataclass(frozen=True, eq=False)
class Plan:
    """What is collected. Collection indices (u32) number the panes of the first view, then of the second, and so on.

    Attributes:
        noise, terms: what every party checks; see terms.py.
        plan_id: 16 random bytes: two plans for the same panes never share a hash.
        wire: keys and deadline; None where all parties are one process. In the hash: no share fits other keys.
        max_clients: under `he`, the most reports of a collection, for which the encryption has room; where a site reports, the
            most clients that it may declare; else 0. It is declared (ADR 0020), never counted from events.
        from_events: what of this plan is a function of events all the same, sorted; manifests name it in `outside_claim`.
    """

    plan_id: bytes
    views: tuple[PlannedView, ...]
    noise: Noise
    terms: Terms
    wire: WireTerms | None = None
    max_clients: int = 0
    from_events: tuple[FromEvents, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 of the canonical bytes: 32 bytes that bind every share to this plan."""
        return hashlib.sha256(plan_to_bytes(self)).digest()

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The first collection index of each view, and the number of collections last."""
        sizes = [len(planned.pane_starts) for planned in self.views]
        return tuple(int(end) for end in np.concatenate(([0], np.cumsum(sizes))))

    @property
    def noisy(self) -> bool:
        """Whether the aggregators add noise."""
        return self.noise is not Noise.NONE

    @property
    def clients_a_report(self) -> int:
        """The most clients that one report is the sum of: so many times the view's bounds hold for it."""
        return self.max_clients if self.terms.report_per is ReportPer.SITE else 1

    def he_parameters(self, planned: PlannedView) -> BfvParameters:
        """Under `he`: the encryption of a view of this plan, as every party derives it."""
        return he_parameters(planned.view, self.max_clients, self.noisy)

    def leak_micro_rho(self, planned: PlannedView) -> int:
        """What a client-day of the view costs beyond its layout's price, in micro-ρ: see `he_view`. 0 under shares."""
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
) -> Plan:
    """The plan of a collection: everybody who makes one makes it here.

    Args:
        plan_id: 16 random bytes.
        sites: how many clients each site may have: declared, never counted from events.
    """
    return Plan(plan_id, tuple(views), noise, terms, wire, max_clients_of(sites, terms), from_events)


def max_clients_of(sites: Sequence[int], terms: Terms) -> int:
    """`Plan.max_clients` of a plan for sites of so many clients each."""
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
            )
            for planned in plan.views
        ],
        protection=plan.terms.protection.value,
        validity=plan.terms.validity.value,
        participation=plan.terms.participation.value,
        noise=plan.noise.value,
        wire=None if plan.wire is None else _wire_to_pb(plan.wire),
        max_clients=plan.max_clients,
        finish=_told_unless(Finish.OPEN, plan.terms.finish),
        report_per=_told_unless(ReportPer.CLIENT, plan.terms.report_per),
        from_events=plan.from_events,
    )
    return message.SerializeToString(deterministic=True)


def plan_from_bytes(data: bytes) -> Plan:
    """The plan that these canonical bytes encode.

    Raises:
        PlanInvalid: not protobuf, not canonical, or terms that do not exist.
        DefinitionError: a view in it that is not valid.
    """
    try:
        message = pb.Plan.FromString(data)
    except DecodeError:
        raise PlanInvalid("the bytes of a plan are not protobuf") from None
    views = tuple(
        PlannedView(view_from_bytes(planned.view), np.array(planned.pane_starts, dtype=np.int64), planned.min_clients)
        for planned in message.views
    )
    plan = Plan(
        message.id,
        views,
        word(Noise, message.noise),
        terms_of(
            word(Protection, message.protection),
            word(Validity, message.validity),
            word(Finish, message.finish or Finish.OPEN.value),
            word(ReportPer, message.report_per or ReportPer.CLIENT.value),
            word(Participation, message.participation),
        ),
        _wire_from_pb(message.wire) if message.HasField("wire") else None,
        message.max_clients,
        tuple(_from_events(text) for text in message.from_events),
    )
    if plan_to_bytes(plan) != data:
        raise PlanInvalid("the bytes of a plan are not canonical")
    return plan


def _told_unless(usual: Finish | ReportPer, choice: Finish | ReportPer) -> str:
    """How a term is spelled that a plan leaves empty where it is the usual one."""
    return "" if choice is usual else choice.value


def _from_events(text: str) -> FromEvents:
    for known in FROM_EVENTS:
        if text == known:
            return known
    raise PlanInvalid(f"unknown from_events {text!r}: it is {' or '.join(map(repr, FROM_EVENTS))}")


def _wire_to_pb(wire: WireTerms) -> pb.WireTerms:
    return pb.WireTerms(
        leader=_aggregator_to_pb(wire.leader, wire.leader_live),
        helper=_aggregator_to_pb(wire.helper, wire.helper_live),
        collector=pb.CollectorKeys(sign=wire.collector.sign.data, seal=wire.collector.seal.data),
        deadline_us=wire.deadline_us,
        verify_key_hash=wire.verify_key_hash,
        encryption_keys_hash=wire.encryption_keys_hash,
    )


def _aggregator_to_pb(sign: VerifyKey, live: LiveKeys | None) -> pb.AggregatorKeys:
    return pb.AggregatorKeys(sign=sign.data, live=None if live is None else live.to_message())


def _wire_from_pb(message: pb.WireTerms) -> WireTerms:
    try:
        leader, helper = (VerifyKey(keys.sign) for keys in (message.leader, message.helper))
        live = [
            LiveKeys.from_message(keys.live) if keys.HasField("live") else None
            for keys in (message.leader, message.helper)
        ]
        collector = CollectorKeys(VerifyKey(message.collector.sign), SealPublicKey(message.collector.seal))
    except CryptoError as error:
        raise PlanInvalid(f"a party's keys: {error}") from None
    hashes = message.verify_key_hash, message.encryption_keys_hash
    return WireTerms(leader, helper, collector, message.deadline_us, *hashes, *live)


def _check(plan: Plan) -> None:
    if len(plan.plan_id) != PLAN_ID_BYTES:
        raise PlanInvalid(f"a plan's id has {PLAN_ID_BYTES} bytes, got {len(plan.plan_id)}")
    if plan.terms.validity is Validity.NONE and plan.wire is not None and plan.wire.verify_key_hash:
        raise PlanInvalid("a plan without proofs has no verification key")
    names: Sequence[str] = [planned.view.name for planned in plan.views]
    if not names or len(set(names)) != len(names):
        raise PlanInvalid(f"a plan has one or more views, each once; got {', '.join(names) or 'none'}")
    for planned in plan.views:
        panes, name = planned.pane_starts, planned.view.name
        if len(panes) == 0 or (np.diff(panes) <= 0).any() or (panes % planned.view.pane_us).any():
            raise PlanInvalid(f"view {name!r}: the panes must be aligned and strictly increasing, one at least")
        least = planned.view.privacy.min_clients if plan.noisy else 1
        if planned.min_clients < least:
            raise PlanInvalid(f"view {name!r}: min_clients {planned.min_clients} is below {least}")
    if list(plan.from_events) != sorted(set(plan.from_events)):
        raise PlanInvalid(f"from_events {', '.join(plan.from_events)}: name each once, in alphabetical order")
    require_noise(plan.terms, plan.noise)
    match plan.terms:
        case Encrypted():
            for planned in plan.views:
                plan.he_parameters(planned)  # raises where there are none
        case Shares() as terms:
            _check_shares(plan, terms)
    if plan.offsets[-1] > MAX_COLLECTIONS:
        raise PlanInvalid(f"{plan.offsets[-1]:,} collections in one plan; at most {MAX_COLLECTIONS:,}")


def _check_shares(plan: Plan, terms: Shares) -> None:
    if plan.wire is not None and plan.wire.encryption_keys_hash:
        raise PlanInvalid("a plan with shares has no encryption keys")
    match terms.report_per:
        case ReportPer.SITE:
            _check_of_sites(plan, terms.validity)
        case ReportPer.CLIENT:
            if plan.max_clients:
                raise PlanInvalid(
                    "a plan with shares has room for any number of clients; max_clients is for he, or a site's sum"
                )
    match terms.finish:
        case Finish.OPEN:
            return
        case Finish.MPC:
            for planned in plan.views:
                if planned.view.privacy.suppress_below is None:
                    raise NothingToSuppress(planned.view.name)


def _check_of_sites(plan: Plan, validity: Validity) -> None:
    if not 1 <= plan.max_clients <= MAX_CLIENTS:
        raise PlanInvalid(f"the clients that a site may declare are 1 to {MAX_CLIENTS:,}, not {plan.max_clients:,}")
    match validity:
        case Validity.NONE:
            return
        case Validity.PRIO3:
            for planned in plan.views:
                most = max(slot.max_value for slot in planned.layout.slots) * plan.max_clients
                if most > LARGEST_PROVEN:
                    raise PlanInvalid(
                        f"view {planned.view.name!r}: the sum of {plan.max_clients:,} clients of a site may be {most:,}, "
                        f"of which nothing can be proven; at most {LARGEST_PROVEN:,}"
                    )
