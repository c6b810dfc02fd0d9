"""A look at the broker of a stream: whether it can be reached, proves itself, lets the site in and has the topic.

It changes nothing: no position moves, nothing is acknowledged, and the session of a running site is left alone.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, assert_never

from base.extras import require_extra

from ..source import KafkaSource, MqttSource, Stream
from ..surroundings import Surroundings
from .stream import StreamFactory

if TYPE_CHECKING:
    from .mqtt import MqttStreams


def look_at_broker(source: Stream, surroundings: Surroundings) -> None:
    """Connect as the site would, and disconnect.

    Raises:
        SourceAway: says what is wrong. ExtraMissing.
    """
    _connect(source, surroundings)({}).close()


def _connect(source: Stream, surroundings: Surroundings) -> StreamFactory:
    match source:
        case KafkaSource():
            require_extra("kafka", "a stream of Kafka")
            from .kafka import KafkaStreams

            return KafkaStreams(source, surroundings.site, surroundings.monotonic)
        case MqttSource():
            return looking_at_mqtt(source, surroundings)
        case _:
            assert_never(source)


def looking_at_mqtt(source: MqttSource, surroundings: Surroundings) -> MqttStreams:
    """Connects with a session of its own, which the broker does not keep. Raises ExtraMissing."""
    require_extra("mqtt", "a stream of MQTT")
    from .mqtt import MqttStreams
    from .mqtt_client import MqttSession

    session = MqttSession(f"covey-look-{secrets.token_hex(6)}", is_kept=False)
    return MqttStreams(source, session, surroundings.monotonic, surroundings.clock)
