"""Whether a peer can be reached, against peers that really fall silent, drip, flood, or are something else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from base.errors import (
    CertificateExpired,
    CertificateRefused,
    CertificateUntrusted,
    PeerAway,
    PeerError,
    PeerFloods,
    PeerSilent,
    PeerSlow,
    PeerSpeaksAnotherProtocol,
    PeerSpeaksClearText,
    PeerSpeaksTls,
    TlsError,
)
from base.ports import free_port, why_closed
from base.tls import reach
from base.tls.authority import DAYS
from base.tls.links import CLEAR_TEXT, Links, Tls
from base.tls.reach import MAX_BYTES, require_peer
from base.tls.roles import TlsRole
from tests.base.tls_world import NOW, operator, trust
from tests.http2_peers import (
    GREETING,
    PING,
    PONG,
    SETTINGS,
    Behaviour,
    answers_no_call,
    drips,
    floods,
    frame,
    never_answers,
    serving,
)

PATIENCE_S = 60.0
"""How long a busy machine may take for an answer that comes."""

LEADER, HELPER = TlsRole.LEADER, TlsRole.HELPER


class Two:
    """A leader and a helper of different operators, who trust each other."""

    def __init__(self, folder: Path) -> None:
        self.leader, self.helper = Tls(LEADER, folder / "leader"), Tls(HELPER, folder / "helper")
        self.operators = {tls.role: operator(tls.keys, tls.role) for tls in (self.leader, self.helper)}
        trust(self.leader.keys, HELPER, self.operators[HELPER])
        trust(self.helper.keys, LEADER, self.operators[LEADER])

    def error(self, behave: Behaviour) -> tuple[PeerError | TlsError, str]:
        """Why the helper cannot be reached, and its address."""
        with serving(self.helper, LEADER, behave) as address:
            return error_of(self.leader, address), address


def error_of(links: Links, address: str) -> PeerError | TlsError:
    with pytest.raises((PeerError, TlsError)) as raised:
        require_peer(links, HELPER, address, NOW)
    found: PeerError | TlsError = raised.value
    return found


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    monkeypatch.setattr(reach, "REACH_S", 1.0)
    return Two(tmp_path)


@contextmanager
def sends(data: bytes) -> Iterator[str]:
    """A server in clear text that sends these bytes to everybody, and closes; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(64)
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(64):  # unread data would reset the connection
                            pass
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_peer_that_answers_is_reached_with_tls_and_without(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "REACH_S", PATIENCE_S)
    with serving(two.helper, LEADER, answers_no_call) as address:
        require_peer(two.leader, HELPER, address, NOW)
    with sends(GREETING + PONG) as address:
        require_peer(CLEAR_TEXT, HELPER, address, NOW)


def test_a_peer_is_named_by_what_it_does_instead_of_answering(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, behave, kind, text in (
        (1.0, never_answers, PeerSilent, "the helper at {} accepts connections, but does not answer within 1 s"),
        (3.0, drips, PeerSlow, "the helper at {} is too slow: it needs more than 3 s for an answer"),
        (PATIENCE_S, floods(SETTINGS, b""), PeerFloods,
         "the helper at {} sends more than the 65,536 bytes that an answer may have; the rest was not read"),
        (PATIENCE_S, floods(PING, bytes(8)), PeerFloods,
         "the helper at {} sends more than the 65,536 bytes that an answer may have; the rest was not read"),
        (PATIENCE_S, lambda spoken: spoken.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), PeerSpeaksAnotherProtocol,
         "the program at {} does not speak HTTP/2, so it is not the helper"),
    ):  # fmt: skip
        monkeypatch.setattr(reach, "REACH_S", seconds)
        error, address = two.error(behave)
        assert (type(error), str(error)) == (kind, text.format(address))


def test_a_peer_that_is_silent_in_the_handshake_is_named(two: Two) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for links in (two.leader, CLEAR_TEXT):
            assert isinstance(error_of(links, address), PeerSilent)


def test_a_peer_that_is_away_or_ends_the_connection_is_named(two: Two) -> None:
    address = f"127.0.0.1:{free_port()}"
    for links in (two.leader, CLEAR_TEXT):
        error = error_of(links, address)
        assert isinstance(error, PeerAway)
        assert str(error) == f"the helper at {address} cannot be reached: Connection refused"
    with sends(b"") as address:
        assert (
            str(error_of(CLEAR_TEXT, address)) == f"the helper at {address} cannot be reached: it ended the connection"
        )
    with pytest.raises(ValueError, match="write HOST:PORT"):
        require_peer(CLEAR_TEXT, HELPER, "nowhere", NOW)


def test_tls_is_named_first(two: Two, tmp_path: Path) -> None:
    with serving(two.helper, LEADER, answers_no_call) as address:
        with pytest.raises(CertificateExpired):
            require_peer(two.leader, HELPER, address, NOW + timedelta(days=DAYS))
        assert isinstance(error_of(CLEAR_TEXT, address), PeerSpeaksTls)
        other = operator(tmp_path / "other")
        mine = trust(two.leader.keys, HELPER, other)
        assert isinstance(error_of(two.leader, address), CertificateUntrusted)
        assert mine.has(other.certificate)
    trust(two.helper.keys, LEADER, other)
    trust(two.leader.keys, HELPER, operator(two.helper.keys, HELPER))
    with serving(two.helper, LEADER, answers_no_call) as address:
        assert isinstance(error_of(two.leader, address), CertificateRefused)
    with sends(GREETING) as address:
        assert isinstance(error_of(two.leader, address), PeerSpeaksClearText)


def test_no_more_is_read_than_the_limit(two: Two) -> None:
    sent = [0]

    def flood(spoken: object) -> None:
        while True:
            spoken.sendall(frame(SETTINGS) * 100)  # type: ignore[attr-defined]  # a socket, by TLS or not
            sent[0] += 900

    assert isinstance(two.error(flood)[0], PeerFloods)
    assert sent[0] < MAX_BYTES + 8 * 2**20  # what the buffers of both sides hold


def test_a_port_that_nobody_has_is_closed_and_one_of_a_hanging_process_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        assert why_closed("127.0.0.1", there.getsockname()[1], 1.0) is None
    assert why_closed("127.0.0.1", free_port(), 1.0) == "Connection refused"
    assert "not known" in (why_closed("nobody.invalid", 1, 1.0) or "")
