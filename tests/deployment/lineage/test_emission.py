"""Sending events to a collector: over a real socket, with the failures that collectors have."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployment.errors import LineageNotSent, UsageError
from deployment.lineage import emission
from deployment.lineage.emission import PATH, Collector, Follower, Following, emit
from deployment.lineage.openlineage import Emitter, Event, events_of
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release
from tests.waiting import wait_until

from .collector import Received, collecting
from .stores import VIEW, make_store

EVENTS = [{"job": {"name": f"job-{i}"}} for i in range(3)]


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def url(received: Received) -> Iterator[str]:
    with collecting(received) as found:
        yield found


def no_wait(waits: list[float]) -> Callable[[float], object]:
    return waits.append


class TestEmit:
    def test_events_arrive_in_order_at_the_usual_path(self, url: str, received: Received) -> None:
        assert emit(EVENTS, Collector.parse(url, "a-key"), no_wait([])) == 3
        assert received.bodies == EVENTS
        assert set(received.paths) == {PATH}
        assert {one["Authorization"] for one in received.headers} == {"Bearer a-key"}

    def test_another_path_is_kept(self, url: str, received: Received) -> None:
        emit(EVENTS[:1], Collector.parse(f"{url}/marquez/lineage/"), no_wait([]))
        assert received.paths == ["/marquez/lineage"]
        assert "Authorization" not in received.headers[0]

    def test_a_collector_that_is_busy_gets_the_event_again(self, url: str, received: Received) -> None:
        received.statuses = [503, 429]
        waits: list[float] = []
        assert emit(EVENTS, Collector.parse(url), no_wait(waits)) == 3
        assert received.bodies == [EVENTS[0], EVENTS[0], *EVENTS]
        assert waits == [0.5, 2.0]

    def test_after_three_attempts_it_says_how_many_were_taken(self, url: str, received: Received) -> None:
        received.statuses = [200, 503, 503, 503]
        with pytest.raises(LineageNotSent, match=r"status 503\); it took 1 before") as caught:
            emit(EVENTS, Collector.parse(url), no_wait([]))
        assert caught.value.sent == 1
        assert len(received.bodies) == 4

    @pytest.mark.parametrize("status", [400, 401, 404, 301, 307])
    def test_a_refusal_is_not_tried_again_and_no_redirect_is_followed(
        self, url: str, received: Received, status: int
    ) -> None:
        received.statuses = [status]
        with pytest.raises(LineageNotSent, match=f"status {status}"):
            emit(EVENTS, Collector.parse(url), no_wait([]))
        assert len(received.bodies) == 1

    def test_a_collector_that_is_away_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        waits: list[float] = []
        with pytest.raises(LineageNotSent, match=f"127.0.0.1:{port}{PATH}"):
            emit(EVENTS, Collector.parse(f"http://127.0.0.1:{port}"), no_wait(waits))
        assert len(waits) == 2

    def test_an_end_during_a_wait_ends_the_attempts(self, url: str, received: Received) -> None:
        received.statuses = [503]
        assert emit(EVENTS, Collector.parse(url), lambda _: True) == 0


class TestAddress:
    @pytest.mark.parametrize(
        "bad",
        [
            "",
            "file:///etc/passwd",
            "ftp://host/",
            "host:5000",
            "http://",
            "http://user:word@host/",
            "http://host/?key=1",
            "http://host/#x",
            "http://host:99999/",
            "http://[::1",
            "http://a..b/",
            f"http://{'a' * 64}/",
            "http://host/a b",
            "http://host/a\r\nX: y",
        ],
    )
    def test_only_plain_http_and_https_addresses_are_taken(self, bad: str) -> None:
        with pytest.raises(UsageError):
            Collector.parse(bad)

    @pytest.mark.parametrize("key", ["a-key\n", "ключ"])
    def test_a_key_that_no_header_can_have_is_refused_before_anything_is_sent(self, key: str) -> None:
        with pytest.raises(
            UsageError, match="OPENLINEAGE_API_KEY has a line break, or a character outside ASCII"
        ) as found:
            Collector.parse("http://host/", key)
        assert key not in str(found.value)

    def test_an_address_is_shown_without_its_key(self) -> None:
        collector = Collector.parse("https://[::1]:5000", "a-key")
        assert collector.url == f"https://[::1]:5000{PATH}"
        assert "a-key" not in repr(collector)


def following(url: str) -> Following:
    return Following(Collector.parse(url), Emitter("covey://shop", "1"))


class TestFollower:
    def test_a_later_publication_is_sent_alone(self, url: str, received: Received, tmp_path: Path) -> None:
        make_store(tmp_path)
        with Store.open(tmp_path) as store:
            follower = Follower(store, following(url), lambda: 100 * DAY)
            follower.step()
            first = len(received.bodies)
            follower.step()
            assert len(received.bodies) == first == follower.state.sent
            with Publisher(tmp_path, lambda: 101 * DAY) as publisher:
                publisher.publish([a_release(VIEW, 9 * HOUR)])
            follower.step()
        assert [body["eventType"] for body in received.bodies[first:]] == ["START", "COMPLETE"]

    def test_events_are_made_only_if_the_store_has_changed(
        self, url: str, received: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_store(tmp_path)
        made = list[int]()

        def counted(store: Store, emitter: Emitter, now: int) -> Iterator[Event]:
            made.append(now)
            return events_of(store, emitter, now)

        monkeypatch.setattr(emission, "events_of", counted)
        with Store.open(tmp_path) as store:
            follower = Follower(store, following(url), lambda: 100 * DAY)
            for _ in range(3):
                follower.step()
            assert len(made) == 1
            with Publisher(tmp_path, lambda: 101 * DAY) as publisher:
                publisher.register_model("late", {"model.bin": b"m"}, "{}")
            for _ in range(3):
                follower.step()
            assert len(made) == 2

    def test_a_failure_is_kept_and_made_good_at_the_next_look(
        self, url: str, received: Received, tmp_path: Path
    ) -> None:
        make_store(tmp_path)
        received.statuses = [400]
        with Store.open(tmp_path) as store:
            follower = Follower(store, following(url), lambda: 100 * DAY)
            follower.step()
            assert follower.state.problem is not None
            assert follower.state.sent == 0
            follower.step()
        assert (follower.state.problem, follower.state.sent) == (None, len(received.bodies) - 1)

    def test_it_follows_in_a_thread_until_it_ends(self, url: str, received: Received, tmp_path: Path) -> None:
        make_store(tmp_path)
        with Store.open(tmp_path) as store:
            follower = Follower(store, following(url), lambda: 100 * DAY, 0.01)
            with follower:
                wait_until(lambda: len(received.bodies) == 7)
        assert not follower._thread.is_alive()
