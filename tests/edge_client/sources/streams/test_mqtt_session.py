"""What a site remembers of an MQTT session, so that a message that comes again after a crash is not counted twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.sources.streams.mqtt_session import WINDOW, InFlight, message_digest

PACKETS = st.lists(st.tuples(st.integers(1, 65_535), st.binary(min_size=16, max_size=16)), max_size=2 * WINDOW)


@given(PACKETS)
def test_what_is_stored_is_what_was_in_flight(packets: list[tuple[int, bytes]]) -> None:
    found = InFlight().after(packets)
    assert InFlight.parse(found.packed()) == found
    assert len(found.digests) <= WINDOW


@given(PACKETS, st.integers(0, 2 * WINDOW))
def test_the_newest_messages_are_known_however_they_were_batched(packets: list[tuple[int, bytes]], at: int) -> None:
    found = InFlight().after(packets[:at]).after(packets[at:])
    newest: dict[int, bytes] = {}
    for packet, digest in reversed(packets):
        if len(newest) < WINDOW:
            newest.setdefault(packet, digest)
    assert dict(found.digests) == newest


def test_a_message_that_took_the_packet_id_of_another_is_the_known_one() -> None:
    found = InFlight().after([(7, message_digest(b"a", b"1"))]).after([(7, message_digest(b"a", b"2"))])
    assert not found.has(7, message_digest(b"a", b"1"))
    assert found.has(7, message_digest(b"a", b"2"))
    assert not found.has(8, message_digest(b"a", b"2"))


def test_the_border_between_topic_and_payload_is_part_of_a_digest() -> None:
    assert message_digest(b"ab", b"c") != message_digest(b"a", b"bc")


def test_nothing_stored_is_a_session_without_messages() -> None:
    assert InFlight.parse(None) == InFlight.parse(b"") == InFlight()


@pytest.mark.parametrize(
    "value", [b"\x02", b"\x01" + bytes(17), b"\x00" + bytes(18), b"\x01" + bytes(18 * (WINDOW + 1))]
)
def test_a_position_of_another_version_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="not one of this version"):
        InFlight.parse(value)
