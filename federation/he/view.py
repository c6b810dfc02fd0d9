"""A view under homomorphic encryption: the bounds of its slots, its BFV parameters, and reports in the noise basis.

Slots of a ciphertext cannot be combined, so a client applies the layout's integer map itself, and noise is added slot by
slot. Encrypted reports carry no proof, so their slots may be negative. One client changes a slot of the noise basis by at
most its group's sensitivity of a cell. The bounds here, the room in the plaintext prime and the range that the key holder
checks follow from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from crypto.bfv_parameters import BfvParameters, Slots, gaussian_bound, leak_rho
from crypto.errors import CryptoError, ValueOutOfRange
from crypto.sharing import SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import Group, Layout, layout_of
from featurestore.define.mechanism import GaussianMechanism
from federation.errors import HeImpossible


@dataclass(frozen=True, eq=False)
class SlotBounds:
    """For each slot of a report, int64[slots]: the least and the most that one client adds, and B of one party's noise."""

    low: Slots
    high: Slots
    noise: Slots


@lru_cache(maxsize=256)
def he_parameters(view: FeatureView, max_clients: int, noisy: bool) -> BfvParameters:
    """The BFV parameters of a view: client, leader and key holder derive the same ones.

    Raises:
        HeImpossible: more clients or slots than parameters with 128-bit security hold, or a price in pure ε.
    """
    layout = layout_of(view)
    bounds = [_bounds_of(group, layout) for group in layout.groups]
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    largest = max(_sigma_sq(group, view) for group in layout.groups)
    try:
        return BfvParameters.choose(max_clients, low, high, largest if noisy else Fraction(0), layout.length)
    except CryptoError as error:
        raise HeImpossible(view.name, str(error)) from None


def slot_bounds(layout: Layout, *, noisy: bool) -> SlotBounds:
    """The bounds of each slot, from its noise group."""
    rows = np.zeros((3, layout.slots_per_key), np.int64)
    for group in layout.groups:
        noise = gaussian_bound(_sigma_sq(group, layout.view)) if noisy else 0
        rows[:, list(group.slots)] = np.array([*_bounds_of(group, layout), noise])[:, None]
    low, high, noise_bound = np.tile(rows, layout.keys)
    return SlotBounds(low, high, noise_bound)


def leak_micro_rho(view: FeatureView, max_clients: int, noisy: bool) -> int:
    """The cost of a client-day beyond the layout's ρ, in millionths, rounded up.

    The key holder sees the decryption noise of each opening. A client-day has values in at most `max_cells` cells, so it
    affects the rounding of at most `max_cells` panes; in the other panes its ciphertexts are zeros, or missing.
    """
    panes = min(view.bounds.max_cells, view.panes_per_day)
    return math.ceil(panes * 10**6 * Fraction(leak_rho(he_parameters(view, max_clients, noisy))))


def encode_report(layout: Layout, rows: SparseRows) -> npt.NDArray[np.int64]:
    """Run by the client: its reports in the noise basis, int64[R, slots].

    Raises:
        ValueOutOfRange: a value that no client of the view can have. Then nothing of the batch is encrypted.
    """
    dense = np.zeros((len(rows), layout.length), np.int64)
    np.add.at(dense, (np.repeat(np.arange(len(rows)), np.diff(rows.indptr)), rows.columns), rows.values)
    raw = dense.reshape(len(rows), layout.keys, layout.slots_per_key)
    mapped = raw.copy()
    for row, factors in enumerate(layout.basis):
        terms = np.flatnonzero(factors)
        if terms.tolist() != [row] or factors[row] != 1:
            mapped[:, :, row] = raw[:, :, terms] @ factors[terms]
    encoded = mapped.reshape(len(rows), layout.length)
    bounds = slot_bounds(layout, noisy=False)
    wrong = ((encoded < bounds.low) | (encoded > bounds.high)).any(axis=0)
    if wrong.any():
        slot = int(np.argmax(wrong))
        raise ValueOutOfRange("slot", slot, int(bounds.low[slot]), int(bounds.high[slot]))
    return encoded


def _sigma_sq(group: Group, view: FeatureView) -> Fraction:
    """σ² of one party's noise. Raises HeImpossible: the price is in pure ε."""
    if isinstance(group.mechanism, GaussianMechanism):
        return group.mechanism.sigma_sq
    raise HeImpossible(
        view.name,
        "its price is in pure ε, but the key holder also sees Gaussian decryption noise, which has no pure ε",
    )


def _bounds_of(group: Group, layout: Layout) -> tuple[int, int]:
    """The least and the most that one client adds to a slot of a group: a client has one cell for each key and pane."""
    per_cell = group.per_cell
    return (-per_cell if group.kind == "centred_sum" else 0), per_cell
