"""Sizes in bytes as people write them: `512MB`, `2GB`, `1GiB`."""

from __future__ import annotations

import re
from typing import Final

MAX_SIZE: Final = 10**15
_UNITS: Final = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_SIZE: Final = re.compile(r"([0-9]{1,15}) ?([A-Za-z]{1,3})", re.ASCII)


def parse_size(text: object) -> int:
    """Bytes of a size such as `512MB` (10⁶ bytes each) or `1GiB` (2³⁰ bytes); ValueError otherwise."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"not a size: {str(text)[:80]!r}; write a whole number and a unit, such as '512MB' or '2GB'")
    size = int(match[1]) * _UNITS[match[2]]
    if not 0 < size <= MAX_SIZE:
        raise ValueError(f"the size {text!r} is not between 1 B and {MAX_SIZE // 10**12:,} TB")
    return size
