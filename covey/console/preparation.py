"""Loads what the first label would wait for when the console starts: importing the accountant takes a second."""

from __future__ import annotations

import logging
import threading

from featurestore.define.epsilon import epsilon_of

_log = logging.getLogger(__name__)


def prepare() -> None:
    """Load the accountant, in a thread that neither the server's start nor its end waits for."""
    threading.Thread(target=_load, name="prepare", daemon=True).start()


def _load() -> None:
    try:
        epsilon_of(1, 1e-6)
    except (ImportError, RuntimeError) as error:  # the process ends meanwhile; else the first label meets the error too
        _log.debug("the accountant is not loaded", exc_info=error)
