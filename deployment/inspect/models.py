"""The registered models with their shares of the requests, and the tests of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from featurestore.errors import StoreCorrupt, UnknownModel
from featurestore.registry.models import RegisteredModel
from featurestore.registry.serving_versions import ModelHistory
from featurestore.store import Store

REPORT: Final = "report.json"
"""The file of a model with the metrics of its test, where it was trained here."""
_MOST_BYTES: Final = 2**24


@dataclass(frozen=True)
class ModelVersion:
    """A version of a model, with the versions and promotions of its name."""

    model: RegisteredModel
    history: ModelHistory

    @property
    def share(self) -> float:
        """The share of the requests that it answers."""
        return self.history.in_force.share(self.model.version)


@dataclass(frozen=True)
class ReportedMetric:
    """A metric on the test rows; without an interval `low` and `high` are None."""

    value: float
    low: float | None
    high: float | None


def model_versions(store: Store, name: str | None = None) -> list[ModelVersion]:
    """The versions of a name, or of all names. Raises UnknownModel."""
    found = [one for one in store.models() if name in (None, one.name)]
    if name is not None and not found:
        raise UnknownModel(name, [str(one) for one in store.models()])
    histories = {one: store.model_history(one) for one in dict.fromkeys(model.name for model in found)}
    return [ModelVersion(model, histories[model.name]) for model in found]


def model_version(store: Store, reference: str) -> ModelVersion:
    """The version of `name@v<n>`, or the one of `name` with the largest share. Raises UnknownModel."""
    model = store.model(reference)
    return ModelVersion(model, store.model_history(model.name))


def reported_metrics(model: RegisteredModel) -> Mapping[str, Mapping[str, ReportedMetric]]:
    """The metrics of the test of a model and of what it was compared with; empty: it has no report. Raises StoreCorrupt."""
    if REPORT not in model.files:
        return {}
    data = model.read(REPORT)
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError("too large")
        metrics: dict[str, dict[str, Any]] = json.loads(data)["metrics"]
        return {
            kind: {
                name: ReportedMetric(*map(_number, (one["value"], one["low"], one["high"]))) for name, one in of.items()
            }
            for kind, of in metrics.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StoreCorrupt(f"model {model}: {REPORT} has no readable metrics") from None


def _number(value: Any) -> Any:
    if value is not None and type(value) not in (int, float):
        raise TypeError
    return value
