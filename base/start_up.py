"""How a process of Covey starts faster. Only entry points use this: it changes the whole process."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import Final

GC_THRESHOLD: Final = 100_000
"""New objects between two garbage collections. Imports make no garbage; with Python's 700, they take a tenth longer."""


class _WithoutPandas(MetaPathFinder):
    """Hides pandas. pyarrow imports it only to test whether a list is a Series, which takes most of a second."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raise ModuleNotFoundError for pandas; other finders handle all other modules."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=name)


def hide_pandas() -> None:
    """Make imports of pandas fail from now on, in a process that runs no user code."""
    sys.meta_path.insert(0, _WithoutPandas())
