"""`--monitor HOST:PORT`: starts the monitor of a role."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from base.metrics import Role
from base.tls.contexts import mutual_context
from base.tls.hosts import split_address
from base.tls.links import Tls, links_of, require_private
from base.tls.roles import TlsRole
from deployment.errors import UsageError
from deployment.project.folders import KEYS
from featurestore.server.listen import address_of, listens_on_loopback, open_socket

from .http import serve_monitor
from .watched import RoleState, Watched

_log = logging.getLogger(__name__)


@contextmanager
def monitored(address: str | None, role: Role, directory: Path, state: RoleState) -> Iterator[None]:
    """Serve the monitor of a role while the block runs.

    Args:
        address: `host:port`, port 0 for a free one; None: no monitor.

    Raises:
        UsageError: not an address; or off this machine, for a role that never has a certificate. AddressUnavailable.
        ClearTextRefused: off this machine, and the role has no certificate. TlsError: the certificate cannot be used.
    """
    if address is None:
        yield
        return
    try:
        host, port = split_address(address)
    except ValueError as error:
        raise UsageError(str(error), settings=("monitor",)) from None
    listening = open_socket(host, port)
    try:
        context = None if listens_on_loopback(listening) else _context(role, directory, address)
    except BaseException:
        listening.close()
        raise
    with serve_monitor(Watched(role, directory, state), listening, context):
        _log.info("the monitor listens on %s", address_of(listening))
        yield


def _context(role: Role, directory: Path, address: str) -> Callable[[], ssl.SSLContext]:
    """Makes the TLS context of a connection: the role's certificate, and clients with one of this operator's authority.

    The files are read for each connection, so a replaced certificate is used at once.
    """
    if role is Role.SITE:
        raise UsageError(
            f"a site has no certificate, so its monitor listens on this machine only; {address} is not a loopback address",
            settings=("monitor",),
        )
    links = links_of(directory / KEYS, TlsRole(role.value))
    require_private(links, split_address(address)[0], address)
    tls = Tls(TlsRole(role.value), directory / KEYS)

    def make() -> ssl.SSLContext:
        return mutual_context(tls.own(), tls.operators())

    tls.require_usable(datetime.now(UTC))
    make()
    return make
