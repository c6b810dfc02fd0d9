"""The noise basis on shares: each aggregator applies the layout's public integer map to its own shares, mod p."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crypto import field
from featurestore.define.layout import Layout


def to_noise_basis(layout: Layout, shares: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Shares of the mapped slots of each key: uint64[C, K·S] → uint64[C, K·S].

    The map is linear, so shares of the mapped sum are the mapped shares of the sum (DESIGN §3, "the right basis").
    """
    raw = shares.reshape(len(shares), layout.keys, layout.slots_per_key)
    mapped = raw.copy()
    for row, factors in enumerate(layout.basis):
        terms = np.flatnonzero(factors)
        if terms.tolist() == [row] and factors[row] == 1:
            continue
        total = field.scale(raw[:, :, terms[0]], int(factors[terms[0]]))
        for term in terms[1:]:
            total = field.add(total, field.scale(raw[:, :, term], int(factors[term])))
        mapped[:, :, row] = total
    return mapped.reshape(shares.shape)
