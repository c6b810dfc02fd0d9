"""API keys of the feature server's consumers: `consumers.json` in the store's directory, which running servers read again.

A key is `covey_<id>_<secret>`: 8 hex digits that identify it, and 256 random bits in base64url. The file holds only its
SHA-256. A slow hash protects secrets that can be guessed; 256 random bits cannot be, and every request would pay for it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, Strict

from base.atomic_files import replace_file
from base.config import ConfigModel, checked
from base.errors import ConfigInvalid
from base.locks import lock_folder
from featurestore.errors import ConsumerExists, ConsumerInvalid, ConsumersFileBroken, StoreNotFound, UnknownConsumer

from .roles import ROLES, Role, RoleName
from .throttle import Limits

FILE: Final = "consumers.json"
CHECK_S: Final = 0.1
"""How often a running server checks whether the file was replaced."""
MAX_CONSUMERS: Final = 10_000

_FORMAT: Final = 1
_MAX_BYTES: Final = 4 * 2**20
_PREFIX: Final = "covey_"
_ID_BYTES: Final = 4
_SECRET_BYTES: Final = 32
_KEY: Final = re.compile(rb"covey_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_ID: Final = re.compile(r"[0-9a-f]{8}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES: Final = "a name has 1 to 64 letters, digits, '.', '_', '-'"
_NOBODY: Final = bytes(32)
"""The digest that a key with an unknown id is compared with, so that the check takes the same time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Consumer:
    """A reader that has an API key.

    Attributes:
        key_id: the public part of its key.
        digest: SHA-256 of the whole key.
        limits: the consumer's own limits.
        added_at: µs since the epoch.
        role: what it may do in the console. Reading features needs none.
    """

    name: str
    key_id: str
    digest: bytes = field(repr=False)
    limits: Limits
    added_at: int
    role: Role = Role.READER


class Consumers:
    """The consumers of one store. Each change replaces the whole file.

    Args:
        directory: the store's (or project's) directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / FILE

    def read(self) -> tuple[Consumer, ...]:
        """All consumers, by name; none without a file.

        Raises:
            ConsumersFileBroken: the file is malformed, or other users may read it.
        """
        try:
            number = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ConsumersFileBroken(str(self.path), f"it cannot be opened ({error.strerror})") from None
        with os.fdopen(number, "rb") as file:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode):
                raise ConsumersFileBroken(str(self.path), "it is not a regular file")
            if stat.S_IMODE(found.st_mode) & 0o177:
                raise ConsumersFileBroken(str(self.path), "other users may read it; give it mode 600")
            data = file.read(_MAX_BYTES + 1)
        try:
            return _parse(data, self.path)
        except ConfigInvalid as error:
            raise ConsumersFileBroken(str(self.path), error.why) from None
        except (ValueError, RecursionError, ConsumerInvalid) as error:
            raise ConsumersFileBroken(str(self.path), str(error).splitlines()[0][:200]) from None

    def add(
        self,
        name: str,
        limits: Limits,
        now_us: int,
        random: Callable[[int], bytes],
        role: Role = Role.READER,
    ) -> str:
        """Add a consumer; returns its key, which is not stored.

        Args:
            random: random bytes from the operating system.

        Raises:
            ConsumerExists, ConsumerInvalid. StoreNotFound: the directory does not exist. ConsumersFileBroken.
        """
        if not _NAME.fullmatch(name):
            raise ConsumerInvalid(f"consumer {name[:80]!r}: {_NAMES}")
        with self._locked():
            known = self.read()
            if name in {one.name for one in known}:
                raise ConsumerExists(name)
            if len(known) >= MAX_CONSUMERS:
                raise ConsumerInvalid(f"there are {MAX_CONSUMERS:,} consumers; remove one first")
            key_id = random(_ID_BYTES).hex()
            while key_id in {one.key_id for one in known}:
                key_id = random(_ID_BYTES).hex()
            secret = base64.urlsafe_b64encode(random(_SECRET_BYTES)).rstrip(b"=").decode()
            key = f"{_PREFIX}{key_id}_{secret}"
            self._replace((*known, Consumer(name, key_id, _digest(key.encode()), limits, now_us, role)))
        return key

    def set_role(self, name: str, role: Role) -> None:
        """Give a consumer another role; its key stays. Raises UnknownConsumer, ConsumersFileBroken."""
        with self._locked():
            known = self.read()
            if name not in {one.name for one in known}:
                raise UnknownConsumer(name, [one.name for one in known])
            self._replace(tuple(replace(one, role=role) if one.name == name else one for one in known))

    def remove(self, name: str) -> None:
        """Remove a consumer and its key. Raises UnknownConsumer, ConsumersFileBroken."""
        with self._locked():
            known = self.read()
            if name not in {one.name for one in known}:
                raise UnknownConsumer(name, [one.name for one in known])
            self._replace(tuple(one for one in known if one.name != name))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the directory, without a lock file, so that there is one writer at a time."""
        try:
            lock = lock_folder(self._directory.resolve(), wait=True)
        except (FileNotFoundError, NotADirectoryError):
            raise StoreNotFound(str(self._directory)) from None
        with lock:
            yield

    def _replace(self, consumers: tuple[Consumer, ...]) -> None:
        replace_file(self.path, _written(consumers), private=True)


class KeyRing:
    """The keys that a running server accepts: those of the current file. If the file is malformed, it accepts none.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, consumers: Consumers, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumers, self._clock = consumers, clock
        self._by_id: dict[bytes, Consumer] = {}
        self._verified: dict[bytes, Consumer] = {}
        """The right keys that were sent since the file was read: one for each consumer at most."""
        self._seen: tuple[int, int, int] | None = None
        self._checked = clock()
        self._look()

    def find(self, key: bytes) -> Consumer | None:
        """Find the consumer of a key.

        Every wrong key of the right form takes the same time. A right key is found again by its hash, whose randomness the client
        does not know, so the time of a lookup tells nothing about a part of a key.
        """
        if self._clock() - self._checked >= CHECK_S:
            self._look()
        if (known := self._verified.get(key)) is not None:
            return known
        form = _KEY.fullmatch(key)
        if form is None:
            return None
        consumer = self._by_id.get(form[1])
        right = hmac.compare_digest(_digest(key), _NOBODY if consumer is None else consumer.digest)
        if consumer is None or not right:
            return None
        self._verified[key] = consumer
        return consumer

    def holds(self, consumer: Consumer) -> bool:
        """Whether a consumer that was found before still has its key."""
        if self._clock() - self._checked >= CHECK_S:
            self._look()
        return self._by_id.get(consumer.key_id.encode()) == consumer

    def _look(self) -> None:
        self._checked = self._clock()
        try:
            found = self._consumers.path.lstat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        except OSError:
            seen = (0, 0, 0)
        if seen == self._seen:
            return
        self._seen = seen  # stamped before the read, so a file that is replaced meanwhile is read again
        self._verified = {}
        try:
            self._by_id = {one.key_id.encode(): one for one in self._consumers.read()}
        except ConsumersFileBroken:
            self._by_id = {}
            _log.exception("the server accepts no API key")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _written(consumers: tuple[Consumer, ...]) -> str:
    rows = [
        {
            "name": one.name,
            "key_id": one.key_id,
            "sha256": one.digest.hex(),
            "rows_per_s": one.limits.rows,
            "requests_per_s": one.limits.requests,
            "added_at": one.added_at,
            "role": one.role.label,
        }
        for one in sorted(consumers, key=lambda one: one.name)
    ]
    return json.dumps({"format": _FORMAT, "consumers": rows}, indent=1) + "\n"


def _parse(data: bytes, path: Path) -> tuple[Consumer, ...]:
    """The inverse of `_written`. Raises ValueError, RecursionError, ConfigInvalid or ConsumerInvalid."""
    if len(data) > _MAX_BYTES:
        raise ValueError(f"over {_MAX_BYTES:,} bytes")
    entries = json.loads(data)
    if not isinstance(entries, dict):
        raise ValueError("another format")
    consumers = tuple(row.consumer for row in checked(_File, entries, path).consumers)
    for what, values in (("name", [one.name for one in consumers]), ("key_id", [one.key_id for one in consumers])):
        if len(set(values)) < len(values):
            raise ValueError(f"a {what} occurs twice")
    return consumers


def _of_form(form: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"it must be {what}")
        return text

    return AfterValidator(check)


class _Row(ConfigModel):
    """A consumer in the file."""

    name: Annotated[str, _of_form(_NAME, "1 to 64 letters, digits, '.', '_', '-'")]
    key_id: Annotated[str, _of_form(_ID, "8 hexadecimal digits")]
    sha256: Annotated[str, _of_form(_DIGEST, "64 hexadecimal digits")]
    rows_per_s: int | None
    requests_per_s: int | None
    added_at: int
    role: RoleName = "reader"

    @property
    def consumer(self) -> Consumer:
        limits = Limits(self.rows_per_s, self.requests_per_s)
        digest = bytes.fromhex(self.sha256)
        return Consumer(self.name, self.key_id, digest, limits, self.added_at, ROLES[self.role])


class _File(ConfigModel):
    """`consumers.json`."""

    format: Literal[1]
    consumers: Annotated[tuple[_Row, ...], Strict(False), Field(max_length=MAX_CONSUMERS)]
