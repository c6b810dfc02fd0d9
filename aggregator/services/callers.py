"""Who may call what. A service with TLS verifies for each call that its caller's certificate is one of an allowed role.

gRPC verifies in the handshake that an authority of one of these roles issued the certificate. Here the role in the certificate is
verified against the authorities of *that* role, as the trust file is now: so an operator's authority makes no other operator's
role, and a connection that is open already loses its rights with the certificate or the authority.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import grpc

from aggregator.errors import CallerNotAllowed
from aggregator.intake.refusals import refusal_of
from aggregator.services.handlers import Behaviour, Method
from aggregator.services.rpc import refuse
from base.errors import CertificateUntrusted, TlsError, TlsVersionRefused
from base.tls.certificate import Certificate
from base.tls.files import TRUST
from base.tls.links import Tls
from base.tls.roles import TlsRole

_COORDINATOR: Final = frozenset({TlsRole.COORDINATOR})
_LEADER: Final = frozenset({TlsRole.LEADER})
_BOTH: Final = _COORDINATOR | _LEADER
CALLERS: Final[Mapping[TlsRole, Mapping[str, frozenset[TlsRole]]]] = {
    TlsRole.LEADER: dict.fromkeys(
        ("Check", "Prepare", "OpenPlan", "Submit", "Collect", "Free", "Status"), _COORDINATOR
    ),
    TlsRole.HELPER: {
        **dict.fromkeys(("Check", "Collect"), _COORDINATOR),
        **dict.fromkeys(("Prepare", "OpenPlan", "Free", "Status"), _BOTH),
        **dict.fromkeys(("TakeKey", "Aggregate", "Commit", "Witness", "Digest", "Swap", "Finish"), _LEADER),
    },
    TlsRole.KEYHOLDER: {
        **dict.fromkeys(("Check", "Prepare", "Collect"), _COORDINATOR),
        **dict.fromkeys(("OpenPlan", "Free", "Status"), _BOTH),
        **dict.fromkeys(("OpenSums", "Witness"), _LEADER),
    },
    TlsRole.PROVIDER: {"Provide": _LEADER},
}
"""The roles that may make each call of a service. No role may make a call that is not listed."""
_CALLER: Final = "the caller's certificate"
_TLS: Final = b"TLSv1.3"

_log = logging.getLogger(__name__)


def callers_of(role: TlsRole) -> tuple[TlsRole, ...]:
    """The roles that may make any call of a service."""
    allowed = frozenset[TlsRole]().union(*CALLERS[role].values())
    return tuple(one for one in TlsRole if one in allowed)


class CallerCheck:
    """Refuses calls by name whose caller may not make them.

    Args:
        clock: the current time, for the validity of certificates.
    """

    def __init__(self, tls: Tls, clock: Callable[[], datetime]) -> None:
        self._tls, self._clock = tls, clock

    def wrap(self, method: Method, behaviour: Behaviour) -> Behaviour:
        """The behaviour of a call, which verifies its caller first."""

        def verified(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                self._require(method.name, context.auth_context())
            except (CallerNotAllowed, TlsError) as error:
                refuse(context, refusal_of(error))
            return behaviour(request, context)

        return verified

    def _require(self, method: str, found: Mapping[str, Any]) -> None:
        """Raises CallerNotAllowed, TlsVersionRefused, and as `Trust.verify`."""
        if list(found.get("ssl_tls_version", ())) != [_TLS]:
            raise TlsVersionRefused("the caller")
        pem = next(iter(found.get("x509_pem_cert", ())), b"")
        certificate = Certificate.parse(pem, _CALLER)
        role = certificate.role
        if role not in CALLERS[self._tls.role].get(method, frozenset()):
            raise CallerNotAllowed(role, self._tls.role, method)
        source = f"{TRUST}/{role}.crt"  # a caller learns no path
        try:
            trust = replace(self._tls.trust(role), source=source)
        except TlsError as error:
            _log.error("refused %s of the %s: %s", method, role, error)
            raise CertificateUntrusted(_CALLER, source) from None
        trust.verify(certificate, role, self._clock())
