"""Lightning: released features as the data of a training."""

from __future__ import annotations

from training.data.data_module import FeatureDataModule

__all__ = ["FeatureDataModule"]
