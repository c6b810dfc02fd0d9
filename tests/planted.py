"""Values that must not get into a log or a span, and the search for them in what a test leaves.

The events of the tests have planted clients, texts and a planted fraction. The key files that a test makes are planted by
themselves. `tests/conftest.py` searches after every test: its folder, and what it wrote to stderr or logged; at the end of each
file of tests, the folders that its tests share.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

CLIENT: Final = "planted-client-Zq7xW"
"""The beginning of the ids of clients."""
NOTE: Final = "planted-note-Kj3vM"
"""The beginning of the text that an event has beside its values."""
FRACTION: Final = 0.73451962
"""The fraction of some values."""
_TEXTS: Final = (CLIENT, NOTE, str(FRACTION)[1:])
_LONGEST_LOG: Final = 2**26
_DATABASE: Final = b"SQLite format 3\0"
"""The beginning of an event log, which is a file of events and no log, whatever its name is."""
_SEED: Final = 32
"""The first bytes of a role's keys are the seed of its signing key."""
_SECRET: Final = re.compile(rb"[0-9A-Za-z+/]{40,}={0,2}")
_START: Final = np.dtype("<u8")
"""The first eight bytes of a value as a number: all values of a long run are looked up at once, at each place of a text."""


def spellings(value: bytes) -> Iterator[bytes]:
    """A value in plain, in hex, and in base64 at each of the three places where it may stand in a longer text."""
    yield value
    yield value.hex().encode()
    yield value.hex().upper().encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value + bytes(-(before + len(value)) % 3))
        yield encoded[
            -(-8 * before // 6) : (8 * (before + len(value))) // 6
        ]  # the digits that depend on the value alone


def secrets_of(key_file: bytes) -> Iterator[bytes]:
    """The long base64 or hex values of a key file: of its own format, or PEM. Ids of keys are public and are no values."""
    for line in key_file.splitlines():
        if b"_id" in line or b"BEGIN" in line or b"END" in line:
            continue
        for found in _SECRET.findall(line):
            yield found
            try:
                raw = bytes.fromhex(found.decode()) if len(found) == 64 else base64.b64decode(found, validate=True)
            except (ValueError, binascii.Error):
                continue
            yield raw
            if len(raw) > _SEED:
                yield raw[:_SEED]
                yield raw[_SEED:]


class Search:
    """The search of one process. A file is searched again only when it has changed."""

    def __init__(self) -> None:
        self._searched: dict[str, tuple[int, int]] = {}
        self._values: dict[int, set[bytes]] = {}
        self._keys: set[str] = set()
        self._starts: npt.NDArray[np.uint64] | None = None
        for text in _TEXTS:
            self._add(text.encode())

    def in_text(self, text: bytes) -> list[bytes]:
        """The planted values in a text."""
        if self._starts is None:
            self._starts = np.sort(np.fromiter(self._values, _START, len(self._values)))
        found: set[bytes] = set()
        for shift in range(min(_START.itemsize, len(text) - _START.itemsize + 1)):
            words = np.frombuffer(text, _START, (len(text) - shift) // _START.itemsize, shift)
            place = np.minimum(np.searchsorted(self._starts, words), len(self._starts) - 1)
            for number in np.flatnonzero(self._starts[place] == words).tolist():
                at = shift + number * _START.itemsize
                found.update(value for value in self._values[int(words[number])] if text.startswith(value, at))
        return sorted(found)

    def in_folder(self, folder: Path) -> Iterator[str]:
        """A sentence for each log file below a folder that has a planted value. Key files below it are planted first."""
        files = list(_files_below(folder))
        for entry in files:
            if entry.name.endswith(".key") and entry.path not in self._keys:
                self._plant(entry)
        for entry in files:
            if _is_log(entry):
                yield from self._in_file(entry)

    def _plant(self, entry: os.DirEntry[str]) -> None:
        self._keys.add(entry.path)
        for secret in secrets_of(Path(entry.path).read_bytes()):
            self._add(secret)

    def _add(self, value: bytes) -> None:
        """Plant a value. A spelling of less than eight bytes is in any text by chance, and is left out."""
        for one in spellings(value):
            if len(one) >= _START.itemsize:
                self._values.setdefault(int.from_bytes(one[: _START.itemsize], "little"), set()).add(one)
        self._starts = None

    def _in_file(self, entry: os.DirEntry[str]) -> Iterator[str]:
        found = entry.stat()
        if self._searched.get(entry.path) == (found.st_mtime_ns, found.st_size):
            return
        self._searched[entry.path] = found.st_mtime_ns, found.st_size
        with Path(entry.path).open("rb") as file:
            text = file.read(_LONGEST_LOG)
        if not text.startswith(_DATABASE):
            for value in self.in_text(text):
                yield f"{entry.path} has {value[:80]!r}"


def _is_log(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith((".log", ".jsonl")) or entry.path.endswith(f"/logs/{entry.name}")


def _files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    waiting: list[str] = [str(folder)]
    while waiting:
        try:
            entries: Iterable[os.DirEntry[str]] = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
