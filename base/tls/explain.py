"""Why a link failed: one handshake of Python's TLS, whose errors are named. gRPC says only that a peer is unavailable."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from base.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateOfAnotherRole,
    CertificateRefused,
    CertificateUntrusted,
    PeerSpeaksClearText,
    PeerSpeaksTls,
    TlsError,
    TlsVersionRefused,
)

from .contexts import client_context
from .hosts import split_address
from .links import ClearText, Links, Tls
from .roles import TlsRole

HANDSHAKE_S: Final = 2.0
"""Longest wait for each step of the handshake."""
_NOT_TRUSTED: Final = "its operator does not trust this operator's authority, or no longer; its log says more"
_EXPIRED, _NOT_YET_VALID, _WRONG_NAMES = 10, 9, (62, 64)
"""OpenSSL's `X509_V_ERR_…` numbers; of `_WRONG_NAMES`, the first is a wrong host and the second a wrong address. All others
mean that the issuer is not trusted."""


def explain(links: Links, peer: TlsRole, address: str, now: datetime) -> TlsError | None:
    """Why this role has no link to a peer; None if TLS is not the reason, for example if the peer does not run.

    Waits for at most a few `HANDSHAKE_S`.
    """
    try:
        match links:
            case Tls():
                own, trust = links.require_usable(now), links.trust(peer)
                who = f"the {peer} at {address}"
                another = CertificateOfAnotherRole(f"the certificate of {who}", peer)
                context = client_context(trust, own)
                context.set_alpn_protocols(["h2"])
                handshake = Handshake(who, trust.source, str(own.path), another)
                return handshake.attempt(context, split_address(address), peer.dns_name)
            case ClearText():
                is_tls = expects_tls(split_address(address))
                return PeerSpeaksTls(f"the {peer} at {address}", links.certificate) if is_tls else None
            case other:
                assert_never(other)
    except TlsError as error:
        return error
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Handshake:
    """What a client's handshake is about, for messages.

    Attributes:
        who: the peer and its address.
        trust: the file with the authorities that the client trusts.
        own: the file of its own certificate.
        another: the error if the peer's certificate has other names.
    """

    who: str
    trust: str
    own: str
    another: TlsError

    def attempt(self, context: ssl.SSLContext, address: tuple[str, int], name: str) -> TlsError | None:
        """Make the handshake; returns why it failed, None if TLS is not the reason.

        Args:
            name: the host or role that the peer's certificate must name.
        """
        found = self._attempt(context, address, name)
        # A peer that ends at this moment closes the connection as well, but not twice.
        return self._attempt(context, address, name) if isinstance(found, CertificateRefused) else found

    def _attempt(self, context: ssl.SSLContext, address: tuple[str, int], name: str) -> TlsError | None:
        what = f"the certificate of {self.who}"
        try:
            with (
                socket.create_connection(address, HANDSHAKE_S) as plain,
                context.wrap_socket(plain, server_hostname=name) as spoken,
            ):
                return self._after(spoken)
        except ssl.SSLCertVerificationError as error:
            match error.verify_code:
                case code if code == _EXPIRED:
                    return CertificateExpired(what)
                case code if code == _NOT_YET_VALID:
                    return CertificateNotYetValid(what)
                case code if code in _WRONG_NAMES:
                    return self.another
                case _:
                    return CertificateUntrusted(what, self.trust)
        except ssl.SSLError as error:
            return _of_alert(error.reason or "", self.own, self.who)
        except OSError:
            return None

    def _after(self, spoken: ssl.SSLSocket) -> TlsError | None:
        """CertificateRefused if the peer ends the connection.

        A peer verifies the client's certificate after the client's handshake. Then it speaks first, as HTTP/2 says, waits, as
        HTTP/1.1 says, sends an alert, or just closes the connection. Nothing is sent here, because bytes that the peer does not
        read would delete its alert.
        """
        try:
            if spoken.recv(1):
                return None
        except (ssl.SSLEOFError, ConnectionError):
            pass
        return CertificateRefused(self.own, self.who, _NOT_TRUSTED)


def _of_alert(reason: str, own: str, who: str) -> TlsError | None:
    """The error of an alert that the peer sent, or of bytes that are not TLS."""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return PeerSpeaksClearText(who)
    if reason in ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"):
        return TlsVersionRefused(who)
    if "CERTIFICATE_EXPIRED" in reason:
        return CertificateRefused(own, who, "it has expired there; compare the clocks of both machines")
    if "UNKNOWN_CA" in reason:
        return CertificateRefused(own, who, _NOT_TRUSTED)
    if "CERTIFICATE" in reason:
        return CertificateRefused(own, who, reason.removeprefix("SSLV3_ALERT_").replace("_", " ").lower())
    return None


def expects_tls(address: tuple[str, int]) -> bool:
    """Whether a peer answers the first message of a TLS handshake. Raises OSError: it does not answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    with socket.create_connection(address, HANDSHAKE_S) as plain:
        try:
            context.wrap_socket(plain).close()
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")
    return True
