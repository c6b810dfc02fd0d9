"""The loops of Field64: compiled by numba where it is installed, in numpy elsewhere."""

from __future__ import annotations

from base.compiled import COMPILED

from .field_kernels import P

if COMPILED:
    from .field_kernels import add_elements, add_rows, add_sparse, multiply_elements, subtract_elements
else:
    from .field_numpy import add_elements, add_rows, add_sparse, multiply_elements, subtract_elements

__all__ = ["P", "add_elements", "add_rows", "add_sparse", "multiply_elements", "subtract_elements"]
