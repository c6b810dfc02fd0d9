"""Predictions as a server would give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from featurestore.define.decoded import Status
from training.serving.ask import Predicted, Used, UsedRelease


def predicted(**more: Any) -> Predicted:
    return Predicted("late", 2, 7, np.array([0.25, 0.1], np.float32), **more)


def explained() -> Predicted:
    used = Used(
        ("delays:late", "delays:coverage", "wind"),
        np.array([[0.5, np.nan, 3.0], [0.25, 1.0, np.nan]]),
        np.array([[0.01, np.nan, np.nan], [0.02, 0.0, np.nan]]),
        np.array([[Status.OK, Status.NOT_FOUND], [Status.ROUGH_SE, Status.OK]], np.uint8),
        (UsedRelease("delays", 1, "ab12", 1_700_000_000_000_000),),
    )
    return predicted(used=used, interval=(np.array([0.2, 0.0]), np.array([0.3, np.nan])))
