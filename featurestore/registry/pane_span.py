"""Which panes a version of a view has: how many are opened, void and missing, between the first and the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from featurestore.define.records import RegisteredView

from .registry import Registry


@dataclass(frozen=True)
class PaneSpan:
    """The published panes that the rows of a version use.

    Attributes:
        version: the number of the version.
        missing: the panes between the first and the last without a release or a void.
        first, last: the first and the last pane start, µs; None: there is no pane.
        last_opened: the last pane with a release that was not retracted.
    """

    version: int
    opened: int
    void: int
    missing: int
    first: int | None
    last: int | None
    last_opened: int | None

    @classmethod
    def read(cls, registry: Registry, registered: RegisteredView) -> Self:
        """Read the panes of a version. Panes of an older version may be wider, so gaps are counted one by one."""
        starts = registry.pane_starts(registered)
        opened, last_opened = registry.publications.opened(registry.selection(registered))
        gaps = np.diff(starts) // registered.view.pane_us
        return cls(
            registered.version,
            opened,
            len(starts) - opened,
            int(np.maximum(gaps - 1, 0).sum()),
            int(starts[0]) if len(starts) else None,
            int(starts[-1]) if len(starts) else None,
            last_opened,
        )
