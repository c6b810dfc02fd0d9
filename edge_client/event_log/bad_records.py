"""Records that cannot be understood. They are counted and kept aside, and stop nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BadReason(StrEnum):
    """What is wrong with a record. The values are stored in event logs."""

    EMPTY = "empty"
    """It has no bytes, such as a tombstone of Kafka."""
    TOO_LARGE = "too large"
    NOT_JSON = "not JSON"
    """It is not one whole JSON value in UTF-8."""
    NO_OBJECT = "no object"
    """It is JSON, but no object with named values."""
    NO_CLIENT = "no client"
    """The column of the client is missing, null, or of another type than the site's file says."""
    NO_TIME = "no time"
    """The column of the time is missing, null, of another type, or not a time."""


@dataclass(frozen=True)
class BadRecord:
    """One of them.

    Attributes:
        raw: its bytes, or the first of them. As private as an event.
        where: where the source had it, such as `topic[2]@1707`.
    """

    reason: BadReason
    raw: bytes
    where: str
