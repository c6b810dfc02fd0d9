"""The names of a project's folders that others than its owner read."""

from __future__ import annotations

from typing import Final

KEYS: Final = "keys"
"""The keys of the roles, and in its folders their certificates and trusted authorities."""
