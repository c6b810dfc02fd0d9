"""Certificates of all kinds, for tests."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_server, socket
from typing import Any

from base.tls.authority import DAYS, Authority
from base.tls.certificate import Certificate
from base.tls.links import OwnCertificate, Tls
from base.tls.roles import TlsRole
from base.tls.trust import Trust

NOW = dt.datetime.now(dt.UTC)
LONG_AGO, LATER = NOW - dt.timedelta(days=DAYS + 1), NOW + dt.timedelta(days=30)


def operator(keys: Path, *roles: TlsRole, now: dt.datetime = NOW) -> Authority:
    """An operator's authority and certificates in a new folder."""
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = Authority.create(keys, LONG_AGO if now < NOW else NOW)
    for role in roles:
        authority.issue(keys, role, (), now)
    return authority


def trust(keys: Path, role: TlsRole, *authorities: Authority) -> Trust:
    """Have an operator trust these authorities for a role, and no others."""
    found = Trust("test", tuple(one.certificate for one in authorities))
    found.write(keys, role)
    return Trust.load(keys, role)


def tls(keys: Path, role: TlsRole) -> Tls:
    return Tls(role, keys)


@contextmanager
def listening(context: ssl.SSLContext | None) -> Iterator[str]:
    """A server that makes handshakes, or answers clear text; its address."""
    with create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, context), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _serve(server: socket, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                if context is None:
                    connection.recv(64)
                    connection.sendall(b"\0\0\0\4\0\0\0\0\0")
                else:
                    with context.wrap_socket(connection, server_side=True) as spoken:
                        spoken.sendall(b"x")


def mutual(own: OwnCertificate, clients: Trust) -> ssl.SSLContext:
    """The context of a server that demands a certificate of these authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.path, own.key_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=clients.pem.decode())
    return context


def names(certificate: Certificate) -> set[Any]:
    return set(certificate.names)
