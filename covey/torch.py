"""PyTorch: released features as batches of tensors, and as a table on the device."""

from __future__ import annotations

from training.data.dataset import Batch, FeatureDataset
from training.data.loader import FeatureLoader
from training.data.shrinkage import EmpiricalBayesShrinkage, released_rows
from training.data.table import FeatureTable

__all__ = [
    "Batch",
    "EmpiricalBayesShrinkage",
    "FeatureDataset",
    "FeatureLoader",
    "FeatureTable",
    "released_rows",
]
