"""Rebuilds the online rows and the blocks of a store from the registry and the Parquet files.

A new RocksDB is written beside the old one and renamed into its place; readers that have the old one open keep its rows.
In Redis or Valkey each view's rows are put again, and the view is unavailable meanwhile. Then all blocks are switched at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from base.disk import sync_folder
from featurestore.errors import StoreCorrupt, StoreNotFound
from featurestore.offline.parquet import Offline
from featurestore.online.backends import open_online
from featurestore.online.block_writer import BlockWriter, CurrentRows
from featurestore.online.current_rows import current_rows
from featurestore.online.rocks import RocksOnline
from featurestore.online.settings import OnlineSettings, store_path
from featurestore.online.settings_file import load_settings
from featurestore.registry.registry import Registry
from featurestore.store_files import writing

from .publish import put_online
from .writer_lock import lock_store


def rebuild_online(directory: Path, progress: Callable[[int, int], None] = lambda *_: None) -> list[str]:
    """Delete the online rows and the blocks of a store and write them again; returns the names of its views.

    Args:
        progress: is called with (versions done, all versions).

    Raises:
        StoreNotFound, StoreInUse, SettingsInvalid. StoreCorrupt: the registry or a Parquet file is damaged; StoreWriteFailed;
            OnlineUnavailable. After an error readers keep their rows, and the next start of a publisher heals the store.
    """
    root = store_path(directory)
    if not (root / "registry.db").is_file():
        raise StoreNotFound(str(directory))
    settings = load_settings(directory)
    with lock_store(root):
        registry = Registry(root / "registry.db", read_only=False)
        try:
            latest = _latest(registry, Offline(root / "offline"), progress)
            blocks = BlockWriter(root / "blocks", settings.max_block_bytes)
            blocks.forget()
            staged = blocks.stage(latest, registry.services(), registry.served())
            _put(root, settings, latest)
            if staged is not None:
                blocks.switch(staged)
        finally:
            registry.close()
    return list(dict.fromkeys(one.registered.view.name for one in latest))


def _latest(registry: Registry, offline: Offline, progress: Callable[[int, int], None]) -> list[CurrentRows]:
    versions, latest = registry.every_version(), []
    for done, registered in enumerate(versions, 1):
        try:
            latest.append(current_rows(registry, offline, registered, registry.last_seq(registered)))
        except FileNotFoundError as error:
            raise StoreCorrupt(f"a file that the registry lists is missing: {error.filename}") from None
        progress(done, len(versions))
    return latest


def _put(root: Path, settings: OnlineSettings, latest: list[CurrentRows]) -> None:
    if settings.url is not None:
        online = open_online(root, settings)
        try:
            for one in latest:
                put_online(online, one)
        finally:
            online.close()
        return
    fresh, old, place = root / "online.new", root / "online.old", root / "online"
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    rocks = RocksOnline.open_writer(fresh)
    try:
        for one in latest:
            put_online(rocks, one)
    except BaseException:
        rocks.close()
        shutil.rmtree(fresh)
        raise
    rocks.close()
    with writing(place):
        if place.exists():
            place.rename(old)
        fresh.rename(place)
        sync_folder(root)
    shutil.rmtree(old, ignore_errors=True)
