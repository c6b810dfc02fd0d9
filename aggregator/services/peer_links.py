"""Helper, key holder and provider as the leader reaches them, and what is said of an answer that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from aggregator.errors import MessageMalformed, PeerRefused, RemoteRefusal
from aggregator.intake.preparation import Preparation
from aggregator.services import aggregator_pb2 as pb
from crypto.errors import SignatureInvalid


class PeerLink(Protocol):
    """Whoever opens a plan with the leader. Each call raises RemoteRefusal or Unreachable."""

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on."""

    def witness(self, told: bytes) -> bytes:
        """The leader's signed `Witness` → the other's; a helper has drawn its noise by then if both have committed."""


class HelperLink(PeerLink, Protocol):
    """The helper as the leader reaches it."""

    def prepare(self, signed_draft: bytes) -> Preparation:
        """A signed draft → what the helper has prepared for it."""
        ...

    def take_key(self, offer: bytes) -> bytes:
        """The leader's signed offer of a verification key → the helper's signed word that it keeps it."""

    def aggregate(self, job: bytes) -> bytes:
        """A signed job → the signed answer."""

    def commit(self, commitment: bytes) -> bytes:
        """The leader's signed commitment → the helper's."""

    def digest(self, signed: bytes) -> bytes:
        """The leader's signed `ShareDigest` → the helper's."""

    def swap(self, plan_hash: bytes, shares: bytes) -> Iterable[bytes]:
        """The leader's noised shares of a plan → the helper's, in pieces."""
        ...

    def finish(self, asked: bytes) -> bytes:
        """The leader's signed `FinishSession` → the same, signed by the helper, which has done so."""


class KeyHolderLink(PeerLink, Protocol):
    """The key holder as the leader reaches it."""

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        """The leader's sums of a plan, in pieces; it has opened them when this returns."""


class ProviderSession(Protocol):
    """A session of the provider's: it lasts as long as its process."""

    def wait(self) -> None:
        """Until the process has ended. Raises RemoteRefusal and Unreachable."""

    def end(self) -> None:
        """End the process."""


class ProviderLink(Protocol):
    """The provider of triples as the leader reaches it."""

    def provide(self, asked: bytes) -> ProviderSession:
        """The leader's signed `FinishSession` → a session."""
        ...


@contextmanager
def as_peers(role: str = "helper") -> Iterator[None]:
    """An answer that is wrong is that party's failure, not the caller's."""
    try:
        yield
    except (MessageMalformed, SignatureInvalid) as error:
        raise answer_invalid(str(error), role) from None


def answer_invalid(why: str, role: str = "helper") -> PeerRefused:
    """The error of an answer that a helper or key holder should not have given."""
    return PeerRefused(RemoteRefusal(role, "ANSWER_INVALID", f"its answer is not valid: {why}", {}))
