"""Train gradient-boosted trees on the same rows, for comparison of metrics only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from deployment.errors import UsageError
from training.data.dataset import FeatureDataset

from .config import Task


def boosted(train: FeatureDataset, test: FeatureDataset, task: Task, seed: int) -> npt.NDArray[np.float64]:
    """Return float64[N]: predictions of a histogram gradient boosting for the test rows. All rows are held in memory.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    except ImportError:
        raise UsageError("reference = true needs scikit-learn: pip install 'covey[train]'") from None
    kind = HistGradientBoostingClassifier if task == "binary" else HistGradientBoostingRegressor
    (x, y), (test_x, _) = _rows(train), _rows(test)
    model = kind(learning_rate=0.05, max_iter=150, max_leaf_nodes=15, early_stopping=False, random_state=seed)
    model.fit(x, y)
    predicted: Any = model.predict_proba(test_x)[:, 1] if task == "binary" else model.predict(test_x)
    return np.asarray(predicted, dtype=np.float64)


def _rows(part: FeatureDataset) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return (x with NaN for null, y)."""
    xs, ys = [], []
    for batch in part:
        counts = batch["weight"].numpy() > 0
        xs.append(np.where(batch["mask"].numpy(), batch["x"].numpy(), np.nan)[counts])
        ys.append(batch["y"].numpy()[counts])
    return np.concatenate(xs), np.concatenate(ys)
