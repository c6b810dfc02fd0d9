"""What a user of the console may do."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """A role includes all smaller ones.

    READER: look. AUTHOR: also write views.py. OPERATOR: also what spends a budget or changes what is served.
    """

    READER = 1
    AUTHOR = 2
    OPERATOR = 3
