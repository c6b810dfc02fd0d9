"""The models of the tasks: gradient-boosted trees, and a logistic regression for effects that trees do not show."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Inputs = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SETTINGS: Final = {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 15, "min_samples_leaf": 2000}


def trees(
    x: Inputs,
    y: Bools,
    fit: Bools,
    ask: Bools,
    *,
    categories: int,
    rising: Bools | None = None,
) -> Floats:
    """Fit trees on the rows in `fit`, and return scores of the rows in `ask`.

    Args:
        x: float32[N, F], NaN for null; the first `categories` columns are codes.
        rising: bool[F], columns in which the score is monotone; None: none.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        **SETTINGS,
        categorical_features=list(range(categories)),
        monotonic_cst=None if rising is None else rising.astype(np.int8),
        early_stopping=False,
        random_state=0,
    )
    model.fit(x[fit], y[fit])
    return np.asarray(model.predict_proba(x[ask])[:, 1])


def logistic(x: Inputs, y: Bools, fit: Bools, ask: Bools, penalty: float) -> Floats:
    """Score like `trees`, with a logistic regression with a quadratic penalty on standardized columns without nulls."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", max_iter=50)
    model.fit(x[fit], y[fit])
    return np.asarray(model.decision_function(x[ask]))
