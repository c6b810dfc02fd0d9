"""The feature server with TLS, and its readers: every certificate that is wrong has its name, over HTTP and over gRPC."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from base.errors import (
    CertificateExpired,
    CertificateMalformed,
    CertificateMissing,
    CertificateNotYetValid,
    CertificateOfAnotherHost,
    CertificateUntrusted,
    CoveyError,
    KeyNotPrivate,
)
from base.tls.authority import Authority
from base.tls.files import certificate_path, key_path
from base.tls.hosts import split_address
from base.tls.roles import TlsRole
from featurestore.errors import (
    KeyRefused,
    ReaderCertificateRefused,
    RemoteFailed,
    ServerSpeaksClearText,
    ServerSpeaksTls,
)
from featurestore.read import features_pb2 as pb
from featurestore.read import features_pb2_grpc as pb_grpc
from featurestore.remote.tls import ReaderTls
from featurestore.server import grpc_service
from featurestore.server.api_keys import Consumers, KeyRing
from featurestore.server.tls import ServerTls
from featurestore.store import Store
from tests.base.tls_world import LATER, LONG_AGO, NOW, operator
from tests.waiting import wait_until

from .test_remote import CALLS, Served, fill, serving

SERVER, PROVIDER = TlsRole.SERVER, TlsRole.PROVIDER
SCHEMES = ["http", "grpc"]


def authority_of(keys: Path) -> Path:
    return keys / "tls" / "ca.crt"


def tls_of(keys: Path, clients: Path | None = None) -> ServerTls:
    return ServerTls(certificate_path(keys, SERVER), key_path(keys, SERVER), clients)


def read(url: str, tls: ReaderTls, key: str | None = None) -> list[str]:
    with Store.open(url, tls=tls, key=key) as store:
        assert not isinstance(store, Store)
        return [view.name for view in store.views()]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tls")
    fill(found)
    return found


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The keys of the server's operator."""
    operator(tmp_path / "keys", SERVER)
    return tmp_path / "keys"


@pytest.fixture
def served(directory: Path, keys: Path) -> Iterator[Served]:
    with serving(directory, tls=tls_of(keys)) as running:
        yield running


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The keys of another operator."""
    operator(tmp_path / "other", SERVER, PROVIDER)
    return tmp_path / "other"


def test_readers_that_trust_the_operators_authority_read(
    served: Served, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ReaderTls(authority_of(keys))
    for url in served.urls():
        assert "s://" in url
        assert read(url, tls) == ["area", "delays"]
    monkeypatch.setenv("COVEY_TLS_AUTHORITY", str(authority_of(keys)))
    for url in served.urls():
        with Store.open(url) as store:
            assert store.get(["area:flights"]).equals(served.local.get(["area:flights"]))


@pytest.mark.parametrize("scheme", SCHEMES)
class TestRefusals:
    def test_a_server_of_another_authority(self, served: Served, other: Path, scheme: str) -> None:
        with pytest.raises(CertificateUntrusted, match=f"not issued by an authority in {authority_of(other)}"):
            read(getattr(served, scheme), ReaderTls(authority_of(other)))

    def test_a_server_of_an_authority_that_the_system_does_not_know(self, served: Served, scheme: str) -> None:
        with pytest.raises(CertificateUntrusted, match="the system's authorities"):
            read(getattr(served, scheme), ReaderTls())

    def test_a_certificate_that_does_not_name_the_host(self, directory: Path, keys: Path, scheme: str) -> None:
        with (
            serving(directory, tls=tls_of(keys), host="127.0.0.2") as running,
            pytest.raises(CertificateOfAnotherHost, match=r"does not name 127\.0\.0\.2"),
        ):
            read(getattr(running, scheme), ReaderTls(authority_of(keys)))

    @pytest.mark.parametrize(("issued", "error"), [(LONG_AGO, CertificateExpired), (LATER, CertificateNotYetValid)])
    def test_a_certificate_outside_its_time(
        self, directory: Path, tmp_path: Path, scheme: str, issued: dt.datetime, error: type[CoveyError]
    ) -> None:
        keys = tmp_path / "old"
        authority = operator(keys, SERVER, now=NOW)
        if issued < NOW:
            authority = Authority.create(keys, LONG_AGO)
            authority.issue(keys, SERVER, (), NOW)
        with serving(directory, tls=tls_of(keys)) as running:
            tls = ReaderTls(authority_of(keys))
            assert read(getattr(running, scheme), tls)
            authority.issue(keys, SERVER, (), issued)
            with pytest.raises(error, match="the certificate of the feature server at"):
                read(getattr(running, scheme), tls)

    def test_clear_text_to_a_server_with_tls_and_tls_to_one_without(
        self, served: Served, directory: Path, keys: Path, scheme: str
    ) -> None:
        with pytest.raises(ServerSpeaksTls, match="https:// or grpcs://"):
            read(getattr(served, scheme).replace("s://", "://"), ReaderTls())
        with serving(directory) as clear, pytest.raises(ServerSpeaksClearText, match="its operator starts it with TLS"):
            read(getattr(clear, scheme).replace("://", "s://"), ReaderTls(authority_of(keys)))

    def test_a_reader_without_the_certificate_that_the_server_demands(
        self, directory: Path, keys: Path, other: Path, tmp_path: Path, scheme: str
    ) -> None:
        clients = tmp_path / "clients.crt"
        clients.write_bytes(authority_of(other).read_bytes())
        own = certificate_path(other, PROVIDER), key_path(other, PROVIDER)
        foreign = certificate_path(keys, SERVER), key_path(keys, SERVER)
        with serving(directory, tls=tls_of(keys, clients)) as running:
            url, trusted = getattr(running, scheme), authority_of(keys)
            assert read(url, ReaderTls(trusted, *own))
            with pytest.raises(ReaderCertificateRefused, match="refuses readers without a certificate"):
                read(url, ReaderTls(trusted))
            with pytest.raises(ReaderCertificateRefused, match=r"refuses .*server\.crt"):
                read(url, ReaderTls(trusted, *foreign))


@pytest.mark.parametrize("scheme", SCHEMES)
class TestReplacedFiles:
    def test_a_certificate_of_a_new_authority_is_taken_without_a_restart_and_open_connections_stay(
        self, served: Served, keys: Path, tmp_path: Path, scheme: str
    ) -> None:
        url, old = getattr(served, scheme), tmp_path / "old.crt"
        old.write_bytes(authority_of(keys).read_bytes())
        with Store.open(url, tls=ReaderTls(old)) as open_before:
            before = open_before.get(["area:flights"])
            Authority.create(keys, NOW).issue(keys, SERVER, (), NOW)
            assert read(url, ReaderTls(authority_of(keys)))
            with pytest.raises(CertificateUntrusted):
                read(url, ReaderTls(old))
            assert open_before.get(["area:flights"]).equals(before)

    def test_files_that_cannot_be_used_leave_the_certificate_before(
        self, served: Served, keys: Path, scheme: str
    ) -> None:
        url, tls = getattr(served, scheme), ReaderTls(authority_of(keys))
        whole = certificate_path(keys, SERVER).read_bytes()
        for broken in (whole[: len(whole) // 2], b"", b"\xff" * 100):
            certificate_path(keys, SERVER).write_bytes(broken)
            assert read(url, tls)
        certificate_path(keys, SERVER).unlink()
        assert read(url, tls)

    def test_the_authorities_of_clients_are_read_again(
        self, directory: Path, keys: Path, other: Path, tmp_path: Path, scheme: str
    ) -> None:
        clients = tmp_path / "clients.crt"
        clients.write_bytes(authority_of(keys).read_bytes())
        own = certificate_path(other, PROVIDER), key_path(other, PROVIDER)
        with serving(directory, tls=tls_of(keys, clients)) as running:
            url, tls = getattr(running, scheme), ReaderTls(authority_of(keys), *own)
            with pytest.raises(ReaderCertificateRefused):
                read(url, tls)
            clients.write_bytes(authority_of(other).read_bytes())
            assert read(url, tls)


def test_a_grpc_connection_ends_after_a_while_so_a_reader_is_verified_again(
    directory: Path, keys: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_service, "AGE_MS", 300)
    clients = tmp_path / "clients.crt"
    clients.write_bytes(authority_of(other).read_bytes())
    own = certificate_path(other, PROVIDER), key_path(other, PROVIDER)
    with (
        serving(directory, tls=tls_of(keys, clients)) as running,
        Store.open(running.grpc, tls=ReaderTls(authority_of(keys), *own)) as store,
    ):
        assert store.get(["area:flights"])
        clients.write_bytes(authority_of(keys).read_bytes())

        def is_refused() -> bool:
            try:
                store.get(["area:flights"])
            except ReaderCertificateRefused:
                return True
            return False

        wait_until(is_refused)


def test_a_stream_of_a_reader_whose_authority_is_dropped_ends_at_once(
    directory: Path, keys: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far sooner than the age of its connection, which alone would end it. A half-written file ends nothing."""
    monkeypatch.setattr(grpc_service, "WATCH_S", 0.1)
    monkeypatch.setattr(grpc_service, "_GRACE_S", 0.5)
    clients, both = tmp_path / "clients.crt", authority_of(other).read_bytes() + authority_of(keys).read_bytes()
    clients.write_bytes(both)
    dropped, kept = (
        ReaderTls(authority_of(keys), certificate_path(folder, role), key_path(folder, role))
        for folder, role in ((other, PROVIDER), (keys, SERVER))
    )
    with serving(directory, tls=tls_of(keys, clients)) as running:
        credentials = grpc.ssl_channel_credentials(
            authority_of(keys).read_bytes(), dropped.key.read_bytes(), dropped.certificate.read_bytes()
        )
        with grpc.secure_channel(running.grpc.partition("//")[2], credentials) as channel:
            stream = pb_grpc.FeaturesStub(channel).Subscribe(pb.SubscribeRequest(view="area"))
            waiting = threading.Thread(target=lambda: ended.append(_end_of(stream)))
            ended = list[grpc.StatusCode]()
            waiting.start()
            clients.write_bytes(both[:100])
            time.sleep(0.5)
            assert read(running.grpc, kept)
            assert not ended
            clients.write_bytes(authority_of(keys).read_bytes())
            waiting.join(60)
            assert ended == [grpc.StatusCode.UNAVAILABLE]
        assert read(running.grpc, kept)
        with pytest.raises(ReaderCertificateRefused):
            read(running.grpc, dropped)


def _end_of(stream: Any) -> grpc.StatusCode:
    """How a stream of published panes ends."""
    try:
        for _ in stream:
            pass
    except grpc.RpcError:
        pass
    code: grpc.StatusCode = stream.code()
    return code


def test_grpc_closes_connections_beyond_twice_its_calls(served: Served) -> None:
    address = split_address(served.grpc.partition("//")[2])
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address, 60)) for _ in range(2 * CALLS + 4)]
        for one in silent[-4:]:
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""


def test_api_keys_count_beside_tls(directory: Path, keys: Path, tmp_path: Path) -> None:
    with serving(directory, KeyRing(Consumers(tmp_path)), tls=tls_of(keys)) as running:
        for url in running.urls():
            with pytest.raises(KeyRefused):
                read(url, ReaderTls(authority_of(keys)))


def test_files_that_cannot_be_used_are_named_at_the_start(keys: Path, other: Path, tmp_path: Path) -> None:
    missing, cut = tmp_path / "missing.crt", tmp_path / "cut.crt"
    cut.write_bytes(certificate_path(keys, SERVER).read_bytes()[:300])
    own = tls_of(keys)
    for tls, error in (
        (ServerTls(missing, own.key), CertificateMissing),
        (ServerTls(cut, own.key), CertificateMalformed),
        (ServerTls(own.certificate, missing), CertificateMissing),
        (ServerTls(own.certificate, key_path(other, SERVER)), CertificateMalformed),
        (ServerTls(own.certificate, own.key, missing), CertificateMissing),
        (ServerTls(own.certificate, own.key, cut), CertificateMalformed),
    ):
        with pytest.raises(error):
            tls.require_usable(NOW)
    with pytest.raises(CertificateNotYetValid):
        own.require_usable(LONG_AGO)
    own.key.chmod(0o644)
    with pytest.raises(KeyNotPrivate):
        own.require_usable(NOW)


def test_a_readers_files_that_cannot_be_used_are_named_before_a_connection(other: Path, tmp_path: Path) -> None:
    own = certificate_path(other, PROVIDER), key_path(other, PROVIDER)
    for tls, error in (
        (ReaderTls(tmp_path / "missing.crt"), CertificateMissing),
        (ReaderTls(None, own[0]), RemoteFailed),
        (ReaderTls(None, own[0], key_path(other, SERVER)), CertificateMalformed),
    ):
        for scheme in ("https", "grpcs"):
            with pytest.raises(error):
                Store.open(f"{scheme}://127.0.0.1:1", tls=tls)
