"""The used cells of client-days after a site's answer, for a test that computes a day pane by pane."""

from __future__ import annotations

import numpy as np

from base.times import DAY_US
from edge_client.compute import Contributions, UsedCells


def used_after(used: UsedCells, made: Contributions) -> UsedCells:
    """The used cells of each client-day after an answer."""
    client = np.concatenate((used.client, made.client))
    day = np.concatenate((used.day, made.pane_start // DAY_US))
    cells = np.concatenate((used.cells, made.cells))
    pairs, row = np.unique(np.stack((day, client.astype(np.int64))), axis=1, return_inverse=True)
    total = np.bincount(row.ravel(), cells, pairs.shape[1]).astype(np.int64)
    return UsedCells(pairs[1].astype(np.int32), pairs[0], total)
