"""`FeatureDataModule`: Lightning's data module, from a store, labels and two split times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import lightning
import torch

from base.times import to_us
from training.errors import TrainingArgument

from .dataset import FeatureDataset
from .loader import FeatureLoader


class FeatureDataModule(lightning.LightningDataModule):
    """Rows of one join: training before `validate_from`, validation before `test_from`, test from `test_from` on.

    With an outcome time, a part has only rows whose outcome was known before the end of the part. The trainer's epoch shuffles
    the training rows. A checkpoint within an epoch records the position in it.

    Args:
        store: see `FeatureDataset`, also for all other arguments; `shuffle` applies to the training rows.
        validate_from, test_from: naive times are UTC; None: no such part.

    Raises:
        TrainingArgument: the times are not in order.
    """

    def __init__(
        self,
        store: Any,
        *,
        validate_from: datetime | None = None,
        test_from: datetime | None = None,
        shuffle: bool = True,
        **given: Any,
    ) -> None:
        super().__init__()
        if validate_from is not None and test_from is not None and to_us(validate_from) >= to_us(test_from):
            raise TrainingArgument(f"validate_from {validate_from} must be before test_from {test_from}")
        self._store, self._shuffle, self._given = store, shuffle, given
        self._validate_from, self._test_from = validate_from, test_from
        self._dataset: FeatureDataset | None = None
        # Lightning assumes that a part exists if its method overrides the base class
        for moment, name in ((validate_from, "val_dataloader"), (test_from, "test_dataloader")):
            if moment is None:
                setattr(self, name, getattr(super(), name))

    @property
    def dataset(self) -> FeatureDataset:
        """Return all rows, with the report and the names of the features. The first access joins."""
        if self._dataset is None:
            self._dataset = FeatureDataset(self._store, **self._given)
        return self._dataset

    def prepare_data(self) -> None:
        """Join. Run by one process of a machine; the others find the joined cache."""
        _ = self.dataset

    def setup(self, stage: str) -> None:
        """Find the joined cache. Run by every process."""
        _ = self.dataset

    def train_dataloader(self) -> FeatureLoader:
        """Return the rows before the first of the two times."""
        end = self._validate_from if self._validate_from is not None else self._test_from
        return self._loader(self.dataset.between(None, end, shuffle=self._shuffle), lambda: self._current_epoch)

    def val_dataloader(self) -> FeatureLoader:
        """Return the rows from `validate_from` on, in their order."""
        return self._loader(self.dataset.between(self._validate_from, self._test_from, shuffle=False))

    def test_dataloader(self) -> FeatureLoader:
        """Return the rows from `test_from` on, in their order."""
        return self._loader(self.dataset.between(self._test_from, None, shuffle=False))

    @property
    def _current_epoch(self) -> int:
        return 0 if self.trainer is None else int(self.trainer.current_epoch)

    def _loader(self, dataset: FeatureDataset, epoch: Callable[[], int] | None = None) -> FeatureLoader:
        return FeatureLoader(dataset, pin_memory=torch.cuda.is_available(), epoch=epoch)
