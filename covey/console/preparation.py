"""Loads what first requests would wait for when a process starts."""

from __future__ import annotations

import logging
import threading
from importlib import import_module

from featurestore.define.epsilon import epsilon_of

_log = logging.getLogger(__name__)


def load_parsers() -> None:
    """Load what reads texts, with libcst."""
    for module in ("evaluate", "render"):
        import_module(f"deployment.view_source.{module}")


def prepare() -> None:
    """Load the accountant, in a thread that neither the server's start nor its end waits for. Its import takes a second."""
    threading.Thread(target=_load, name="prepare", daemon=True).start()


def _load() -> None:
    try:
        epsilon_of(1, 1e-6)
    except (ImportError, RuntimeError) as error:  # the process ends meanwhile; else the first label meets the error too
        _log.debug("the accountant is not loaded", exc_info=error)
