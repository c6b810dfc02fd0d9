"""How many examples Hypothesis tries: all of them under `--full`, a quarter of them otherwise."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

FULL: Final = 100
"""Of a test without a number of its own."""


def examples(number: int) -> int:
    """The examples of a test that tries `number` of them under `--full`."""
    return number * settings().max_examples // FULL
