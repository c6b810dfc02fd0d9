"""A site of a deployment at work: join, answer one message after the other in this very process, and join again.

    join ──► pull ──► read ──► answer ──► push ──┐      a heartbeat goes on beside it
              ▲──────────── nothing: wait ◄──────┘

Whatever is no plan gets the code NOT_A_PLAN, and a line in the site's log. Nothing that was received is ever started.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from flwr.app import RecordDict

from federation.refusal_codes import RefusalCode

from .errors import MessageRefused, NodeKeyUnknown, RunOver, SuperLinkAway, SuperLinkError
from .fleet_client import HEARTBEAT_SECONDS, FleetClient, Received
from .plan_messages import OK, PlanAnswer

POLL_SECONDS: Final = 0.5
BACKOFF_SECONDS: Final = 30.0
"""The longest pause between two attempts to reach a SuperLink that is away."""
STRANGER_SECONDS: Final = 10.0
"""How long a SuperLink that was started a moment ago may need until it knows the sites' keys."""
PLAN_KIND: Final = "query"

Say = Callable[[str], None]
"""Writes a line of the site's log."""


class SiteService:
    """Answers the messages of one SuperLink.

    Args:
        answer: what a message's records (None: it could not be read) are answered with; never raises.
        wait: `time.sleep`.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: FleetClient,
        answer: Callable[[RecordDict | None], PlanAnswer],
        say: Say,
        wait: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._client, self._answer, self._say, self._wait, self._clock = client, answer, say, wait, clock

    def run(self) -> None:
        """Until a KeyboardInterrupt, which gets through.

        Raises:
            SuperLinkUntrusted. NodeKeyUnknown: for longer than `STRANGER_SECONDS`.
        """
        try:
            attempts, stranger_since = 0, None
            while True:
                try:
                    self._say(f"registered as node {self._client.join()}; waiting for plans")
                    attempts, stranger_since = 0, None
                    with self._heartbeats():
                        while True:
                            if not self.answer_next():
                                self._wait(POLL_SECONDS)
                except (SuperLinkAway, NodeKeyUnknown) as error:
                    if isinstance(error, NodeKeyUnknown):
                        stranger_since = self._clock() if stranger_since is None else stranger_since
                        if self._clock() - stranger_since > STRANGER_SECONDS:
                            raise
                    if attempts == 0:
                        self._say(f"{error}; trying again")
                    self._wait(min(BACKOFF_SECONDS, 0.5 * 2**attempts))
                    attempts = min(attempts + 1, 10)
        finally:
            with suppress(SuperLinkError):
                self._client.leave()

    def answer_next(self) -> bool:
        """Answer one message; False: there is none.

        Raises:
            SuperLinkAway, NodeKeyUnknown, SuperLinkUntrusted.
        """
        try:
            received = self._client.pull()
        except MessageRefused as error:
            self._say(f"{error}; it has no sender to answer")
            return True
        if received is None:
            return False
        begin = self._clock()
        try:
            content, why = self._content(received)
            answer = self._answer(content)
            self._client.reply(received, answer.to_records(), self._clock() - begin)
        except (RunOver, MessageRefused) as error:
            self._say(f"run {received.run}: {error}")
        else:
            self._say(f"run {received.run}: {_in_words(answer, why)} ({self._clock() - begin:.1f} s)")
        return True

    def _content(self, received: Received) -> tuple[RecordDict | None, str]:
        """A message's records, or None and why there are none."""
        if received.kind != PLAN_KIND:
            return None, f"a message of type {received.kind[:40]!r}"
        try:
            return self._client.content(received), "it holds no signed plan"
        except MessageRefused as error:
            return None, error.why

    @contextmanager
    def _heartbeats(self) -> Iterator[None]:
        """Beside the work, which may take minutes. What is wrong with the connection is found out by the work itself."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(HEARTBEAT_SECONDS):
                with suppress(SuperLinkError):
                    self._client.beat()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()


def _in_words(answer: PlanAnswer, why: str) -> str:
    if answer.code == RefusalCode.NOT_A_PLAN:
        return f"refused what is no plan, NOT_A_PLAN: {why}. Nothing of it was run"
    plan = "a plan" if answer.plan_hash is None else f"plan {answer.plan_hash.hex()[:16]}…"
    if answer.code == OK:
        return f"answered {plan}: OK, {len(answer.batches):,} batch(es)"
    known = RefusalCode.__members__.get(answer.code)
    return f"refused {plan}, {answer.code}" + ("" if known is None else f": {known.sentence}")
