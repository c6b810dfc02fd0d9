"""The client of an MQTT broker, by Eclipse Paho. Nothing else imports Paho."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ...errors import SourceAway
from ..password import read_password
from ..source import MqttSource, Tls
from .mqtt_session import WINDOW
from .stream import MAX_RECORD

if TYPE_CHECKING:
    from paho.mqtt.client import Client as Client
    from paho.mqtt.client import MQTTMessage as MQTTMessage

CONNECT_S: Final = 10.0
"""Longest wait for a connection, and again for the answers to CONNECT and SUBSCRIBE."""
KEEPALIVE_S: Final = 60
"""A connection without a sign of life for this long is given up, by both sides."""
MAX_PACKET: Final = 4 * MAX_RECORD
"""Most bytes of a packet that are kept. MQTT 5: the broker discards longer ones. MQTT 3.1.1: the rest is not kept."""

_NEVER: Final = 0xFFFFFFFF
_ALL_RETAINED: Final = 0
_NO_RETAINED: Final = 2


@dataclass(frozen=True)
class MqttSession:
    """What the broker keeps for a client.

    Attributes:
        name: by which the broker knows it. Two clients with one name take the session from each other.
        is_kept: whether it survives the connection. One that does not is for looking at a source: it also gets retained messages.
    """

    name: str
    is_kept: bool = True

    @classmethod
    def of_site(cls, source: MqttSource, site: str) -> MqttSession:
        """The session of a site, named covey-SITE unless its file says otherwise."""
        return cls(source.client_name or f"covey-{site}")


def new_client(source: MqttSource, session: MqttSession, *, is_v5: bool) -> Client:
    """A client that is not connected. Raises SourceAway: a file of its password or of TLS cannot be used."""
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

    class Bounded(paho.Client):
        """Keeps at most `MAX_PACKET` bytes of a packet, though MQTT allows 256 MB; refuses QoS 2, which Paho would collect."""

        def _sock_recv(self, bufsize: int) -> bytes:
            if len(self._in_packet["packet"]) < MAX_PACKET:
                return super()._sock_recv(min(bufsize, MAX_RECORD))
            skipped = _NotKept()
            skipped.length = len(super()._sock_recv(min(bufsize, MAX_RECORD)))
            return skipped

        def _send_pubrec(self, mid: int) -> MQTTErrorCode:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    client = Bounded(
        CallbackAPIVersion.VERSION2,
        client_id=session.name,
        clean_session=None if is_v5 else not session.is_kept,
        protocol=paho.MQTTv5 if is_v5 else paho.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = CONNECT_S
    if (login := source.login) is not None:
        file = login.password_file
        client.username_pw_set(login.user, None if file is None else read_password(source.url, file))
    if source.tls is not None:
        try:
            client.tls_set_context(_context(source.tls))
        except (OSError, ValueError) as error:
            raise SourceAway(source.url, f"the files of TLS cannot be used: {error}") from None
    return client


def connect(client: Client, source: MqttSource, session: MqttSession) -> None:
    """Connect; the broker's answer comes later. Raises SourceAway."""
    try:
        if speaks_v5(client):
            clean = not session.is_kept
            client.connect(source.host, source.port, KEEPALIVE_S, clean_start=clean, properties=_properties(session))
        else:
            client.connect(source.host, source.port, KEEPALIVE_S)
    except (OSError, ValueError) as error:
        raise SourceAway(source.url, _why(error, source)) from None


def subscribe(client: Client, topics: str, session: MqttSession) -> None:
    """Subscribe with QoS 1. A session that is kept gets no retained messages, where the broker can leave them out."""
    from paho.mqtt.subscribeoptions import SubscribeOptions

    if speaks_v5(client):
        retained = _NO_RETAINED if session.is_kept else _ALL_RETAINED
        client.subscribe(topics, options=SubscribeOptions(qos=1, retainHandling=retained))
    else:
        client.subscribe(topics, qos=1)


def speaks_v5(client: Client) -> bool:
    """Whether it speaks MQTT 5; else MQTT 3.1.1."""
    from paho.mqtt.client import MQTTv5

    return bool(client.protocol == MQTTv5)


def matcher(topics: str) -> Callable[[str], bool]:
    """Whether a topic matches a filter."""
    from paho.mqtt.client import topic_matches_sub

    return lru_cache(4_096)(lambda topic: topic_matches_sub(topics, topic))


def error_in_words(code: int) -> str:
    """Why a call of the client failed."""
    from paho.mqtt.client import error_string

    return error_string(code).rstrip(".")


class _NotKept(bytes):
    """Bytes that were read and are not kept: they have a length, and add nothing to a buffer."""

    length: int

    def __len__(self) -> int:
        return self.length


def _context(files: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.certificate is not None:
        context.load_cert_chain(files.certificate, files.private_key, password=_no_password)
    return context


def _no_password() -> str:
    raise ValueError("the private key is encrypted; a site that starts by itself needs a key without a passphrase")


def _properties(session: MqttSession) -> Any:
    """A session without an end, or of this connection only; and a window of `WINDOW` messages."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # Paho gives it no types
    properties.SessionExpiryInterval = _NEVER if session.is_kept else 0
    properties.ReceiveMaximum = WINDOW
    properties.MaximumPacketSize = MAX_PACKET
    return properties


def refusal(reason: str) -> str:
    """A reason code in words, with its mend."""
    if "user name" in reason or "uthorized" in reason:
        return f"{reason}. Check user and password_file in [source], and what the broker allows this user"
    return reason


def _why(error: OSError | ValueError, source: MqttSource) -> str:
    """Why there is no connection, with its mend."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the broker's certificate is not trusted: {error.verify_message}. Give its authority as `ca` in [source]"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}. Is port {source.port} one with TLS?"
        case TimeoutError():
            return f"no connection to {source.host}:{source.port} within {CONNECT_S:g} s"
    return f"no connection to {source.host}:{source.port}: {error.args[-1] if error.args else error}"
