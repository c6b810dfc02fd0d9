"""A role's certificate: what it names, and the checks that need no key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from base.errors import (
    CertificateExpired,
    CertificateMalformed,
    CertificateNotYetValid,
    CertificateOfAnotherRole,
    CertificateUntrusted,
)

from .roles import DOMAIN, TlsRole


@dataclass(frozen=True)
class Certificate:
    """A role's certificate, or that of an authority.

    Attributes:
        what: its file, or whose it is, for messages.
        names: the hosts and roles that it names.
    """

    what: str
    found: x509.Certificate
    names: tuple[str, ...]

    @classmethod
    def parse(cls, pem: bytes, what: str) -> Certificate:
        """The first certificate of a text. Raises CertificateMalformed."""
        try:
            found = x509.load_pem_x509_certificates(pem)[0]
            found.public_key()
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return cls(what, found, ())
        except Exception as error:  # noqa: BLE001 - cryptography's parser of bytes from outside
            raise CertificateMalformed(what, f"it is not a PEM certificate: {_first_line(error)}") from None
        addresses = map(str, names.get_values_for_type(x509.IPAddress))
        return cls(what, found, (*names.get_values_for_type(x509.DNSName), *addresses))

    @property
    def since(self) -> datetime:
        """The start of its validity, UTC."""
        return self.found.not_valid_before_utc

    @property
    def until(self) -> datetime:
        """The end of its validity, UTC."""
        return self.found.not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex, to compare over a channel that both sides trust."""
        return self.found.fingerprint(hashes.SHA256()).hex()

    @property
    def public_key(self) -> PublicKeyTypes:
        """Its public key."""
        return self.found.public_key()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that it names."""
        return tuple(name for name in self.names if not name.endswith(f".{DOMAIN}"))

    @property
    def role(self) -> TlsRole:
        """The one role that it names. Raises CertificateOfAnotherRole: none, several, or one that does not exist."""
        named = [name.removesuffix(f".{DOMAIN}") for name in self.names if name.endswith(f".{DOMAIN}")]
        if len(named) != 1 or named[0] not in list(TlsRole):
            raise CertificateOfAnotherRole(self.what, None)
        return TlsRole(named[0])

    def require_role(self, role: TlsRole) -> None:
        """Raises CertificateOfAnotherRole."""
        if role.dns_name not in self.names or self.role is not role:
            raise CertificateOfAnotherRole(self.what, role)

    def require_time(self, now: datetime) -> None:
        """Raises CertificateExpired, CertificateNotYetValid."""
        if now >= self.until:
            raise CertificateExpired(self.what, self.until)
        if now < self.since:
            raise CertificateNotYetValid(self.what, self.since)

    def require_issuer(self, authorities: tuple[Certificate, ...], now: datetime, trust: str) -> None:
        """Return if one of these authorities issued it, and is itself valid.

        Raises:
            CertificateUntrusted: naming `trust`. CertificateExpired, CertificateNotYetValid: only authorities that are not valid
                now issued it.
        """
        invalid: CertificateExpired | CertificateNotYetValid | None = None
        for authority in authorities:
            try:
                self.found.verify_directly_issued_by(authority.found)
            except Exception:  # noqa: BLE001, S112 - another issuer, another signature, or a key of an unsupported type
                continue
            try:
                authority.require_time(now)
            except (CertificateExpired, CertificateNotYetValid) as error:
                invalid = invalid or error
                continue
            return
        raise invalid or CertificateUntrusted(self.what, trust)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
