"""The errors of the transcription: one for malformed input, one for rejected reports."""

from __future__ import annotations


class Malformed(Exception):
    """An argument that breaks a pre-condition or an encoding of the draft: a size, a range, bytes that do not parse."""


class Rejected(Exception):
    """A well-formed report that verification refuses: a proof, the joint randomness or the test point."""


def require(condition: bool, what: str) -> None:
    """Raises Malformed with `what` unless the condition holds."""
    if not condition:
        raise Malformed(what)


def require_size(what: str, have: int, need: int) -> None:
    """Raises Malformed unless the two lengths agree."""
    require(have == need, f"{what}: have {have}, need {need}")
