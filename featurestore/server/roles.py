"""What a consumer may do in the console of a server. The routes of the feature server need no role."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, Literal, assert_never

RoleName = Literal["reader", "author", "operator"]
"""A role as files, commands and the console's API write it."""


class Role(IntEnum):
    """A role includes all smaller ones.

    READER: look. AUTHOR: also write views.py. OPERATOR: also what spends a budget or changes what is served.
    """

    READER = 1
    AUTHOR = 2
    OPERATOR = 3

    @property
    def label(self) -> RoleName:
        """The name of the role."""
        match self:
            case Role.READER:
                return "reader"
            case Role.AUTHOR:
                return "author"
            case Role.OPERATOR:
                return "operator"
            case _:
                assert_never(self)


ROLES: Final[Mapping[str, Role]] = {role.label: role for role in Role}
"""The roles by their labels."""
