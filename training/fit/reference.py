"""Train gradient-boosted trees on the same rows, for comparison of metrics only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.dataset import FeatureDataset
from training.task import Task

from .boosting import boosting, rows_of


def boosted(train: FeatureDataset, test: FeatureDataset, task: Task, seed: int) -> npt.NDArray[np.float64]:
    """Return float64[N]: predictions of a histogram gradient boosting for the test rows. All rows are held in memory.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    (x, y), (test_x, _) = rows_of(train), rows_of(test)
    model = boosting(task, seed, "reference = true")
    model.fit(x, y)
    predicted: Any = model.predict_proba(test_x)[:, 1] if task == "binary" else model.predict(test_x)
    return np.asarray(predicted, dtype=np.float64)
