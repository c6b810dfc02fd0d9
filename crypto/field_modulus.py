"""The moduli of Field64 and Field128 of the VDAF draft (draft-irtf-cfrg-vdaf, section 6.1)."""

from __future__ import annotations

from typing import Final

P: Final = 2**64 - 2**32 + 1
"""Of Field64."""
P128: Final = 2**128 - 28 * 2**64 + 1
"""Of Field128."""
