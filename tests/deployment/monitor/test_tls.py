"""A monitor off the loopback: TLS with the role's certificate, and clients of the same operator only."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from base.errors import CertificateExpired, CertificateMissing, ClearTextRefused
from base.metrics import Meters, Role
from base.tls.authority import Authority
from base.tls.contexts import client_context, mutual_context
from base.tls.files import certificate_path, key_path
from base.tls.links import OwnCertificate, Tls
from base.tls.roles import TlsRole
from deployment.errors import UsageError
from deployment.monitor.http import serve_monitor
from deployment.monitor.monitor import monitored
from deployment.monitor.peers import PeerWatch
from deployment.monitor.watched import Counted, Watched
from deployment.project.folders import KEYS

NOW = datetime.now(UTC)
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: leader.example:9301\r\n\r\n"
STATE = Counted(Meters())
STATE.listening = True


def operator(folder: Path, now: datetime = NOW) -> Path:
    """A project folder with an authority and a leader's certificate."""
    keys = folder / KEYS
    keys.mkdir(parents=True)
    Authority.create(keys, now).issue(keys, TlsRole.LEADER, [], now)
    return folder


def ask(port: int, context: ssl.SSLContext, name: str = "leader.covey.internal") -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), 60) as plain,
        context.wrap_socket(plain, server_hostname=name) as link,
    ):
        link.sendall(REQUEST)
        answer = b""
        while part := link.recv(4_096):
            answer += part
        return answer


def port_of(caplog: pytest.LogCaptureFixture) -> int:
    (found,) = re.findall(r"the monitor listens on 0\.0\.0\.0:(\d+)", caplog.text)
    return int(found)


def test_a_client_of_the_operator_is_answered_and_others_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    own, other = operator(tmp_path / "own"), operator(tmp_path / "other")
    tls = Tls(TlsRole.LEADER, own / KEYS)
    with monitored("0.0.0.0:0", Role.LEADER, own, STATE):
        port, trust = port_of(caplog), tls.operators()
        head, _, body = ask(port, client_context(trust, tls.own())).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert json.loads(body) == {"ready": True, "role": "leader"}
        foreign = OwnCertificate.load(other / KEYS, TlsRole.LEADER)
        for context in (client_context(trust), client_context(trust, foreign)):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ask(port, context)
        older = client_context(trust, tls.own())
        older.minimum_version = older.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(port, older)
        with socket.create_connection(("127.0.0.1", port), 60) as plain:  # clear text gets no answer
            plain.sendall(REQUEST)
            with suppress(ConnectionError):
                assert b"HTTP" not in plain.recv(100)
        assert "a client of the monitor was refused" in caplog.text


def test_a_certificate_is_rotated_without_a_restart_and_a_half_written_one_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    own = operator(tmp_path / "own")
    keys = own / KEYS
    tls = Tls(TlsRole.LEADER, keys)
    with monitored("0.0.0.0:0", Role.LEADER, own, STATE):
        port = port_of(caplog)
        before = served(port, tls)
        Authority.load(keys).issue(keys, TlsRole.LEADER, [], NOW)
        after = served(port, tls)
        assert before != after
        whole = key_path(keys, TlsRole.LEADER).read_bytes()
        key_path(keys, TlsRole.LEADER).write_bytes(whole[:40])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(port, client_context(tls.operators()))
        end = time.monotonic() + 60
        while "a connection was closed: " not in caplog.text:
            assert time.monotonic() < end
            time.sleep(0.02)
        key_path(keys, TlsRole.LEADER).write_bytes(whole)
        assert served(port, tls) == after
    assert "defect" not in caplog.text  # clients that go away without a request are none


def served(port: int, tls: Tls) -> bytes | None:
    """The certificate that a monitor shows."""
    context = client_context(tls.operators(), tls.own())
    with (
        socket.create_connection(("127.0.0.1", port), 60) as plain,
        context.wrap_socket(plain, server_hostname="leader.covey.internal") as link,
    ):
        return link.getpeercert(binary_form=True)


def test_off_the_loopback_a_role_without_a_certificate_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ClearTextRefused), monitored("0.0.0.0:0", Role.LEADER, tmp_path, STATE):
        pass
    with (
        pytest.raises(UsageError, match="a site has no certificate"),
        monitored("0.0.0.0:0", Role.SITE, tmp_path, STATE),
    ):
        pass


def test_an_expired_certificate_and_a_missing_authority_are_refused_at_the_start(tmp_path: Path) -> None:
    own = operator(tmp_path / "expired", NOW - timedelta(days=100))
    with pytest.raises(CertificateExpired), monitored("0.0.0.0:0", Role.LEADER, own, STATE):
        pass
    brought = operator(tmp_path / "brought")
    certificate_path(brought / KEYS, "ca").unlink()
    with pytest.raises(CertificateMissing), monitored("0.0.0.0:0", Role.LEADER, brought, STATE):
        pass


def test_the_end_of_a_roles_certificate_is_a_metric_and_an_expired_one_is_waited_for(tmp_path: Path) -> None:
    own = operator(tmp_path / "own")
    until = OwnCertificate.load(own / KEYS, TlsRole.LEADER).certificate.until
    watched = Watched(Role.LEADER, own, STATE)
    found = {one.labels: one.value for one in watched.samples() if one.metric.name.startswith("covey_certificate")}
    assert found == {("leader",): until.timestamp()}
    assert watched.probe().waits_for is None
    expired = operator(tmp_path / "expired", NOW - timedelta(days=100))
    assert (Watched(Role.LEADER, expired, STATE).probe().waits_for or "").startswith("a certificate that is valid: ")
    certificate_path(own / KEYS, "leader").write_bytes(b"half")
    assert (watched.probe().waits_for or "").startswith("a certificate that is valid: ")
    assert [one for one in watched.samples() if one.metric.name.startswith("covey_certificate")] == []
    assert Watched(Role.HELPER, own, STATE).probe().waits_for is None


def test_a_peer_whose_certificate_is_of_another_authority_is_named(tmp_path: Path) -> None:
    own, other = operator(tmp_path / "own"), operator(tmp_path / "other")
    keys, theirs = own / KEYS, Tls(TlsRole.LEADER, other / KEYS)
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listening.getsockname()[1]}"

    def context() -> ssl.SSLContext:
        made = mutual_context(theirs.own(), theirs.operators())
        made.set_alpn_protocols(["h2"])
        return made

    with serve_monitor(Watched(Role.LEADER, other, STATE), listening, context):
        tls = Tls(TlsRole.LEADER, keys)
        tls.operators().write(keys, TlsRole.LEADER)  # not the authority that issued the peer's certificate
        problem = PeerWatch(TlsRole.LEADER, address, tls).problem()
        assert problem is not None
        assert "was not issued by an authority in" in problem
    away = f"the leader at {address} cannot be reached: {os.strerror(errno.ECONNREFUSED)}"
    assert PeerWatch(TlsRole.LEADER, address, tls).problem() == away
