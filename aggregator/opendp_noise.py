"""The noise of real releases: OpenDP's exact discrete Gaussian (CKS20), from the operating system's randomness.

OpenDP takes no seed, on purpose. Its sampler releases the GIL: two threads draw at 1.7 times the speed of one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian
from opendp.metrics import l2_distance
from opendp.mod import enable_features

from crypto.errors import ScaleOutOfRange
from crypto.noise import scale_of

# OpenDP saturates at int64 instead of wrapping. Up to here a sample of 100 sigma is still far inside.
_LARGEST_SCALE = 2.0**55

enable_features("contrib")  # where OpenDP keeps every measurement that is proven but not yet vetted by two people


class OpenDPNoise:
    """A `crypto.noise.NoiseSource`; stateless, so threads may share it. 12-25 us a sample.

    Each sample is drawn on a zero and added to a share mod p by the caller: OpenDP's own sum would saturate.
    The scale is `scale_of`: never below the exact root. A small scale is exact too, which below 0.3 means hardly any
    noise at all (P[0] = 0.99): that is what the zCDP of such a scale is worth, and its price shows it.
    """

    name = "opendp"
    seeded = False

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> npt.NDArray[np.int64]:
        """Draw int64[size] of N_Z(0, σ²), σ rounded up to a float. Raises ScaleOutOfRange."""
        scale = scale_of(sigma_sq)
        if scale > _LARGEST_SCALE:
            raise ScaleOutOfRange(sigma_sq.numerator, sigma_sq.denominator, "so large that int64 could saturate")
        space = vector_domain(atom_domain(T="i64")), l2_distance(T="i64")
        return np.array(make_gaussian(*space, scale=scale)([0] * size), dtype=np.int64)
