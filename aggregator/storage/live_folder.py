"""The folder `live/` of an aggregator: one file per plan id, with the live secret of that plan. Backups leave it out.

    covey-live-1 ‖ draft hash (32) ‖ not after (i64 BE) ‖ K (32) ‖ seal seed (32, until it is erased)

A file is complete and on disk before its secret is used. A file is removed, on disk, before anything is sent that depends on
the removal. File and folder are synced each time. Erasing means unlinking: on SSDs, copy-on-write file systems and in snapshots
the bytes may stay on the medium (docs/erasure.md).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from aggregator.errors import StorageUnusable
from base.atomic_files import FRESH, replace_file
from base.disk import sync_folder
from base.errors import NotPrivate
from base.private_files import private_folder
from crypto.noise import NOISE_KEY_BYTES
from crypto.seal import SEAL_SEED_BYTES, SealKey
from crypto.sharing import PLAN_HASH_BYTES
from federation.live_keys import LiveSecret
from federation.plan import PLAN_ID_BYTES

_MAGIC: Final = b"covey-live-1"
_TIME_BYTES: Final = 8
_FIXED_BYTES: Final = len(_MAGIC) + PLAN_HASH_BYTES + _TIME_BYTES + NOISE_KEY_BYTES
_NAME: Final = re.compile(rf"[0-9a-f]{{{2 * PLAN_ID_BYTES}}}")


@dataclass(frozen=True)
class LiveFile:
    """A live secret as it is stored.

    Attributes:
        draft: hash of the draft for which it was drawn.
        not_after_us: the latest time at which its seal seed is erased, µs since the epoch.
    """

    draft: bytes
    not_after_us: int
    secret: LiveSecret = field(repr=False)

    def to_bytes(self) -> bytes:
        """The content of its file. **Secret.**"""
        seed = b"" if self.secret.seal is None else self.secret.seal.secret_bytes()
        time = self.not_after_us.to_bytes(_TIME_BYTES, "big", signed=True)
        return _MAGIC + self.draft + time + self.secret.secret_bytes() + seed


class LiveFolder:
    """The live secrets of one aggregator. Threads may share it.

    Args:
        randomness: the source of fresh secrets.

    Raises:
        StorageUnusable: the folder cannot be used, or holds a file that is not a live secret.
    """

    def __init__(self, path: Path, randomness: Callable[[int], bytes] = os.urandom) -> None:
        self.path, self._randomness = path, randomness
        self._lock = threading.Lock()
        try:
            for left in private_folder(path).glob(f".*{FRESH}"):  # left by a killed process; nothing depends on it
                left.unlink()
        except (OSError, NotPrivate) as error:
            raise StorageUnusable(f"{path} cannot be used for live secrets: {error}") from None

    def plan_ids(self) -> list[bytes]:
        """The plan ids that have a live secret here."""
        return [bytes.fromhex(path.name) for path in sorted(self.path.iterdir()) if _NAME.fullmatch(path.name)]

    def load(self, plan_id: bytes) -> LiveFile | None:
        """The live secret of a plan; None if it was never drawn here, is erased or is lost."""
        path = self._file(plan_id)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnusable(f"{path} cannot be read: {error}") from None
        sizes = _FIXED_BYTES, _FIXED_BYTES + SEAL_SEED_BYTES
        if len(data) not in sizes or not data.startswith(_MAGIC):
            raise StorageUnusable(
                f"{path} is not a live secret. Put the original file back, or remove it; without it its plan is lost"
            )
        at = len(_MAGIC) + PLAN_HASH_BYTES
        draft, time, rest = data[len(_MAGIC) : at], data[at : at + _TIME_BYTES], data[at + _TIME_BYTES :]
        seed = rest[NOISE_KEY_BYTES:]
        secret = LiveSecret(SealKey(seed) if seed else None, rest[:NOISE_KEY_BYTES])
        return LiveFile(draft, int.from_bytes(time, "big", signed=True), secret)

    def draw(self, plan_id: bytes, draft: bytes, not_after_us: int) -> LiveFile:
        """The live secret of a plan: the existing one, or a fresh one, which is on disk when this returns."""
        with self._lock:
            if (kept := self.load(plan_id)) is not None:
                return kept
            made = LiveFile(draft, not_after_us, LiveSecret.draw(self._randomness))
            self._write(plan_id, made)
            return made

    def erase_seal(self, plan_id: bytes) -> None:
        """Erase the seal seed of a plan, if it exists: its batches can no longer be opened. K stays."""
        with self._lock:
            kept = self.load(plan_id)
            if kept is not None and kept.secret.seal is not None:
                self._write(plan_id, replace(kept, secret=replace(kept.secret, seal=None)))

    def erase(self, plan_id: bytes) -> None:
        """Erase the live secret of a plan, if it exists: the plan is never noised again."""
        with self._lock:
            try:
                self._file(plan_id).unlink()
            except FileNotFoundError:
                return
            sync_folder(self.path)

    def _file(self, plan_id: bytes) -> Path:
        return self.path / plan_id.hex()

    def _write(self, plan_id: bytes, content: LiveFile) -> None:
        """Rename a complete file into place. File and folder are on disk afterwards."""
        replace_file(self._file(plan_id), content.to_bytes(), private=True)
