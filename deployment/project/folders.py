"""The names of a project's folders that several modules use."""

from __future__ import annotations

from typing import Final

KEYS: Final = "keys"
"""The folder with the keys of the roles, their certificates and the trusted authorities."""
