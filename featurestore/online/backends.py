"""Which online store a store has: RocksDB beside its other files, or Redis where its settings say so."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from featurestore.errors import SettingsInvalid

from .interface import OnlineEpoch, OnlineStore
from .rocks import RocksOnline
from .settings import OnlineSettings


def online_opener(root: Path, settings: OnlineSettings) -> Callable[[], OnlineEpoch]:
    """Opens the online store of a store for the time of an epoch. Raises SettingsInvalid."""
    if settings.url is None:
        return lambda: RocksOnline.open_reader(root / "online")
    _require_redis()
    from .redis import READER, RedisOnline, RedisServer

    server = RedisServer(settings.url, READER, breaks=True)  # one for all epochs: it knows whether the server is away
    return lambda: RedisOnline.open_reader(root, server)


def open_online(root: Path, settings: OnlineSettings) -> OnlineStore:
    """Opens the online store of a store for its publisher.

    Raises:
        StoreInUse, StoreCorrupt, StoreWriteFailed, OnlineUnavailable, SettingsInvalid.
    """
    if settings.url is None:
        return RocksOnline.open_writer(root / "online")
    _require_redis()
    from .redis import RedisOnline

    return RedisOnline.open_writer(root, settings.url)


def _require_redis() -> None:
    """Its library is an extra. Raises SettingsInvalid."""
    if importlib.util.find_spec("redis") is None:
        raise SettingsInvalid(
            "[online] url: this needs the redis package, which is not installed: pip install 'covey[redis]'"
        )
