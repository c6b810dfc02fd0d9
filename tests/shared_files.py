"""Where official vectors and golden figures lie: beside the checkout. Tests that read them skip where they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_file(name: str) -> Path:
    """A file of the shared folder; skips the test with a reason where it is missing."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no {name} beside the checkout (looked in {SHARED})")
    return path
