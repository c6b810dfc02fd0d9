"""How the contents of an event log are stored: encrypted with AES-256-GCM, or in clear with a digest that detects damage.

Both bind a content to its log, its table and its number there, so a content that was moved or comes from another log is refused.
The keys of a log follow from the key file and the log's random id by HKDF-SHA256, so one file can serve several logs.
"""

from __future__ import annotations

import hmac
import os
import struct
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

from base.private_files import create_private
from federation.errors import FederationError
from federation.private_key_file import read_private_bytes

from ..errors import LogKeyWrong

KEY_BYTES: Final = 32
LOG_ID_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_DIGEST_BYTES: Final = 16
_VERSION: Final = 1


class Sealing(Protocol):
    """How contents are stored and read back.

    Attributes:
        id_key: the key of the hashes of event ids. Secret.
    """

    id_key: bytes

    def seal(self, table: bytes, number: int, content: bytes) -> bytes:
        """The stored form of a content."""

    def open(self, table: bytes, number: int, stored: bytes) -> bytes:
        """The content. Raises ValueError: it was changed, cut, moved, or is of another log."""


class Encrypted:
    """With a key. **Secret.**

    Attributes:
        check: recognises the key; reveals nothing of it.
    """

    def __init__(self, key: bytes, log_id: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead = AESGCM(_derive(key, log_id, b"contents"))
        self._log_id = log_id
        self.id_key = _derive(key, log_id, b"event ids")
        self.check = _derive(key, log_id, b"check")

    def __repr__(self) -> str:
        return "Encrypted(redacted)"

    def seal(self, table: bytes, number: int, content: bytes) -> bytes:
        """See `Sealing`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, content, _place(self._log_id, table, number))

    def open(self, table: bytes, number: int, stored: bytes) -> bytes:
        """See `Sealing`."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], _place(self._log_id, table, number))
        except InvalidTag:
            raise ValueError("it was changed or moved") from None


class InClear:
    """Without a key: a digest detects damage, but does not stop an attacker."""

    def __init__(self, id_key: bytes, log_id: bytes) -> None:
        self._log_id = log_id
        self.id_key = id_key

    def __repr__(self) -> str:
        return "InClear(redacted)"

    def seal(self, table: bytes, number: int, content: bytes) -> bytes:
        """See `Sealing`."""
        return self._digest(table, number, content) + content

    def open(self, table: bytes, number: int, stored: bytes) -> bytes:
        """See `Sealing`."""
        content = stored[_DIGEST_BYTES:]
        if stored[:_DIGEST_BYTES] != self._digest(table, number, content):
            raise ValueError("it was changed or moved")
        return content

    def _digest(self, table: bytes, number: int, content: bytes) -> bytes:
        digest = blake2b(_place(self._log_id, table, number), digest_size=_DIGEST_BYTES)
        digest.update(content)
        return digest.digest()


def sealing_of(path: str, log_id: bytes, key: bytes | None, check: bytes | None, id_key: bytes | None) -> Sealing:
    """The sealing of an existing log.

    Args:
        path: of the log, for the error.
        key: as the program gives it.
        check, id_key: as the log has them: one of them, depending on whether it has a key.

    Raises:
        LogKeyWrong: the key is missing, is of another log, or the log has none.
    """
    if check is None:
        if key is not None or id_key is None:
            raise LogKeyWrong(path, "it was made without a key, and its events are not encrypted")
        return InClear(id_key, log_id)
    if key is None:
        raise LogKeyWrong(path, "it is encrypted, and no key was given")
    sealing = Encrypted(key, log_id)
    if not hmac.compare_digest(sealing.check, check):
        raise LogKeyWrong(path, "it is encrypted with another key")
    return sealing


def new_log_key(path: Path) -> None:
    """Make a private file with a new random key for event logs. Without it, their events cannot be read by anybody.

    Raises:
        FileExistsError: a file is there already, which is never overwritten. OSError.
    """
    with create_private(path) as file:
        file.write(os.urandom(KEY_BYTES))


def read_log_key(path: Path) -> bytes:
    """The key of a private file. **Secret.**

    Raises:
        LogKeyWrong: the file is missing, open to others, or not the file of a key.
    """
    try:
        key = read_private_bytes(path, KEY_BYTES)
    except FederationError as error:
        raise LogKeyWrong(str(path), str(error).removeprefix(f"{path} ")) from None
    if len(key) != KEY_BYTES:
        raise LogKeyWrong(str(path), f"the key of an event log has {KEY_BYTES} bytes, and this file has {len(key)}")
    return key


def _derive(key: bytes, log_id: bytes, use: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=log_id, info=b"covey event log: " + use).derive(key)


def _place(log_id: bytes, table: bytes, number: int) -> bytes:
    return log_id + struct.pack("<BQ", _VERSION, number) + table
