"""Python's TLS contexts, for HTTP servers and for handshakes that find out why a link failed."""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol

from base.errors import CertificateMalformed, TlsError

from .links import OwnCertificate
from .trust import Trust

HTTP: Final = ("http/1.1",)


class ServerIdentity(Protocol):
    """Who a server is, and whom it serves: files that are read again when they change."""

    def own(self) -> OwnCertificate:
        """The certificate and its key."""
        ...

    def require_usable(self, now: datetime) -> OwnCertificate:
        """The certificate, if it is valid now."""
        ...

    def clients(self) -> Trust | None:
        """The authorities whose certificates clients must have; None: clients authenticate by node keys or API keys."""
        ...

    def stamp(self) -> object:
        """A value that changes when one of the files changes."""
        ...


def server_context(tls: ServerIdentity, now: datetime, protocols: tuple[str, ...] = HTTP) -> ssl.SSLContext:
    """A context of a server.

    It speaks TLS 1.3 only. Before each handshake it reads the files again if they have changed. So a new certificate needs no
    restart, and open connections stay. While the new files cannot be used, the old certificate stays.

    Raises:
        CertificateExpired, CertificateNotYetValid, and as `OwnCertificate.load`.
    """
    stamp = tls.stamp()
    current = [(stamp, _server(tls.require_usable(now), tls.clients(), protocols))]
    lock = threading.Lock()

    def take_up(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        with lock:
            if (found := tls.stamp()) != current[0][0]:
                with suppress(TlsError):  # a file that is wrong, or is being written: the next handshake looks again
                    current[0] = found, _server(tls.own(), tls.clients(), protocols)
            connection.context = current[0][1]

    entry = _server(tls.own(), tls.clients(), protocols)
    entry.sni_callback = take_up
    return entry


def mutual_context(own: OwnCertificate, clients: Trust) -> ssl.SSLContext:
    """A context of a server whose clients need a certificate of one of these authorities. It speaks TLS 1.3 only."""
    return _server(own, clients, HTTP)


def client_context(trust: Trust | None, own: OwnCertificate | None = None) -> ssl.SSLContext:
    """A context of a client that trusts these authorities only (None: the system's), and that has a certificate if it
    authenticates by one.

    It speaks TLS 1.3 only.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned authority need not be a root
    if trust is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=trust.pem.decode("ascii"))
    if own is not None:
        _load(context, own)
    return context


def _server(own: OwnCertificate, clients: Trust | None, protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a resumed session would skip the verification of the client, whatever has changed since
    context.options |= ssl.OP_NO_TICKET
    context.set_alpn_protocols(list(protocols))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=clients.pem.decode("ascii"))
    _load(context, own)
    return context


def _load(context: ssl.SSLContext, own: OwnCertificate) -> None:
    try:
        context.load_cert_chain(own.path, own.key_path)
    except OSError as error:  # includes ssl.SSLError: replaced since it was read
        raise CertificateMalformed(str(own.path), str(error)) from None
