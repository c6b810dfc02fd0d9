"""What a consumer may do in the console of a server. The routes of the feature server need no role."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Role(IntEnum):
    """A role includes all smaller ones.

    READER: look. AUTHOR: also write views.py. OPERATOR: also what spends a budget or changes what is served.
    """

    READER = 1
    AUTHOR = 2
    OPERATOR = 3

    @property
    def label(self) -> str:
        """The role as files and commands write it."""
        return self.name.lower()


ROLES: Final[Mapping[str, Role]] = {role.label: role for role in Role}
"""The roles by their labels."""
