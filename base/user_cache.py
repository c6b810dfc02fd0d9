"""The folder of what can be made again: `covey` in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """`covey` in XDG_CACHE_HOME, or in ~/.cache where that is not set or is relative.

    The XDG specification ignores relative paths. A relative path would be in the working directory. That may be a store from
    another person, and the cache holds compiled code.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "covey"
