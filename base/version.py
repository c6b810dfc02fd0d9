"""The version of Covey, and that of the messages between its roles."""

from typing import Final

VERSION: Final = "0.1.0"
PROTOCOL: Final = 1
"""Changes with every message or rule that all roles of a collection must share."""
