"""Checks of certificates and of the pinned authorities."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from base.errors import CertificateExpired, CertificateNotYetValid, CoveyError, KeyNotPrivate
from base.times import from_us
from base.tls.files import TRUST, certificate_path, key_path, trust_path
from base.tls.links import OwnCertificate
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from deployment.project.certificates import own_roles

from .finding import Finding, Place, not_applicable, ok, problem, problem_of, warning

SOON: Final = timedelta(days=14)


def check_certificates(place: Place) -> Iterator[Finding]:
    """Whether each certificate here is of its role, has its key, is trusted here, and is valid for long enough."""
    roles = own_roles(place.keys)
    if not roles:
        yield not_applicable(f"no role with a certificate runs in {place.directory}")
    for role in roles:
        yield _certificate(place, role, from_us(place.now_us))


def _certificate(place: Place, role: TlsRole, now: datetime) -> Finding:
    path, renew = certificate_path(place.keys, role), _renew(place.directory, role)
    if not path.exists() and not key_path(place.keys, role).exists():
        return warning(f"the {role} has no certificate: its links are clear text, on this machine only", renew)
    try:
        own = OwnCertificate.load(place.keys, role)
        own.certificate.require_time(now)
    except KeyNotPrivate as error:
        return problem_of(error, f"chmod 600 {error.path}, then {renew} --renew, because others may have read it")
    except CertificateNotYetValid as error:
        return problem_of(error, "compare the clock of this machine with another one")
    except CoveyError as error:
        return problem_of(error, f"{renew} --renew")
    until = own.certificate.until
    if until - now <= SOON:
        return warning(f"{path} expires on {until:%Y-%m-%d %H:%M} UTC", f"{renew} --renew")
    return ok(f"{path} is valid until {until:%Y-%m-%d}, for {', '.join(own.certificate.names)}")


def check_trust(place: Place) -> Iterator[Finding]:
    """Whether the pinned authorities can be read, are valid, and issued the certificates that are here."""
    folder, now = place.keys / TRUST, from_us(place.now_us)
    files = [role for role in TlsRole if trust_path(place.keys, role).exists()]
    if not files:
        yield not_applicable(f"no authority is pinned in {folder}")
    for role in files:
        path, take = trust_path(place.keys, role), f"covey keys trust {role} ROLE.pub --project {place.directory}"
        try:
            trust = Trust.load(place.keys, role)
        except CoveyError as error:
            yield problem_of(error, f"{take} (with the file of the {role}'s operator)")
            continue
        for one in trust.authorities:
            if one.until - now <= SOON:
                yield warning(f"an authority in {path} expires on {one.until:%Y-%m-%d}", take)
        if certificate_path(place.keys, role).exists():
            try:
                trust.verify(OwnCertificate.load(place.keys, role).certificate, role, now)
            except (CertificateExpired, CertificateNotYetValid):
                pass  # `certificates` says so
            except CoveyError as error:
                yield problem(str(error), f"{take} (with keys/tls/ca.crt of this project)")
                continue
        authorities = "one authority" if len(trust.authorities) == 1 else f"{len(trust.authorities)} authorities"
        yield ok(f"{path} has {authorities} for the {role}")


def _renew(directory: Path, role: TlsRole) -> str:
    return f"covey keys tls --role {role} --project {directory}"
