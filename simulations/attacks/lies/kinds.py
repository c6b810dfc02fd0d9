"""The lies of a simulated client, by name. A module of its own, so that help texts load no heavy modules."""

from __future__ import annotations

from typing import Final

KINDS: Final[dict[str, str]] = {
    "huge": "adds 2^63",
    "negative": "adds minus one million",
    "fractional": "adds one half: (p + 1)/2, which doubled is 1",
    "count-without-histogram": "counts events that no cell of a histogram counts",
    "two-cells": "puts one event into two cells of a histogram",
    "too-many-keys": "is active at one more join key than max_cells",
    "too-many-events": "has one more event than max_events_per_cell",
    "wrap-around": "adds x to one slot and p - x to its neighbour",
    "not-a-number": "sends the bits of a floating-point NaN",
    "copied-proof": "sends another client's report and proof as its own",
    "plausible": "claims the most that the bounds allow; no proof stops that",
}
"""The action of a lying client, in words that continue `a client`; each fits a line of help."""

PLAUSIBLE: Final = "plausible"
"""The one kind that is within the bounds."""
COPIED: Final = "copied-proof"
"""The one kind that needs another client's report."""
