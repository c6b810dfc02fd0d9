"""The replies of sites while their objects arrive at the SuperLink. A site that vanishes meanwhile delays no other site.

A site pushes a reply in steps: first its envelope with the names of its objects, then one object after the other. The SuperLink
hands the envelope out once, as soon as it arrives. Flower's own Grid then waits up to three minutes for the objects, and does
nothing else: if the connection of one site breaks between two steps, the coordinator gets no other site's reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from flwr.app import Message, Metadata
from flwr.app.error import Error
from flwr.app.message import make_message
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.proto import message_pb2
from flwr.supercore.constant import SYSTEM_MESSAGE_TYPE
from flwr.supercore.date import now
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectPullError,
    ObjectUnavailableError,
    inflate_object_from_contents,
)

SILENT_SECONDS: Final = 30.0
"""How long no object of a reply arrives before the reply counts as lost. A batch has 4 MiB at most."""


@dataclass(eq=False)
class _Reply:
    """A reply that has begun.

    Attributes:
        answers: the id of the message that it answers.
        missing: the ids of the objects that have not arrived.
        last_part: when its last part arrived, in monotonic seconds.
    """

    message_id: str
    answers: str
    run_id: int
    missing: list[str]
    last_part: float
    contents: dict[str, bytes] = field(default_factory=dict)


class ArrivingReplies:
    """The replies of one run that have begun.

    Args:
        pull: the id of an object → its content. Raises ObjectUnavailableError: it has not arrived; ObjectPullError.
        confirm: confirms to the SuperLink, by a message's id, that the message is here.
        clock: monotonic seconds.
    """

    def __init__(
        self, pull: Callable[[str], bytes], confirm: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._pull, self._confirm, self._clock = pull, confirm, clock
        self._begun: dict[str, _Reply] = {}
        self._unconfirmed: list[str] = []

    def not_begun(self, message_ids: Iterable[str]) -> list[str]:
        """The messages whose replies have not begun."""
        return [one for one in message_ids if one not in self._begun]

    def begin(self, envelope: message_pb2.Message, tree: message_pb2.ObjectTree) -> None:
        """A reply has begun: its envelope and the names of its objects are here."""
        metadata = envelope.metadata
        ids = [str(node.object_id) for node in iterate_object_tree(tree)]
        reply = _Reply(metadata.message_id, metadata.reply_to_message_id, metadata.run_id, ids, self._clock())
        self._begun[reply.answers] = reply

    def take(self) -> Iterator[Message]:
        """The replies that are complete, and an error, REPLY_MESSAGE_UNAVAILABLE, for each that is lost."""
        for reply in list(self._begun.values()):
            try:
                self._pull_arrived(reply)
                lost = "its sender was silent" if self._clock() - reply.last_part > SILENT_SECONDS else None
            except ObjectPullError as error:
                lost = str(error)
            if not reply.missing:
                del self._begun[reply.answers]
                yield self._inflated(reply)
            elif lost is not None:
                del self._begun[reply.answers]
                yield _lost(reply, lost)

    def confirm(self) -> None:
        """Confirm the messages that `take` has returned. The SuperLink keeps them until then, or until the run ends."""
        while self._unconfirmed:
            self._confirm(self._unconfirmed.pop())

    def _pull_arrived(self, reply: _Reply) -> None:
        """Pull objects until one has not arrived."""
        while reply.missing:
            name = reply.missing[0]
            try:
                reply.contents[name] = self._pull(name)
            except ObjectUnavailableError:
                return
            reply.last_part = self._clock()
            reply.missing.pop(0)

    def _inflated(self, reply: _Reply) -> Message:
        self._unconfirmed.append(reply.message_id)
        message: Message = inflate_object_from_contents(reply.message_id, reply.contents)
        message.metadata.__dict__["_message_id"] = reply.message_id
        return message


def _lost(reply: _Reply, why: str) -> Message:
    metadata = Metadata(
        run_id=reply.run_id,
        message_id="",
        src_node_id=SUPERLINK_NODE_ID,
        dst_node_id=SUPERLINK_NODE_ID,
        message_type=SYSTEM_MESSAGE_TYPE,
        group_id="",
        ttl=0,
        reply_to_message_id=reply.answers,
        created_at=now().timestamp(),
    )
    return make_message(
        metadata=metadata, error=Error(code=ErrorCode.REPLY_MESSAGE_UNAVAILABLE, reason=f"the reply is lost: {why}")
    )
