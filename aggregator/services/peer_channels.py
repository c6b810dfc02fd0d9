"""The leader's gRPC connections to helper, key holder and provider.

Each call is made once; the leader stores what is not answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import grpc

from aggregator.intake.preparation import Preparation
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.channel import PeerConnection
from aggregator.services.rpc import PART_BYTES
from aggregator.services.share_parts import swap_parts, swapped_pieces
from base.tls.links import CLEAR_TEXT, Links
from base.tls.roles import TlsRole

CALL_S: Final = 60.0
"""Longest duration of a call for a batch."""
COLLECT_S: Final = 600.0
"""Longest duration of a collect or witness call: noise is drawn in it, about 0.5 µs per value."""


class HelperChannel:
    """The leader's connection to the helper: a `peer_links.HelperLink`."""

    def __init__(self, address: str, links: Links = CLEAR_TEXT, *, call_s: float = CALL_S) -> None:
        self._call_s = call_s
        self._peer = PeerConnection(links, TlsRole.HELPER, address, "helper", pb_grpc.HelperStub)

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on. Raises RemoteRefusal and Unreachable."""
        request = pb.OpenPlanRequest(signed_plan=signed)
        self._peer.call(lambda peer: peer.OpenPlan(request, timeout=self._call_s), self._call_s)

    def prepare(self, signed_draft: bytes) -> Preparation:
        """A signed draft → the helper's preparation for it. Raises RemoteRefusal, Unreachable and MessageMalformed."""
        request = pb.PrepareRequest(signed_draft=signed_draft)
        return self._peer.call(
            lambda helper: Preparation.from_parts(helper.Prepare(request, timeout=self._call_s)), self._call_s
        )

    def take_key(self, offer: bytes) -> bytes:
        """The leader's signed key offer → the helper's signed confirmation. Raises RemoteRefusal and Unreachable."""
        return self._signed(lambda helper: helper.TakeKey, offer, self._call_s)

    def aggregate(self, job: bytes) -> bytes:
        """A signed job → the signed answer. Raises RemoteRefusal and Unreachable."""
        return self._signed(lambda helper: helper.Aggregate, job, self._call_s)

    def commit(self, commitment: bytes) -> bytes:
        """The leader's signed commitment → the helper's. Raises RemoteRefusal and Unreachable."""
        return self._signed(lambda helper: helper.Commit, commitment, self._call_s)

    def witness(self, message: bytes) -> bytes:
        """The leader's signed `Witness` → the helper's. Raises RemoteRefusal and Unreachable."""
        return self._signed(lambda helper: helper.Witness, message, COLLECT_S)

    def free(self, request: bytes) -> list[bytes]:
        """The request to free a plan → the helper's statement, if it has one. Raises RemoteRefusal and Unreachable."""
        asked = pb.Signed.FromString(request)
        reply = self._peer.call(lambda peer: peer.Free(asked, timeout=self._call_s), self._call_s)
        return list(reply.statements)

    def digest(self, signed: bytes) -> bytes:
        """The leader's signed `ShareDigest` → the helper's. Raises RemoteRefusal and Unreachable."""
        return self._signed(lambda helper: helper.Digest, signed, self._call_s)

    def swap(self, plan_hash: bytes, shares: bytes) -> list[bytes]:
        """The leader's noised shares of a plan → the helper's, which are as long. Raises RemoteRefusal and Unreachable."""
        parts = swap_parts(shares, PART_BYTES, plan_hash)
        return self._peer.call(
            lambda helper: swapped_pieces(helper.Swap(parts, timeout=COLLECT_S), len(shares)), COLLECT_S
        )

    def finish(self, session: bytes) -> bytes:
        """The leader's signed `FinishSession` → the same, signed by the helper. Raises RemoteRefusal and Unreachable."""
        return self._signed(lambda helper: helper.Finish, session, COLLECT_S)

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()

    def _signed(
        self, method: Callable[[pb_grpc.HelperStub], Callable[..., pb.Signed]], data: bytes, limit_s: float
    ) -> bytes:
        request = pb.Signed.FromString(data)
        reply = self._peer.call(lambda helper: method(helper)(request, timeout=limit_s), limit_s)
        return reply.SerializeToString(deterministic=True)


class KeyHolderChannel:
    """The leader's connection to the key holder: a `peer_links.KeyHolderLink`."""

    def __init__(self, address: str, links: Links = CLEAR_TEXT, *, call_s: float = CALL_S) -> None:
        self._call_s = call_s
        self._peer = PeerConnection(links, TlsRole.KEYHOLDER, address, "key holder", pb_grpc.KeyHolderStub)

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on. Raises RemoteRefusal and Unreachable."""
        request = pb.OpenPlanRequest(signed_plan=signed)
        self._peer.call(lambda peer: peer.OpenPlan(request, timeout=self._call_s), self._call_s)

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        """Send the leader's sums in pieces. They are opened when this returns. Raises RemoteRefusal and Unreachable."""
        self._peer.call(lambda key_holder: key_holder.OpenSums(parts, timeout=COLLECT_S), COLLECT_S)

    def witness(self, message: bytes) -> bytes:
        """The leader's signed `Witness` → the key holder's. Raises RemoteRefusal and Unreachable."""
        request = pb.Signed.FromString(message)
        reply = self._peer.call(lambda key_holder: key_holder.Witness(request, timeout=self._call_s), self._call_s)
        data: bytes = reply.SerializeToString(deterministic=True)
        return data

    def free(self, request: bytes) -> list[bytes]:
        """The request to free a plan → the key holder's statement, if it has one. Raises RemoteRefusal and Unreachable."""
        asked = pb.Signed.FromString(request)
        reply = self._peer.call(lambda peer: peer.Free(asked, timeout=self._call_s), self._call_s)
        return list(reply.statements)

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()


class ProviderChannel:
    """The leader's connection to the provider of triples: a `peer_links.ProviderLink`."""

    def __init__(self, address: str, links: Links = CLEAR_TEXT) -> None:
        self._peer = PeerConnection(links, TlsRole.PROVIDER, address, "provider", pb_grpc.ProviderStub)

    def provide(self, session: bytes) -> ProviderCall:
        """Have the provider start its process. Raises Unreachable: its authorities are missing or cannot be used."""
        request = pb.Signed.FromString(session)
        call = self._peer.begin(lambda provider: provider.Provide.future(request, timeout=COLLECT_S))
        return ProviderCall(call, self._peer)

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()


class ProviderCall:
    """A session of the provider: a `peer_links.ProviderSession`."""

    def __init__(self, call: grpc.Future[pb.ProvideReply], peer: PeerConnection[pb_grpc.ProviderStub]) -> None:
        self._call, self._peer = call, peer

    def wait(self) -> None:
        """Wait until the provider's process has ended. Raises RemoteRefusal and Unreachable."""
        try:
            self._call.result()
        except grpc.FutureCancelledError:
            pass
        except grpc.RpcError as failure:
            error = self._peer.error_of(failure, COLLECT_S)
            raise error from error.__cause__

    def end(self) -> None:
        """Have the provider end its process."""
        self._call.cancel()
