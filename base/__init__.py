"""The lowest layer: files, locks, SQLite, configuration, times and errors for all other packages."""

from __future__ import annotations

from pathlib import Path

from .own_crypto import require_own_crypto

require_own_crypto(Path(__file__).parent.parent)
