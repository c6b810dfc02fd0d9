"""What long work on a store reports while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is called with (the name of the step, such as `view@v<n>`, items done, all items)."""
