"""How long the batches of a model take, as measured: a time for each batch, and a time for each of its rows."""

from __future__ import annotations

from typing import Final

_SMOOTHING: Final = 0.1
"""The weight of the newest batch."""


class BatchTime:
    """A line through the measured batches: seconds over rows, where newer batches count more.

    A model spends most of a small batch on what each batch needs, so the seconds a row of small batches say little about a large
    one.
    """

    def __init__(self) -> None:
        self._rows = self._seconds = 0.0
        """The weighted means."""
        self._variance = self._covariance = 0.0

    def add(self, rows: int, seconds: float) -> None:
        """A batch was measured."""
        if not self._rows:
            self._rows, self._seconds = float(rows), seconds
            return
        more, longer = rows - self._rows, seconds - self._seconds
        self._rows += _SMOOTHING * more
        self._seconds += _SMOOTHING * longer
        self._variance = (1 - _SMOOTHING) * (self._variance + _SMOOTHING * more * more)
        self._covariance = (1 - _SMOOTHING) * (self._covariance + _SMOOTHING * more * longer)

    def of(self, batches: int, rows: int) -> float:
        """The seconds of some batches with so many rows in all; 0 before the first batch was measured.

        It is the lower one of two estimates, by the line and by the mean seconds a row: a request is refused for its deadline only
        if both say that it is too late.
        """
        if not self._rows:
            return 0.0
        a_row = max(0.0, self._covariance / self._variance) if self._variance else 0.0
        a_batch = max(0.0, self._seconds - a_row * self._rows)
        return min(batches * a_batch + rows * a_row, rows * self._seconds / self._rows)
