"""The modulus of Field64 of the VDAF draft."""

from __future__ import annotations

from typing import Final

P: Final = 2**64 - 2**32 + 1
