"""A site in service: it joins, answers one message after another in its own process, and joins again after an error.

    join ──► pull ──► read ──► answer ──► push ──► confirm ──┐      a heartbeat goes on beside it
              ▲────────────── no message: wait ◄─────────────┘

A pull waits at the project's SuperLink for its message, so a plan arrives at once. Flower's own SuperLink answers each pull
immediately, and is asked twice a second.

A message that is not a plan gets the code NOT_A_PLAN and a line in the site's log. Nothing in a message is ever executed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from flwr.app import RecordDict

from base.fields import Fields, about
from federation.refusal_codes import RefusalCode

from .errors import (
    MessageRefused,
    NodeKeyUnknown,
    RunOver,
    SiteClockApart,
    SuperLinkAway,
    SuperLinkError,
    SuperLinkUntrusted,
)
from .fleet_client import HEARTBEAT_SECONDS, SEEN_SECONDS, FleetClient, Received
from .plan_messages import OK, PlanAnswer

PULL_SECONDS: Final = 10
"""How long a pull waits at the SuperLink. One pull costs a SuperLink about 6 ms of a core."""
POLL_SECONDS: Final = 0.5
"""The pause after a pull that did not wait."""
BACKOFF_SECONDS: Final = 30.0
"""Longest pause between two attempts to reach a SuperLink that does not answer."""
STRANGER_SECONDS: Final = SEEN_SECONDS + 10.0
"""Longest time that a SuperLink may need after its start until it knows the sites' keys, or after a site was killed."""
ABSENT_SECONDS: Final = 5.0
"""How long a site stays away when it has lost its connection. A message that was under way is lost, and the coordinator sends it
again only if it sees that the node is away. It looks four times a second, on a busy machine less often."""
PLAN_KIND: Final = "query"

_log = logging.getLogger(__name__)


class SiteService:
    """Answers the messages of one SuperLink.

    Args:
        answer: answers the records of a message (None: they could not be read); never raises.
        wait: `time.sleep`.
        clock: monotonic seconds.

    Attributes:
        connected: whether the SuperLink knows this site now.
    """

    def __init__(
        self,
        client: FleetClient,
        answer: Callable[[RecordDict | None], PlanAnswer],
        wait: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._client, self._answer, self._wait, self._clock = client, answer, wait, clock
        self.connected = False

    def run(self) -> None:
        """Answer messages until a KeyboardInterrupt, which is not caught.

        Raises:
            SuperLinkUntrusted: at the first connection; later it may be the middle of a change of certificates.
            NodeKeyUnknown: the key was unknown for longer than `STRANGER_SECONDS`.
        """
        try:
            attempts, stranger_since, joined = 0, None, False
            while True:
                try:
                    if joined:
                        self._be_away()
                    _log.info("registered as node %d; waiting for plans", self._client.join())
                    attempts, stranger_since, joined, self.connected = 0, None, True, True
                    with self._heartbeats():
                        while True:
                            begin = self._clock()
                            if not self.answer_next() and self._clock() - begin < POLL_SECONDS:
                                self._wait(POLL_SECONDS)
                except (SuperLinkAway, SuperLinkUntrusted, SiteClockApart, NodeKeyUnknown) as error:
                    self.connected = False
                    if isinstance(error, SuperLinkUntrusted) and not joined:
                        raise
                    if isinstance(error, NodeKeyUnknown):
                        stranger_since = self._clock() if stranger_since is None else stranger_since
                        if self._clock() - stranger_since > STRANGER_SECONDS:
                            raise
                    if attempts == 0:
                        _log.warning("%s; trying again", error)
                    self._wait(min(BACKOFF_SECONDS, 0.5 * 2**attempts))
                    attempts = min(attempts + 1, 10)
        finally:
            with suppress(SuperLinkError):
                self._client.leave()

    def _be_away(self) -> None:
        """Leave, and stay away for `ABSENT_SECONDS`, also if the SuperLink's answer was lost.

        Otherwise the SuperLink lists the site as online, and does not let it join, until it misses the site's heartbeats.
        """
        with suppress(SuperLinkError):
            self._client.leave()
        self._wait(ABSENT_SECONDS)

    def answer_next(self) -> bool:
        """Answer one message. False: there is no message.

        Raises:
            SuperLinkAway, NodeKeyUnknown, SuperLinkUntrusted.
        """
        try:
            received = self._client.pull(PULL_SECONDS)
        except MessageRefused as error:
            _log.warning("%s; it has no sender to answer", error)
            return True
        if received is None:
            return False
        begin = self._clock()
        try:
            content, why = self._content(received)
            answer = self._answer(content)
            self._client.reply(received, answer.to_records(), self._clock() - begin)
        except (RunOver, MessageRefused) as error:
            _log.warning("run %d: %s", received.run, error)
        else:
            with about(Fields(plan=answer.plan_hash)):
                _log.info("run %d: %s (%.1f s)", received.run, _in_words(answer, why), self._clock() - begin)
            if content is not None:  # the sender of a message that was refused unread may still push its objects
                with suppress(
                    RunOver, MessageRefused
                ):  # the answer is there, and a run that ended needs no confirmation
                    self._client.confirm(received)  # last: the coordinator waits for the reply
        return True

    def _content(self, received: Received) -> tuple[RecordDict | None, str]:
        """The records of a message, or None, with the reason why they are not a plan."""
        if received.kind != PLAN_KIND:
            return None, f"its type is {received.kind[:40]!r}, not {PLAN_KIND!r}"
        try:
            return self._client.content(received), "it holds no signed plan"
        except MessageRefused as error:
            return None, error.why

    @contextmanager
    def _heartbeats(self) -> Iterator[None]:
        """Send heartbeats in a thread, because an answer may take minutes. The next call of the site meets their errors, too."""
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
        return f"refused a message that is not a plan, NOT_A_PLAN: {why}. Nothing of it was executed"
    known = RefusalCode.__members__.get(answer.code)
    sentence = "" if known is None else f": {known.sentence} {known.mend}"
    if answer.of_draft:
        return (
            "would answer the plan of a draft" if answer.code == OK else f"would refuse a plan, {answer.code}{sentence}"
        )
    plan = "a plan" if answer.plan_hash is None else f"plan {answer.plan_hash.hex()[:16]}…"
    if answer.code == OK:
        return f"answered {plan}: OK, {len(answer.batches):,} batch(es)"
    return f"refused {plan}, {answer.code}{sentence}"
