"""The certificates of a project's roles, and the authorities that it trusts."""

from __future__ import annotations

from pathlib import Path

from base.tls.certificate import Certificate
from base.tls.files import TLS
from base.tls.trust import Trust
from deployment.project.certificates import MadeCertificates

from .console import talk_console


def certificates_to_json(made: MadeCertificates) -> dict[str, object]:
    """The result of `covey keys tls` as JSON."""
    return {
        "made": [_to_dict(one) | {"role": one.role.value} for one in made.made],
        "kept": [role.value for role in made.kept],
        "authority": None if made.authority is None else _to_dict(made.authority),
    }


def print_certificates(made: MadeCertificates, keys: Path) -> None:
    """Print which certificates were made, and what other operators need."""
    talk = talk_console()
    for one in made.made:
        hosts = ", ".join(one.hosts)
        talk.print(f"{one.what} is for the {one.role} at {hosts}, until {one.until:%Y-%m-%d}", soft_wrap=True)
    if made.kept:
        talk.print(f"kept: {', '.join(made.kept)}; --renew replaces them", soft_wrap=True)
    if made.authority is not None:
        talk.print(
            f"other operators trust {made.authority.what} (SHA-256 {made.authority.fingerprint}) by `covey keys trust`, or "
            f"find it in ROLE.pub; the keys in {keys / TLS} are secret and stay here",
            soft_wrap=True,
        )


def trust_to_json(role: str, trust: Trust) -> dict[str, object]:
    """The result of `covey keys trust` as JSON."""
    return {"role": role, "path": trust.source, "authorities": [_to_dict(one) for one in trust.authorities]}


def print_trust(role: str, trust: Trust) -> None:
    """Print the authorities that a project trusts for one role."""
    talk = talk_console()
    for one in trust.authorities:
        talk.print(
            f"{trust.source}: certificates of the {role} may be issued by SHA-256 {one.fingerprint}, until "
            f"{one.until:%Y-%m-%d}",
            soft_wrap=True,
        )
    talk.print("compare each SHA-256 with the operator's, over a trusted channel", soft_wrap=True)


def _to_dict(certificate: Certificate) -> dict[str, object]:
    return {
        "path": certificate.what,
        "names": list(certificate.hosts),
        "until": certificate.until.isoformat(),
        "sha256": certificate.fingerprint,
    }
