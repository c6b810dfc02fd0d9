"""The noise of real releases: OpenDP's exact discrete Gaussian and Laplace (CKS20), from the system's randomness.

OpenDP takes no seed, on purpose. Its samplers release the GIL: two threads draw at 1.7 times the speed of one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian, make_laplace
from opendp.metrics import l1_distance, l2_distance
from opendp.mod import enable_features

from crypto.errors import ScaleOutOfRange
from crypto.noise import float_not_below, scale_of

# OpenDP saturates at int64 instead of wrapping. Up to here 2^63 is 256 sigma, or 256 b: beyond lies less than 2^-369.
_LARGEST_SCALE = 2.0**55
_TOO_LARGE = "so large that int64 could saturate"

enable_features("contrib")  # where OpenDP keeps every measurement that is proven but not yet vetted by two people


class OpenDPNoise:
    """A `crypto.noise.NoiseSource`; stateless, so threads may share it. 12-25 us a Gaussian sample, 7-14 us a Laplace.

    Each sample is drawn on a zero and added to a share mod p by the caller: OpenDP's own sum would saturate.
    The scale is a float that is never below the exact one. A small scale is exact too, which below 0.3 means hardly any
    noise at all (P[0] = 0.99 of a Gaussian): that is what the privacy of such a scale is worth, and its price shows it.
    """

    name = "opendp"
    seeded = False

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> npt.NDArray[np.int64]:
        """Draw int64[size] of N_Z(0, σ²), σ rounded up to a float. Raises ScaleOutOfRange."""
        scale = scale_of(sigma_sq)
        if scale > _LARGEST_SCALE:
            raise ScaleOutOfRange("sigma^2", sigma_sq, _TOO_LARGE)
        space = vector_domain(atom_domain(T="i64")), l2_distance(T="i64")
        return np.array(make_gaussian(*space, scale=scale)([0] * size), dtype=np.int64)

    def discrete_laplace(self, scale: Fraction, size: int) -> npt.NDArray[np.int64]:
        """Draw int64[size] of Lap_Z(b), b rounded up to a float. Raises ScaleOutOfRange."""
        if scale <= 0:
            raise ScaleOutOfRange("b", scale, "not positive")
        if scale > _LARGEST_SCALE:
            raise ScaleOutOfRange("b", scale, _TOO_LARGE)
        space = vector_domain(atom_domain(T="i64")), l1_distance(T="i64")
        return np.array(make_laplace(*space, scale=float_not_below(scale))([0] * size), dtype=np.int64)
