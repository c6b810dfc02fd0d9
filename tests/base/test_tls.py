"""Certificates, authorities and trust files."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from socket import create_connection

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from base.errors import (
    CertificateExpired,
    CertificateMalformed,
    CertificateMissing,
    CertificateNotYetValid,
    CertificateOfAnotherRole,
    CertificateUntrusted,
    ClearTextRefused,
    KeyNotPrivate,
)
from base.tls import files
from base.tls.authority import AUTHORITY_DAYS, BACKDATED, DAYS, Authority
from base.tls.certificate import Certificate
from base.tls.contexts import client_context, server_context
from base.tls.files import certificate_path, key_path, write_pair
from base.tls.hosts import is_loopback, plain_host, split_address
from base.tls.links import ClearText, OwnCertificate, Tls, links_of, require_private
from base.tls.roles import TlsRole
from base.tls.trust import MAX_AUTHORITIES, Trust
from featurestore.server.tls import ServerTls
from tests.base.tls_world import LATER, LONG_AGO, NOW, listening, operator, trust

LEADER, HELPER = TlsRole.LEADER, TlsRole.HELPER


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_certificate_names_its_role_its_hosts_and_the_loopback(keys: Path) -> None:
    made = operator(keys).issue(keys, LEADER, ["Leader.example.org", "10.0.0.7", "localhost"], NOW)
    assert set(made.names) == {
        "leader.covey.internal", "localhost", "127.0.0.1", "::1", "leader.example.org", "10.0.0.7",
    }  # fmt: skip
    assert made.role is LEADER
    assert "leader.covey.internal" not in made.hosts
    assert (made.since, made.until) == (
        (NOW - BACKDATED).replace(microsecond=0),
        (NOW + timedelta(days=DAYS)).replace(microsecond=0),
    )
    own = OwnCertificate.load(keys, LEADER)
    assert own.certificate == made
    assert b"PRIVATE" not in repr(own).encode()


def test_an_authority_lasts_ten_years_and_no_certificate_outlives_it(keys: Path) -> None:
    authority = Authority.create(keys.parent / "old", NOW - timedelta(days=AUTHORITY_DAYS - 1))
    assert Authority.load(keys.parent / "old").certificate == authority.certificate
    made = authority.issue(keys, LEADER, (), NOW)
    assert made.until == authority.certificate.until


def test_keys_are_private_from_their_first_byte_whatever_the_umask(keys: Path) -> None:
    before = os.umask(0)
    try:
        operator(keys, LEADER)
    finally:
        os.umask(before)
    for name in ("ca", "leader"):
        assert stat.S_IMODE(key_path(keys, name).stat().st_mode) == 0o600
    key_path(keys, "leader").chmod(0o644)
    with pytest.raises(KeyNotPrivate, match="its mode is 644"):
        OwnCertificate.load(keys, LEADER)


def test_both_ends_agree_on_tls_1_3_and_strict_clients_accept_the_chain(keys: Path) -> None:
    authority = operator(keys)
    authority.issue(keys, LEADER, ["a.example"], NOW)
    context = client_context(trust(keys, LEADER, authority))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with listening(server_context(Tls(LEADER, keys), NOW)) as address:
        for name in ("localhost", "127.0.0.1", "a.example", "leader.covey.internal"):
            assert _version(context, address, name) == "TLSv1.3"
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            _version(context, address, "helper.covey.internal")
        older = client_context(trust(keys, LEADER, authority))
        older.minimum_version, older.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            _version(older, address, "localhost")


def test_a_server_takes_a_new_certificate_without_a_restart_and_keeps_the_old_one_while_files_are_wrong(
    keys: Path,
) -> None:
    authority = operator(keys, LEADER)
    context = client_context(trust(keys, LEADER, authority))
    with listening(server_context(Tls(LEADER, keys), NOW)) as address:
        first = _certificate(context, address)
        path = key_path(keys, "leader")
        whole = path.read_bytes()
        path.write_bytes(whole[:100])
        assert _certificate(context, address) == first
        path.write_bytes(whole)
        path.chmod(0o644)
        assert _certificate(context, address) == first
        path.chmod(0o600)
        second = authority.issue(keys, LEADER, (), NOW)
        assert _certificate(context, address) == second.found.public_bytes(Encoding.DER) != first


def test_a_client_whose_authority_was_dropped_does_not_resume_its_session(keys: Path) -> None:
    authority, clients = operator(keys, LEADER), keys.parent / "clients.crt"
    reader = operator(keys.parent / "reader", HELPER)
    clients.write_bytes(reader.certificate.found.public_bytes(Encoding.PEM))
    identity = ServerTls(certificate_path(keys, LEADER), key_path(keys, LEADER), clients)
    context = client_context(trust(keys, LEADER, authority), OwnCertificate.load(keys.parent / "reader", HELPER))
    with listening(server_context(identity, NOW)) as address:
        with (
            create_connection(split_address(address), 60) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as spoken,
        ):
            assert spoken.recv(1) == b"x"  # tickets are sent before it
            session = spoken.session
            assert session is None or not session.has_ticket
        clients.write_bytes(authority.certificate.found.public_bytes(Encoding.PEM))
        with (
            create_connection(split_address(address), 60) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as spoken,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            assert spoken.recv(1) != b"x"


def test_an_authority_that_has_expired_does_not_hide_a_valid_one_of_the_same_key(keys: Path) -> None:
    authority = operator(keys, LEADER)
    valid, key = authority.certificate, load_pem_private_key(key_path(keys, "ca").read_bytes(), None)
    builder = x509.CertificateBuilder().subject_name(valid.found.subject).issuer_name(valid.found.issuer)
    builder = builder.public_key(valid.found.public_key()).serial_number(7)
    builder = builder.not_valid_before(LONG_AGO).not_valid_after(NOW - timedelta(days=1))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    old = Certificate("old", builder.sign(key, hashes.SHA256()), ())
    own = OwnCertificate.load(keys, LEADER).certificate
    Trust("test", (old, valid)).verify(own, LEADER, NOW)
    with pytest.raises(CertificateExpired, match="old expired"):
        Trust("test", (old,)).verify(own, LEADER, NOW)


def test_whenever_a_replacement_ends_the_certificate_has_its_key(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = operator(keys, LEADER)
    renames = []

    def count(*_: object) -> None:
        renames.append(1)

    real = os.replace
    monkeypatch.setattr(Path, "replace", lambda path, to: (count(), real(path, to)))
    authority.issue(keys, LEADER, (), NOW)
    steps = len(renames)
    assert steps == 3
    for last in range(steps + 1):
        left = [last]

        def until(path: Path, to: Path, left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            real(path, to)

        monkeypatch.setattr(Path, "replace", until)
        if last < steps:
            with pytest.raises(KeyboardInterrupt):
                authority.issue(keys, LEADER, (), NOW)
        monkeypatch.setattr(Path, "replace", lambda path, to: real(path, to))
        own = OwnCertificate.load(keys, LEADER)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(own.path, own.key_path)


@pytest.mark.parametrize("content", [b"", b"half", b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCC"])
def test_a_half_written_key_is_named_and_its_content_is_not(keys: Path, content: bytes) -> None:
    operator(keys, LEADER)
    path = key_path(keys, "leader")
    path.write_bytes(content)
    with pytest.raises(CertificateMalformed, match="not a whole PEM key") as raised:
        OwnCertificate.load(keys, LEADER)
    assert str(path) in str(raised.value)
    assert "MIGHAgEA" not in str(raised.value)


def test_a_missing_or_foreign_key_is_named(keys: Path) -> None:
    operator(keys, LEADER, HELPER)
    path = key_path(keys, "leader")
    path.write_bytes(key_path(keys, "helper").read_bytes())
    with pytest.raises(CertificateMalformed, match=r"leader\.key cannot be used: it is not the key of"):
        OwnCertificate.load(keys, LEADER)
    path.unlink()
    with pytest.raises(CertificateMissing, match=r"leader\.key"):
        OwnCertificate.load(keys, LEADER)
    certificate_path(keys, "leader").unlink()
    with pytest.raises(CertificateMissing, match=r"leader\.crt"):
        OwnCertificate.load(keys, LEADER)


@pytest.mark.parametrize(
    "content", [b"", b"x" * 70_000, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_named(keys: Path, content: bytes) -> None:
    operator(keys, LEADER)
    certificate_path(keys, "leader").write_bytes(content)
    with pytest.raises(CertificateMalformed, match=r"leader\.crt"):
        OwnCertificate.load(keys, LEADER)


def test_a_certificate_of_another_role_is_not_ones_own(keys: Path) -> None:
    operator(keys, LEADER, HELPER)
    for path in (certificate_path, key_path):
        path(keys, "leader").write_bytes(path(keys, "helper").read_bytes())
    with pytest.raises(CertificateOfAnotherRole, match="is not for the role leader"):
        OwnCertificate.load(keys, LEADER)


def test_trust_verifies_issuer_role_and_time(keys: Path) -> None:
    mine, foreign = operator(keys, LEADER, HELPER), operator(keys.parent / "other", LEADER)
    trusted = trust(keys, LEADER, mine)
    own = OwnCertificate.load(keys, LEADER).certificate
    trusted.verify(own, LEADER, NOW)
    with pytest.raises(CertificateUntrusted, match=r"trust/leader\.crt"):
        trusted.verify(OwnCertificate.load(keys.parent / "other", LEADER).certificate, LEADER, NOW)
    with pytest.raises(CertificateUntrusted):
        trusted.verify(foreign.certificate, LEADER, NOW)
    with pytest.raises(CertificateOfAnotherRole, match="role leader"):
        trusted.verify(OwnCertificate.load(keys, HELPER).certificate, LEADER, NOW)
    with pytest.raises(CertificateExpired, match="expired at"):
        trusted.verify(own, LEADER, NOW + timedelta(days=DAYS))
    with pytest.raises(CertificateNotYetValid, match="compare the clocks"):
        trusted.verify(own, LEADER, NOW - 2 * BACKDATED)


def test_a_clock_that_is_slow_by_less_than_an_hour_accepts_a_new_certificate(keys: Path) -> None:
    trusted = trust(keys, LEADER, operator(keys, LEADER))
    trusted.verify(OwnCertificate.load(keys, LEADER).certificate, LEADER, NOW - BACKDATED + timedelta(seconds=1))


def test_a_certificate_for_two_roles_is_for_none(keys: Path) -> None:
    authority = operator(keys)
    made = authority.issue(keys, LEADER, ["helper.covey.internal"], NOW)
    for role in (LEADER, HELPER):
        with pytest.raises(CertificateOfAnotherRole):
            made.require_role(role)


def test_a_trust_file_holds_authorities_only_and_a_bounded_number(keys: Path) -> None:
    authority = operator(keys, LEADER)
    pem = trust(keys, LEADER, authority).pem
    assert len(Trust.parse(b"covey-public-2 leader AAAA\n" + pem + pem, "leader.pub").authorities) == 1
    for wrong, says in (
        (OwnCertificate.load(keys, LEADER).chain, "not of an authority"),
        (b"covey-public-2 leader AAAA\n", "no whole PEM certificate"),
        (pem[:200], "no whole PEM certificate"),
        (pem * (MAX_AUTHORITIES + 1), "at most 16"),
    ):
        with pytest.raises(CertificateMalformed, match=says):
            Trust.parse(wrong, "leader.pub")
    with pytest.raises(CertificateMissing, match=r"trust/helper\.crt"):
        Trust.load(keys, HELPER)


def test_a_role_without_a_certificate_stays_on_this_machine(keys: Path) -> None:
    assert links_of(keys, LEADER) == ClearText(LEADER, keys)
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        require_private(links_of(keys, LEADER), host, host)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", ""):
        with pytest.raises(ClearTextRefused, match=r"no .*leader\.crt"):
            require_private(links_of(keys, LEADER), host, f"{host}:7301")
    operator(keys, LEADER)
    assert links_of(keys, LEADER) == Tls(LEADER, keys)
    require_private(links_of(keys, LEADER), "0.0.0.0", "0.0.0.0:7301")


def test_a_role_whose_certificate_was_lost_does_not_fall_back_to_clear_text(keys: Path) -> None:
    operator(keys, LEADER)
    certificate_path(keys, "leader").unlink()
    assert isinstance(links_of(keys, LEADER), Tls)


def test_a_server_does_not_start_with_a_certificate_that_is_not_valid_now(keys: Path) -> None:
    operator(keys, LEADER, now=LONG_AGO)
    with pytest.raises(CertificateExpired):
        server_context(Tls(LEADER, keys), NOW)
    operator(keys, LEADER, now=LATER)
    with pytest.raises(CertificateNotYetValid):
        server_context(Tls(LEADER, keys), NOW)


@pytest.mark.parametrize(
    "name", ["a b", "a:8000", "https://a", "", "-a", "a/b", "ä.example", "a" * 300, "a" * 40 + ":1", "a..b"]
)
def test_a_name_that_is_no_host_is_refused(keys: Path, name: str) -> None:
    authority = operator(keys)
    with pytest.raises(ValueError, match="neither a host name nor an address"):
        authority.issue(keys, LEADER, [name], NOW)
    assert not certificate_path(keys, "leader").exists()


@pytest.mark.parametrize(
    ("address", "found"),
    [("a.example:1", ("a.example", 1)), ("[::1]:7301", ("::1", 7301)), ("10.0.0.1:65535", ("10.0.0.1", 65_535))],
)
def test_an_address_has_a_host_and_a_port(address: str, found: tuple[str, int]) -> None:
    assert split_address(address) == found


@pytest.mark.parametrize("address", ["8000", ":8000", "a.example", "a:99999", "a:b", "::1:80", "a b:80", "[::1]"])
def test_what_is_no_address_is_named(address: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|neither a host name"):
        split_address(address)


def test_hosts_have_one_spelling() -> None:
    assert [plain_host(host) for host in ("A.Example", "::0001", "127.0.0.1")] == ["a.example", "::1", "127.0.0.1"]
    assert [is_loopback(host) for host in ("LOCALHOST", "127.1.2.3", "::1", "10.0.0.1")] == [True, True, True, False]


def test_pairs_do_not_mix(keys: Path) -> None:
    """A folder of two operators' pieces has no usable certificate."""
    operator(keys, LEADER)
    operator(keys.parent / "other", LEADER)
    chain, key = certificate_path(keys, "leader").read_bytes(), key_path(keys.parent / "other", "leader").read_bytes()
    write_pair(keys, "leader", chain, key)
    with pytest.raises(CertificateMalformed, match="not the key of"):
        OwnCertificate.load(keys, LEADER)
    assert Certificate.parse(chain, "x").role is LEADER


@pytest.mark.parametrize("name", ["ca", "leader"])
def test_a_crash_in_the_replacement_after_a_crash_loses_no_key(
    keys: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """After each crash the certificate has its key, in one of the two files."""
    authority = operator(keys, LEADER)

    def crash(where: object, function: str, ending: str) -> None:
        monkeypatch.setattr(where, function, _crash_at(getattr(where, function), ending))
        if name == "ca":
            Authority.create(keys, NOW)
        else:
            authority.issue(keys, LEADER, (), NOW)

    for where, function, ending in ((Path, "replace", ".key.next"), (files, "replace_file", ".crt")):
        with pytest.raises(KeyboardInterrupt):
            crash(where, function, ending)
        monkeypatch.undo()
        if name == "ca":
            Authority.load(keys)
        else:
            OwnCertificate.load(keys, LEADER)


def _crash_at(real: Callable[..., object], ending: str) -> Callable[..., object]:
    """A function that ends the process when its file has this ending."""

    def fused(path: Path, *arguments: object, **more: object) -> object:
        if path.name.endswith(ending):
            raise KeyboardInterrupt
        return real(path, *arguments, **more)

    return fused


def test_a_trust_file_never_gets_more_authorities_than_it_may_have(keys: Path) -> None:
    many = [operator(keys.parent / str(number)) for number in range(MAX_AUTHORITIES + 1)]
    found = trust(keys, LEADER, *many[:-1])
    with pytest.raises(CertificateMalformed, match="it would have 17 certificates; at most 16 are allowed"):
        found.with_all(Trust("test", (many[-1].certificate,)))


def test_a_certificate_that_names_no_role_says_so(keys: Path) -> None:
    operator(keys, LEADER)
    authority = Certificate.parse(certificate_path(keys, "ca").read_bytes(), "ca.crt")
    with pytest.raises(CertificateOfAnotherRole, match=r"ca\.crt does not name one role of Covey"):
        assert authority.role


def _spoken(context: ssl.SSLContext, address: str, name: str) -> tuple[str, bytes]:
    with (
        create_connection(split_address(address), 60) as plain,
        context.wrap_socket(plain, server_hostname=name) as spoken,
    ):
        spoken.recv(1)
        return str(spoken.version()), spoken.getpeercert(binary_form=True) or b""


def _version(context: ssl.SSLContext, address: str, name: str) -> str:
    return _spoken(context, address, name)[0]


def _certificate(context: ssl.SSLContext, address: str) -> bytes:
    return _spoken(context, address, "localhost")[1]
