"""Shared by both ends of a gRPC connection: sizes, and the encoding of a refusal.

A refusal is a status code and, in the trailing metadata, a `Refusal` with its stable reason and numbers. An unexpected error is
INTERNAL and reveals nothing; its traceback is in the log of the service.
"""

from __future__ import annotations

from typing import Final, NoReturn

import grpc
from google.protobuf.message import DecodeError

from aggregator.errors import AggregatorError, RemoteRefusal, Stopping, Unreachable
from aggregator.intake.refusals import INTERNAL, MAX_TEXT, REASONS, Refusal
from aggregator.services import aggregator_pb2 as pb
from base.errors import PeerFloods

MAX_MESSAGE_BYTES: Final = 8 * 2**20
"""A batch has at most 4 MiB, a commitment at most 5 MiB."""
METADATA_BYTES: Final = 8 * 2**10
"""gRPC's own limit for the metadata of an answer."""
PART_BYTES: Final = 2**20
REFUSAL_KEY: Final = "covey-refusal-bin"
UNKNOWN_CALL: Final = grpc.StatusCode.UNIMPLEMENTED.name
"""The reason of a refusal by a service of another version."""

KEEPALIVE_MS: Final = 10_000
"""How long a connection may be silent during a call before its peer must answer a ping, within the same time: a connection that a
network has dropped without a word ends after twice this time, not with the deadline of the call."""
CONNECT_MS: Final = 10_000
"""Longest attempt to connect: TCP, TLS and HTTP/2 take several round trips, of a second each on a bad link."""
HANDSHAKE_MS: Final = 20_000
"""How long a connection may take to its first settings of HTTP/2, TLS included. By gRPC's default, whoever connects and says
nothing holds a connection of the service for two minutes."""
CONNECTIONS: Final = 512
"""The most connections of a service, half of the files that a process may open by default; others are closed at once. A stranger
can hold one for `HANDSHAKE_MS`."""
CALLS: Final = 64
"""The most calls that a connection has at a time; others wait at the client. By gRPC's default, a client may begin any number of
calls and end none. Far more than clients make, because a service counts a call a moment longer than its client."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_MS),  # else gRPC 1.85 waits a minute for any answer to a ping
    ("grpc.http2.max_pings_without_data", 0),  # noise is drawn for minutes, and no data is sent
)
CHANNEL_OPTIONS: Final = (
    *OPTIONS,
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # its own backoff: another client's failures do not slow this one
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", CONNECT_MS),  # despite its name, the deadline of an attempt
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
SERVER_OPTIONS: Final = (
    *OPTIONS,
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    ("grpc.max_allowed_incoming_connections", CONNECTIONS),
    ("grpc.max_concurrent_streams", CALLS),
    ("grpc.so_reuseport", 0),  # a port in use is an error, not a second listener
    (
        "grpc.http2.min_recv_ping_interval_without_data_ms",
        KEEPALIVE_MS // 2,
    ),  # a client that pings more often is cut off
)

_AWAY: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_CODES: Final = {
    INTERNAL: grpc.StatusCode.INTERNAL,
    "HELPER_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "KEY_HOLDER_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "PROVIDER_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "STOPPING": grpc.StatusCode.UNAVAILABLE,
    "NO_SPACE_LEFT": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "PLAN_UNKNOWN": grpc.StatusCode.NOT_FOUND,
    "PLAN_DELETED": grpc.StatusCode.NOT_FOUND,
    "JOB_CONFLICT": grpc.StatusCode.ALREADY_EXISTS,
    "DRAFT_CONFLICT": grpc.StatusCode.ALREADY_EXISTS,
    "LIVE_SECRET_LOST": grpc.StatusCode.DATA_LOSS,
    "PANE_ALREADY_REPORTED": grpc.StatusCode.ALREADY_EXISTS,
    "VIEW_OVERLAP": grpc.StatusCode.ALREADY_EXISTS,
    "UNKNOWN_SITE": grpc.StatusCode.PERMISSION_DENIED,
    "CALLER_NOT_ALLOWED": grpc.StatusCode.PERMISSION_DENIED,
    "CERTIFICATE_EXPIRED": grpc.StatusCode.UNAUTHENTICATED,
    "CERTIFICATE_NOT_YET_VALID": grpc.StatusCode.UNAUTHENTICATED,
    "CERTIFICATE_UNTRUSTED": grpc.StatusCode.UNAUTHENTICATED,
    "CERTIFICATE_OF_ANOTHER_ROLE": grpc.StatusCode.UNAUTHENTICATED,
    "TLS_VERSION_REFUSED": grpc.StatusCode.UNAUTHENTICATED,
    "SIGNATURE_INVALID": grpc.StatusCode.PERMISSION_DENIED,
    "DAY_BUDGET_SPENT": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "ROSTER_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "COLLECTED": grpc.StatusCode.FAILED_PRECONDITION,
    "AFTER_DEADLINE": grpc.StatusCode.FAILED_PRECONDITION,
    "NOT_COMMITTED": grpc.StatusCode.FAILED_PRECONDITION,
    "NOISE_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "PROOFS_REQUIRED": grpc.StatusCode.FAILED_PRECONDITION,
    "KEY_HOLDER_UNKNOWN": grpc.StatusCode.FAILED_PRECONDITION,
    "PROVIDER_UNKNOWN": grpc.StatusCode.FAILED_PRECONDITION,
    "FINISH_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "MPC_FAILED": grpc.StatusCode.ABORTED,
    "KEY_BURNT": grpc.StatusCode.FAILED_PRECONDITION,
    "SUM_OUT_OF_RANGE": grpc.StatusCode.FAILED_PRECONDITION,
    "EXTRA_MISSING": grpc.StatusCode.FAILED_PRECONDITION,
    "CLOCK_SKEW": grpc.StatusCode.FAILED_PRECONDITION,
    "LEDGER_BROKEN": grpc.StatusCode.DATA_LOSS,
}


def code_of(reason: str) -> grpc.StatusCode:
    """The status code of a refusal. A reason that is not listed has INVALID_ARGUMENT."""
    return _CODES.get(reason, grpc.StatusCode.INVALID_ARGUMENT)


def refuse(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    """End a call with a refusal."""
    context.set_trailing_metadata(((REFUSAL_KEY, refusal.to_message().SerializeToString(deterministic=True)),))
    context.abort(code_of(refusal.reason), refusal.text)
    raise AssertionError  # abort has raised


def error_of(failure: grpc.RpcError, role: str, address: str) -> AggregatorError:
    """The error of a failed call: RemoteRefusal, or Unreachable if there was no answer that can be read."""
    if not isinstance(failure, grpc.Call):
        return Unreachable(role, address)
    for key, value in failure.trailing_metadata() or ():
        if key == REFUSAL_KEY and isinstance(value, bytes):
            try:
                refusal = Refusal.from_message(pb.Refusal.FromString(value))
            except DecodeError:
                break
            if refusal.reason == REASONS[Stopping]:
                return Unreachable(role, address)
            return RemoteRefusal(role, refusal.reason, refusal.text, refusal.numbers, refusal.view)
    if failure.code() in _AWAY:
        return Unreachable(role, address)
    if failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and (most := _exceeded(failure.details() or "")):
        return Unreachable(role, address, PeerFloods(role, address, most))
    if failure.code() is grpc.StatusCode.UNIMPLEMENTED:
        why = "its version of Covey does not know the call. Install one version for all roles"
        return RemoteRefusal(role, UNKNOWN_CALL, why, {})
    return RemoteRefusal(role, failure.code().name, (failure.details() or "")[:MAX_TEXT], {})


def _exceeded(details: str) -> int:
    """The limit of `CHANNEL_OPTIONS` that an answer exceeds; 0: the message of this side is beyond a limit."""
    if "metadata" in details:
        return METADATA_BYTES
    return MAX_MESSAGE_BYTES if "CLIENT: Received" in details else 0
