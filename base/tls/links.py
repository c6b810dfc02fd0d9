"""How a role's links are protected: by TLS with the role's certificate, or not at all, on this machine only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from base.errors import CertificateMalformed, CertificateMissing, ClearTextRefused
from base.file_stamps import stamp_of

from .authority import parse_key
from .certificate import Certificate
from .files import AUTHORITY, certificate_path, key_files, read_key, read_public, trust_path
from .hosts import is_loopback
from .roles import TlsRole
from .trust import Trust


@dataclass(frozen=True, eq=False)
class OwnCertificate:
    """A role's certificate with its private key. **Secret**; the `repr` shows only the certificate.

    Attributes:
        chain: the certificate, and the intermediate ones that a brought file may have, as PEM.
        path, key_path: their files.
    """

    certificate: Certificate
    chain: bytes
    key: bytes
    path: Path
    key_path: Path

    def __repr__(self) -> str:
        return f"OwnCertificate({self.certificate!r})"

    @classmethod
    def load(cls, keys: Path, role: TlsRole) -> OwnCertificate:
        """Read `keys/tls/ROLE.crt` and its key.

        Raises:
            CertificateMissing, CertificateMalformed, CertificateOfAnotherRole, KeyNotPrivate.
        """
        return cls.read(certificate_path(keys, role), tuple(key_files(keys, role)), f"the {role} here", role)

    @classmethod
    def read(cls, path: Path, key_paths: Sequence[Path], owner: str, role: TlsRole | None = None) -> OwnCertificate:
        """Read a certificate, and the one of these keys that belongs to it.

        Args:
            owner: whose certificate it is, for messages.
            role: the role that it must name; None: it need not name one.

        Raises:
            CertificateMissing, CertificateMalformed, CertificateOfAnotherRole, KeyNotPrivate.
        """
        chain = read_public(path, f"it is the certificate of {owner}")
        certificate = Certificate.parse(chain, str(path))
        if role is not None:
            certificate.require_role(role)
        unusable: CertificateMalformed | None = None
        for file in key_paths:
            if (data := read_key(file)) is None:
                continue
            try:
                if parse_key(data, str(file)).public_key() == certificate.public_key:
                    return cls(certificate, chain, data, path, file)
                unusable = unusable or CertificateMalformed(str(file), f"it is not the key of {path}")
            except CertificateMalformed as error:
                unusable = unusable or error
        raise unusable or CertificateMissing(str(key_paths[0]), f"it is the key of {path}")


@dataclass(frozen=True)
class ClearText:
    """No certificate: the links of the role stay on this machine.

    Attributes:
        role, keys: the role, and the folder in which its certificate would be; None where there is no project.
    """

    role: TlsRole | None = None
    keys: Path | None = None

    @property
    def certificate(self) -> str:
        """The file of the missing certificate."""
        if self.role is None or self.keys is None:
            return "certificate"
        return str(certificate_path(self.keys, self.role))


@dataclass(frozen=True)
class Tls:
    """A role with a certificate: all of its links have TLS, and both sides authenticate.

    Attributes:
        keys: the project's folder of keys, whose files are read again when they change.
    """

    role: TlsRole
    keys: Path

    def own(self) -> OwnCertificate:
        """The role's certificate and key, as the files are now. See `OwnCertificate.load`."""
        return OwnCertificate.load(self.keys, self.role)

    def operators(self) -> Trust:
        """The authority of this operator, as the file is now. Raises CertificateMissing, CertificateMalformed."""
        path = certificate_path(self.keys, AUTHORITY)
        return Trust.parse(read_public(path, "it is the authority of this operator"), str(path))

    def trust(self, peer: TlsRole) -> Trust:
        """The authorities of a peer, as the file is now. See `Trust.load`."""
        return Trust.load(self.keys, peer)

    def clients(self) -> None:
        """None: clients without a role have no certificates (see `base.tls.contexts.ServerIdentity`)."""

    def stamp(self, *peers: TlsRole) -> object:
        """A value that changes when the certificate, the key, or the authorities of these peers change."""
        own = certificate_path(self.keys, self.role), *key_files(self.keys, self.role)
        return stamp_of(*own, *(trust_path(self.keys, peer) for peer in peers))

    def require_usable(self, now: datetime) -> OwnCertificate:
        """The certificate, if it is valid now. Raises CertificateExpired, CertificateNotYetValid, and as `own`."""
        own = self.own()
        own.certificate.require_time(now)
        return own


Links: TypeAlias = ClearText | Tls


CLEAR_TEXT: Final = ClearText()
"""The links of a process that has no project."""


def links_of(keys: Path, role: TlsRole) -> Links:
    """How the links of a project's role are protected: by TLS if the role has a certificate, or the key of one."""
    files = certificate_path(keys, role), *key_files(keys, role)
    return Tls(role, keys) if any(file.exists() for file in files) else ClearText(role, keys)


def require_private(links: Links, host: str, address: str) -> None:
    """Return if a role may listen on this host, or connect to it. Raises ClearTextRefused: no TLS, and not this machine."""
    match links:
        case Tls():
            return
        case ClearText():
            if not is_loopback(host):
                raise ClearTextRefused(address, links.role or "ROLE", links.certificate)
        case other:
            assert_never(other)
