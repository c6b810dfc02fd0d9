"""The files of certificates in a project's `keys/`, and how a certificate and its key are replaced together.

    tls/ca.crt, tls/ca.key          the operator's authority      tls/ROLE.crt, tls/ROLE.key   a role's certificate
    trust/ROLE.crt                  the authorities that may issue ROLE's certificate

All have mode 0600, as everything in `keys/` but `ROLE.pub`. A pair is replaced in three steps: the new key is written as
`NAME.key.next`, the certificate is replaced, and the key is renamed into place. Whenever the process ends, one of the two keys
belongs to the certificate.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from base.atomic_files import replace_file
from base.errors import CertificateMalformed, CertificateMissing, KeyNotPrivate
from base.private_files import FILE, private_folder

TLS: Final = "tls"
TRUST: Final = "trust"
AUTHORITY: Final = "ca"
MAX_BYTES: Final = 65_536
"""The most bytes of a file of certificates: about fifty."""


def certificate_path(keys: Path, name: str) -> Path:
    """The certificate of a role, or of the operator's authority (`ca`)."""
    return keys / TLS / f"{name}.crt"


def key_path(keys: Path, name: str) -> Path:
    """The private key of a role's certificate, or of the operator's authority."""
    return keys / TLS / f"{name}.key"


def trust_path(keys: Path, role: str) -> Path:
    """The authorities that may issue a role's certificate."""
    return keys / TRUST / f"{role}.crt"


def write_pair(keys: Path, name: str, certificate: bytes, key: bytes) -> None:
    """Write or replace a certificate and its key, so that readers find a matching pair at any moment."""
    private_folder(keys / TLS)
    waiting = _next(key_path(keys, name))
    replace_file(waiting, key, private=True)
    replace_file(certificate_path(keys, name), certificate, private=True)
    waiting.replace(key_path(keys, name))


def key_files(keys: Path, name: str) -> Iterator[Path]:
    """The files that may hold the key of a certificate: its own, and the one of a replacement that did not end."""
    path = key_path(keys, name)
    yield path
    yield _next(path)


def read_public(path: Path, why: str) -> bytes:
    """The bytes of a certificate or trust file. Raises CertificateMissing: with `why`. CertificateMalformed."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise CertificateMissing(str(path), why) from None
    except OSError as error:
        raise CertificateMalformed(str(path), f"it cannot be read ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise CertificateMalformed(str(path), f"it has more than {MAX_BYTES:,} bytes")
    return data


def read_key(path: Path) -> bytes | None:
    """The bytes of a key file; None if it does not exist. **Secret.** Raises KeyNotPrivate, CertificateMalformed."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CertificateMalformed(str(path), f"it cannot be opened as a file ({error.strerror})") from None
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise CertificateMalformed(str(path), "it is not a file")
        if (mode := stat.S_IMODE(found.st_mode)) & ~FILE:
            raise KeyNotPrivate(str(path), mode)
        return file.read(MAX_BYTES)


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")
