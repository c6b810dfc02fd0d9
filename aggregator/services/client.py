"""Leader and helper from outside, over gRPC: for the coordinator, the collector, and the leader's way to the helper.

Every call may be repeated (the aggregators answer a repeat with the same bytes), so what does not answer is asked again
until `patience_s` is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc

from aggregator.collect.sealed_share import ROLES, Fetched, Finished, SealedShare, shares_from_parts, swap_parts
from aggregator.errors import HelperUnavailable, KeyHolderUnavailable, ProviderUnavailable, Refused, Unreachable
from aggregator.intake.intake import Submitted
from aggregator.intake.key_agreement import Prepared
from aggregator.intake.refusals import REASONS
from aggregator.shares.messages import collect_request
from federation.keys import RoleKeys
from federation.parties import Aggregator
from federation.plan import Plan
from federation.terms import Protection

from . import aggregator_pb2 as pb
from . import aggregator_pb2_grpc as pb_grpc
from .rpc import CHANNEL_OPTIONS, PART_BYTES, error_of

CALL_S: Final = 60.0
"""The longest that one call for a batch may take."""
COLLECT_S: Final = 600.0
"""The longest that one collect, or one witness, may take: noise is drawn in it, some 0.5 µs a value."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_AWAY: Final = (REASONS[HelperUnavailable], REASONS[KeyHolderUnavailable], REASONS[ProviderUnavailable])

_T = TypeVar("_T")


class HelperLink:
    """The leader's connection to the helper: a `peer_links.HelperLink`. Asked once; what is not answered is kept."""

    def __init__(self, address: str, *, call_s: float = CALL_S) -> None:
        self._address, self._call_s = address, call_s
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = pb_grpc.HelperStub(self._channel)  # type: ignore[no-untyped-call]

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on. Raises Refused and Unreachable."""
        request = pb.OpenPlanRequest(signed_plan=signed)
        self._call(lambda: self._stub.OpenPlan(request, timeout=self._call_s))

    def prepare(self, signed_draft: bytes) -> Prepared:
        """A signed draft → what the helper has prepared for it. Raises Refused, Unreachable and MessageMalformed."""
        request = pb.PrepareRequest(signed_draft=signed_draft)
        return Prepared.from_parts(self._call(lambda: list(self._stub.Prepare(request, timeout=self._call_s))))

    def take_key(self, offer: bytes) -> bytes:
        """The leader's signed offer of a verification key → the helper's word. Raises Refused and Unreachable."""
        return self._signed(self._stub.TakeKey, offer)

    def aggregate(self, job: bytes) -> bytes:
        """A signed job → the signed answer. Raises Refused and Unreachable."""
        return self._signed(self._stub.Aggregate, job)

    def commit(self, commitment: bytes) -> bytes:
        """The leader's signed commitment → the helper's. Raises Refused and Unreachable."""
        return self._signed(self._stub.Commit, commitment)

    def witness(self, told: bytes) -> bytes:
        """The leader's signed `Witness` → the helper's. Raises Refused and Unreachable."""
        return self._signed(self._stub.Witness, told, COLLECT_S)

    def digest(self, signed: bytes) -> bytes:
        """The leader's signed `ShareDigest` → the helper's. Raises Refused and Unreachable."""
        return self._signed(self._stub.Digest, signed)

    def swap(self, plan_hash: bytes, shares: bytes) -> list[bytes]:
        """The leader's noised shares of a plan → the helper's. Raises Refused and Unreachable."""
        parts = self._call(lambda: list(self._stub.Swap(swap_parts(shares, PART_BYTES, plan_hash), timeout=COLLECT_S)))
        return [part.shares for part in parts]

    def finish(self, asked: bytes) -> bytes:
        """The leader's signed `Finish` → the same, signed by the helper. Raises Refused and Unreachable."""
        return self._signed(self._stub.Finish, asked, COLLECT_S)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _signed(self, call: Callable[..., pb.Signed], data: bytes, timeout_s: float | None = None) -> bytes:
        request = pb.Signed.FromString(data)
        reply = self._call(lambda: call(request, timeout=timeout_s or self._call_s))
        return reply.SerializeToString(deterministic=True)

    def _call(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except grpc.RpcError as failure:
            raise error_of(failure, "helper", self._address) from None


class KeyHolderLink:
    """The leader's connection to the key holder: a `peer_links.KeyHolderLink`."""

    def __init__(self, address: str, *, call_s: float = CALL_S) -> None:
        self._address, self._call_s = address, call_s
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = pb_grpc.KeyHolderStub(self._channel)  # type: ignore[no-untyped-call]

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on. Raises Refused and Unreachable."""
        request = pb.OpenPlanRequest(signed_plan=signed)
        self._call(lambda: self._stub.OpenPlan(request, timeout=self._call_s))

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        """The leader's sums, in pieces; opened when this returns. Raises Refused and Unreachable."""
        self._call(lambda: self._stub.OpenSums(parts, timeout=COLLECT_S))

    def witness(self, told: bytes) -> bytes:
        """The leader's signed `Witness` → the key holder's. Raises Refused and Unreachable."""
        request = pb.Signed.FromString(told)
        reply = self._call(lambda: self._stub.Witness(request, timeout=self._call_s))
        data: bytes = reply.SerializeToString(deterministic=True)
        return data

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _call(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except grpc.RpcError as failure:
            raise error_of(failure, "key holder", self._address) from None


class ProviderLink:
    """The leader's connection to the provider of triples: a `peer_links.ProviderLink`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = pb_grpc.ProviderStub(self._channel)  # type: ignore[no-untyped-call]

    def provide(self, asked: bytes) -> Providing:
        """Have it start its process."""
        return Providing(self._stub.Provide.future(pb.Signed.FromString(asked), timeout=COLLECT_S), self._address)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class Providing:
    """A session of the provider's: a `peer_links.Providing`."""

    def __init__(self, call: grpc.Future[pb.ProvideReply], address: str) -> None:
        self._call, self._address = call, address

    def wait(self) -> None:
        """Until its process has ended. Raises Refused and Unreachable."""
        try:
            self._call.result()
        except grpc.FutureCancelledError:
            pass
        except grpc.RpcError as failure:
            raise error_of(failure, "provider", self._address) from None

    def end(self) -> None:
        """Have it end its process."""
        self._call.cancel()


@dataclass(frozen=True)
class Status:
    """How far a plan is at one aggregator: see `party.PlanStatus`."""

    plan_hash: bytes
    state: str
    deadline_us: int
    pending: int
    rejected: tuple[int, ...]


class Aggregators:
    """Leader and helper, as the coordinator and the collector reach them.

    Args:
        helper: under `he` the key holder, which has the helper's place.
        patience_s: how long to go on asking where nobody answers.
    """

    def __init__(
        self, leader: str, helper: str, *, protection: Protection = Protection.SHARES, patience_s: float = 30.0
    ) -> None:
        self._addresses: dict[Aggregator, str] = {"leader": leader, "helper": helper}
        self._patience_s = patience_s
        self._channels = {
            role: grpc.insecure_channel(address, options=CHANNEL_OPTIONS) for role, address in self._addresses.items()
        }
        self._leader = pb_grpc.LeaderStub(self._channels["leader"])  # type: ignore[no-untyped-call]
        self._key_holder = pb_grpc.KeyHolderStub(self._channels["helper"])  # type: ignore[no-untyped-call]
        self._helper: pb_grpc.HelperStub | pb_grpc.KeyHolderStub = self._key_holder
        if protection == "shares":
            self._helper = pb_grpc.HelperStub(self._channels["helper"])  # type: ignore[no-untyped-call]
        self._names: dict[Aggregator, str] = {
            "leader": "leader",
            "helper": "helper" if protection == "shares" else "key holder",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels.values():
            channel.close()

    def prepare(self, signed_draft: bytes) -> tuple[Prepared, Prepared]:
        """Run by the coordinator: have leader, and helper or key holder, make what a plan needs of them.

        Raises Refused, Unreachable and MessageMalformed.
        """
        request = pb.PrepareRequest(signed_draft=signed_draft)
        helper = self._ask("helper", lambda: list(self._helper.Prepare(request, timeout=CALL_S)))
        leader = self._ask("leader", lambda: list(self._leader.Prepare(request, timeout=CALL_S)))
        return Prepared.from_parts(leader), Prepared.from_parts(helper)

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Run by the coordinator: open a plan at both. Returns its hash. Raises Refused and Unreachable.

        Args:
            encryption_keys: under `he`, for the leader.
        """
        request = pb.OpenPlanRequest(signed_plan=signed)
        self._ask("helper", lambda: self._helper.OpenPlan(request, timeout=CALL_S))
        request = pb.OpenPlanRequest(signed_plan=signed, encryption_keys=encryption_keys)
        reply = self._ask("leader", lambda: self._leader.OpenPlan(request, timeout=CALL_S))
        return bytes(reply.plan_hash)

    def submit(self, batch: bytes) -> Submitted:
        """Run by the coordinator: pass a sealed batch on. Raises Refused and Unreachable.

        A batch that is `pending` is kept by the leader: it may be submitted again for its verdicts, and need not be.
        """
        request = pb.SubmitRequest(batch=batch)
        reply = self._ask("leader", lambda: self._leader.Submit(request, timeout=CALL_S))
        return Submitted(reply.pending, reply.verdicts)

    def collect(self, plan: Plan, keys: RoleKeys) -> Fetched | Finished:
        """Run by the collector: have the plan opened, and fetch both noised shares, or results, with their statements.

        Raises:
            Refused: by name, also HELPER_UNAVAILABLE. Unreachable. And as `Fetched.of` or `Finished.of`: an aggregator's
            share that is not what its statement and the plan say, or two statements that do not fit.
        """
        request = pb.Signed.FromString(collect_request(plan, keys.sign))
        leader, helper = (self._shares(plan, role, request) for role in ROLES)
        return (Finished if plan.finish == "mpc" else Fetched).of(plan, leader, helper, keys.seal)

    def status(self, role: Aggregator, plan_hash: bytes = b"") -> list[Status]:
        """The state of one plan, or of all, at one aggregator. Raises Refused and Unreachable."""
        stub = self._leader if role == "leader" else self._helper
        reply = self._ask(role, lambda: stub.Status(pb.StatusRequest(plan_hash=plan_hash), timeout=CALL_S))
        return [
            Status(plan.plan_hash, plan.state, plan.deadline_us, plan.pending, tuple(plan.rejected))
            for plan in reply.plans
        ]

    def _shares(self, plan: Plan, role: Aggregator, request: pb.Signed) -> list[SealedShare]:
        stub = self._leader if role == "leader" else self._helper
        return self._ask(role, lambda: shares_from_parts(plan, stub.Collect(request, timeout=COLLECT_S)))

    def _ask(self, role: Aggregator, call: Callable[[], _T]) -> _T:
        """Call, and again while nobody answers and patience lasts."""
        wait_s, until = _FIRST_WAIT_S, time.monotonic() + self._patience_s
        while True:
            try:
                return call()
            except grpc.RpcError as failure:
                error = error_of(failure, self._names[role], self._addresses[role])
            away = isinstance(error, Unreachable) or (isinstance(error, Refused) and error.reason in _AWAY)
            if not away or time.monotonic() + wait_s > until:
                raise error
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
