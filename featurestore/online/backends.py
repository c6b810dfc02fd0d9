"""Chooses the online store: RocksDB beside the store's other files, or Redis if the settings name a server."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from featurestore.errors import SettingsInvalid

from .interface import OnlineEpoch, OnlineStore
from .rocks import RocksOnline
from .settings import OnlineSettings


def online_opener(root: Path, settings: OnlineSettings) -> Callable[[], OnlineEpoch]:
    """A function that opens the online store for one epoch's reads. Raises SettingsInvalid."""
    if settings.url is None:
        return lambda: RocksOnline.open_reader(root / "online")
    _require_redis()
    from .redis import READER, RedisOnline, RedisServer

    server = RedisServer(
        settings.url, READER, breaks=True
    )  # one object for all epochs, because it tracks whether the server is away
    return lambda: RedisOnline.open_reader(root, server)


def open_online(root: Path, settings: OnlineSettings) -> OnlineStore:
    """Open the online store for the publisher.

    Raises:
        StoreInUse, StoreCorrupt, StoreWriteFailed, OnlineUnavailable, SettingsInvalid.
    """
    if settings.url is None:
        return RocksOnline.open_writer(root / "online")
    _require_redis()
    from .redis import RedisOnline

    return RedisOnline.open_writer(root, settings.url)


def _require_redis() -> None:
    """Raises SettingsInvalid: the redis package, an extra, is not installed."""
    if importlib.util.find_spec("redis") is None:
        raise SettingsInvalid(
            "[online] url needs the redis package, which is not installed: pip install 'covey[redis]'"
        )
