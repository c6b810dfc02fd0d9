"""A late-arrival model on three inputs: the schedule, the schedule with exact aggregates, or with private aggregates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.store import Store

FEATURES: Final = (
    "area_delay:late",
    "area_delay:late_3h",
    "area_delay:late_24h",
    "carrier_delay:late",
    "carrier_delay:late_7d",
    "carrier_delay:late_28d",
)
LATE_MINUTES: Final = 15
TEST_FROM: Final = datetime(2013, 9, 1, tzinfo=UTC)
_CATEGORIES: Final = ("carrier", "origin", "dest")


@dataclass(frozen=True)
class Models:
    """Area under the ROC curve on September to December, trained on January to August."""

    train: int
    test: int
    schedule: float
    exact: float
    private: float

    @property
    def kept(self) -> float:
        """The share of the exact aggregates' gain over the schedule that the private aggregates keep."""
        return (self.private - self.schedule) / (self.exact - self.schedule)


def compare_models(flights: pa.Table, private: Store, exact: Store, progress: Callable[[int, int], None]) -> Models:
    """Train and test the three models. Labels are joined at the scheduled departure, so no later value is used.

    Args:
        progress: called with (models done, models in all).
    """
    progress(0, 3)
    labels = flights.filter(pc.is_valid(flights["arr_delay"]))
    late = pc.greater(labels["arr_delay"], LATE_MINUTES).to_numpy()
    is_test = pc.greater_equal(labels["sched_dep"], pa.scalar(TEST_FROM, pa.timestamp("us", "UTC"))).to_numpy()
    schedule = _schedule(labels)

    aucs = []
    for store in (None, exact, private):
        x = schedule if store is None else np.column_stack((schedule, _joined(labels, store)))
        aucs.append(_auc(x, late, is_test))
        progress(len(aucs), 3)
    return Models(int((~is_test).sum()), int(is_test.sum()), *aucs)


def late_labels(flights: pa.Table) -> pa.Table:
    """The labels of `examples/late_model.toml`: one row for each flight that arrived, by scheduled departure."""
    labels = flights.filter(pc.is_valid(flights["arr_delay"])).sort_by("sched_dep")
    kept = labels.select(["carrier", "origin", "dest", "distance", "hour", "sched_dep", "arrived_at"])
    return kept.append_column("late", pc.greater(labels["arr_delay"], LATE_MINUTES))


def _schedule(labels: pa.Table) -> npt.NDArray[np.float32]:
    """float32[N, 6]: the codes of three categories, the local minute of the day, the weekday, the distance."""
    codes = [labels[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in _CATEGORIES]
    minute = labels["hour"].to_numpy() * 60 + labels["minute"].to_numpy()
    weekday = pc.day_of_week(labels["sched_dep"].cast(pa.timestamp("us"))).to_numpy()
    return np.column_stack((*codes, minute, weekday, labels["distance"].to_numpy())).astype(np.float32)


def _joined(labels: pa.Table, store: Store) -> npt.NDArray[np.float32]:
    """float32[N, features]; NaN for null."""
    keys = labels.select(["carrier", "sched_dep"])
    table = store.join(keys, list(FEATURES), "sched_dep", full_names=True, intervals=False).read_all()
    names = [ref.replace(":", "__") for ref in FEATURES]
    return np.column_stack([pc.fill_null(table[name], np.nan).to_numpy() for name in names]).astype(np.float32)


def _auc(x: npt.NDArray[np.float32], late: npt.NDArray[np.bool_], is_test: npt.NDArray[np.bool_]) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=150,
        max_leaf_nodes=15,
        min_samples_leaf=2000,
        categorical_features=list(range(len(_CATEGORIES))),
        early_stopping=False,
        random_state=0,
    )
    model.fit(x[~is_test], late[~is_test])
    return float(roc_auc_score(late[is_test], model.predict_proba(x[is_test])[:, 1]))
