"""Peers and callers that complete the handshake of TLS, and then never answer, are slow, or flood: each has its name and its mend."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from aggregator.errors import HelperUnavailable, RemoteRefusal, Unreachable
from aggregator.services import handlers
from aggregator.services.client import Aggregators
from aggregator.services.handlers import UNREAD
from aggregator.services.peer_channels import HelperChannel
from aggregator.services.rpc import CHANNEL_OPTIONS, MAX_MESSAGE_BYTES, METADATA_BYTES
from aggregator.services.services import THREADS, serve
from aggregator.shares.peers import why_of
from base.errors import PeerAway, PeerFloods, PeerSilent, PeerSlow
from base.tls import reach
from base.tls.roles import TlsRole
from covey.cli.mends import line_of
from tests.aggregator.world import make_helper
from tests.base.test_reach import Two
from tests.base.tls_world import trust
from tests.http2_peers import (
    DATA,
    MUCH,
    PING,
    SETTINGS,
    Behaviour,
    answers_no_call,
    answers_with,
    call,
    call_flood,
    connected,
    drips,
    floods,
    frame,
    headers,
    never_answers,
    ping_flood,
    serving,
)

LEADER, HELPER = TlsRole.LEADER, TlsRole.HELPER
CALL_S = 1.5
SILENT = (
    "the helper at {0} accepts connections, but does not answer within 1 s; its operator looks at its log, and `covey doctor` there "
    "says whether another program holds the port; then starts it again with `covey start helper`"
)
SLOW = (
    "the helper at {0} is too slow: it needs more than {1} s for an answer; its operator looks at the load of its machine and at the "
    "network; the same command goes on later"
)
FLOODS = (
    "the helper at {0} sends more than the {1} bytes that an answer may have; the rest was not read; it is no helper of this version: "
    "`covey doctor` there says which program holds the port; see --helper for another address"
)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    quick = dict(CHANNEL_OPTIONS) | {"grpc.min_reconnect_backoff_ms": 2_000}
    monkeypatch.setattr("aggregator.services.credentials.CHANNEL_OPTIONS", tuple(quick.items()))
    monkeypatch.setattr(reach, "REACH_S", 1.0)
    made = Two(tmp_path)
    trust(made.leader.keys, LEADER, made.operators[HELPER])  # of one client that calls both, as a coordinator does
    trust(made.helper.keys, TlsRole.COORDINATOR, made.operators[LEADER])
    return made


@pytest.mark.parametrize(
    ("call_s", "reach_s", "behave", "kind", "line"),
    [
        pytest.param(CALL_S, 1, never_answers, PeerSilent, SILENT.format("{}"), id="never"),
        pytest.param(CALL_S, 3, drips, PeerSlow, SLOW.format("{}", 3), id="drips"),
        pytest.param(CALL_S, 30, answers_no_call, PeerSlow, SLOW.format("{}", 1.5), id="no call"),
        pytest.param(CALL_S, 30, floods(SETTINGS, b""), PeerFloods, FLOODS.format("{}", "65,536"), id="settings"),
        pytest.param(CALL_S, 30, floods(PING, bytes(8)), PeerFloods, FLOODS.format("{}", "65,536"), id="pings"),
        pytest.param(CALL_S, 30, floods(77, bytes(16_384)), PeerFloods, FLOODS.format("{}", "65,536"), id="unknown frames"),
        pytest.param(30, 1, MUCH, PeerFloods, FLOODS.format("{}", f"{MAX_MESSAGE_BYTES:,}"), id="a message"),
        pytest.param(
            30, 1, answers_with(headers(1, (":status", "200"), *((f"x{at}", "v" * 100) for at in range(200)))),
            PeerFloods, FLOODS.format("{}", f"{METADATA_BYTES:,}"), id="metadata",
        ),
    ],
)  # fmt: skip
def test_a_peer_is_named_with_its_mend_in_bounded_time_and_memory(
    two: Two,
    call_s: float,
    reach_s: float,
    behave: Behaviour,
    kind: type[Exception],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what is waited for in vain has a short time."""
    monkeypatch.setattr(reach, "REACH_S", float(reach_s))
    with serving(two.helper, LEADER, behave) as address:
        link = HelperChannel(address, two.leader, call_s=call_s)
        before, begin = psutil.Process().memory_info().rss, time.monotonic()
        try:
            with pytest.raises(Unreachable) as raised:
                link.free(b"")
        finally:
            link.close()
        assert time.monotonic() - begin < 60
        assert psutil.Process().memory_info().rss - before < 256 * 2**20
    assert type(raised.value.why) is kind
    assert line_of(raised.value) == line.format(address)


def test_the_leader_passes_on_what_its_peer_does_and_no_more_if_it_is_just_away() -> None:
    slow = Unreachable("helper", "h:1", PeerSlow("helper", "h:1", 60))
    assert str(HelperUnavailable(3, why_of(slow))) == (
        "the helper at h:1 is too slow: it needs more than 60 s for an answer; 3 batch(es) of the plan wait for it"
    )
    assert why_of(Unreachable("helper", "h:1", PeerAway("helper", "h:1", "Connection refused"))) == ""


@pytest.mark.parametrize(("behave", "calls"), [(never_answers, 2), (MUCH, 1)])
def test_a_peer_that_may_come_back_is_called_again_and_one_that_floods_is_not(
    two: Two, behave: Behaviour, calls: int
) -> None:
    begun = [0]

    def counted(spoken: object) -> None:
        begun[0] += 1
        behave(spoken)  # type: ignore[arg-type]  # a behaviour gets any connection

    with (
        serving(two.helper, LEADER, counted) as address,
        Aggregators(address, address, two.leader, patience_s=2.0) as client,
        pytest.raises(Unreachable),
    ):
        client.status("helper")
    assert (begun[0] > 1) is (calls > 1)


# callers that flood


@pytest.fixture
def helper(two: Two, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "state").mkdir(mode=0o700)
    service = serve(make_helper(tmp_path / "state"), "127.0.0.1", 0, two.helper)
    yield service.address
    service.stop(0)


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(ping_flood, id="pings"),
        pytest.param(lambda spoken, until: call_flood(spoken, "/covey.v1.Helper/Commit", until), id="calls"),
    ],
)
def test_a_caller_that_floods_does_not_keep_the_service_from_others_and_costs_little_memory(
    two: Two, helper: str, flood: Callable[[object, float], None]
) -> None:
    link = HelperChannel(helper, two.leader, call_s=30)
    before = psutil.Process().memory_info().rss
    try:
        with connected(two.leader, HELPER, helper) as spoken:
            spoken.settimeout(1.0)
            with suppress(OSError):  # the service ends the connection, or reads no more
                flood(spoken, time.monotonic() + 3)
            with pytest.raises(RemoteRefusal) as raised:
                link.free(b"")
    finally:
        link.close()
    assert raised.value.reason == "MESSAGE_MALFORMED"  # as ever for an empty request
    assert psutil.Process().memory_info().rss - before < 256 * 2**20


def begin_by_half(connection: ssl.SSLSocket, calls: int) -> None:
    """Begin calls, and send half of the message of each."""
    for stream in range(1, 2 * calls, 2):
        half = frame(DATA, 0, stream, b"\0" + (1_000).to_bytes(4, "big") + bytes(500))
        connection.sendall(call(stream, "/covey.v1.Helper/Commit") + half)
    time.sleep(0.5)


def test_one_connection_that_sends_requests_by_half_holds_no_more_than_its_threads(two: Two, helper: str) -> None:
    link = HelperChannel(helper, two.leader, call_s=30)
    with connected(two.leader, HELPER, helper) as spoken:
        begin_by_half(spoken, 2 * THREADS)
        with pytest.raises(RemoteRefusal) as raised:
            link.free(b"")
    link.close()
    assert raised.value.reason == "MESSAGE_MALFORMED"


def test_half_a_request_holds_no_thread_for_long(two: Two, helper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several connections begin as many calls as the service has threads."""
    monkeypatch.setattr(handlers, "REQUEST_S", 1.0)
    link = HelperChannel(helper, two.leader, call_s=30)
    with ExitStack() as connections:
        for _ in range(THREADS // UNREAD):
            begin_by_half(connections.enter_context(connected(two.leader, HELPER, helper)), UNREAD)
        with pytest.raises(RemoteRefusal) as raised:
            link.free(b"")
    link.close()
    assert raised.value.reason == "MESSAGE_MALFORMED"


def test_a_caller_without_a_right_to_a_call_is_refused_before_its_request_is_read(two: Two, helper: str) -> None:
    trust(
        two.helper.keys, LEADER, two.operators[HELPER]
    )  # the authority of the leader is dropped on an open connection
    with connected(two.leader, HELPER, helper) as spoken:
        begin_by_half(spoken, 1)
        spoken.settimeout(60)
        received = b""
        while b"trust/leader.crt" not in received:
            part = spoken.recv(65_536)
            assert part, received
            received += part
