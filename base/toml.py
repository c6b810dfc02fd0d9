"""Reads a TOML file as plain values, without pydantic, whose import takes as long as a read of the online store."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from .errors import ConfigInvalid

MAX_BYTES: Final = 2**20
"""The most bytes of a file. tomllib needs about a hundred times as much memory, so the size is checked first."""


def toml_entries(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The entries of a file. Numbers with a decimal point become `Decimal`, exactly as the file spells them.

    Raises:
        FileNotFoundError: there is no such file. ConfigInvalid: larger than `max_bytes`, unreadable, or not TOML.
    """
    return parse_toml(toml_text(path, max_bytes), path)


def toml_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """The text of a file. Raises FileNotFoundError, ConfigInvalid."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(str(path)) from None
    except OSError as error:
        raise ConfigInvalid(str(path), f"the file cannot be read ({error.strerror})") from None
    if len(content) > max_bytes:
        raise ConfigInvalid(str(path), f"the file is larger than {max_bytes:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(str(path), f"the file is not TOML: {error}") from None


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The entries of the text of a file. Raises ConfigInvalid."""
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigInvalid(str(path), f"the file is not TOML: {str(error).splitlines()[0]}") from None
