"""The location of official vectors and golden figures: beside the checkout. Tests skip if a file is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_file(name: str) -> Path:
    """A file of the shared folder. Skips the test with a reason if the file is missing."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no {name} beside the checkout (looked in {SHARED})")
    return path
