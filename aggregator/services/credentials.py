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

    While the new files cannot be used, the old ones count.

    Raises:
        CertificateExpired, CertificateNotYetValid, CertificateMissing, CertificateMalformed, NotPrivate.
    """
    tls.require_usable(now)
    callers = callers_of(tls.role)
    current = [(tls.stamp(*callers), _configuration(tls, callers))]

    def latest() -> grpc.ServerCertificateConfiguration:
        if (stamp := tls.stamp(*callers)) != current[0][0]:
            with suppress(TlsError):  # a file that is being written, or is wrong: the next handshake looks again
                current[0] = stamp, _configuration(tls, callers)
        return current[0][1]

    return grpc.dynamic_ssl_server_credentials(current[0][1], latest, require_client_authentication=True)


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
