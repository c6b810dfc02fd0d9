"""The peer of Covey's samplers: OpenDP's exact discrete Gaussian and Laplace (CKS20), from the system's randomness.

OpenDP takes no seed, on purpose. Its scales are floats; the nearest ones are used.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian, make_laplace
from opendp.metrics import l1_distance, l2_distance
from opendp.mod import enable_features

enable_features("contrib")  # where OpenDP keeps every measurement that is proven but not yet vetted by two people


class OpenDPStream:
    """A `crypto.noise.NoiseStream`: 12-25 us a Gaussian sample, 7-14 us a Laplace."""

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> npt.NDArray[np.int64]:
        """Draw int64[size] of N_Z(0, σ²)."""
        space = vector_domain(atom_domain(T="i64")), l2_distance(T="i64")
        return np.array(make_gaussian(*space, scale=math.sqrt(sigma_sq))([0] * size), dtype=np.int64)

    def discrete_laplace(self, scale: Fraction, size: int) -> npt.NDArray[np.int64]:
        """Draw int64[size] of Lap_Z(b)."""
        space = vector_domain(atom_domain(T="i64")), l1_distance(T="i64")
        return np.array(make_laplace(*space, scale=float(scale))([0] * size), dtype=np.int64)
