"""The leader's links to helper, key holder and provider, and the error of an invalid answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from aggregator.errors import MessageMalformed, PeerRefused, RemoteRefusal
from aggregator.intake.preparation import Preparation
from aggregator.services import aggregator_pb2 as pb
from crypto.errors import SignatureInvalid


class PeerLink(Protocol):
    """The link to the party that opens a plan with the leader. Each call raises RemoteRefusal or Unreachable."""

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on."""

    def free(self, request: bytes) -> list[bytes]:
        """The coordinator's signed request to free a plan → the peer has erased it; its statement once the peer disowns it."""
        ...

    def witness(self, message: bytes) -> bytes:
        """The leader's signed `Witness` → the peer's. If both have committed, a helper has drawn its noise when this returns."""


class HelperLink(PeerLink, Protocol):
    """The leader's link to the helper."""

    def prepare(self, signed_draft: bytes) -> Preparation:
        """A signed draft → the helper's preparation for it."""
        ...

    def take_key(self, offer: bytes) -> bytes:
        """The leader's signed offer of a verification key → the helper's signed confirmation that it stores the key."""

    def aggregate(self, job: bytes) -> bytes:
        """A signed job → the signed answer."""

    def commit(self, commitment: bytes) -> bytes:
        """The leader's signed commitment → the helper's."""

    def digest(self, signed: bytes) -> bytes:
        """The leader's signed `ShareDigest` → the helper's."""

    def swap(self, plan_hash: bytes, shares: bytes) -> Iterable[bytes]:
        """The leader's noised shares of a plan → the helper's, in pieces."""
        ...

    def finish(self, session: bytes) -> bytes:
        """The leader's signed `FinishSession` → the same, signed by the helper after it has finished."""


class KeyHolderLink(PeerLink, Protocol):
    """The leader's link to the key holder."""

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        """Send the leader's sums of a plan in pieces. The key holder has opened them when this returns."""


class ProviderSession(Protocol):
    """A session of the provider. It lasts as long as the provider's process."""

    def wait(self) -> None:
        """Wait until the process has ended. Raises RemoteRefusal and Unreachable."""

    def end(self) -> None:
        """End the process."""


class ProviderLink(Protocol):
    """The leader's link to the provider of triples."""

    def provide(self, session: bytes) -> ProviderSession:
        """The leader's signed `FinishSession` → a session."""
        ...


@contextmanager
def as_peers(role: str = "helper") -> Iterator[None]:
    """Turn the error of an invalid answer into a refusal by that party, not by the caller."""
    try:
        yield
    except (MessageMalformed, SignatureInvalid) as error:
        raise answer_invalid(str(error), role) from None


def answer_invalid(why: str, role: str = "helper") -> PeerRefused:
    """The error of an invalid answer of a helper or key holder."""
    return PeerRefused(RemoteRefusal(role, "ANSWER_INVALID", f"its answer is not valid: {why}", {}))
