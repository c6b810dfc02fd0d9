"""TLS of a reader: whom it trusts, its own certificate, and why a connection failed."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from base.errors import CertificateOfAnotherHost, CertificateRefused, CoveyError, PeerSpeaksClearText
from base.tls.contexts import client_context
from base.tls.explain import Handshake, expects_tls
from base.tls.files import read_public
from base.tls.links import OwnCertificate
from base.tls.trust import Trust
from featurestore.errors import ReaderCertificateRefused, RemoteFailed, ServerSpeaksClearText, ServerSpeaksTls

AUTHORITY: Final = "COVEY_TLS_AUTHORITY"
CERTIFICATE: Final = "COVEY_TLS_CERTIFICATE"
KEY: Final = "COVEY_TLS_KEY"


@dataclass(frozen=True)
class ReaderTls:
    """The files of a reader's TLS (PEM).

    Attributes:
        authority: the authorities that may issue the server's certificate; None: those of the system.
        certificate, key: the reader's own, for a server that demands one.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The files that COVEY_TLS_AUTHORITY, COVEY_TLS_CERTIFICATE and COVEY_TLS_KEY name."""
        files = (environment.get(name) for name in (AUTHORITY, CERTIFICATE, KEY))
        return cls(*(Path(file) if file else None for file in files))

    @cached_property
    def trust(self) -> Trust | None:
        """The authorities; None: those of the system. Raises CertificateMissing, CertificateMalformed."""
        if self.authority is None:
            return None
        text = read_public(self.authority, "it has the authorities that may issue the server's certificate")
        return Trust.parse(text, str(self.authority))

    @cached_property
    def own(self) -> OwnCertificate | None:
        """The reader's certificate. Raises CertificateMissing, CertificateMalformed, NotPrivate. RemoteFailed: no file is named."""
        if self.certificate is None and self.key is None:
            return None
        if self.certificate is None or self.key is None:
            raise RemoteFailed(f"a reader's certificate needs its key: name both, in {CERTIFICATE} and {KEY}")
        return OwnCertificate.read(self.certificate, (self.key,), "this reader")

    def context(self) -> ssl.SSLContext:
        """For Python's TLS. Raises as `trust` and `own`."""
        return client_context(self.trust, self.own)

    def why(self, host: str, port: int) -> CoveyError | None:
        """Why a server cannot be reached by TLS; None if TLS is not the reason. Makes one handshake."""
        at = f"the feature server at {host}:{port}"
        trust = "the system's authorities" if self.authority is None else str(self.authority)
        own = "readers without a certificate" if self.certificate is None else str(self.certificate)
        another = CertificateOfAnotherHost(f"the certificate of {at}", host)
        context = self.context()
        context.set_alpn_protocols(["h2", "http/1.1"])  # gRPC's, and HTTP's
        found = Handshake(at, trust, own, another).attempt(context, (host, port), host)
        match found:
            case PeerSpeaksClearText():
                return ServerSpeaksClearText(at)
            case CertificateRefused():
                return ReaderCertificateRefused(at, own, found.why)
            case _:
                return found


def refusal_of_clear_text(host: str, port: int) -> ServerSpeaksTls | None:
    """The error of clear text to a server that expects TLS; None if TLS is not the reason. Makes one handshake."""
    try:
        return ServerSpeaksTls(f"the feature server at {host}:{port}") if expects_tls((host, port)) else None
    except OSError:
        return None
