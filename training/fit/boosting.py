"""Train gradient-boosted trees whose prediction only rises, or only falls, with some features.

The constraint keeps trees from fitting the noise of private features (docs/utility.md). All rows are held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deployment.errors import TrainingRefused, UsageError
from training.data.dataset import FeatureDataset
from training.serving.kinds.trees import Floats, Trees
from training.task import Task

from .epochs import FittedModel

TREES: Final = 150
SETTINGS: Final[dict[str, Any]] = {
    "learning_rate": 0.05,
    "max_iter": TREES,
    "max_leaf_nodes": 15,
    "early_stopping": False,
}
_SAMPLE: Final = 1000
"""Rows on which the copied trees are compared with scikit-learn's."""


def boosting(task: Task, seed: int, wanted_by: str, **more: Any) -> Any:
    """Make an untrained histogram gradient boosting.

    Args:
        wanted_by: what needs it, for the error.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    except ImportError:
        raise UsageError(f"{wanted_by} needs scikit-learn: pip install 'covey[train]'") from None
    kind = HistGradientBoostingClassifier if task == "binary" else HistGradientBoostingRegressor
    return kind(**SETTINGS, random_state=seed, **more)


def fit_monotone(
    train: FeatureDataset,
    valid: FeatureDataset,
    directions: Sequence[int],
    task: Task,
    seed: int,
    progress: Callable[[int, int], None],
) -> FittedModel[Trees]:
    """Train trees; the number of trees with the least validation loss is kept.

    Args:
        directions: for each column of x 1 (rises), −1 (falls) or 0.
        progress: called with (trees done, trees in all).

    Raises:
        UsageError: scikit-learn is not installed. TrainingRefused: its trees have an unknown form.
    """
    model = boosting(task, seed, 'kind = "monotone"', monotonic_cst=list(directions))
    progress(0, TREES)
    (x, y), (valid_x, valid_y) = rows_of(train), rows_of(valid)
    model.fit(x, y)
    trees = _copied(model, task, x.shape[1])
    sample = x[:_SAMPLE].astype(np.float64)
    expected = model.decision_function(sample) if task == "binary" else model.predict(sample)
    if not np.allclose(trees.staged(sample)[:, -1], expected, rtol=1e-9, atol=1e-9):
        raise TrainingRefused("this version of scikit-learn computes its trees in a way that covey train does not know")
    losses = list(zip(_losses(trees, x, y).tolist(), _losses(trees, valid_x, valid_y).tolist(), strict=True))
    chosen = int(np.argmin([of_valid for _, of_valid in losses]))
    progress(TREES, TREES)
    return FittedModel(trees.first(chosen + 1), losses, chosen)


def rows_of(part: FeatureDataset) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return (x with NaN for null, y)."""
    xs, ys = [], []
    for batch in part:
        counts = batch["weight"].numpy() > 0
        xs.append(np.where(batch["mask"].numpy(), batch["x"].numpy(), np.nan)[counts])
        ys.append(batch["y"].numpy()[counts])
    return np.concatenate(xs), np.concatenate(ys)


def _copied(model: Any, task: Task, width: int) -> Trees:
    """Copy the trees of a fitted model of scikit-learn, which stores them in private attributes."""
    try:
        nodes = [one.nodes for (one,) in model._predictors]
        most = max(len(of) for of in nodes)
        at = np.arange(most)
        filled = {name: np.zeros((len(nodes), most), kind) for name, kind in _KINDS.items()}
        for t, of in enumerate(nodes):
            leaf = of["is_leaf"].astype(bool)
            parts = {
                "feature": of["feature_idx"],
                "threshold": np.minimum(of["num_threshold"], np.finfo(np.float64).max),
                "null_left": of["missing_go_to_left"].astype(bool),
                "value": np.where(leaf, of["value"], 0.0),
            }
            for name, values in parts.items():
                filled[name][t, : len(of)] = np.where(leaf, 0, values) if name in ("feature", "threshold") else values
            for name in ("left", "right"):
                filled[name][t] = at
                filled[name][t, : len(of)] = np.where(leaf, at[: len(of)], of[name])
        start = float(model._baseline_prediction.ravel()[0])
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise TrainingRefused(f"this version of scikit-learn stores its trees in an unknown form ({error})") from None
    return Trees(task, width, start, **filled)


_KINDS: Final[dict[str, Any]] = {
    "feature": np.int64,
    "threshold": np.float64,
    "null_left": np.bool_,
    "left": np.int64,
    "right": np.int64,
    "value": np.float64,
}


def _losses(trees: Trees, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> Floats:
    """Return float64[T]: the mean log loss, or squared error, after each tree."""
    total = np.zeros(len(trees.value))
    for at in range(0, len(x), 4096):
        score = trees.staged(x[at : at + 4096].astype(np.float64))
        truth = y[at : at + 4096, None].astype(np.float64)
        loss = np.logaddexp(0.0, score) - truth * score if trees.task == "binary" else (score - truth) ** 2
        total += loss.sum(axis=0)
    mean: Floats = total / max(len(x), 1)
    return mean
