"""What a request and an answer may have at most, in every protocol: they are parsed and rendered on the event loop, and all
clients wait meanwhile."""

from __future__ import annotations

from typing import Final

from featurestore.errors import RequestTooLarge

from .ask import Used

MAX_CELLS: Final = 1_000_000
"""The most values of a request that become objects of Python. A body may have four times as many, which take half a second."""
MAX_NUMBERS: Final = 1_000_000
"""The most numbers of the features of an answer (rows × features): about 30 MB of JSON."""


def require_cells(cells: int) -> None:
    """Raise RequestTooLarge if a request has more values than `MAX_CELLS`."""
    if cells > MAX_CELLS:
        raise RequestTooLarge(f"{cells:,} values; at most {MAX_CELLS:,}. Send fewer rows at once")


def require_explainable(used: Used) -> None:
    """Raise RequestTooLarge if the features of all rows are more than `MAX_NUMBERS`."""
    if used.values.size > MAX_NUMBERS:
        raise RequestTooLarge(
            f"{used.values.size:,} features of all rows; at most {MAX_NUMBERS:,} are explained. Send fewer rows"
        )
