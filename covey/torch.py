"""PyTorch: released features as batches of tensors, and as a table on the device."""

from __future__ import annotations

from training.data.dataset import Batch, FeatureDataset
from training.data.loader import FeatureLoader
from training.data.noise_aware import (
    DenoisedScaler,
    EmpiricalBayesShrinkage,
    RegressionCalibrator,
    inverse_variance_weights,
    nested_windows,
    released_rows,
)
from training.data.table import FeatureTable

__all__ = [
    "Batch",
    "DenoisedScaler",
    "EmpiricalBayesShrinkage",
    "FeatureDataset",
    "FeatureLoader",
    "FeatureTable",
    "RegressionCalibrator",
    "inverse_variance_weights",
    "nested_windows",
    "released_rows",
]
