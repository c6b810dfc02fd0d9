"""Runs the console: the feature server of a store with the console beside it, in this process."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from base.times import wall_clock
from covey.errors import NothingToShow
from deployment.lineage.emission import Follower, Following
from featurestore.errors import StoreNotFound
from featurestore.publish.publish import Publisher
from featurestore.server.api_keys import Consumers, KeyRing
from featurestore.server.metrics import Counts
from featurestore.server.settings import ServerSettings
from featurestore.server.throttle import Throttle
from featurestore.server.worker import run_worker
from featurestore.store import Store

from .assets import INDEX, AssetFiles
from .console import Console, ConsoleInputs
from .extension import ConsoleExtension
from .sessions import Sessions
from .text_pool import CHILD, TextPool, TextSettings


@dataclass(frozen=True)
class ConsoleSettings:
    """How the console is served.

    Attributes:
        token: of the URL that is printed; it makes an operator where the server needs no API keys.
        secure: whether pages are read over TLS, also that of a proxy.
        following: where the lineage is sent; None: nowhere.
    """

    inputs: ConsoleInputs
    token: str
    secure: bool
    following: Following | None = None


def run_console(settings: ServerSettings, console: ConsoleSettings, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which is raised again."""
    cookie = f"covey_console_{listening.getsockname()[1]}"  # browsers send a cookie to all ports of a host
    run_worker(
        settings, Counts(), listening, lambda store, throttle: extension_of(store, throttle, settings, console, cookie)
    )


def extension_of(
    store: Store, throttle: Throttle, settings: ServerSettings, given: ConsoleSettings, cookie: str
) -> ConsoleExtension:
    """The console of a store that the server has opened. The throttle is the server's."""
    texts = TextSettings(settings.store, given.inputs.views_file, given.inputs.trust_views)
    console = Console(
        directory=settings.store,
        store=store,
        inputs=given.inputs,
        clock=wall_clock,
        randomness=os.urandom,
        lineage=None if given.following is None else Follower(store, given.following, wall_clock),
        texts=TextPool((*CHILD, texts.to_json())),
    )
    keys = KeyRing(Consumers(settings.store)) if settings.keys else None
    sessions = Sessions(keys, given.token, time.monotonic, os.urandom)
    return ConsoleExtension(console, sessions, throttle, cookie=cookie, secure=given.secure)


def require_store(directory: Path, *, is_project: bool) -> None:
    """Return if the directory has a store. A project without one gets the empty store that its first collection would make.

    Raises:
        NothingToShow: the directory is neither. StoreCorrupt, StoreInUse.
    """
    try:
        Store.open(directory).close()
    except StoreNotFound:
        if not is_project:
            raise NothingToShow(str(directory)) from None
        with Publisher(directory, wall_clock):
            pass


def require_page() -> None:
    """Return if the built page can be served, or was not built yet. Raises PageDamaged."""
    AssetFiles().find(INDEX)
