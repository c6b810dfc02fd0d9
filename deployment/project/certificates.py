"""The certificates of a project: those of the roles whose keys it has, and the authorities of its peers.

One process at a time changes them: a certificate and its key are two files, and a trust file is read before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from base.atomic_files import replace_file
from base.errors import CertificateMissing, TlsError
from base.locks import lock_folder
from base.private_files import private_folder
from base.tls.authority import Authority
from base.tls.certificate import Certificate
from base.tls.files import AUTHORITY, certificate_path, key_path, read_public, trust_path
from base.tls.hosts import plain_hosts
from base.tls.links import OwnCertificate
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from deployment.errors import UsageError
from federation.key_rotation import public_of
from federation.keys import load_keys, public_path, roles_in
from federation.public_file import public_file_of

OPERATED: Final[Mapping[str, tuple[TlsRole, ...]]] = {
    "coordinator": (TlsRole.COORDINATOR, TlsRole.SUPERLINK, TlsRole.SERVER),
    "leader": (TlsRole.LEADER,),
    "helper": (TlsRole.HELPER, TlsRole.KEYHOLDER),
}
"""The roles that the operator of a signing key runs. The provider has no signing key, and sites have no certificate."""


@dataclass(frozen=True)
class MadeCertificates:
    """What `make_certificates` did.

    Attributes:
        made: the new certificates. kept: the roles whose certificates were not changed.
        authority: the operator's authority; None if certificates are brought.
    """

    made: tuple[Certificate, ...]
    kept: tuple[TlsRole, ...]
    authority: Certificate | None


def own_roles(keys: Path) -> tuple[TlsRole, ...]:
    """The roles that run here: those of the signing keys in this folder, and those that have a certificate."""
    operated = {tls for role in roles_in(keys) for tls in OPERATED.get(role, ())}
    return tuple(role for role in TlsRole if role in operated or certificate_path(keys, role).exists())


def make_certificates(
    keys: Path, roles: Sequence[TlsRole], hosts: Sequence[str], now: datetime, *, renew: bool = False
) -> MadeCertificates:
    """Make the certificates of some roles, and the operator's authority if there is none. The roles here trust it.

    Args:
        hosts: further names and addresses by which clients reach the roles.
        renew: replace existing certificates; a new one has the hosts of the old one too.

    Raises:
        UsageError: a host is not one, or an existing certificate lacks it. CertificateMissing: certificates are brought.
        CertificateMalformed, NotPrivate.
    """
    try:
        wanted = plain_hosts(hosts)
    except ValueError as error:
        raise UsageError(str(error), settings=("name",)) from None
    with lock_folder(private_folder(keys), wait=True):
        return _make(keys, roles, wanted, now, renew=renew)


def _make(
    keys: Path, roles: Sequence[TlsRole], wanted: Sequence[str], now: datetime, *, renew: bool
) -> MadeCertificates:
    todo = [role for role in roles if renew or not certificate_path(keys, role).exists()]
    kept = tuple(role for role in roles if role not in todo)
    for role in kept:
        _require_hosts(keys, role, wanted)
    if not todo:
        return MadeCertificates((), kept, own_authority(keys))
    authority = _authority(keys, now)
    made = []
    for role in todo:
        made.append(authority.issue(keys, role, (*_hosts_of(keys, role), *wanted), now))
        _add_trust(keys, role, authority.certificate)
    _write_public(keys)
    return MadeCertificates(tuple(made), kept, authority.certificate)


def new_authority(keys: Path, now: datetime) -> Certificate:
    """Replace the operator's authority. Certificates stay until they are renewed, so that peers can first trust the new one.

    The roles here that trust the old authority trust both from now on.

    Raises:
        CertificateMissing: there is no authority to replace.
    """
    Authority.load(keys)
    with lock_folder(keys, wait=True):
        old = Authority.load(keys).certificate
        made = Authority.create(keys, now).certificate
        for role in TlsRole:
            if trust_path(keys, role).exists() and Trust.load(keys, role).has(old):
                _add_trust(keys, role, made)
        _write_public(keys)
        return made


def take_trust(keys: Path, role: TlsRole, file: Path, *, only: bool) -> Trust:
    """Trust the authorities of a file for one role, beside those that are trusted already; `only`: instead of them.

    Args:
        file: `ROLE.pub`, or PEM.

    Raises:
        UsageError: the file does not exist. CertificateMalformed: also if the role would have too many authorities.
    """
    if not file.exists():
        raise UsageError(f"no file {file}; it is ROLE.pub or ca.crt of the role's operator")
    given = Trust.parse(read_public(file, "it has the authority of the role's operator"), str(file))
    with lock_folder(private_folder(keys), wait=True):
        trust = given if only or not trust_path(keys, role).exists() else Trust.load(keys, role).with_all(given)
        trust.write(keys, role)
        return Trust.load(keys, role)


def trust_operators(keys: Path, authorities: Iterable[tuple[str, Trust]]) -> tuple[str, ...]:
    """Trust the authority of each operator for the roles that it runs. Existing files stay; returns their names."""
    kept = []
    for operator, trust in authorities:
        for role in OPERATED.get(operator, ()):
            if (path := trust_path(keys, role)).exists():
                kept.append(str(path.relative_to(keys.parent)))
            else:
                private_folder(keys)
                trust.write(keys, role)
    return tuple(kept)


def own_authority(keys: Path) -> Certificate | None:
    """The certificate of the operator's authority; None if there is none. Its key need not be here."""
    path = certificate_path(keys, AUTHORITY)
    return Certificate.parse(read_public(path, ""), str(path)) if path.exists() else None


def authority_of(keys: Path, role: str) -> Trust | None:
    """The authority that `ROLE.pub` names; None if the role has no certificate, or nobody made an authority."""
    authority = own_authority(keys)
    return None if authority is None or role not in OPERATED else Trust(authority.what, (authority,))


def _authority(keys: Path, now: datetime) -> Authority:
    if certificate_path(keys, AUTHORITY).exists():
        return Authority.load(keys)
    if key_path(keys, AUTHORITY).exists():
        raise CertificateMissing(str(certificate_path(keys, AUTHORITY)), f"it belongs to {key_path(keys, AUTHORITY)}")
    return Authority.create(keys, now)


def _hosts_of(keys: Path, role: TlsRole) -> tuple[str, ...]:
    """The hosts of the certificate that is replaced; none if there is none, or it cannot be read."""
    path = certificate_path(keys, role)
    try:
        return Certificate.parse(read_public(path, ""), str(path)).hosts
    except TlsError:
        return ()


def _require_hosts(keys: Path, role: TlsRole, hosts: Sequence[str]) -> None:
    own = OwnCertificate.load(keys, role)
    if missing := [host for host in hosts if host not in own.certificate.hosts]:
        raise UsageError(
            f"{own.path} does not name {', '.join(missing)}; it can be renewed with it", settings=("renew", "name")
        )


def _add_trust(keys: Path, role: TlsRole, authority: Certificate) -> None:
    try:
        trust = Trust.load(keys, role)
    except CertificateMissing:
        trust = Trust(str(trust_path(keys, role)), ())
    if not trust.has(authority):
        trust.with_all(Trust(authority.what, (authority,))).write(keys, role)


def _write_public(keys: Path) -> None:
    """Write `ROLE.pub` of the roles here with the operator's authority."""
    for role in roles_in(keys):
        if role in OPERATED:
            text = public_file_of(load_keys(keys, role), public_of(keys, role), authority_of(keys, role)).to_text()
            replace_file(public_path(keys, role), text, private=False)
