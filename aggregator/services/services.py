"""Leader, helper, key holder and provider as gRPC services: this module translates and does nothing else.

With a certificate they speak TLS, and each call is verified to be by a role that may make it (callers.py). Without one they listen
on the loopback only. Messages are signed in both cases, because a signature is evidence for later.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Final, TypeAlias, TypeVar, assert_never

import grpc

from aggregator.collect.aggregate_share import SealedShare
from aggregator.errors import AddressUnusable
from aggregator.he.key_holder import KeyHolder
from aggregator.intake.preparation import Preparation
from aggregator.intake.readiness import Readiness
from aggregator.intake.refusals import INTERNAL, Expected, refusal_of
from aggregator.mpc.provider import Provider
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.call_counts import CallCounts
from aggregator.services.callers import CallerCheck
from aggregator.services.credentials import server_credentials
from aggregator.services.handlers import STALL_S, UNREAD, WholeRequests, Wrapped, without_stalls
from aggregator.services.rpc import PART_BYTES, SERVER_OPTIONS, refuse
from aggregator.services.share_parts import shares_to_parts, swap_parts
from aggregator.services.tracing import spans
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from base.times import from_us, wall_clock
from base.tls.hosts import join_address
from base.tls.links import CLEAR_TEXT, ClearText, Links, Tls, require_private

log = logging.getLogger(__name__)

THREADS: Final = 2 * UNREAD
"""Calls at the same time: one calls the helper while others check and open. Each holds a batch, so this bounds memory."""
STOP_S: Final = 5.0

_T = TypeVar("_T")

Role: TypeAlias = Leader | Helper | KeyHolder


class _Servicer:
    """The calls that all roles have."""

    def __init__(self, party: Role) -> None:
        self._party = party

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckReply:
        readiness: Readiness = _answer(context, lambda: self._party.check(request.signed_draft))
        return readiness.to_message()

    def Prepare(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> Iterator[pb.PreparedPart]:
        prepared: Preparation = _answer(context, lambda: self._party.prepare(request.signed_draft))
        yield from prepared.to_parts(PART_BYTES)

    def OpenPlan(self, request: pb.OpenPlanRequest, context: grpc.ServicerContext) -> pb.OpenPlanReply:
        plan_hash = _answer(context, lambda: self._party.open_plan(request.signed_plan, request.encryption_keys))
        return pb.OpenPlanReply(plan_hash=plan_hash)

    def Collect(self, request: pb.Signed, context: grpc.ServicerContext) -> Iterator[pb.SharePart]:
        shares: list[SealedShare] = _answer(context, lambda: self._party.collect(_bytes_of(request)))
        yield from shares_to_parts(shares, PART_BYTES)

    def Free(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.FreeReply:
        return pb.FreeReply(statements=_answer(context, lambda: self._party.free(_bytes_of(request))))

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusReply:
        plans = _answer(context, lambda: self._party.status(request.plan_hash))
        return pb.StatusReply(
            role=self._party.role,
            plans=[
                pb.PlanStatus(
                    plan_hash=plan.plan_hash,
                    state=plan.state,
                    deadline_us=plan.deadline_us,
                    pending=plan.pending,
                    rejected=plan.rejected,
                )
                for plan in plans
            ],
        )


class LeaderServicer(_Servicer, pb_grpc.LeaderServicer):
    """The leader's calls."""

    def __init__(self, leader: Leader) -> None:
        super().__init__(leader)
        self._leader = leader

    def Submit(self, request: pb.SubmitRequest, context: grpc.ServicerContext) -> pb.SubmitReply:
        submission = _answer(context, lambda: self._leader.submit(request.batch))
        return pb.SubmitReply(pending=submission.pending, verdicts=submission.verdicts)


class HelperServicer(_Servicer, pb_grpc.HelperServicer):
    """The helper's calls."""

    def __init__(self, helper: Helper) -> None:
        super().__init__(helper)
        self._helper = helper

    def TakeKey(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.Signed:
        return _answer(context, lambda: pb.Signed.FromString(self._helper.take_key(_bytes_of(request))))

    def Aggregate(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.Signed:
        return _answer(context, lambda: pb.Signed.FromString(self._helper.aggregate(_bytes_of(request))))

    def Commit(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.Signed:
        return _answer(context, lambda: pb.Signed.FromString(self._helper.commit(_bytes_of(request))))

    def Witness(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.Signed:
        return _answer(context, lambda: pb.Signed.FromString(self._helper.witness(_bytes_of(request))))

    def Digest(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.Signed:
        return _answer(context, lambda: pb.Signed.FromString(self._helper.digest(_bytes_of(request))))

    def Swap(self, request_iterator: Iterator[pb.SwapPart], context: grpc.ServicerContext) -> Iterator[pb.SwapPart]:
        parts = without_stalls(request_iterator, context, STALL_S)
        first = _answer(context, lambda: next(parts, pb.SwapPart()))
        pieces = (part.shares for part in chain([first], parts))
        yield from swap_parts(_answer(context, lambda: self._helper.swap(first.plan_hash, pieces)), PART_BYTES)

    def Finish(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.Signed:
        return _answer(context, lambda: pb.Signed.FromString(self._helper.finish(_bytes_of(request))))


class KeyHolderServicer(_Servicer, pb_grpc.KeyHolderServicer):
    """The key holder's calls."""

    def __init__(self, key_holder: KeyHolder) -> None:
        super().__init__(key_holder)
        self._key_holder = key_holder

    def OpenSums(self, request_iterator: Iterator[pb.SumPart], context: grpc.ServicerContext) -> pb.OpenSumsReply:
        _answer(context, lambda: self._key_holder.open_sums(without_stalls(request_iterator, context, STALL_S)))
        return pb.OpenSumsReply()

    def Witness(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.Signed:
        return _answer(context, lambda: pb.Signed.FromString(self._key_holder.witness(_bytes_of(request))))


class ProviderServicer(pb_grpc.ProviderServicer):
    """The provider's one call."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def Provide(self, request: pb.Signed, context: grpc.ServicerContext) -> pb.ProvideReply:
        session = _answer(context, lambda: self._provider.begin(_bytes_of(request)))
        if not context.add_callback(session.kill):  # the leader has ended the call already
            session.kill()
        _answer(context, lambda: self._provider.wait(session))
        return pb.ProvideReply()


class Service:
    """One role, listening. Made by `serve`."""

    def __init__(self, party: Role | Provider, server: grpc.Server, address: str) -> None:
        self.party, self.address = party, address
        self._server = server

    def stop(self, grace_s: float = STOP_S) -> None:
        """Accept no more calls, end running calls, close the files. Committed data stays."""
        self.party.stop()
        self._server.stop(grace_s).wait()
        self.party.close()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; for the main thread of a process."""
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        stopped.wait()
        self.stop()


def serve(party: Role | Provider, host: str, port: int, links: Links = CLEAR_TEXT) -> Service:
    """Listen on an address. Port 0 takes a free port; `address` of the service names it.

    Args:
        links: with TLS, or on the loopback only.

    Raises:
        ClearTextRefused: the address is not a loopback address, and there is no certificate. AddressUnusable: the port is in
            use, or the host is not this machine. TlsError: a certificate or a trust file cannot be used.
    """
    address = join_address(host, port)
    require_private(links, host, address)
    now = from_us(wall_clock())
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix=party.role)
    checks = [CallerCheck(links, lambda: from_us(wall_clock())).wrap] if isinstance(links, Tls) else []
    interceptors = [*map(Wrapped, (*spans(), CallCounts(party.meters).wrap, *checks)), WholeRequests()]
    server = grpc.server(pool, interceptors=interceptors, options=SERVER_OPTIONS, maximum_concurrent_rpcs=None)
    match party:
        case Leader():
            pb_grpc.add_LeaderServicer_to_server(LeaderServicer(party), server)
        case Helper():
            pb_grpc.add_HelperServicer_to_server(HelperServicer(party), server)
        case KeyHolder():
            pb_grpc.add_KeyHolderServicer_to_server(KeyHolderServicer(party), server)
        case Provider():
            pb_grpc.add_ProviderServicer_to_server(ProviderServicer(party), server)
        case other:
            assert_never(other)
    try:
        match links:
            case Tls():
                bound = server.add_secure_port(address, server_credentials(links, now))
            case ClearText():
                bound = server.add_insecure_port(address)
            case nothing:
                assert_never(nothing)
    except RuntimeError:
        why = "the port may be in use, or the host may not be this machine; use another one, or port 0 for a free one"
        raise AddressUnusable(address, why) from None
    server.start()
    return Service(party, server, f"{address.rpartition(':')[0]}:{bound}")


def _answer(context: grpc.ServicerContext, call: Callable[[], _T]) -> _T:
    """Call, and turn an error into a status, a reason and numbers."""
    try:
        return call()
    except Expected as error:
        refusal = refusal_of(error)
        if refusal.reason == INTERNAL:
            log.exception("a call failed with an error that has no reason code")
    except Exception as error:  # the edge: no detail may be sent
        log.exception("a call failed")
        refusal = refusal_of(error)
    return refuse(context, refusal)


def _bytes_of(request: pb.Signed) -> bytes:
    return request.SerializeToString(deterministic=True)
