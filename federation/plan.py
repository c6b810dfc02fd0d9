"""Plans: the (view, pane) pairs that are collected together, numbered, and the terms that every party checks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeVar, get_args

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
from . import terms
from .errors import PlanInvalid
from .live_keys import MOST_AFTER_DEADLINE_US, LiveKeys
from .parties import MAX_CLIENTS, Aggregator, CollectorKeys, Participation, ReportPer
from .terms import Terms, terms_of, word

Noise = Literal["full", "none"]
"""`full`: each aggregator adds noise of the full scale, by the mechanism of each view. `none`: tests and labs only."""

Protection = Literal["shares", "he"]
"""`shares`: additive, for two aggregators. `he`: BFV ciphertexts, for a leader that adds and a key holder that opens."""

Validity = Literal["none", "prio3"]
"""`none`: a client's values are its word. `prio3`: every report proves that it lies within the view's bounds."""

Finish = Literal["open", "mpc"]
"""`open`: the collector adds the noised shares. `mpc`: the aggregators suppress small cells under MPC before they open."""

FromEvents = Literal["days", "sites"]
"""What of a plan follows from events instead of a declaration. `days`: which panes it has. `sites`: who is enrolled."""

AllowedValidity = Literal["any", "prio3"]
"""What a site's policy, or an aggregator's settings, ask of plans. `prio3`: one without proofs is refused."""

NOISES: Final[tuple[Noise, ...]] = get_args(Noise)
PROTECTIONS: Final[tuple[Protection, ...]] = get_args(Protection)
VALIDITIES: Final[tuple[Validity, ...]] = get_args(Validity)
FINISHES: Final[tuple[Finish, ...]] = get_args(Finish)
ALLOWED_VALIDITIES: Final[tuple[AllowedValidity, ...]] = get_args(AllowedValidity)
PARTICIPATIONS: Final[tuple[Participation, ...]] = get_args(Participation)
REPORT_PERS: Final[tuple[ReportPer, ...]] = get_args(ReportPer)
FROM_EVENTS: Final[tuple[FromEvents, ...]] = get_args(FromEvents)
MAX_COLLECTIONS: Final = 2**24
PLAN_ID_BYTES: Final = 16
KEY_HASH_BYTES: Final = 32
AGGREGATORS: Final[tuple[Aggregator, Aggregator]] = ("leader", "helper")
LARGEST_PROVEN: Final = 2**60
"""Of a slot in a site's report with a proof: twice that is below p/2, so that no relation wraps, and fits into int64."""

_T = TypeVar("_T", bound=str)


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
        plan_id: 16 random bytes: two plans for the same panes never share a hash.
        wire: keys and deadline; None where all parties are one process. In the hash: no share fits other keys.
        max_clients: under `he`, the most reports of a collection, for which the encryption has room; where a site reports, the
            most clients that it may declare; else 0. It is declared (ADR 0020), never counted from events.
        from_events: what of this plan is a function of events all the same, sorted; manifests name it in `outside_claim`.
    """

    plan_id: bytes
    views: tuple[PlannedView, ...]
    noise: Noise
    protection: Protection = "shares"
    validity: Validity = "none"
    participation: Participation = "active"
    wire: WireTerms | None = None
    max_clients: int = 0
    finish: Finish = "open"
    report_per: ReportPer = "client"
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

    @cached_property
    def terms(self) -> Terms:
        """How reports are protected and proven, how their sums are opened, and who reports."""
        return terms_of(
            word(terms.Protection, self.protection),
            word(terms.Validity, self.validity),
            word(terms.Finish, self.finish),
            word(terms.ReportPer, self.report_per),
            word(terms.Participation, self.participation),
        )

    @property
    def clients_a_report(self) -> int:
        """The most clients that one report is the sum of: so many times the view's bounds hold for it."""
        return self.max_clients if self.report_per == "site" else 1

    def he_parameters(self, planned: PlannedView) -> BfvParameters:
        """Under `he`: the encryption of a view of this plan, as every party derives it."""
        return he_parameters(planned.view, self.max_clients, self.noise != "none")

    def leak_micro_rho(self, planned: PlannedView) -> int:
        """What a client-day of the view costs beyond its layout's price, in micro-ρ: see `he_view`. 0 under shares."""
        return (
            0 if self.protection == "shares" else leak_micro_rho(planned.view, self.max_clients, self.noise != "none")
        )


def max_clients_of(sites: Sequence[int], protection: Protection, report_per: ReportPer) -> int:
    """`Plan.max_clients` of a plan for sites of so many clients each."""
    if report_per == "site":
        return max(sites, default=1)
    return sum(sites) if protection == "he" else 0


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
        protection=plan.protection,
        validity=plan.validity,
        participation=plan.participation,
        noise=plan.noise,
        wire=None if plan.wire is None else _wire_to_pb(plan.wire),
        max_clients=plan.max_clients,
        finish="" if plan.finish == "open" else plan.finish,
        report_per="" if plan.report_per == "client" else plan.report_per,
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
        _one_of("noise", message.noise, NOISES),
        protection=_one_of("protection", message.protection, PROTECTIONS),
        validity=_one_of("validity", message.validity, VALIDITIES),
        participation=_one_of("participation", message.participation, PARTICIPATIONS),
        wire=_wire_from_pb(message.wire) if message.HasField("wire") else None,
        max_clients=message.max_clients,
        finish=_one_of("finish", message.finish or "open", FINISHES),
        report_per=_one_of("report_per", message.report_per or "client", REPORT_PERS),
        from_events=tuple(_one_of("from_events", text, FROM_EVENTS) for text in message.from_events),
    )
    if plan_to_bytes(plan) != data:
        raise PlanInvalid("the bytes of a plan are not canonical")
    return plan


def _one_of(what: str, text: str, known: tuple[_T, ...]) -> _T:
    for value in known:
        if text == value:
            return value
    raise PlanInvalid(f"unknown {what} {text!r}; known are {' and '.join(known)}")


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
    if plan.validity == "none" and plan.wire is not None and plan.wire.verify_key_hash:
        raise PlanInvalid("a plan without proofs has no verification key")
    names: Sequence[str] = [planned.view.name for planned in plan.views]
    if not names or len(set(names)) != len(names):
        raise PlanInvalid(f"a plan has one or more views, each once; got {', '.join(names) or 'none'}")
    for planned in plan.views:
        panes, name = planned.pane_starts, planned.view.name
        if len(panes) == 0 or (np.diff(panes) <= 0).any() or (panes % planned.view.pane_us).any():
            raise PlanInvalid(f"view {name!r}: the panes must be aligned and strictly increasing, one at least")
        least = 1 if plan.noise == "none" else planned.view.privacy.min_clients
        if planned.min_clients < least:
            raise PlanInvalid(f"view {name!r}: min_clients {planned.min_clients} is below {least}")
    if list(plan.from_events) != sorted(set(plan.from_events)):
        raise PlanInvalid(f"from_events {', '.join(plan.from_events)}: name each once, in alphabetical order")
    _check_protection(plan)
    if plan.finish == "mpc":
        _check_mpc(plan)
    if plan.offsets[-1] > MAX_COLLECTIONS:
        raise PlanInvalid(f"{plan.offsets[-1]:,} collections in one plan; at most {MAX_COLLECTIONS:,}")


def _check_protection(plan: Plan) -> None:
    if plan.protection == "shares":
        if plan.report_per == "site":
            _check_of_sites(plan)
        elif plan.max_clients:
            raise PlanInvalid(
                "a plan with shares has room for any number of clients; max_clients is for he, or a site's sum"
            )
        if plan.wire is not None and plan.wire.encryption_keys_hash:
            raise PlanInvalid("a plan with shares has no encryption keys")
        return
    if plan.report_per == "site":
        raise PlanInvalid("a site's sum is not encrypted: report_per site goes with protection shares only")
    if plan.validity != "none":
        raise PlanInvalid("nothing can be proven of encrypted reports: he goes with validity none only")
    for planned in plan.views:
        plan.he_parameters(planned)  # raises where there are none


def _check_of_sites(plan: Plan) -> None:
    if not 1 <= plan.max_clients <= MAX_CLIENTS:
        raise PlanInvalid(f"the clients that a site may declare are 1 to {MAX_CLIENTS:,}, not {plan.max_clients:,}")
    if plan.validity == "none":
        return
    for planned in plan.views:
        most = max(slot.max_value for slot in planned.layout.slots) * plan.max_clients
        if most > LARGEST_PROVEN:
            raise PlanInvalid(
                f"view {planned.view.name!r}: the sum of {plan.max_clients:,} clients of a site may be {most:,}, "
                f"of which nothing can be proven; at most {LARGEST_PROVEN:,}"
            )


def _check_mpc(plan: Plan) -> None:
    if plan.protection != "shares":
        raise PlanInvalid("the finish mpc computes with shares: it goes with protection shares only")
    if plan.noise == "none":
        raise PlanInvalid("the finish mpc takes noised shares only: it does not go with noise none")
    for planned in plan.views:
        if planned.view.privacy.suppress_below is None:
            raise PlanInvalid(f"view {planned.view.name!r} has no suppress_below: there is nothing to finish by mpc")
