"""Rotates the keys of a role of a project: its key files, and the pins in the project's own files.

    change-over ──► key files (federation/key_rotation.py) ──► covey.toml ──► policy.toml

The role then needs one restart before the change-over. Other operators take `keys/ROLE.pub` with `accept` before it. A crash
leaves a usable project at every arrow, and the next `rotate` completes the rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aggregator.storage.role_file import StoringRole
from aggregator.storage.role_storage import Storage
from base.errors import LockHeld
from base.locks import lock_folder
from base.times import SECOND_US
from crypto.signing import VerifyKey
from deployment.errors import UsageError
from deployment.local.unfinished_collection import Unfinished
from edge_client.policy_file import load_policy
from federation.key_rotation import erase_ended, is_complete, publish, replace_lost, rotate
from federation.keys import SITE_PREFIX, load_keys
from federation.plan import plan_from_bytes

from .folders import KEYS
from .init import POLICY
from .key_pins import Accepted, accept
from .project import FILE, HOUR_US, Project

_STORES: Final[dict[str, tuple[StoringRole, ...]]] = {"leader": ("leader",), "helper": ("helper", "keyholder")}


@dataclass(frozen=True)
class RotatedRole:
    """A role with new keys.

    Attributes:
        key: the public signing key that is the current one now.
        until_us: the change-over: the former key is the role's key for plans whose deadline is not after it, µs since the epoch.
        new: whether this call made the keys; otherwise it completed an earlier rotation.
        changed: the files of the project that pin the new keys now.
    """

    role: str
    key: VerifyKey
    until_us: int
    new: bool
    changed: tuple[Path, ...]


def rotate_role(
    directory: Path, role: str, hours: int, now_us: int, randomness: Callable[[int], bytes], *, lost: bool
) -> RotatedRole:
    """Make new keys for a role whose keys are in this project, and pin them in the project's own files.

    Args:
        hours: the time until the change-over; longer if a plan under way here ends later.
        lost: the keys are lost or stolen: they are no longer the role's keys from now on, and no plan under way goes on.

    Raises:
        TooManyFormerKeys, KeyFileError. UsageError: covey.toml pins another key, or another process changes keys. ConfigInvalid.
    """
    folder, now_us = directory / KEYS, -(-now_us // SECOND_US) * SECOND_US
    erase_ended(folder, role, now_us)
    try:
        lock = lock_folder(folder, wait=False)
    except LockHeld:
        raise UsageError(f"another process changes keys or certificates in {folder}; wait until it has ended") from None
    with lock:
        if lost:
            keys, new, until = replace_lost(folder, role, randomness), True, now_us
        else:
            _require_pinned(directory, role)
            if is_complete(folder, role) and _lags(directory, role):
                keys, new = publish(folder, role), False
            else:
                until = max(now_us + hours * HOUR_US, _last_deadline(directory, role))
                rotated = rotate(folder, role, -(-until // SECOND_US) * SECOND_US, randomness)
                keys, new = rotated.keys, rotated.new
            until = keys.former[-1].until_us if keys.former else now_us
        changed: tuple[Path, ...] = ()
        if (directory / FILE).exists():
            changed = accept(directory, folder / f"{role}.pub", now_us, force=lost).changed
        return RotatedRole(role, keys.sign.public, until, new, changed)


def accept_role(directory: Path, path: Path, now_us: int, *, force: bool) -> Accepted:
    """Pin the keys of another operator's public file. Raises as `accept`."""
    return accept(directory, path, -(-now_us // SECOND_US) * SECOND_US, force=force)


def _pins(directory: Path, role: str) -> list[VerifyKey]:
    """The keys of a role that the files of a project pin."""
    pins: list[VerifyKey] = []
    if (project := Project.find(directory)) is not None:
        if role.startswith(SITE_PREFIX):
            pins += [one.key for one in project.roster.entries if one.site == role.removeprefix(SITE_PREFIX)]
        else:
            pins.append(project.collector.sign if role == "collector" else getattr(project, role))
        if role in ("coordinator", "leader", "helper") and (directory / POLICY).exists():
            pins.append(getattr(load_policy(directory / POLICY), role))
    return pins


def _require_pinned(directory: Path, role: str) -> None:
    keys = load_keys(directory / KEYS, role)
    for pin in _pins(directory, role):
        if pin not in keys.pinned.all:
            raise UsageError(
                f"the files in {directory} pin the {role}'s key {pin.id.hex()}, but {directory / KEYS} has "
                f"{keys.sign.public.id.hex()}: other operators could not verify that a new key is yours. Put the right key there; "
                "if it is lost, replace it",
                settings=("lost",),
            )


def _lags(directory: Path, role: str) -> bool:
    """Whether a file of the project pins a former key of the role."""
    current = load_keys(directory / KEYS, role).sign.public
    return any(pin != current for pin in _pins(directory, role))


def _last_deadline(directory: Path, role: str) -> int:
    """The last deadline (µs since the epoch) of the plans that are known here to have the role's key; 0: there are none."""
    deadlines = [0]
    for store in _STORES.get(role, ()):
        if (path := directory / "roles" / store / "state.db").is_file():
            storage = Storage(path, store)
            try:
                deadlines += [one.deadline_us for one in storage.unopened_plans()]
            finally:
                storage.close()
    unfinished = Unfinished(directory)
    if unfinished.folder.exists():
        deadlines.append(plan_from_bytes(unfinished.load().plan).deadline_us)
    return max(deadlines)
