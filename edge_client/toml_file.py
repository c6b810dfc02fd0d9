"""A TOML file read strictly: unknown keys, wrong types and missing entries are errors that name the file and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import ConfigError

_T = TypeVar("_T", bound=str)


@dataclass(frozen=True)
class TomlFile:
    """The entries of a file. Each reader raises ConfigError; a missing entry is one, unless there is a default."""

    path: Path
    entries: dict[str, Any]

    @classmethod
    def read(cls, path: Path, known: Sequence[str], mend: str) -> TomlFile:
        """Read a file that may hold these keys and no other.

        Args:
            mend: what makes such a file, for the error of a missing one.
        """
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        except FileNotFoundError:
            raise ConfigError(str(path), f"there is no such file; {mend}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(str(path), f"it cannot be read as TOML: {error}") from None
        file = cls(path, entries)
        unknown = [repr(name) for name in entries if name not in known]
        if unknown:
            file.fail(f"unknown key {', '.join(unknown)}; known are {', '.join(known)}")
        return file

    def fail(self, why: str) -> NoReturn:
        """ConfigError of this file."""
        raise ConfigError(str(self.path), why)

    def text(self, name: str) -> str:
        """A text of one letter at least."""
        found = self.entries.get(name)
        if not isinstance(found, str) or not found:
            self._wrong(name, "a text", found)
        return found

    def texts(self, name: str, default: tuple[str, ...], *, may_be_empty: bool = False) -> tuple[str, ...]:
        """A list of texts; one at least, unless the default is none."""
        found = self.entries.get(name, list(default))
        texts = isinstance(found, list) and all(isinstance(one, str) and one for one in found)
        if not texts or (default and not found and not may_be_empty):
            self._wrong(name, "a list of texts", found)
        return tuple(found)

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number of at least 1."""
        found = self.entries.get(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            self._wrong(name, "a whole number of at least 1", found)
        return found

    def flag(self, name: str) -> bool:
        """true or false; false where it is missing."""
        found = self.entries.get(name, False)
        if not isinstance(found, bool):
            self._wrong(name, "true or false", found)
        return found

    def one_of(self, name: str, known: tuple[_T, ...], default: _T) -> _T:
        """One of these words."""
        found = self.entries.get(name, default)
        word = next((word for word in known if word == found), None)
        if word is None:
            self._wrong(name, f"one of {', '.join(map(repr, known))}", found)
        return word

    def number(self, name: str) -> int | Decimal | None:
        """A number, exactly as it is written; None where it is missing."""
        found = self.entries.get(name)
        if found is not None and (not isinstance(found, int | Decimal) or isinstance(found, bool)):
            self._wrong(name, "a number", found)
        return found

    def _wrong(self, name: str, need: str, found: object) -> NoReturn:
        self.fail(f"{name!r} must be {need}, " + ("it is missing" if found is None else f"not {str(found)[:80]!r}"))
