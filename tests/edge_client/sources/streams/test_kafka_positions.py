"""Where a site goes on in a partition, for each way in which a topic can differ from what the log says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.sources.streams.kafka_positions import Place, Start, name_of, places_of, restart_of, start_of


@pytest.mark.parametrize(
    ("stored", "topic_id", "first", "start"),
    [
        (None, "t", "earliest", Start(Place(10, "t"))),
        (None, "t", "latest", Start(Place(20, "t"))),
        (Place(15, "t"), "t", "latest", Start(Place(15, "t"))),
        (Place(20, "t"), "t", "earliest", Start(Place(20, "t"))),
        (Place(4, "t"), "t", "earliest", Start(Place(10, "t"), lost=6)),
        (Place(15, "old"), "t", "latest", Start(Place(10, "t"), is_anew=True)),
        (Place(4, "old"), "t", "earliest", Start(Place(10, "t"), is_anew=True)),
        (Place(15, ""), "t", "earliest", Start(Place(15, "t"))),  # brokers that were upgraded
        (Place(15, "t"), "", "earliest", Start(Place(15, "t"))),  # the user may not describe the topic now
    ],
)
def test_a_partition_begins(stored: Place | None, topic_id: str, first: str, start: Start) -> None:
    assert start_of(stored, 10, 20, topic_id, first) == start  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "topic_id", "start"),
    [
        (Place(4, "t"), "t", Start(Place(10, "t"), lost=6)),
        (Place(4, ""), "", Start(Place(10, ""), lost=6)),
        (Place(15, "t"), "t", Start(Place(15, "t"))),
        (Place(25, "t"), "t", Start(Place(20, "t"), is_anew=True)),  # a failover to a replica that lagged
        (Place(25, "old"), "t", Start(Place(10, "t"), is_anew=True)),
        (Place(15, "old"), "t", Start(Place(10, "t"), is_anew=True)),
        (Place(25, ""), "", Start(Place(10, ""), is_anew=True)),
    ],
)
def test_a_partition_goes_on_where_its_broker_has_no_record(place: Place, topic_id: str, start: Start) -> None:
    assert restart_of(place, 10, 20, topic_id) == start


@given(
    st.dictionaries(
        st.integers(0, 10**6), st.builds(Place, st.integers(0, 2**63), st.sampled_from(["", "AaIwxh-_ope"]))
    ),
    st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True),
)
def test_places_are_read_as_they_were_stored(places: dict[int, Place], topic: str) -> None:
    stored = {name_of(topic, number): place.packed() for number, place in places.items()}
    other = {name_of(f"{topic}x", 0): b"7 t", "mqtt in flight": b"\xff"}
    assert places_of(topic, stored | other) == places


@pytest.mark.parametrize("value", [b"", b"x t", b"\xff t"])
def test_a_place_that_was_not_stored_by_this_version_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"literal|decode"):
        places_of("t", {name_of("t", 0): value})
