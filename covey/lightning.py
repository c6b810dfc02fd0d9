"""Lightning: released features as training data."""

from __future__ import annotations

from training.data.data_module import FeatureDataModule

__all__ = ["FeatureDataModule"]
