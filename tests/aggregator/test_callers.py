"""Services with TLS: who may call what, and what each side says when a certificate is not right."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from socket import create_connection

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from aggregator.errors import RemoteRefusal, Unreachable
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.callers import CALLERS, CallerCheck, callers_of
from aggregator.services.channel import PeerConnection
from aggregator.services.client import Aggregators
from aggregator.services.credentials import open_channel
from aggregator.services.peer_channels import HelperChannel
from aggregator.services.rpc import SERVER_OPTIONS
from aggregator.services.services import serve
from base.errors import (
    CertificateExpired,
    CertificateMalformed,
    CertificateMissing,
    CertificateNotYetValid,
    CertificateOfAnotherRole,
    CertificateRefused,
    CertificateUntrusted,
    ClearTextRefused,
    PeerAway,
    PeerError,
    PeerSpeaksClearText,
    PeerSpeaksTls,
    TlsError,
)
from base.tls.authority import DAYS, Authority
from base.tls.files import certificate_path, key_path, trust_path
from base.tls.hosts import split_address
from base.tls.links import CLEAR_TEXT, Links, Tls
from base.tls.roles import TlsRole
from tests.aggregator.world import make_helper
from tests.base.tls_world import LATER, LONG_AGO, NOW, operator, trust
from tests.http2_peers import answers_no_call, serving

COORDINATOR, LEADER, HELPER = TlsRole.COORDINATOR, TlsRole.LEADER, TlsRole.HELPER


@dataclass
class Three:
    """A coordinator, a leader and a helper of different operators; the helper is running."""

    folder: Path
    authorities: dict[TlsRole, Authority]
    address: str = ""

    def keys(self, role: TlsRole) -> Path:
        return self.folder / role

    def links(self, role: TlsRole) -> Tls:
        return Tls(role, self.keys(role))

    def error(self, links: Links, address: str = "") -> TlsError | PeerError | None:
        """Why a call to the helper fails."""
        link = HelperChannel(address or self.address, links, call_s=60)
        try:
            with pytest.raises(Unreachable) as raised:
                link.free(b"")
        finally:
            link.close()
        assert raised.value.why is None or str(raised.value.why) in str(raised.value)
        return raised.value.why

    def refusal(self, links: Links) -> str:
        """The reason why the running helper refuses a call of the leader."""
        link = HelperChannel(self.address, links, call_s=60)
        try:
            with pytest.raises(RemoteRefusal) as raised:
                link.free(b"")
            return raised.value.reason
        finally:
            link.close()


ACCEPTED = "MESSAGE_MALFORMED"
"""The reason why a helper refuses an empty request of a caller that may make it."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    folder = tmp_path_factory.mktemp("three")
    roles = COORDINATOR, LEADER, HELPER
    three = Three(folder, {role: operator(folder / role, role) for role in roles})
    for mine in roles:
        for peer in roles:
            trust(three.keys(mine), peer, three.authorities[peer])
    (folder / "state").mkdir()
    service = serve(make_helper(folder / "state"), "127.0.0.1", 0, three.links(HELPER))
    three.address = service.address
    yield three
    service.stop(0)


@pytest.fixture
def three(running: Three) -> Iterator[Three]:
    """Every role with a valid certificate and mutual trust, before and after a test."""
    with _restored(running.folder):
        yield running


@contextmanager
def _restored(folder: Path) -> Iterator[None]:
    kept = {path: path.read_bytes() for path in folder.glob("*/t*/*.*")}
    yield
    for path in set(folder.glob("*/t*/*.*")) - set(kept):
        path.unlink()
    for path, data in kept.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
            path.chmod(0o600)


def test_the_leader_may_call_and_signatures_are_verified_as_before(three: Three) -> None:
    assert three.refusal(three.links(LEADER)) == ACCEPTED


def test_a_role_makes_its_own_calls_only(three: Three) -> None:
    """The coordinator has a valid certificate, and no right to a leader's call."""
    with open_channel(three.links(COORDINATOR), HELPER, three.address) as channel:
        stub = pb_grpc.HelperStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Aggregate(pb.Signed(), timeout=5)
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert raised.value.details() == "the coordinator may not call Aggregate of the helper"
        assert stub.Status(pb.StatusRequest(), timeout=5).role == "helper"


def test_every_call_of_every_service_has_its_callers() -> None:
    services = {LEADER: "Leader", HELPER: "Helper", TlsRole.KEYHOLDER: "KeyHolder", TlsRole.PROVIDER: "Provider"}
    for role, name in services.items():
        declared = {method.name for method in pb.DESCRIPTOR.services_by_name[name].methods}
        assert declared == set(CALLERS[role])
        assert role not in callers_of(role)


def test_ones_own_certificate_is_named_when_it_is_not_valid_now(three: Three) -> None:
    keys = three.keys(LEADER)
    three.authorities[LEADER].issue(keys, LEADER, (), LATER)
    assert isinstance(three.error(three.links(LEADER)), CertificateNotYetValid)
    old = Authority.create(keys, LONG_AGO)
    old.issue(keys, LEADER, (), LONG_AGO)
    assert isinstance(three.error(three.links(LEADER)), CertificateExpired)


def test_a_self_made_certificate_is_refused_by_name(three: Three) -> None:
    operator(three.keys(LEADER), LEADER)
    error = three.error(three.links(LEADER))
    assert isinstance(error, CertificateRefused)
    assert "does not trust this operator's authority, or no longer" in str(error)


def test_an_authority_makes_no_other_operators_role(three: Three) -> None:
    """The helper trusts the coordinator's authority, but not for the leader's certificate."""
    keys = three.keys(LEADER)
    three.authorities[COORDINATOR].issue(keys, LEADER, (), NOW)
    assert three.refusal(three.links(LEADER)) == "CERTIFICATE_UNTRUSTED"


def test_a_certificate_without_a_role_or_of_a_role_that_calls_nobody_is_refused(three: Three) -> None:
    keys = three.keys(LEADER)
    three.authorities[LEADER].issue(keys, TlsRole.SERVER, (), NOW)
    for path in (certificate_path, key_path):
        path(keys, "leader").write_bytes(path(keys, "server").read_bytes())
    with pytest.raises(CertificateOfAnotherRole, match="not for the role leader"):
        HelperChannel(three.address, three.links(LEADER))


def test_a_client_refuses_a_service_of_another_role_or_authority(three: Three) -> None:
    link = PeerConnection(three.links(COORDINATOR), LEADER, three.address, "leader", pb_grpc.LeaderStub)
    trust(
        three.keys(COORDINATOR), LEADER, three.authorities[HELPER]
    )  # the helper's certificate, at the leader's address
    with pytest.raises(Unreachable) as raised:
        link.call(lambda stub: stub.Status(pb.StatusRequest(), timeout=5), 5)
    link.close()
    assert isinstance(raised.value.why, CertificateOfAnotherRole)
    trust(three.keys(LEADER), HELPER, three.authorities[COORDINATOR])
    assert isinstance(three.error(three.links(LEADER)), CertificateUntrusted)


def test_no_certificate_and_no_tls_are_named(three: Three) -> None:
    assert isinstance(three.error(CLEAR_TEXT), PeerSpeaksTls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(
        cadata=three.authorities[HELPER].certificate.found.public_bytes(Encoding.PEM).decode()
    )
    with (
        create_connection(split_address(three.address), 60) as plain,
        context.wrap_socket(plain, server_hostname=HELPER.dns_name) as spoken,
    ):
        assert spoken.recv(1) == b""  # gRPC closes the connection, and says why in its log
    service = serve(make_helper(_new(three.folder / "clear")), "127.0.0.1", 0)
    try:
        assert isinstance(three.error(three.links(LEADER), service.address), PeerSpeaksClearText)
    finally:
        service.stop(0)


def test_a_peer_that_is_away_is_no_matter_of_tls(three: Three) -> None:
    assert isinstance(three.error(three.links(LEADER), "127.0.0.1:1"), PeerAway)


def test_a_coordinator_does_not_wait_for_a_certificate_to_change(three: Three) -> None:
    trust(three.keys(COORDINATOR), HELPER, three.authorities[LEADER])
    with (
        Aggregators(three.address, three.address, three.links(COORDINATOR), patience_s=3_600) as client,
        pytest.raises(Unreachable) as raised,
    ):
        client.status("helper")
    assert isinstance(raised.value.why, CertificateUntrusted)


def test_certificates_are_renewed_on_both_sides_without_a_restart(three: Three) -> None:
    link = HelperChannel(three.address, three.links(LEADER), call_s=60)
    try:
        for role in (LEADER, HELPER, LEADER):
            before = certificate_path(three.keys(role), role).read_bytes()
            three.authorities[role].issue(three.keys(role), role, (), NOW)
            assert certificate_path(three.keys(role), role).read_bytes() != before
            with pytest.raises(RemoteRefusal, match=r"."):
                link.free(b"")
            with create_connection(split_address(three.address), 60) as plain:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                with context.wrap_socket(plain) as spoken:
                    shown = ssl.DER_cert_to_PEM_cert(spoken.getpeercert(binary_form=True) or b"")
            assert shown.encode() == certificate_path(three.keys(HELPER), HELPER).read_bytes()
    finally:
        link.close()


def test_an_authority_that_was_rotated_away_loses_its_open_connections(three: Three) -> None:
    link = HelperChannel(three.address, three.links(LEADER), call_s=60)
    try:
        with pytest.raises(RemoteRefusal):
            link.free(b"")
        new = Authority.create(_new(three.folder / "new"), NOW)
        trust(three.keys(HELPER), LEADER, new)
        with pytest.raises(RemoteRefusal) as raised:
            link.free(b"")
        assert raised.value.reason == "CERTIFICATE_UNTRUSTED"
        assert "trust/leader.crt" in str(raised.value)
        assert str(three.folder) not in str(raised.value)  # a caller learns no path
    finally:
        link.close()
    assert isinstance(three.error(three.links(LEADER)), CertificateRefused)


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_a_trust_file_that_cannot_be_used_is_named_to_the_caller_and_logged_with_its_path(
    three: Three, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    link = HelperChannel(three.address, three.links(LEADER), call_s=60)
    path = trust_path(three.keys(HELPER), LEADER)
    with pytest.raises(RemoteRefusal):
        link.free(b"")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    try:
        with pytest.raises(RemoteRefusal) as raised:
            link.free(b"")
    finally:
        link.close()
    assert raised.value.reason == "CERTIFICATE_UNTRUSTED"
    assert "trust/leader.crt" in str(raised.value)
    assert str(three.folder) not in str(raised.value)
    assert str(path) in caplog.text


@pytest.mark.parametrize(("content", "kind"), [(None, CertificateMissing), (b"nonsense", CertificateMalformed)])
def test_a_client_makes_no_call_without_the_authorities_of_its_peer(
    three: Three, content: bytes | None, kind: type[TlsError]
) -> None:
    link = HelperChannel(three.address, three.links(LEADER), call_s=60)
    path = trust_path(three.keys(LEADER), HELPER)
    kept = path.read_bytes()
    try:
        with pytest.raises(RemoteRefusal):
            link.free(b"")
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(Unreachable) as raised:
                link.free(b"")
            assert isinstance(raised.value.why, kind)
            assert str(path) in str(raised.value)
        path.write_bytes(kept)
        with pytest.raises(RemoteRefusal):
            link.free(b"")
    finally:
        link.close()


def test_a_client_whose_own_certificate_is_half_written_warns_once_and_keeps_its_connection(
    three: Three, caplog: pytest.LogCaptureFixture
) -> None:
    link = HelperChannel(three.address, three.links(LEADER), call_s=60)
    path = certificate_path(three.keys(LEADER), LEADER)
    path.write_bytes(path.read_bytes()[:90])
    try:
        for _ in range(2):
            with pytest.raises(RemoteRefusal):
                link.free(b"")
    finally:
        link.close()
    assert caplog.text.count(f"keeps its former certificate: {path}") == 1


def test_a_former_connection_ends_with_the_last_call_on_it(three: Three) -> None:
    connections = list[ssl.SSLSocket]()

    def behave(spoken: ssl.SSLSocket) -> None:
        connections.append(spoken)
        try:
            answers_no_call(spoken)
        finally:
            connections.remove(spoken)

    with serving(three.links(HELPER), LEADER, behave) as address:
        link = PeerConnection(three.links(LEADER), HELPER, address, "helper", pb_grpc.HelperStub)
        long = link.begin(lambda stub: stub.Free.future(pb.Signed(), timeout=60))
        until_there(lambda: len(connections) == 1)
        (first,) = connections
        for _ in range(3):
            three.authorities[LEADER].issue(three.keys(LEADER), LEADER, (), NOW)
            with pytest.raises(Unreachable):
                link.call(lambda stub: stub.Free(pb.Signed(), timeout=0.3), 0.3)
        until_there(lambda: len(connections) == 2)  # of the long call, and the newest
        assert first in connections
        long.cancel()
        until_there(lambda: first not in connections)
        assert len(connections) == 1
        link.close()


def until_there(is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not is_there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_certificate_that_expires_on_an_open_connection_is_refused(three: Three) -> None:
    check = CallerCheck(three.links(HELPER), lambda: NOW + timedelta(days=DAYS))
    found = {
        "ssl_tls_version": [b"TLSv1.3"],
        "x509_pem_cert": [certificate_path(three.keys(LEADER), "leader").read_bytes()],
    }
    with pytest.raises(CertificateExpired):
        check._require("Aggregate", found)


@pytest.mark.parametrize("found", [{}, {"ssl_tls_version": [b"TLSv1.2"]}])
def test_a_call_that_is_not_of_tls_1_3_is_refused(three: Three, found: dict[str, list[bytes]]) -> None:
    with pytest.raises(TlsError, match=r"does not speak TLS 1\.3"):
        CallerCheck(three.links(HELPER), lambda: NOW)._require("Aggregate", found)


def test_a_service_does_not_start_off_the_loopback_without_a_certificate_or_without_trust(three: Three) -> None:
    helper = make_helper(_new(three.folder / "off"))
    try:
        with pytest.raises(ClearTextRefused, match=r"0\.0\.0\.0:0 is not a loopback address"):
            serve(helper, "0.0.0.0", 0)
        trust_path(three.keys(HELPER), LEADER).unlink()
        with pytest.raises(CertificateMissing, match=r"trust/leader\.crt"):
            serve(helper, "127.0.0.1", 0, three.links(HELPER))
        with pytest.raises(ClearTextRefused, match=r"192\.0\.2\.1:7302"):
            HelperChannel("192.0.2.1:7302")
    finally:
        helper.close()


def test_a_connection_that_says_nothing_is_closed(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    shorter = dict(SERVER_OPTIONS) | {"grpc.server_handshake_timeout_ms": 300}
    assert len(shorter) == len(SERVER_OPTIONS)  # it has a limit, and this one is shorter
    monkeypatch.setattr("aggregator.services.services.SERVER_OPTIONS", tuple(shorter.items()))
    service = serve(make_helper(_new(three.folder / "silent")), "127.0.0.1", 0, three.links(HELPER))
    try:
        with create_connection(split_address(service.address), 10) as silent:
            silent.settimeout(10)
            assert silent.recv(1) == b""
    finally:
        service.stop(0)


def test_with_a_certificate_it_listens_on_every_address(three: Three) -> None:
    service = serve(make_helper(_new(three.folder / "everywhere")), "0.0.0.0", 0, three.links(HELPER))
    service.stop(0)
    assert service.address.startswith("0.0.0.0:")


def _new(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder
