"""The processes that a test has started."""

from __future__ import annotations

from contextlib import suppress

import psutil


def children_of(module: str) -> list[psutil.Process]:
    """The processes that this one has started with a module, and that have not ended."""
    found = []
    for one in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has ended, and perhaps nothing has waited for it yet
            if module in one.cmdline():
                found.append(one)
    return found
