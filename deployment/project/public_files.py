"""The public files of roles, `ROLE.pub`, as operators give them to each other."""

from __future__ import annotations

from pathlib import Path

from deployment.errors import UsageError
from federation.public_file import MAX_BYTES, PublicFile


def read_public_file(path: Path) -> PublicFile:
    """The public file of a role. Raises UsageError, KeyFileMalformed."""
    try:
        with path.open("rb") as file:
            return PublicFile.parse(file.read(MAX_BYTES + 1).decode("ascii"), str(path))
    except FileNotFoundError:
        raise UsageError(f"no public key file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a public key: {error}") from None
