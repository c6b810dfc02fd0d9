"""The newest records of a stream. No position moves, nothing is acknowledged, and no event log is written."""

from __future__ import annotations

from typing import assert_never

import pyarrow as pa

from base.extras import require_extra

from .json_types import json_types
from .sample import Sample
from .source import KafkaSource, MqttSource, Stream
from .streams.decoding import decoder
from .streams.probing import looking_at_mqtt
from .streams.stream import Polled
from .surroundings import Surroundings

LOOK_S = 10.0
"""How long a sample waits for the records that the broker has; of MQTT for those that come."""


def sample_stream(source: Stream, surroundings: Surroundings, most: int) -> Sample:
    """The newest records of a topic of Kafka, or those that MQTT sends within `LOOK_S`. Raises SourceAway, ExtraMissing."""
    match source:
        case KafkaSource():
            polled, parts = _of_kafka(source, surroundings, most)
        case MqttSource():
            polled, parts = _of_mqtt(source, surroundings, most)
        case _:
            assert_never(source)
    with decoder(source) as made:
        found = [made.raw(one) for one in polled or [Polled()]]
    rows = pa.concat_tables([one.table for one in found], promote_options="permissive")
    types = json_types(source.columns, [value for one in polled for value in one.values])
    return Sample(tuple(parts), rows, tuple(bad for one in found for bad in one.bad), types)


def _of_kafka(source: KafkaSource, surroundings: Surroundings, most: int) -> tuple[list[Polled], list[str]]:
    require_extra("kafka", "a stream of Kafka")
    from .streams.kafka import KafkaStreams

    stream = KafkaStreams(source, surroundings.site, surroundings.monotonic).newest(most)
    try:
        polled: list[Polled] = []
        end = surroundings.monotonic() + LOOK_S
        left = most + len(
            stream.parts()
        )  # the parts of `newest` are rounded up; records that come meanwhile are not waited for
        while left > 0 and stream.behind() and surroundings.monotonic() < end:
            polled.append(stream.poll(left, 0.1))
            left -= len(polled[-1].values)
        return polled, stream.parts()
    finally:
        stream.close()


def _of_mqtt(source: MqttSource, surroundings: Surroundings, most: int) -> tuple[list[Polled], list[str]]:
    stream = looking_at_mqtt(source, surroundings)({})
    try:
        polled: list[Polled] = []
        end = surroundings.monotonic() + LOOK_S
        while (left := most - sum(len(one.values) for one in polled)) > 0 and surroundings.monotonic() < end:
            polled.append(stream.poll(left, 0.1))
        return polled, [f"topics {source.topics}"]
    finally:
        stream.close()
