"""An operator's authority: it issues the certificates of the operator's roles, and nothing else.

Its certificate goes to the other operators, who pin it for those roles. Its key never leaves the machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from base.errors import CertificateMalformed, CertificateMissing, TlsError

from .certificate import Certificate
from .files import AUTHORITY, certificate_path, key_files, key_path, read_key, read_public, write_pair
from .hosts import LOOPBACK, plain_hosts
from .roles import TlsRole

AUTHORITY_DAYS: Final = 3_652
DAYS: Final = 90
"""The validity of a role's certificate. A short one limits the use of a stolen key, because there is no revocation list."""
BACKDATED: Final = timedelta(hours=1)
"""A peer's clock may be slow."""


@dataclass(frozen=True, eq=False)
class Authority:
    """An operator's authority. **Secret**; the `repr` shows only the certificate."""

    certificate: Certificate
    _key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Authority({self.certificate.fingerprint[:16]}…)"

    @classmethod
    def create(cls, keys: Path, now: datetime) -> Authority:
        """Make an authority, and write it to `keys/tls/`; replaces another one."""
        key = ec.generate_private_key(ec.SECP256R1())
        point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        name = _name(f"Covey authority {point[1:9].hex()}")  # unique, so that two authorities in one file differ
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .sign(key, hashes.SHA256())
        )
        _replace_pair(keys, AUTHORITY, _pem(made), key_pem(key))
        return cls(Certificate.parse(_pem(made), str(certificate_path(keys, AUTHORITY))), key)

    @classmethod
    def load(cls, keys: Path) -> Authority:
        """Read the operator's authority. Raises CertificateMissing, CertificateMalformed, KeyNotPrivate."""
        path = certificate_path(keys, AUTHORITY)
        certificate = Certificate.parse(read_public(path, "it is the operator's authority"), str(path))
        for file in key_files(keys, AUTHORITY):
            if (data := read_key(file)) is not None:
                key = parse_key(data, str(file))
                if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key:
                    return cls(certificate, key)
        missing = key_path(keys, AUTHORITY)
        if missing.exists():
            raise CertificateMalformed(str(missing), f"it is not the key of {path}")
        raise CertificateMissing(str(missing), "the authority's key is needed to issue certificates")

    def issue(self, keys: Path, role: TlsRole, hosts: Sequence[str], now: datetime) -> Certificate:
        """Make key and certificate of a role, and write both to `keys/tls/`; replaces others.

        Args:
            hosts: names and addresses by which clients reach the role; the loopback is always among them.

        Raises:
            ValueError: one of them is not a host.
        """
        names = [
            x509.DNSName(role.dns_name),
            *map(_general_name, plain_hosts((*LOOPBACK, *hosts))),
        ]
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(role.dns_name))
            .issuer_name(self.certificate.found.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(min(now + timedelta(days=DAYS), self.certificate.until))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _replace_pair(keys, role, _pem(made), key_pem(key))
        return Certificate.parse(_pem(made), str(certificate_path(keys, role)))


def parse_key(data: bytes, what: str) -> ec.EllipticCurvePrivateKey:
    """A private key. No error shows its content. Raises CertificateMalformed."""
    try:
        key = serialization.load_pem_private_key(data, None)
    except Exception:  # noqa: BLE001 - cryptography's parser; its texts may quote the content
        raise CertificateMalformed(what, "it is not a whole PEM key without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateMalformed(what, "it is not the key of an elliptic curve, such as P-256")
    return key


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM. **Secret.**"""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _replace_pair(keys: Path, name: str, certificate: bytes, key: bytes) -> None:
    """Write or replace a certificate and its key. An earlier replacement that was cut short is completed first.

    Otherwise the new key would replace the waiting one, and a crash would leave a certificate without its key.
    """
    own, waiting = key_files(keys, name)
    with suppress(TlsError):  # there is no usable pair to keep
        found = Certificate.parse(read_public(certificate_path(keys, name), "it is replaced"), name)
        if (data := read_key(waiting)) is not None and parse_key(data, name).public_key() == found.public_key:
            waiting.replace(own)
    write_pair(keys, name, certificate, key)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
