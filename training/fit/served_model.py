"""Predict with a registered model, from the newest values of the online store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from featurestore.define.entities import ColumnType
from featurestore.errors import BadReference
from featurestore.read.vectors import Vectors
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from training.serving.arrays import Arrays
from training.serving.kinds.loading import Loading
from training.serving.kinds.open_runner import open_runner
from training.serving.kinds.runner import Runner
from training.serving.signature import ModelSignature

from .lineage import require_same


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for N keys, of one epoch of the store.

    Attributes:
        values: float64[N], probabilities for a binary target.
        columns: float64[N, C], the given plain columns.
        vectors: the served features.
    """

    values: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float64]
    vectors: Vectors


class ServedModel:
    """A registered model, ready to predict. Open it with `ServedModel.open`.

    Attributes:
        model: the registered model.
        features: references of its features, with versions of views.
    """

    def __init__(self, model: RegisteredModel, store: Store, runner: Runner) -> None:
        self.model, self._runner, self._store = model, runner, store
        signature = ModelSignature.of(model)
        self.features, self.columns, self._constants = signature.features, signature.columns, signature.constants
        self._reader = store.reader(self.features)

    @classmethod
    def open(cls, store: Store, name: str, views_file: Path | None = None) -> Self:
        """Open the newest version of a model, or `name@v<n>`.

        Args:
            store: a store that was opened with the on-demand views of `views_file`, if any.

        Raises:
            UnknownModel. ModelOutdated: a view or the file of on-demand views has changed since the training.
            StoreCorrupt: the model's file has changed since it was registered. ModelRefused: `covey train` does not write
                such an archive, or it holds code.
        """
        model = store.model(name)
        require_same(model, store, views_file)
        return cls(model, store, open_runner(model, Loading()))

    @property
    def inputs(self) -> dict[str, ColumnType]:
        """Return the inputs of `predict`: join keys, inputs of on-demand views and plain columns, with their types."""
        keys = {
            name: kind for name, kind in self._store.key_types(self.features).items() if name not in self._constants
        }
        return keys | dict.fromkeys(self.columns, "float64")

    def predict(self, given: Mapping[str, Sequence[Any]]) -> Predictions:
        """Predict for some keys, from the newest epoch.

        Args:
            given: a list for each of `inputs`, all of one length; {} if there are none.

        Raises:
            BadReference: an input is missing, has another type, or is infinite. OnDemandFailed. ModelFailed.
        """
        needed = self.inputs
        for name in needed:
            if name not in given:
                raise BadReference(f"model {self.model} needs {name!r}; it takes: {', '.join(needed)}")
        count = len(next(iter(given.values()), [0]))
        types = self._store.key_types(self.features)
        keys = {name: list(given[name]) for name in types if name not in self._constants}
        keys |= {name: [value] * count for name, value in self._constants.items() if name in types}
        vectors = self._reader.read(keys)
        columns = np.array([given[name] for name in self.columns], dtype=np.float64).reshape(len(self.columns), count).T
        if np.isinf(columns).any():
            raise BadReference(
                f"{self.columns[int(np.isinf(columns).any(axis=0).argmax())]!r} is infinite; write a number"
            )
        mask = np.hstack((vectors.mask, ~np.isnan(columns)))
        x, se = np.hstack((vectors.values, columns)), np.hstack((vectors.se, np.zeros_like(columns)))
        arrays = Arrays(np.where(mask, x, 0).astype(np.float32), mask, np.where(mask, se, 0).astype(np.float32))
        values = self._runner.run(arrays)
        return Predictions(values.astype(np.float64), columns, vectors)
