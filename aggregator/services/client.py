"""The gRPC client of leader and helper, for the coordinator and the collector.

Every call may be repeated: the aggregators answer a repeat with the same bytes. A call without an answer is repeated for
`patience_s`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar, assert_never

from aggregator.collect.aggregate_share import ROLES, SealedShare
from aggregator.collect.collection import Collection, collection_type
from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import HelperUnavailable, KeyHolderUnavailable, ProviderUnavailable, RemoteRefusal, Unreachable
from aggregator.intake.preparation import Preparation
from aggregator.intake.readiness import Readiness
from aggregator.intake.refusals import REASONS
from aggregator.intake.submission import Submission
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.channel import PeerConnection
from aggregator.services.peer_channels import CALL_S, COLLECT_S
from aggregator.services.share_parts import shares_from_parts
from aggregator.storage.records import PlanStatus
from base.tls.links import CLEAR_TEXT, Links
from base.tls.roles import TlsRole
from crypto.signing import SigningKey
from federation.keys import RoleKeys
from federation.parties import Aggregator
from federation.plan import Plan
from federation.terms import Protection

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_AWAY: Final = (REASONS[HelperUnavailable], REASONS[KeyHolderUnavailable], REASONS[ProviderUnavailable])
_T = TypeVar("_T")


class Aggregators:
    """The connections of coordinator and collector to leader and helper.

    Args:
        helper: its address; under `he` the address of the key holder, which has the helper's role.
        links: of the coordinator.
        patience_s: how long a call without an answer is repeated.
    """

    def __init__(
        self,
        leader: str,
        helper: str,
        links: Links = CLEAR_TEXT,
        *,
        protection: Protection = Protection.SHARES,
        patience_s: float = 30.0,
    ) -> None:
        self._patience_s = patience_s
        self._leader = PeerConnection(links, TlsRole.LEADER, leader, "leader", pb_grpc.LeaderStub)
        self._helper: PeerConnection[pb_grpc.HelperStub] | PeerConnection[pb_grpc.KeyHolderStub]
        match protection:
            case Protection.SHARES:
                self._helper = PeerConnection(links, TlsRole.HELPER, helper, "helper", pb_grpc.HelperStub)
            case Protection.HE:
                self._helper = PeerConnection(links, TlsRole.KEYHOLDER, helper, "key holder", pb_grpc.KeyHolderStub)
            case other:
                assert_never(other)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._leader.close()
        self._helper.close()

    def name(self, role: Aggregator) -> str:
        """The name of the party that has a role in the plan: under `he` the helper's is the key holder."""
        return self._peer(role).name

    def check(self, role: Aggregator, signed_draft: bytes) -> Readiness:
        """Run by the coordinator: ask what one aggregator would answer to the plan of a draft.

        Raises RemoteRefusal: the draft is not of its coordinator, or its version of Covey does not know the call. Unreachable.
        """
        request = pb.CheckRequest(signed_draft=signed_draft)
        return Readiness.from_message(self._ask(role, lambda peer: peer.Check(request, timeout=CALL_S), CALL_S))

    def prepare(self, signed_draft: bytes) -> tuple[Preparation, Preparation]:
        """Run by the coordinator: have leader, and helper or key holder, prepare a draft.

        Raises RemoteRefusal, Unreachable and MessageMalformed.
        """
        request = pb.PrepareRequest(signed_draft=signed_draft)
        helper = self._ask("helper", lambda peer: Preparation.from_parts(peer.Prepare(request, timeout=CALL_S)), CALL_S)
        leader = self._ask("leader", lambda peer: Preparation.from_parts(peer.Prepare(request, timeout=CALL_S)), CALL_S)
        return leader, helper

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Run by the coordinator: open a plan at both. Returns its hash. Raises RemoteRefusal and Unreachable.

        Args:
            encryption_keys: under `he`, for the leader.
        """
        request = pb.OpenPlanRequest(signed_plan=signed)
        self._ask("helper", lambda peer: peer.OpenPlan(request, timeout=CALL_S), CALL_S)
        request = pb.OpenPlanRequest(signed_plan=signed, encryption_keys=encryption_keys)
        reply = self._ask("leader", lambda peer: peer.OpenPlan(request, timeout=CALL_S), CALL_S)
        return bytes(reply.plan_hash)

    def submit(self, batch: bytes) -> Submission:
        """Run by the coordinator: pass a sealed batch on. Raises RemoteRefusal and Unreachable.

        The leader has stored a batch that is `pending`. It may be submitted again for its verdicts, but need not.
        """
        request = pb.SubmitRequest(batch=batch)
        reply = self._ask("leader", lambda peer: peer.Submit(request, timeout=CALL_S), CALL_S)
        return Submission(reply.pending, reply.verdicts)

    def collect(self, plan: Plan, keys: RoleKeys) -> Collection:
        """Run by the collector: have the plan opened, and fetch both noised shares, or results, with their statements.

        Raises:
            RemoteRefusal: with its reason, such as HELPER_UNAVAILABLE. Unreachable. And as `CollectedShares.of` or
            `CollectedSums.of`: a share contradicts its statement or the plan, or the statements disagree.
        """
        request = pb.Signed.FromString(collect_request(plan, keys.sign))
        leader, helper = (self._shares(plan, role, request) for role in ROLES)
        return collection_type(plan.terms).of(plan, leader, helper, keys.seal)

    def free(self, plan_hash: bytes, coordinator: SigningKey) -> tuple[bytes, ...]:
        """Run by the coordinator: have both aggregators free a plan. Returns their statements that they never opened it.

        Raises:
            RemoteRefusal: FREE_REFUSED if one has noised the plan; other reasons if one cannot say. Unreachable.
        """
        request = pb.Signed.FromString(free_request(plan_hash, coordinator))
        reply = self._ask("leader", lambda peer: peer.Free(request, timeout=COLLECT_S), COLLECT_S)
        return tuple(reply.statements)

    def status(self, role: Aggregator, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all, at one aggregator. Raises RemoteRefusal and Unreachable."""
        reply = self._ask(role, lambda peer: peer.Status(pb.StatusRequest(plan_hash=plan_hash), timeout=CALL_S), CALL_S)
        return [
            PlanStatus(plan.plan_hash, plan.state, plan.deadline_us, plan.pending, tuple(plan.rejected))
            for plan in reply.plans
        ]

    def _shares(self, plan: Plan, role: Aggregator, request: pb.Signed) -> list[SealedShare]:
        return self._ask(
            role, lambda peer: shares_from_parts(plan, peer.Collect(request, timeout=COLLECT_S)), COLLECT_S
        )

    def _peer(self, role: Aggregator) -> PeerConnection[Any]:
        return self._leader if role == "leader" else self._helper

    def _ask(self, role: Aggregator, call: Callable[[Any], _T], limit_s: float) -> _T:
        """Call, and repeat the call without an answer until `patience_s` is over.

        A peer is not called again if a certificate or a trust file has to change first, or if it floods.
        """
        wait_s, until = _FIRST_WAIT_S, time.monotonic() + self._patience_s
        while True:
            try:
                return self._peer(role).call(call, limit_s)
            except Unreachable as error:
                if not error.may_pass or time.monotonic() + wait_s > until:
                    raise
            except RemoteRefusal as error:
                if error.reason not in _AWAY or time.monotonic() + wait_s > until:
                    raise
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
