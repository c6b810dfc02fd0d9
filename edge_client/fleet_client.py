"""A site's client of Flower's Fleet API (flwr 1.41, HTTP): join, heartbeat, pull a message, push its answer, leave.

Flower's own SuperNode downloads the app of a message's run and starts it. This client never asks for an app and starts nothing:
the content of a message is data. The SuperLink is not trusted: the client bounds what it reads, and every object must have the
SHA-256 that names it.
"""

from __future__ import annotations

import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256
from itertools import islice
from types import MappingProxyType
from typing import Final, Self, TypeVar

import httpx
from flwr.app import Message, RecordDict
from flwr.app.message.message import make_message, remove_content_from_message
from flwr.common.constant import HEARTBEAT_PATIENCE, SYSTEM_TIME_TOLERANCE, TIMESTAMP_HEADER, TIMESTAMP_TOLERANCE
from flwr.common.serde import message_to_proto
from flwr.common.serde_utils import metadata_from_proto
from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2
from flwr.proto.node_pb2 import Node
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.date import now
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.primitives.asymmetric import sign_message
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Protobuf

from base.errors import TlsError
from base.tls.contexts import client_context
from base.tls.trust import TrustFile
from federation.node_keys import NodeKey

from .errors import MessageRefused, NodeKeyUnknown, RunOver, SiteClockApart, SuperLinkAway, SuperLinkUntrusted

MAX_MESSAGE_BYTES: Final = 32 * 2**20
"""Largest message. A signed plan has at most 4 MiB; under `he` the keys of a view have about 130 kB."""
MAX_OBJECTS: Final = 8
"""Most objects of one message. A plan has three: the message, its records, and one record."""
MAX_ENVELOPE_BYTES: Final = 2**20
"""Largest answer of the SuperLink that carries no object."""
ID_BYTES: Final = 80
"""Room for one object name in a list: 64 digits and the bytes around them."""
SECONDS: Final = 30.0
"""Longest wait of a call for the next bytes."""
KEPT_SECONDS: Final = 30.0
"""How long an unused connection is kept: heartbeats go beside a pull that waits, and each handshake costs milliseconds."""
WAIT_HEADER: Final = "covey-wait"
"""A pull with this header waits at a SuperLink of Covey for its message, for so many whole seconds. Others ignore it."""
HEARTBEAT_INTERVAL: Final = 10.0
HEARTBEAT_SECONDS: Final = HEARTBEAT_INTERVAL / 2
SEEN_SECONDS: Final = HEARTBEAT_PATIENCE * HEARTBEAT_INTERVAL
"""How long a SuperLink lists a killed node as online. Until then it does not let the node's next process join."""
TRIES: Final = 5
"""Attempts to push an answer, which may have cost minutes, to a SuperLink that is briefly away."""
PULLS: Final = 34
"""Attempts to pull an object that the coordinator has not pushed completely yet: about a minute."""

MOST_AHEAD_S: Final = float(SYSTEM_TIME_TOLERANCE)
MOST_BEHIND_S: Final = float(TIMESTAMP_TOLERANCE)
"""How far a site's clock may be from its SuperLink's: Flower rejects a request whose signed time is further off."""

_Reply = TypeVar("_Reply", bound=Protobuf)


@dataclass(frozen=True)
class SuperLink:
    """The address of a SuperLink, and how it is authenticated.

    Attributes:
        address: `host:port`.
        trust: the authorities that may issue its certificate. None: no TLS, for a SuperLink on the same machine.
    """

    address: str
    trust: TrustFile | None


@dataclass(frozen=True, eq=False)
class Received:
    """A pulled message: its sender and the names of its objects. The objects are not pulled yet."""

    message: Message
    tree: message_pb2.ObjectTree

    @property
    def run(self) -> int:
        """The run that sent it."""
        return int(self.message.metadata.run_id)

    @property
    def kind(self) -> str:
        """Flower's message type. A plan has type `query`."""
        return str(self.message.metadata.message_type)


class FleetClient:
    """One site's connection. A context manager. Two threads may use it.

    Raises:
        CertificateMissing, CertificateMalformed: of the file with the authorities.
    """

    def __init__(self, superlink: SuperLink, key: NodeKey, wait: Callable[[float], None] = time.sleep) -> None:
        self._key, self._wait, self._address, self._trust = key, wait, superlink.address, superlink.trust
        self._node = Node()
        self._stamp = None if self._trust is None else self._trust.stamp()
        self._lock = threading.Lock()
        self._connections = [self._connection()]

    def _connection(self) -> httpx.Client:
        secure = self._trust is not None
        return httpx.Client(
            base_url=f"{'https' if secure else 'http'}://{self._address}/v1/fleet/",
            verify=False if self._trust is None else client_context(self._trust.load()),
            timeout=SECONDS,
            limits=httpx.Limits(keepalive_expiry=KEPT_SECONDS),
            trust_env=secure,  # unencrypted traffic never goes through a proxy
        )

    def _take_up_trust(self) -> None:
        """Make new calls on a new connection if other authorities are trusted now. A file that cannot be used changes nothing.

        The call of another thread ends on its connection.
        """
        with self._lock:
            if self._trust is None or (stamp := self._trust.stamp()) == self._stamp:
                return
            with suppress(TlsError):
                self._connections.append(self._connection())
                self._stamp = stamp

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def join(self) -> int:
        """Become a node that receives messages, and return its id.

        A SuperLink that demands no authentication learns the key here.

        Raises:
            NodeKeyUnknown: the SuperLink authenticates nodes and does not know this key. SiteClockApart. SuperLinkAway.
            SuperLinkUntrusted.
        """
        activate = fleet_pb2.ActivateNodeRequest(
            public_key=self._key.public.pem(), heartbeat_interval=HEARTBEAT_INTERVAL
        )
        try:
            found = self._call("activate-node", activate, fleet_pb2.ActivateNodeResponse)
        except NodeKeyUnknown:
            register = fleet_pb2.RegisterNodeFleetRequest(public_key=self._key.public.pem())
            self._call("register-node", register, fleet_pb2.RegisterNodeFleetResponse)
            found = self._call("activate-node", activate, fleet_pb2.ActivateNodeResponse)
        self._node = Node(node_id=found.node_id)
        return int(found.node_id)

    def beat(self) -> None:
        """Send a heartbeat; due every `HEARTBEAT_SECONDS`. Raises NodeKeyUnknown, SuperLinkAway."""
        request = heartbeat_pb2.SendNodeHeartbeatRequest(node=self._node, heartbeat_interval=HEARTBEAT_INTERVAL)
        if not self._call("send-node-heartbeat", request, heartbeat_pb2.SendNodeHeartbeatResponse).success:
            raise NodeKeyUnknown(self._address)

    def pull(self, wait_s: int = 0) -> Received | None:
        """Pull the next message, if there is one.

        Args:
            wait_s: how long the SuperLink may wait for a message; less than `SECONDS`.

        Raises:
            MessageRefused: the message is malformed, so no sender can be answered. NodeKeyUnknown, SuperLinkAway.
        """
        request = fleet_pb2.PullMessagesRequest(node=self._node)
        waits = {WAIT_HEADER: str(wait_s)} if wait_s else {}
        found = self._call("pull-messages", request, fleet_pb2.PullMessagesResponse, headers=waits)
        if not found.messages_list:
            return None
        if len(found.messages_list) != 1 or len(found.message_object_trees) != 1:
            raise MessageRefused("the SuperLink sent several messages at once, not one")
        try:
            message = make_message(metadata_from_proto(found.messages_list[0].metadata), RecordDict())
        except Exception as error:  # noqa: BLE001 - Flower's parser of bytes from outside
            raise MessageRefused(f"its envelope is malformed: {error}") from None
        return Received(message, found.message_object_trees[0])

    def content(self, received: Received) -> RecordDict:
        """Pull each object of a message once and read its records.

        Raises:
            MessageRefused: too many objects or bytes, an object with another hash, or no records. RunOver. SuperLinkAway.
        """
        ids = [str(node.object_id) for node in islice(iterate_object_tree(received.tree), MAX_OBJECTS + 1)]
        if len(ids) > MAX_OBJECTS:
            raise MessageRefused(f"it has more than {MAX_OBJECTS} objects")
        contents: dict[str, bytes] = {}
        for name in ids:
            left = MAX_MESSAGE_BYTES - sum(map(len, contents.values()))
            contents[name] = self._object(received, name, left)
        try:
            message = inflate_object_from_contents(received.tree.object_id, contents)
            content = message.content if isinstance(message, Message) else None
        except Exception as error:  # noqa: BLE001 - Flower's parser of bytes from outside
            raise MessageRefused(f"its objects are malformed: {type(error).__name__}") from None
        if not isinstance(content, RecordDict):
            raise MessageRefused("it is not a message with records")
        return content

    def confirm(self, received: Received) -> None:
        """Say that a message is here: the SuperLink may delete it. Raises RunOver, SuperLinkAway."""
        confirmation = message_pb2.ConfirmMessageReceivedRequest(
            node=self._node, run_id=received.run, message_object_id=received.tree.object_id
        )
        self._call("confirm-message-received", confirmation, message_pb2.ConfirmMessageReceivedResponse)

    def reply(self, received: Received, content: RecordDict, seconds: float) -> None:
        """Push the answer to a message.

        Args:
            seconds: how long the site took to answer.

        Raises:
            RunOver: the run has ended. SuperLinkAway: `TRIES` times. MessageRefused: the SuperLink's answer is too large.
        """
        reply = Message(content, reply_to=received.message)
        with no_object_id_recompute():  # an id is the hash of all nested objects
            reply.metadata.__dict__["_message_id"] = reply.object_id
            request = fleet_pb2.PushMessagesRequest(
                node=self._node,
                messages_list=[message_to_proto(remove_content_from_message(reply))],
                message_object_trees=[get_object_tree(reply)],
                clientapp_runtime_list=[seconds],
            )
            objects = get_all_nested_objects(reply)
            room = MAX_ENVELOPE_BYTES + ID_BYTES * len(objects)
            pushed = self._steadily("push-messages", request, fleet_pb2.PushMessagesResponse, room)
            missing = set(pushed.objects_to_push)
            if not missing:
                raise RunOver
            for name, each in objects.items():
                if name in missing:
                    push = message_pb2.PushObjectRequest(
                        node=self._node,
                        run_id=received.run,
                        object_id=name,
                        object_content=each.deflate(),
                        session_id=pushed.session_id,
                    )
                    if not self._steadily("push-object", push, message_pb2.PushObjectResponse).stored:
                        raise RunOver

    def leave(self) -> None:
        """Deactivate the node. Raises SuperLinkAway, NodeKeyUnknown."""
        request = fleet_pb2.DeactivateNodeRequest(node_id=self._node.node_id)
        self._call("deactivate-node", request, fleet_pb2.DeactivateNodeResponse)

    def _object(self, received: Received, name: str, most: int) -> bytes:
        """Pull the object whose hash is `name`. Raises MessageRefused: more than `most` bytes, another hash, or no object."""
        request = message_pb2.PullObjectRequest(node=self._node, run_id=received.run, object_id=name)
        for attempt in range(PULLS):
            found = self._call("pull-object", request, message_pb2.PullObjectResponse, most + MAX_ENVELOPE_BYTES)
            data: bytes = found.object_content
            if len(data) > most:
                raise MessageRefused(f"it has more than {MAX_MESSAGE_BYTES:,} bytes")
            if found.object_available:
                if sha256(data).hexdigest() != name:
                    raise MessageRefused("an object does not have the hash that names it")
                return data
            self._wait(min(2.0, 0.02 * 2**attempt))
        raise MessageRefused("the SuperLink does not have all of its objects")

    def _steadily(self, call: str, request: Protobuf, answer: type[_Reply], most: int = MAX_ENVELOPE_BYTES) -> _Reply:
        for attempt in range(TRIES - 1):
            try:
                return self._call(call, request, answer, most)
            except SuperLinkAway:
                self._wait(2.0**attempt)
        return self._call(call, request, answer, most)

    def _call(
        self,
        call: str,
        request: Protobuf,
        answer: type[_Reply],
        most: int = MAX_ENVELOPE_BYTES,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> _Reply:
        """Make one call. An answer of more than `most` bytes raises MessageRefused and is not read to its end."""
        self._take_up_trust()
        with self._named_errors():
            sent = {"content-type": PROTOBUF_MEDIA_TYPE, "accept-encoding": "identity", **self._identity(), **headers}
            data = request.SerializeToString(deterministic=True)
            with self._connections[-1].stream("POST", call, content=data, headers=sent) as response:
                body = _at_most(response, most)
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        try:
            return answer.FromString(body)
        except DecodeError:
            raise SuperLinkAway(self._address, f"its answer to {call} has another type") from None

    def _identity(self) -> dict[str, str]:
        """Headers that authenticate the node: its key and a signed time, as Flower's SuperLink checks them."""
        moment = now().isoformat()
        private, _ = self._key.pair()
        signature: bytes = sign_message(private, moment.encode("ascii"))
        return {
            FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(self._key.public.pem()).decode("ascii"),
            TIMESTAMP_HEADER: moment,
            FLEET_HTTP_SIGNATURE_HEADER: b64encode(signature).decode("ascii"),
        }

    def _refusal(self, response: httpx.Response) -> Exception:
        status = response.status_code
        if status == httpx.codes.UNAUTHORIZED:  # a time out of bounds, or a bad signature
            ahead_s = _seconds_ahead_of(response)
            return (
                NodeKeyUnknown(self._address)
                if -MOST_BEHIND_S < ahead_s < MOST_AHEAD_S
                else SiteClockApart(self._address, ahead_s)
            )
        if status == httpx.codes.PRECONDITION_FAILED:  # an unknown node, or no node may join
            return NodeKeyUnknown(self._address)
        if status == httpx.codes.FORBIDDEN:
            return RunOver()
        return SuperLinkAway(self._address, f"it answers with status {status}")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            if (why := _tls_error(error)) is not None:
                raise SuperLinkUntrusted(self._address, why) from None
            raise SuperLinkAway(self._address, str(error) or type(error).__name__) from None


def _at_most(response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > most:
            raise MessageRefused(f"the SuperLink's answer has more than {most:,} bytes")
    return bytes(body)


def _seconds_ahead_of(response: httpx.Response) -> float:
    """How far this machine's clock is ahead of the server's, by the time of its answer; 0 if the answer has none."""
    try:
        return float((now() - parsedate_to_datetime(response.headers["date"])).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):
        return 0.0


def _tls_error(error: BaseException) -> str | None:
    """Why the server's certificate was rejected; None if another error occurred."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
        cause = cause.__cause__ or cause.__context__
    return None
