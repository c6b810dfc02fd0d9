"""The helper as the leader reaches it, and what is said of an answer that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from crypto.errors import SignatureInvalid

from .errors import HelperRefused, MessageMalformed, Refused


class HelperLink(Protocol):
    """The helper as the leader reaches it. Each call raises Refused or Unreachable."""

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on."""

    def take_key(self, offer: bytes) -> bytes:
        """The leader's signed offer of a verification key → the helper's signed word that it keeps it."""

    def aggregate(self, job: bytes) -> bytes:
        """A signed job → the signed answer."""

    def commit(self, commitment: bytes) -> bytes:
        """The leader's signed commitment → the helper's."""

    def witness(self, told: bytes) -> bytes:
        """The leader's signed `Witness` → the helper's, after it has drawn its noise if both have committed."""


@contextmanager
def as_helpers() -> Iterator[None]:
    """An answer that is wrong is the helper's failure, not the caller's."""
    try:
        yield
    except (MessageMalformed, SignatureInvalid) as error:
        raise answer_invalid(str(error)) from None


def answer_invalid(why: str) -> HelperRefused:
    """The error of an answer that the helper should not have given."""
    return HelperRefused(Refused("helper", "ANSWER_INVALID", f"its answer is not valid: {why}", {}))
