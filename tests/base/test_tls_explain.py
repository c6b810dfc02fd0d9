"""Why a link failed, against servers that really fail."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from base.errors import (
    CertificateExpired,
    CertificateMissing,
    CertificateNotYetValid,
    CertificateOfAnotherRole,
    CertificateRefused,
    CertificateUntrusted,
    PeerSpeaksClearText,
    PeerSpeaksTls,
    TlsError,
    TlsVersionRefused,
)
from base.tls import explain as module
from base.tls.authority import Authority
from base.tls.explain import explain
from base.tls.links import ClearText, OwnCertificate, Tls
from base.tls.roles import TlsRole
from tests.base.tls_world import LATER, LONG_AGO, NOW, listening, mutual, operator, trust

COORDINATOR, LEADER, HELPER = TlsRole.COORDINATOR, TlsRole.LEADER, TlsRole.HELPER


class Two:
    """The folders of a coordinator and a leader of different operators, who trust each other."""

    def __init__(self, folder: Path) -> None:
        self.client, self.server = folder / "coordinator", folder / "leader"
        self.clients, self.servers = operator(self.client, COORDINATOR), operator(self.server, LEADER)
        trust(self.client, LEADER, self.servers)
        trust(self.server, COORDINATOR, self.clients)

    def context(self, role: TlsRole = LEADER) -> ssl.SSLContext:
        own = OwnCertificate.load(self.server, role)
        return mutual(own, Tls(role, self.server).trust(COORDINATOR))

    def why(self, context: ssl.SSLContext | None) -> TlsError | None:
        with listening(context) as address:
            return explain(Tls(COORDINATOR, self.client), LEADER, address, NOW)


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_nothing_is_wrong(two: Two) -> None:
    assert two.why(two.context()) is None


def test_a_peer_that_is_away_or_silent_is_no_matter_of_tls(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    links = Tls(COORDINATOR, two.client)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(module, "HANDSHAKE_S", 0.1)
        assert explain(links, LEADER, address, NOW) is None
        assert explain(ClearText(COORDINATOR), LEADER, address, NOW) is None
    assert explain(links, LEADER, address, NOW) is None


def test_a_peers_certificate_is_named(two: Two, tmp_path: Path) -> None:
    old = Authority.create(two.server, LONG_AGO)
    trust(two.client, LEADER, two.servers, old)
    old.issue(two.server, LEADER, (), LONG_AGO)
    assert isinstance(two.why(two.context()), CertificateExpired)
    two.servers.issue(two.server, LEADER, (), LATER)
    assert isinstance(two.why(two.context()), CertificateNotYetValid)
    two.servers.issue(two.server, HELPER, (), NOW)
    assert isinstance(two.why(two.context(HELPER)), CertificateOfAnotherRole)
    operator(two.server, LEADER)  # self-made: by an authority that nobody took
    error = two.why(two.context())
    assert isinstance(error, CertificateUntrusted)
    assert "the leader at 127.0.0.1" in str(error)
    assert "trust/leader.crt" in str(error)


def test_a_peer_that_refuses_ones_own_certificate_is_named(two: Two) -> None:
    context = two.context()
    operator(two.client, COORDINATOR)
    error = two.why(context)
    assert isinstance(error, CertificateRefused)
    assert "does not trust this operator's authority" in str(error)


def test_ones_own_certificate_is_looked_at_first(two: Two) -> None:
    old = Authority.create(two.client, LONG_AGO)
    old.issue(two.client, COORDINATOR, (), LONG_AGO)
    assert isinstance(two.why(two.context()), CertificateExpired)
    (two.client / "trust" / "leader.crt").unlink()
    two.clients.issue(two.client, COORDINATOR, (), NOW)
    assert isinstance(two.why(two.context()), CertificateMissing)


def test_older_versions_and_clear_text_are_named(two: Two) -> None:
    older = two.context()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    assert isinstance(two.why(older), TlsVersionRefused)
    assert isinstance(two.why(None), PeerSpeaksClearText)
    with listening(two.context()) as address:
        assert isinstance(explain(ClearText(COORDINATOR), LEADER, address, NOW), PeerSpeaksTls)
    with listening(None) as address:
        assert explain(ClearText(COORDINATOR), LEADER, address, NOW) is None
