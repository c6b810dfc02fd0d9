"""The loops of Field64: compiled by numba where it is installed, in numpy elsewhere.

numba takes half a second to import, and most processes never compute in a field: the loops are imported at their first use.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from base.extras import COMPILED


@cache
def loops() -> ModuleType:
    """`field_kernels` or `field_numpy`. Both have the same functions."""
    if COMPILED:
        from . import field_kernels

        return field_kernels
    from . import field_numpy

    return field_numpy
