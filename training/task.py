"""What a model predicts."""

from typing import Literal

Task = Literal["binary", "regression"]
"""Whether a target is 0 or 1, or a number."""
