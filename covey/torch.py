"""PyTorch: released features as batches of tensors, and as a table on the device."""

from __future__ import annotations

from featurestore.trainers.dataset import Batch, FeatureDataset
from featurestore.trainers.loader import FeatureLoader
from featurestore.trainers.noise_aware import (
    DenoisedScaler,
    EmpiricalBayesShrinkage,
    RegressionCalibrator,
    inverse_variance_weights,
    nested_windows,
    released_rows,
)
from featurestore.trainers.table import FeatureTable

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
