"""The certificate that authenticates a SuperLink to sites: `keys/superlink.crt` is public, `keys/superlink.key` (0600) secret.

It is self-signed and cannot sign other certificates: a site pins this file and trusts no authority. It names every host
by which sites reach the SuperLink, and always this machine's loopback, for tunnels.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from base.atomic_files import replace_file
from deployment.errors import ItemMissing, UsageError

CERTIFICATE: Final = "superlink.crt"
PRIVATE_KEY: Final = "superlink.key"
DAYS: Final = 825
"""The validity of a certificate: about the longest that common TLS libraries accept."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_BACKDATED: Final = timedelta(hours=1)
"""A site's clock may be slow."""
_HOST: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}\.?)*", re.ASCII)


@dataclass(frozen=True)
class Certificate:
    """A SuperLink's certificate.

    Attributes:
        names: the hosts that it is valid for.
        until: the time of its expiry.
        fingerprint: SHA-256, to compare over a channel that both sides trust.
    """

    path: Path
    key: Path
    names: tuple[str, ...]
    until: datetime
    fingerprint: str

    @classmethod
    def load(cls, folder: Path) -> Certificate:
        """Read `folder/superlink.crt`. Raises ItemMissing; UsageError: the file is not a certificate."""
        path = folder / CERTIFICATE
        try:
            found = x509.load_pem_x509_certificate(path.read_bytes())
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except FileNotFoundError:
            raise ItemMissing(
                f"no {path}; the SuperLink's operator makes one with `covey keys tls`, and hands it out"
            ) from None
        except (ValueError, x509.ExtensionNotFound) as error:
            raise UsageError(f"{path} is not a SuperLink's certificate: {error}") from None
        hosts = (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
        return cls(
            path, folder / PRIVATE_KEY, hosts, found.not_valid_after_utc, found.fingerprint(hashes.SHA256()).hex()
        )

    def require(self, names: Sequence[str], now: datetime) -> None:
        """Return if the certificate is valid for these hosts. Raises UsageError: it has expired, or lacks a host."""
        missing = [name for name in names if _plain(name) not in self.names]
        every = dict.fromkeys((*self.names, *map(_plain, names)))
        hosts = ", ".join(name for name in every if name not in LOOPBACK)
        mend = f"make another one{f' for {hosts}' if hosts else ''} with `covey keys tls`, and hand it to every site"
        settings = ("renew", "name")
        if now >= self.until:
            raise UsageError(
                f"{self.path} expired on {self.until:%Y-%m-%d}, so no site accepts it; {mend}", settings=settings
            )
        if missing:
            raise UsageError(
                f"{self.path} does not name {', '.join(missing)}, so no site accepts it there; {mend}",
                settings=settings,
            )


def make_certificate(folder: Path, names: Sequence[str], now: datetime, *, renew: bool = False) -> Certificate:
    """Make key and certificate for these hosts and the loopback.

    Args:
        renew: replace an existing certificate.

    Raises:
        UsageError: a name is not a host, or a certificate exists and `renew` is false.
    """
    if not renew and (folder / CERTIFICATE).exists():
        raise UsageError(
            f"{folder / CERTIFICATE} exists; it can be renewed, and every site then needs the new one",
            settings=("renew",),
        )
    hosts = [_general_name(name) for name in dict.fromkeys((*LOOPBACK, *map(_plain, names)))]
    key = ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Covey SuperLink")])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for name, data in ((PRIVATE_KEY, secret), (CERTIFICATE, made.public_bytes(serialization.Encoding.PEM))):
        replace_file(folder / name, data, private=True)
    (folder / CERTIFICATE).chmod(0o644)
    return Certificate.load(folder)


def utc_now() -> datetime:
    """The wall clock as a datetime."""
    return datetime.now(UTC)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not _HOST.fullmatch(name):
        raise UsageError(f"{name[:80]!r} is neither a host name nor an address; give one without a port")
    return x509.DNSName(name)


def _plain(name: str) -> str:
    """A host as certificates spell it: addresses in their short form, names in lower case."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()
