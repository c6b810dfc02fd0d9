"""gRPC's credentials of a role, from its files. Both ends authenticate.

Entry points have called `base.start_up.only_tls_1_3`, and `CallerCheck` refuses a call of any older version.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import assert_never

import grpc

from aggregator.services.callers import callers_of
from aggregator.services.rpc import CHANNEL_OPTIONS
from aggregator.services.tracing import client_interceptors
from base.errors import TlsError
from base.tls.links import ClearText, Links, Tls
from base.tls.roles import TlsRole


def server_credentials(tls: Tls, now: datetime) -> grpc.ServerCredentials:
    """The credentials of a service. Before a handshake it reads its files again if they have changed.

    gRPC 1.85 exchanges its certificates without a lock against a handshake that begins at the same moment. So it gets others only
    after a change, never for each handshake: many connections at once ended the process.

    While the new files cannot be used, the old ones count.

    Raises:
        CertificateExpired, CertificateNotYetValid, CertificateMissing, CertificateMalformed, KeyNotPrivate.
    """
    tls.require_usable(now)
    callers = callers_of(tls.role)
    seen = [tls.stamp(*callers)]

    def changed() -> grpc.ServerCertificateConfiguration | None:
        if (stamp := tls.stamp(*callers)) == seen[0]:
            return None
        with suppress(TlsError):  # a file that is being written, or is wrong: the next handshake looks again
            configuration = _configuration(tls, callers)
            seen[0] = stamp
            return configuration
        return None

    # The types say that a configuration must be returned; None, for no change, is documented.
    return grpc.dynamic_ssl_server_credentials(_configuration(tls, callers), changed, True)  # type: ignore[arg-type]  # None is allowed


def open_channel(links: Links, peer: TlsRole, address: str) -> grpc.Channel:
    """A connection to a peer. Raises TlsError: a file is missing or cannot be used."""
    match links:
        case ClearText():
            channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        case Tls():
            own = links.own()
            credentials = grpc.ssl_channel_credentials(links.trust(peer).pem, own.key, own.chain)
            name = ("grpc.ssl_target_name_override", peer.dns_name)  # the role is verified, whatever the address
            channel = grpc.secure_channel(address, credentials, options=(*CHANNEL_OPTIONS, name))
        case other:
            assert_never(other)
    return grpc.intercept_channel(channel, *client_interceptors())


def _configuration(tls: Tls, callers: tuple[TlsRole, ...]) -> grpc.ServerCertificateConfiguration:
    own = tls.own()
    roots = b"".join(tls.trust(caller).pem for caller in callers)
    return grpc.ssl_server_certificate_configuration([(own.key, own.chain)], roots)
