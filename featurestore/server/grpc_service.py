"""The feature server over gRPC, on the event loop and read path of the HTTP server. This module only translates."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeAlias

import grpc

from base.errors import TlsError
from featurestore import errors
from featurestore.errors import AddressUnavailable, BadRequest, FeatureStoreError
from featurestore.read import features_pb2 as pb
from featurestore.read.messages import MAX_REPLY, MAX_REQUEST
from featurestore.remote.grpc_transport import ERROR_KEY, RETRY_KEY, published_message

from .connections import HEAD_S
from .errors import defect_text, text_of
from .guard import Gate
from .metrics import GONE, GRPC
from .reads import Reads
from .refusal import Refused
from .tables import TAKES_TABLE
from .tls import ServerTls

_GRACE_S: Final = 5.0
_IDLE_MS: Final = 300_000
"""How long a connection may be without a call."""
WATCH_S: Final = 1.0
"""How often a server looks at the authorities of its clients."""
AGE_MS: Final = 60_000
"""How long a client that was verified by its certificate may begin calls on one connection."""
AGE_GRACE_MS: Final = 600_000
"""How long those calls may go on after that: a table, or a stream of published panes, which its client opens again."""
_CODES: Final[tuple[tuple[type[Exception], grpc.StatusCode], ...]] = (
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.BadRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.BadReference, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.OnlineUnavailable, grpc.StatusCode.UNAVAILABLE),
)
_REFUSED: Final = {
    401: (grpc.StatusCode.UNAUTHENTICATED, errors.KeyRefused.__name__),
    429: (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Throttled.__name__),
}

_STATUSES: Final = {
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

_SERVICE: Final = pb.DESCRIPTOR.services_by_name["Features"].full_name

_log = logging.getLogger(__name__)

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class Features:
    """The calls of features.proto."""

    def __init__(self, reads: Reads, gate: Gate) -> None:
        self._reads, self._gate = reads, gate

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add the calls to a server. GetFeatures takes and gives bytes, so that a kept answer is not parsed again."""
        calls: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetFeatures": grpc.unary_unary_rpc_method_handler(self.GetFeatures),
            "Subscribe": grpc.unary_stream_rpc_method_handler(
                self.Subscribe, pb.SubscribeRequest.FromString, pb.Published.SerializeToString
            ),
            "Read": grpc.stream_stream_rpc_method_handler(
                self.Read, pb.ReadPart.FromString, pb.Bytes.SerializeToString
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, calls),))

    async def GetFeatures(self, request: bytes, context: Context) -> bytes:
        async with self._answering("GetFeatures", context):
            return await self._reads.vectors(request, self._admitted(context))
        raise AssertionError  # an error ended the call

    async def Subscribe(self, request: pb.SubscribeRequest, context: Context) -> AsyncIterator[pb.Published]:
        async with self._answering("Subscribe", context):
            self._admitted(context)
            after = request.after if request.HasField("after") else None
            async for one in await self._reads.published(request.view, after):
                yield published_message(one)

    async def Read(self, request: AsyncIterator[pb.ReadPart], context: Context) -> AsyncIterator[pb.Bytes]:
        async with self._answering("Read", context):
            charge = self._admitted(context)
            first = await anext(request, None)
            if first is None or first.WhichOneof("part") != "call":
                raise BadRequest("the first part of a read is its call")
            call = first.call
            data = _data(request) if call.name in TAKES_TABLE else None
            async for part in await self._reads.table(call.name, call.arguments, data, charge):
                for at in range(0, len(part), _PART):
                    yield pb.Bytes(data=part[at : at + _PART])

    @asynccontextmanager
    async def _answering(self, call: str, context: Context) -> AsyncIterator[None]:
        """Answer every error, and count the call under its HTTP status before the answer is sent."""
        start = time.perf_counter()

        def count(status: int) -> None:
            self._gate.counts.request(GRPC + call, status, time.perf_counter() - start)

        try:
            yield
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            count(_status_of(error))
            await _end(context, error)
        except BaseException:  # the caller has disconnected: the call is cancelled
            count(GONE)
            raise
        count(HTTPStatus.OK)

    def _admitted(self, context: Context) -> Callable[[int], None]:
        """Raises Refused."""
        return admitted(self._gate, context)


def admitted(gate: Gate, context: Context) -> Callable[[int], None]:
    """Admit the caller of a call; returns a function that takes the number of rows. Raises Refused."""
    key = None
    for name, value in context.invocation_metadata() or ():
        text = value.encode() if isinstance(value, str) else value
        if name == "x-api-key":
            key = text
        elif name == "authorization" and key is None and text[:7].lower() == b"bearer ":
            key = text[7:].strip()
    return gate.admit(key)


_PART: Final = 2**20


async def _data(request: AsyncIterator[pb.ReadPart]) -> AsyncIterator[bytes]:
    async for part in request:
        if part.WhichOneof("part") != "data":
            raise BadRequest("after its call a read has data only")
        yield part.data


def _status_of(error: Exception) -> int:
    """The HTTP status of this error; GONE if the call was cancelled."""
    if isinstance(error, grpc.aio.BaseError | grpc.aio.AbortError):
        return GONE
    if isinstance(error, Refused):
        return error.status
    return next((_STATUSES[code] for kind, code in _CODES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


async def _end(context: Context, error: Exception) -> NoReturn:
    """End a call with an error. A defect of the server is logged; the caller does not get its text."""
    if isinstance(error, grpc.aio.BaseError | grpc.aio.AbortError):
        raise error
    if isinstance(error, Refused):
        code, name = _REFUSED[error.status]
        wait = tuple((key.decode(), value.decode()) for key, value in error.headers if key == RETRY_KEY.encode())
        await context.abort(code, error.detail, ((ERROR_KEY, name), *wait))
    for kind, code in _CODES:
        if isinstance(error, kind):
            await context.abort(code, text_of(error)[:400], ((ERROR_KEY, type(error).__name__),))
    _log.error("a call failed", exc_info=error)
    named = ((ERROR_KEY, type(error).__name__),) if isinstance(error, FeatureStoreError) else ()
    await context.abort(grpc.StatusCode.INTERNAL, defect_text(error), named)
    raise error  # abort raises


def _credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """TLS with the certificate as the files are at each handshake. Files that cannot be used leave the one before."""
    seen = tls.stamp()

    def configuration() -> grpc.ServerCertificateConfiguration:
        own, clients = tls.own(), tls.clients()
        return grpc.ssl_server_certificate_configuration(
            [(own.key, own.chain)], None if clients is None else clients.pem
        )

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        if (found := tls.stamp()) == seen:
            return None
        with suppress(TlsError):  # a file that is wrong, or is being written: the next handshake looks again
            made = configuration()
            seen = found
            return made
        return None

    demanded = tls.authority is not None
    return grpc.dynamic_ssl_server_credentials(configuration(), newer, demanded)  # type: ignore[arg-type]  # None is allowed


AddServices: TypeAlias = Callable[[grpc.aio.Server, Gate], None]


def _add_nothing(_: grpc.aio.Server, __: Gate) -> None:
    """The feature server has its own calls only."""


def grpc_beside(
    address: str, gate: Gate, calls: int, tls: ServerTls | None = None, add_services: AddServices = _add_nothing
) -> Callable[[Reads], AbstractAsyncContextManager[None]]:
    """Runs the service on `host:port` while the HTTP server runs. Other processes may listen on the same port.

    Args:
        calls: the most calls at a time; gRPC refuses others with RESOURCE_EXHAUSTED. Twice as many connections are open at most.
        add_services: adds the calls of an extension.
    """

    async def begin(reads: Reads) -> grpc.aio.Server:
        options = [
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", MAX_REQUEST),
            ("grpc.max_send_message_length", MAX_REPLY),
            ("grpc.server_handshake_timeout_ms", int(HEAD_S * 1_000)),
            ("grpc.max_connection_idle_ms", _IDLE_MS),
            ("grpc.max_allowed_incoming_connections", 2 * calls),
        ]
        if tls is not None and tls.authority is not None:  # a certificate that expires ends with its connection
            options += [("grpc.max_connection_age_ms", AGE_MS), ("grpc.max_connection_age_grace_ms", AGE_GRACE_MS)]
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=calls)
        Features(reads, gate).add_to(server)
        add_services(server, gate)
        try:
            if tls is None:
                server.add_insecure_port(address)
            else:
                server.add_secure_port(address, _credentials(tls))
        except RuntimeError:
            raise AddressUnavailable(
                f"cannot listen on {address}; choose another port for gRPC (0 finds a free one)"
            ) from None
        await server.start()
        return server

    @asynccontextmanager
    async def beside(reads: Reads) -> AsyncIterator[None]:
        server = _Renewed(tls, partial(begin, reads))
        await server.start()
        try:
            yield
        finally:
            await server.stop()

    return beside


class _Renewed:
    """A server that is replaced when the authorities of its clients change: each client is verified anew, as over HTTP.

    gRPC ends no single connection. So another server listens beside the one before, which then ends: its clients connect again, and
    calls that run may go on for `_GRACE_S`.

    Args:
        begin: starts a server.
    """

    def __init__(self, tls: ServerTls | None, begin: Callable[[], Awaitable[grpc.aio.Server]]) -> None:
        self._tls, self._begin = tls, begin
        self._ending = set[asyncio.Task[None]]()

    async def start(self) -> None:
        """Start the first server. Raises AddressUnavailable, TlsError."""
        seen = None if self._tls is None else self._tls.clients_stamp()
        self._server = await self._begin()
        self._watch = None if self._tls is None else asyncio.create_task(self._renew(self._tls, seen))

    async def stop(self) -> None:
        """End all servers."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await asyncio.gather(self._server.stop(_GRACE_S), *self._ending)

    async def _renew(self, tls: ServerTls, seen: object) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if (found := tls.clients_stamp()) == seen:
                continue
            try:
                newer = await self._begin()
            except (AddressUnavailable, TlsError) as error:  # a file that is being written: the next look tries again
                _log.warning("gRPC keeps the connections of its clients: %s", error)
                continue
            former, self._server, seen = self._server, newer, found
            ending = asyncio.create_task(former.stop(_GRACE_S))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
