"""Checks that the package `crypto` is Covey's. Where a file system ignores case, pycryptodome's `Crypto` is the same folder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

OF_PYCRYPTODOME: Final = "Cipher"
"""A package inside pycryptodome's `Crypto`, and not inside ours."""


def require_own_crypto(root: Path) -> None:
    """Check what `import crypto` would find, without importing it.

    Args:
        root: the folder with Covey's packages.

    Raises:
        ImportError: it finds nothing, another package, or ours mixed with pycryptodome's; says how to install Covey.
    """
    spec = find_spec("crypto")
    found = [] if spec is None else [Path(one) for one in spec.submodule_search_locations or ()]
    if found != [root / "crypto"] or (found[0] / OF_PYCRYPTODOME).exists():
        where = ", ".join(map(str, found)) or "nothing"
        raise ImportError(
            f"the package `crypto` is not Covey's (found: {where}). On file systems that ignore case, pycryptodome's `Crypto` "
            "takes its place in site-packages. Install Covey from a checkout with `pip install --editable .`"
        )
