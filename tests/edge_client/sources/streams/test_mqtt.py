"""A site's connection to an MQTT broker, against a real Mosquitto."""

from __future__ import annotations

import datetime as dt
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from base.times import wall_clock
from base.tls.authority import Authority
from base.tls.roles import TlsRole
from edge_client.errors import SourceAway
from edge_client.sources.source import Login, MqttSource, Tls
from edge_client.sources.streams import mqtt
from edge_client.sources.streams.mqtt import MqttStream, MqttStreams
from edge_client.sources.streams.mqtt_client import MAX_PACKET, MqttSession
from edge_client.sources.streams.mqtt_session import POSITION, WINDOW, InFlight, message_digest
from edge_client.sources.streams.stream import MAX_RECORD, Positions
from tests.edge_client.sources.streams.mqtt_sites import a_source
from tests.mosquitto import Mosquitto, free_port, mosquitto_program, publish, running_mosquitto

LEFT_TO_THE_COLLECTOR = pytest.mark.filterwarnings(
    "ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"  # Paho does not close a socket whose handshake fails
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def streams(source: MqttSource) -> MqttStreams:
    return MqttStreams(source, MqttSession.of_site(source, "UA"), time.monotonic, wall_clock)


@contextmanager
def opened(factory: MqttStreams, positions: Positions | None = None) -> Iterator[MqttStream]:
    stream = factory({name: value for name, value in (positions or {}).items() if value is not None})
    try:
        yield stream
    finally:
        stream.close()


def read(stream: MqttStream, count: int, *, seconds: float = 20) -> tuple[list[bytes], Positions]:
    """Read and commit messages until there are so many."""
    found: list[bytes] = []
    positions: dict[str, bytes | None] = {}
    end = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} messages came"
        polled = stream.poll(1_000, 0.5)
        if polled:
            found += polled.values
            positions |= polled.positions
            stream.done(polled.positions)
    return found, positions


def _end_of(stream: MqttStream) -> str:
    """Why a connection ended."""
    while True:
        try:
            stream.done({})
            stream.poll(1, 1)
        except SourceAway as error:
            return error.why


def nothing_more(stream: MqttStream) -> bool:
    """Whether the broker has nothing left for the site."""
    reached = stream.mark()
    while not reached():
        if stream.poll(1_000, 0.1).values:
            return False
    return True


def numbered(name: str, count: int) -> list[tuple[str, bytes]]:
    return [(f"{name}/{at % 7}", b"%d" % at) for at in range(count)]


def test_messages_come_with_topic_and_time_and_in_their_order(broker: Mosquitto) -> None:
    with opened(streams(a_source(broker.port, "order"))) as stream:
        before = wall_clock()
        publish(broker.port, numbered("order", 20))
        polled = stream.poll(5, 10)
        assert list(polled.values) == [b"%d" % at for at in range(5)]
        assert list(polled.topics) == [f"order/{at}" for at in range(5)]
        assert all(one is not None and before <= one <= wall_clock() for one in polled.times_us)
        assert polled.places(3) == "order/3"
        assert stream.behind() is None
        stream.done(polled.positions)
        assert read(stream, 15)[0] == [b"%d" % at for at in range(5, 20)]
        assert nothing_more(stream)


def test_what_is_published_while_the_site_is_away_waits_at_the_broker(broker: Mosquitto) -> None:
    factory = streams(a_source(broker.port, "away"))
    with opened(factory):
        pass
    publish(broker.port, numbered("away", 300))
    with opened(factory) as stream:
        assert read(stream, 300)[0] == [b"%d" % at for at in range(300)]


def test_what_was_not_committed_comes_again(broker: Mosquitto) -> None:
    factory = streams(a_source(broker.port, "again"))
    with opened(factory) as stream:
        publish(broker.port, numbered("again", 3))
        assert stream.poll(10, 10)
    with opened(factory) as stream:
        assert read(stream, 3)[0] == [b"0", b"1", b"2"]


def test_what_was_committed_and_not_acknowledged_is_dropped_when_it_comes_again(broker: Mosquitto) -> None:
    factory = streams(a_source(broker.port, "once"))
    with opened(factory) as stream:
        publish(broker.port, numbered("once", 20))
        committed = stream.poll(8, 10)
        assert len(committed.values) == 8
    with opened(factory, committed.positions) as stream:
        found, _ = read(stream, 12)
        assert found == [b"%d" % at for at in range(8, 20)]
        assert nothing_more(stream)
    with opened(factory) as stream:  # the broker has their acknowledgements: it sends none of them to one who forgot
        assert nothing_more(stream)


def test_equal_messages_are_two_events(broker: Mosquitto) -> None:
    with opened(streams(a_source(broker.port, "equal"))) as stream:
        publish(broker.port, [("equal/a", b"20")] * 3)
        assert read(stream, 3)[0] == [b"20"] * 3


def test_a_new_message_like_an_old_one_with_its_packet_id_is_another_event(broker: Mosquitto) -> None:
    factory = streams(a_source(broker.port, "reused"))
    with opened(factory):
        pass
    known = InFlight().after([(1, message_digest(b"reused/a", b"20"))])  # Mosquitto counts from 1
    with opened(factory, {POSITION: known.packed()}) as stream:
        publish(broker.port, [("reused/a", b"20")])
        found, positions = read(stream, 1)
        assert found == [b"20"]
        assert positions == {POSITION: known.packed()}


def test_no_more_messages_are_unacknowledged_than_the_window_has(broker: Mosquitto) -> None:
    with opened(streams(a_source(broker.port, "window"))) as stream:
        publish(broker.port, numbered("window", WINDOW + 50))
        polled = stream.poll(10_000, 10)
        while len(polled.values) < WINDOW:
            stream.done(polled.positions)
            publish(broker.port, numbered("window", WINDOW))
            polled = stream.poll(10_000, 10)
        assert len(polled.values) == WINDOW
        assert len(stream.poll(10_000, 0.3).values) == 0  # before the commit of the others


def test_a_poll_without_messages_acknowledges_nothing_that_is_not_committed(broker: Mosquitto) -> None:
    factory = streams(a_source(broker.port, "uncommitted"))
    with opened(factory) as stream:
        publish(broker.port, numbered("uncommitted", 2))
        assert len(stream.poll(2, 10).values) == 2
        assert not stream.poll(2, 0.1)
    with opened(factory) as stream:
        assert read(stream, 2)[0] == [b"0", b"1"]


def test_a_retained_message_is_no_event_and_its_next_value_is(broker: Mosquitto) -> None:
    publish(broker.port, [("retained/a", b"old")], retain=True)
    for is_v5 in (True, False):
        factory = streams(a_source(broker.port, f"retained{is_v5}", "retained/#"))
        factory._is_v5 = is_v5
        with opened(factory) as stream:
            assert nothing_more(stream)
            publish(broker.port, [("retained/a", b"new")], retain=True)
            assert read(stream, 1)[0] == [b"new"]


def test_the_session_of_a_site_is_named_after_it(broker: Mosquitto) -> None:
    with opened(streams(replace(a_source(broker.port, "named"), client_name=None))):
        assert " as covey-UA (" in broker.log()


def test_looking_at_a_source_leaves_its_session_alone_and_sees_retained_messages(broker: Mosquitto) -> None:
    publish(broker.port, [("looked/a", b"last")], retain=True)
    source = a_source(broker.port, "looked")
    with opened(streams(source)) as stream:
        for is_v5 in (True, False):
            looking = MqttStreams(source, MqttSession("looking", is_kept=False), time.monotonic, wall_clock)
            looking._is_v5 = is_v5
            with opened(looking) as looked:
                assert read(looked, 1)[0] == [b"last"]
            publish(broker.port, [("looked/a", b"new")])
            assert read(stream, 1)[0] == [b"new"]
            with opened(looking) as looked:
                assert read(looked, 1)[0] == [b"last"]
                assert nothing_more(looked)  # nothing waited for it


def test_events_of_a_topic_that_the_site_no_longer_reads_are_not_read(broker: Mosquitto) -> None:
    with opened(streams(a_source(broker.port, "moved", "moved/old/+"))):
        pass
    with opened(streams(a_source(broker.port, "moved", "moved/new/+"))) as stream:
        publish(broker.port, [("moved/old/a", b"1"), ("moved/new/a", b"2")])
        assert read(stream, 1)[0] == [b"2"]
        assert nothing_more(stream)


@pytest.mark.parametrize("is_v5", [True, False])
def test_a_longer_message_than_allowed_is_cut_so_that_it_is_recognised(broker: Mosquitto, is_v5: bool) -> None:
    name = f"long{is_v5}"
    factory = streams(a_source(broker.port, name))
    factory._is_v5 = is_v5
    with opened(factory) as stream:
        sizes = [MAX_RECORD, MAX_RECORD + 1, 3 * MAX_RECORD]
        publish(broker.port, [*((f"{name}/a", b"x" * size) for size in sizes), (f"{name}/a", b"short")])
        found, _ = read(stream, 4)
        assert [len(one) for one in found] == [MAX_RECORD, MAX_RECORD + 1, MAX_RECORD + 1, 5]


def test_a_packet_beyond_all_bounds_is_read_without_being_kept(broker: Mosquitto) -> None:
    factory = streams(a_source(broker.port, "huge"))
    factory._is_v5 = False  # a broker of MQTT 5 does not send it
    with opened(factory) as stream:
        publish(broker.port, [("huge/a", bytes(3 * MAX_PACKET)), ("huge/a", b"short")])
        found, _ = read(stream, 2)
        assert [len(one) for one in found] == [MAX_RECORD + 1, 5]


def test_a_broker_that_was_restarted_goes_on_where_the_site_was(tmp_path: Path) -> None:
    with running_mosquitto(tmp_path / "broker") as broker:
        factory = streams(a_source(broker.port, "restart"))
        with opened(factory) as stream:
            publish(broker.port, numbered("restart", 10))
            committed = stream.poll(4, 10)
            broker.restart()
            assert [b"%d" % at for at in range(4)] == list(committed.values)
            assert re.search("connection to the broker was lost|broker ended the connection", _end_of(stream))
        with opened(factory, committed.positions) as stream:
            assert read(stream, 6)[0] == [b"%d" % at for at in range(4, 10)]
            assert nothing_more(stream)


def test_a_broker_that_forgot_the_session_sends_no_known_message(tmp_path: Path) -> None:
    with running_mosquitto(tmp_path / "broker") as broker:
        factory = streams(a_source(broker.port, "forgot"))
        with opened(factory) as stream:
            publish(broker.port, numbered("forgot", 3))
            _, positions = read(stream, 3)
        broker.stop(signal.SIGKILL)
        for kept in broker.folder.glob("*.db"):
            kept.unlink()
        broker.start()
        with opened(factory, positions) as stream:
            polled = stream.poll(1, 0.1)
            assert (polled.values, polled.positions) == ([], {POSITION: b"\x01"})  # the log forgets its packet ids
            stream.done(polled.positions)
            publish(broker.port, numbered("forgot", 3))
            assert read(stream, 3)[0] == [b"0", b"1", b"2"]


def test_a_broker_that_is_away_is_named(broker: Mosquitto) -> None:
    port = free_port()
    with pytest.raises(
        SourceAway, match=f"mqtt://127.0.0.1:{port}/away/#.*no connection to 127.0.0.1:{port}: .*refused"
    ):
        streams(a_source(port, "away"))({})


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(SourceAway, match=r"no connection to nowhere\.invalid:1883"):
        streams(a_source(1883, "away", host="nowhere.invalid"))({})


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paho.mqtt")
    monkeypatch.setattr(mqtt, "CONNECT_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(SourceAway, match=r"does not answer within 0\.2 s"),
    ):
        streams(a_source(server.getsockname()[1], "silent"))({})


def test_a_server_that_is_no_broker_is_given_up() -> None:
    pytest.importorskip("paho.mqtt")
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(SourceAway, match="connection"):
        streams(a_source(port, "http"))({})


def test_a_broker_of_the_version_before_is_spoken_to_in_its_version() -> None:
    pytest.importorskip("paho.mqtt")
    connects: list[bytes] = []
    with answering(b"\x20\x02\x00\x01", connects) as port, pytest.raises(SourceAway):
        streams(a_source(port, "old"))({})
    assert [one[8] for one in connects] == [5, 4]  # the version in CONNECT
    assert [bool(one[9] & 2) for one in connects] == [False, False]  # no clean session


def test_a_message_of_a_quality_that_was_not_asked_for_ends_the_connection() -> None:
    pytest.importorskip("paho.mqtt")
    welcome, subscribed = b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x01"
    message = b"\x34\x07\x00\x01a\x00\x07\x00x"  # QoS 2
    with answering(welcome + subscribed + 3 * message) as port, opened(streams(a_source(port, "two", "#"))) as stream:
        assert "protocol error" in _end_of(stream)
        assert len(stream._client._in_messages) <= 1


@contextmanager
def answering(reply: bytes, received: list[bytes] | None = None) -> Iterator[int]:
    """A server that sends the same reply to everybody, and hangs up; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    data = connection.recv(1_000)
                    if received is not None:
                        received.append(data)
                    connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_another_client_with_the_name_is_reported_and_not_fought(broker: Mosquitto) -> None:
    now = [0.0]
    first = MqttStreams(
        a_source(broker.port, "twins"), MqttSession("twins"), lambda: time.monotonic() + now[0], wall_clock
    )
    with opened(first) as stream:
        with opened(streams(a_source(broker.port, "twins"))) as other:
            assert "another client connected with the name 'twins' and took the session" in _end_of(stream)
            with pytest.raises(SourceAway, match="Give each site a client_name of its own"):
                first({})
            assert not other.poll(1, 0.05)  # it was not disturbed
        now[0] = mqtt.TAKEN_OVER_PAUSE_S
        with opened(first) as back:
            assert not back.poll(1, 0.05)


def test_a_wrong_password_is_named_and_not_shown(tmp_path: Path) -> None:
    program = mosquitto_program()
    passwords = tmp_path / "passwords"
    maker = Path(program).parent.parent / "bin" / "mosquitto_passwd"
    subprocess.run([maker, "-b", "-c", passwords, "ua", "right"], check=True, capture_output=True)
    passwords.chmod(0o700)
    lines = ("allow_anonymous false", f"password_file {passwords}")
    with running_mosquitto(tmp_path / "broker", *lines) as broker:
        right = replace(a_source(broker.port, "ua"), login=Login("ua", a_password(tmp_path / "right", "right")))
        with opened(streams(right)) as stream:
            assert not stream.poll(1, 0.05)
        refused = r"refuses the connection: .*\. Check user and password_file"
        for login in (Login("ua", a_password(tmp_path / "other", "wrong one")), Login("ua"), None):
            with pytest.raises(SourceAway, match=refused) as caught:
                streams(replace(right, login=login))({})
            assert "wrong one" not in str(caught.value)


def a_password(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text + "\n")
    return path


def test_a_topic_that_the_broker_does_not_allow_is_named() -> None:
    pytest.importorskip("paho.mqtt")
    welcome, refusal = b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x87"
    with (
        answering(welcome + refusal) as port,
        pytest.raises(SourceAway, match="refuses the topic filter 'denied/#': Not auth"),
    ):
        streams(a_source(port, "denied"))({})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with an authority `ca`, and certificates of a broker and a site."""
    keys, now = tmp_path_factory.mktemp("keys"), dt.datetime.now(dt.UTC)
    authority = Authority.create(keys, now)
    authority.issue(keys, TlsRole.LEADER, (), now)
    authority.issue(keys, TlsRole.HELPER, (), now)
    return keys / "tls"


@pytest.fixture(scope="module")
def tls_broker(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker that asks for a certificate, too."""
    names = {"cafile": "ca.crt", "certfile": "leader.crt", "keyfile": "leader.key"}
    lines = [f"{entry} {certificates / name}" for entry, name in names.items()]
    with running_mosquitto(tmp_path_factory.mktemp("tls"), *lines, "require_certificate true") as running:
        yield running


def test_a_connection_with_tls_and_a_certificate_carries_messages(tls_broker: Mosquitto, certificates: Path) -> None:
    files = Tls(certificates / "ca.crt", certificates / "helper.crt", certificates / "helper.key")
    factory = streams(replace(a_source(tls_broker.port, "tls"), tls=files))
    with opened(factory) as stream, opened(factory_of_publisher(factory.source)) as publisher:
        publisher._client.publish("tls/a", b"1" * 100_000, qos=1)
        while publisher._client.want_write():
            publisher._client.loop_write()
        assert read(stream, 1)[0] == [b"1" * 100_000]


def factory_of_publisher(source: MqttSource) -> MqttStreams:
    return streams(replace(source, client_name="publisher", topics="nothing"))


@LEFT_TO_THE_COLLECTOR
@pytest.mark.parametrize(
    ("ca", "certificate", "why"),
    [
        ("other/ca.crt", "helper", "broker's certificate is not trusted: .*Give its authority as `ca`"),
        (None, "helper", "broker's certificate is not trusted: .*Give its authority as `ca`"),
        ("ca.crt", None, "connection"),
        ("missing.crt", None, "files of TLS cannot be used: .*No such file"),
        ("helper.key", None, "files of TLS cannot be used"),
    ],
)
def test_a_failure_of_tls_is_named(
    tls_broker: Mosquitto, certificates: Path, ca: str | None, certificate: str | None, why: str
) -> None:
    other = certificates / "other"
    if ca == "other/ca.crt" and not other.exists():
        made = certificates.parent / "elsewhere"
        made.mkdir()
        Authority.create(made, dt.datetime.now(dt.UTC))
        other.symlink_to(made / "tls")
    own = None if certificate is None else certificates / f"{certificate}.crt"
    key = None if certificate is None else certificates / f"{certificate}.key"
    files = Tls(None if ca is None else certificates / ca, own, key)
    with pytest.raises(SourceAway, match=why):
        streams(replace(a_source(tls_broker.port, "refused"), tls=files))({})


@LEFT_TO_THE_COLLECTOR
def test_tls_on_a_port_without_it_is_named(broker: Mosquitto) -> None:
    with pytest.raises(SourceAway, match=r"TLS failed|no connection|lost"):
        streams(replace(a_source(broker.port, "clear"), tls=Tls()))({})


def test_clear_text_on_a_port_with_tls_is_named(tls_broker: Mosquitto) -> None:
    with pytest.raises(SourceAway, match=r"does it expect TLS \(mqtts://\)"):
        streams(a_source(tls_broker.port, "clear"))({})
