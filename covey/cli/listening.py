"""Opens the socket of a command that answers HTTP, if its address, certificate and keys allow that."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestore.server.hosts import Hosts
    from featurestore.server.tls import ServerTls

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TlsOptions:
    """The options of the certificate, as they were given.

    Attributes:
        wanted: `--tls`.
        authority: of the clients' certificates.
    """

    wanted: bool = False
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    behind_proxy: bool = False


@dataclass(frozen=True)
class AddressOptions:
    """The options of the address and its readers, as they were given.

    Attributes:
        keys: None: by the address.
    """

    host: str
    port: int
    allowed: Sequence[str]
    keys: bool | None
    tls: TlsOptions


@dataclass(frozen=True)
class Listening:
    """A server that may answer.

    Attributes:
        keys: whether readers need an API key; consumers: how many have one.
        behind_proxy: whether a proxy in front of it has TLS.
    """

    socket: socket
    url: str
    hosts: Hosts
    tls: ServerTls | None
    keys: bool
    consumers: int
    behind_proxy: bool

    @property
    def readers(self) -> str:
        """What readers need, for the log."""
        return f"the API key of one of {self.consumers} consumer(s)" if self.keys else "no API key"

    @property
    def secure(self) -> bool:
        """Whether readers use TLS, with this server or a proxy."""
        return self.tls is not None or self.behind_proxy


@contextmanager
def listening(given: AddressOptions, store: Path) -> Iterator[Listening]:
    """Open the socket of a store's server.

    Args:
        store: the store's (or project's) directory.

    Raises:
        UsageError, AddressUnavailable, ServerExposed, TlsError, ConsumersFileBroken.
    """
    from base.times import from_us, wall_clock
    from deployment.errors import UsageError
    from deployment.project.folders import KEYS
    from featurestore.online.settings import directory_of
    from featurestore.server.api_keys import Consumers
    from featurestore.server.exposure import Exposure
    from featurestore.server.hosts import certified_hosts, certified_url, hosts_of
    from featurestore.server.listen import address_of, listens_on_loopback, open_socket, url_of

    consumers, tls = Consumers(store).read(), given.tls
    asked = tls.wanted or tls.certificate is not None or tls.authority is not None
    if tls.behind_proxy and asked:
        raise UsageError("--behind-proxy is for a server in clear text; leave out --tls, or the certificates")
    available = _certificate(directory_of(store) / KEYS, tls, needed=asked)
    with open_socket(given.host, given.port) as opened:
        loopback = listens_on_loopback(opened)
        own = None if tls.behind_proxy or (loopback and not asked) else available
        keys = not loopback if given.keys is None else given.keys
        Exposure(own, tls.behind_proxy, keys and bool(consumers)).require(
            address_of(opened), directory_of(store), loopback=loopback
        )
        url = url_of(opened, "http" if own is None else "https")
        if keys and not consumers:
            raise UsageError(
                f"readers of {url} need an API key, and the store has none: `covey consumers add NAME --store {store}` makes one"
            )
        names: tuple[str, ...] = ()
        if own is not None:
            now = from_us(wall_clock())
            certificate = own.require_usable(now).certificate
            names = certificate.hosts
            _warn_before(certificate.until, own, now)
        url = certified_url(url, address_of(opened).rpartition(":")[0], names)
        hosts = hosts_of(opened, given.host, (*given.allowed, *certified_hosts(names)))
        yield Listening(opened, url, hosts, own, keys, len(consumers), tls.behind_proxy)


def _warn_before(until: datetime, own: ServerTls, now: datetime) -> None:
    """Warn of a certificate that ends soon. The server goes on, and takes its replacement without a restart."""
    from deployment.doctor.certificates import SOON

    if until - now <= SOON:
        _log.warning(
            "%s expires on %s UTC; readers refuse it from then on. A server takes its replacement without a restart: "
            "`covey keys tls --role server --renew`, if the authority is the project's",
            own.certificate,
            f"{until:%Y-%m-%d %H:%M}",
        )


def _certificate(keys: Path, given: TlsOptions, *, needed: bool) -> ServerTls | None:
    """The brought certificate, or the project's; None: it has none, and none is needed."""
    from base.tls.files import certificate_path, key_path
    from base.tls.roles import TlsRole
    from deployment.errors import UsageError
    from featurestore.server.tls import ServerTls

    if (given.certificate is None) != (given.key is None):
        raise UsageError("--tls-certificate goes with --tls-key")
    if given.certificate is not None and given.key is not None:
        return ServerTls(given.certificate, given.key, given.authority)
    own = certificate_path(keys, TlsRole.SERVER)
    return ServerTls(own, key_path(keys, TlsRole.SERVER), given.authority) if needed or own.exists() else None
