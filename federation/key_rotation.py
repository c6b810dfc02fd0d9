"""Rotation of a role's own key files. A crash after any write leaves files that every command can use.

    {role.former: + the current keys} ──► {role.key: new keys} ──► {role.pub: new keys, handed over by the former ones}

After the first write the former keys are the current ones, too. `rotate` continues there, and makes no second rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from base.atomic_files import replace_file
from base.errors import CertificateMalformed
from base.locks import lock_folder

from .errors import KeyFileMalformed, TooManyFormerKeys
from .former_keys import KEPT_US
from .keys import FormerSecrets, RoleKeys, load_keys, public_line, public_path, replace_keys, write_former
from .public_file import PublicFile, public_file_of

MAX_FORMER: Final = 16
"""The most former keys of a role. Their file then stays below the size that `load_keys` reads."""


@dataclass(frozen=True)
class Rotated:
    """A role's keys after a rotation.

    Attributes:
        new: whether this call made the keys; otherwise it completed an earlier rotation.
    """

    keys: RoleKeys
    new: bool


def rotate(folder: Path, role: str, until_us: int, randomness: Callable[[int], bytes]) -> Rotated:
    """Replace a role's keys by new ones. The former ones are the role's keys for plans whose deadline is not after `until_us`.

    A rotation that a crash has cut short is completed instead: with the later change-over of the two calls, because plans that
    began between them have the former keys, too.

    Raises:
        TooManyFormerKeys, KeyFileError.
    """
    keys = load_keys(folder, role)
    if _is_unpublished(folder, keys):
        *older, replaced = keys.former
        write_former(folder, role, (*older, replace(replaced, until_us=max(replaced.until_us, until_us))))
    if _is_half_done(keys):
        replace_keys(folder, RoleKeys.generate(role, randomness))
    elif _is_public(folder, keys):
        if len(keys.former) >= MAX_FORMER:
            raise TooManyFormerKeys(role, len(keys.former), keys.former[0].until_us + KEPT_US)
        last = keys.former[-1].until_us if keys.former else 0
        current = FormerSecrets(replace(keys, former=()), max(until_us, last))
        write_former(folder, role, (*keys.former, current))
        replace_keys(folder, RoleKeys.generate(role, randomness))
        return Rotated(publish(folder, role), new=True)
    return Rotated(publish(folder, role), new=False)


def replace_lost(folder: Path, role: str, randomness: Callable[[int], bytes]) -> RoleKeys:
    """Replace keys that are lost or stolen: nothing is handed over, and no former key is kept."""
    write_former(folder, role, ())
    replace_keys(folder, RoleKeys.generate(role, randomness))
    return publish(folder, role)


def publish(folder: Path, role: str) -> RoleKeys:
    """Write the file that the operator hands out. Returns the keys."""
    keys = load_keys(folder, role)
    before = public_of(folder, role)
    file = public_file_of(keys, before, None if before is None else before.authority)
    replace_file(public_path(folder, role), file.to_text(), private=False)
    return keys


def erase_ended(folder: Path, role: str, now_us: int) -> RoleKeys:
    """Erase the secrets of former keys that no plan can need any more. Returns the role's keys.

    It waits for a rotation in this folder, which adds the keys that it replaces to the same file.

    Raises:
        KeyFileError.
    """
    keys = load_keys(folder, role)
    if _kept(keys, now_us) == keys.former:
        return keys
    with lock_folder(folder, wait=True):
        keys = load_keys(folder, role)
        kept = _kept(keys, now_us)
        if kept == keys.former or _is_unpublished(folder, keys):
            return keys
        write_former(folder, role, kept)
        return replace(keys, former=kept)


def _kept(keys: RoleKeys, now_us: int) -> tuple[FormerSecrets, ...]:
    return tuple(one for one in keys.former if now_us <= one.until_us + KEPT_US)


def is_complete(folder: Path, role: str) -> bool:
    """Whether no rotation of the role was cut short. Raises KeyFileError."""
    keys = load_keys(folder, role)
    return not _is_half_done(keys) and _is_public(folder, keys)


def _is_half_done(keys: RoleKeys) -> bool:
    return bool(keys.former) and keys.former[-1].keys.sign.public == keys.sign.public


def _is_unpublished(folder: Path, keys: RoleKeys) -> bool:
    """Whether a crash has cut a rotation short before the public file named the new keys: no other party has them."""
    return _is_half_done(keys) or (bool(keys.former) and _is_public(folder, keys.former[-1].keys))


def _is_public(folder: Path, keys: RoleKeys) -> bool:
    found = public_of(folder, keys.role)
    return found is not None and public_line(keys.role, found.keys) == public_line(keys.role, keys.public)


def public_of(folder: Path, role: str) -> PublicFile | None:
    """The public file of a role; None if there is none that can be read."""
    path = public_path(folder, role)
    try:
        return PublicFile.parse(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError, KeyFileMalformed, CertificateMalformed):
        return None
