"""Which authorities may issue a role's certificate: `keys/trust/ROLE.crt`, one or more PEM certificates.

During a change of authorities a file holds the old one and the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from base.atomic_files import replace_file
from base.errors import CertificateMalformed
from base.file_stamps import stamp_of
from base.private_files import private_folder

from .certificate import Certificate
from .files import TRUST, read_public, trust_path
from .roles import TlsRole

MAX_AUTHORITIES: Final = 16


@dataclass(frozen=True)
class Trust:
    """The authorities that may issue the certificate of one role.

    Attributes:
        source: the file, for messages.
    """

    source: str
    authorities: tuple[Certificate, ...]

    @classmethod
    def parse(cls, text: bytes, source: str) -> Trust:
        """The certificates of authorities in a text; other lines, such as those of `ROLE.pub`, are ignored.

        Raises:
            CertificateMalformed: none, too many, or one that is not of an authority.
        """
        try:
            found = x509.load_pem_x509_certificates(text)
        except Exception:  # noqa: BLE001 - cryptography's parser of bytes from outside
            raise CertificateMalformed(source, "it has no whole PEM certificate of an authority") from None
        if len(found) > MAX_AUTHORITIES:
            raise CertificateMalformed(
                source, f"it has {len(found)} certificates; at most {MAX_AUTHORITIES} are allowed"
            )
        authorities = []
        for each in found:
            certificate = Certificate.parse(each.public_bytes(serialization.Encoding.PEM), source)
            if not _is_authority(each):
                raise CertificateMalformed(
                    source, "a certificate in it is not of an authority; take the issuer's, such as keys/tls/ca.crt"
                )
            authorities.append(certificate)
        return cls(source, tuple(dict.fromkeys(authorities)))

    @classmethod
    def load(cls, keys: Path, role: TlsRole) -> Trust:
        """The authorities that `keys/trust/ROLE.crt` names. Raises CertificateMissing, CertificateMalformed."""
        path = trust_path(keys, role)
        return cls.parse(
            read_public(path, f"it has the authorities that may issue the certificate of {role}"), str(path)
        )

    @property
    def pem(self) -> bytes:
        """The certificates of all authorities."""
        return b"".join(one.found.public_bytes(serialization.Encoding.PEM) for one in self.authorities)

    def with_all(self, other: Trust) -> Trust:
        """The authorities of both. Raises CertificateMalformed: more than a file may have."""
        found = {one.fingerprint: one for one in (*self.authorities, *other.authorities)}
        if len(found) > MAX_AUTHORITIES:
            raise CertificateMalformed(
                self.source, f"it would have {len(found)} certificates; at most {MAX_AUTHORITIES} are allowed"
            )
        return Trust(self.source, tuple(found.values()))

    def has(self, authority: Certificate) -> bool:
        """Whether an authority is among these."""
        return any(one.fingerprint == authority.fingerprint for one in self.authorities)

    def write(self, keys: Path, role: TlsRole) -> None:
        """Write or replace the role's file."""
        private_folder(keys / TRUST)
        replace_file(trust_path(keys, role), self.pem, private=True)

    def verify(self, certificate: Certificate, role: TlsRole, now: datetime) -> None:
        """Return if a certificate is for the role, valid now, and issued by one of the authorities.

        Raises:
            CertificateOfAnotherRole, CertificateExpired, CertificateNotYetValid, CertificateUntrusted.
        """
        certificate.require_issuer(self.authorities, now, self.source)
        certificate.require_role(role)
        certificate.require_time(now)


@dataclass(frozen=True)
class TrustFile:
    """The file of a role's authorities, which is read again when it changes."""

    keys: Path
    role: TlsRole

    @property
    def path(self) -> Path:
        """The file."""
        return trust_path(self.keys, self.role)

    def load(self) -> Trust:
        """The authorities as the file names them now. See `Trust.load`."""
        return Trust.load(self.keys, self.role)

    def stamp(self) -> object:
        """A value that changes when the file changes."""
        return stamp_of(self.path)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
