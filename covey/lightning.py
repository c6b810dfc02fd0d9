"""Lightning: released features as the data of a training."""

from __future__ import annotations

from featurestore.trainers.data_module import FeatureDataModule

__all__ = ["FeatureDataModule"]
