"""The password of a server, from a private file."""

from __future__ import annotations

from pathlib import Path

from federation.errors import FederationError
from federation.private_key_file import read_private

from ..errors import SourceAway


def read_password(url: str, file: Path) -> str:
    """The first line of a private file. It is read for each connection, so a new password needs no restart.

    Raises:
        SourceAway: the file is missing, readable by others, no ASCII text, or its first line is empty.
    """
    try:
        text = read_private(file)
    except FederationError as error:
        raise SourceAway(url, f"its password file cannot be used: {error}") from None
    password = text.partition("\n")[0].rstrip("\r")
    if not password or not password.isprintable():
        raise SourceAway(url, f"the first line of {file} is no password")
    return password
