"""The coordinator's view of sites through Flower: push one plan, pull answers as they come, until the deadline.

Flower's own `send_and_receive` polls every three seconds and loses late replies, so messages are pushed and pulled here.
A dead node's message comes back as an error from another node: replies are matched by the message that they answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

POLL_SECONDS: Final = 0.1
MAX_BATCHES: Final = 100_000
MAX_TEXT: Final = 100

NO_ANSWER: Final = "NO_ANSWER"
NONSENSE: Final = "NONSENSE"
FAILED: Final = "NODE_FAILED"


@dataclass(frozen=True)
class SiteAnswer:
    """What one node answered.

    Attributes:
        node: Flower's node id.
        code: OK, a refusal code of the site, or NO_ANSWER, NONSENSE, NODE_FAILED.
        batches: sealed batches, unread; the aggregators check who they are from.
    """

    node: int
    site: str
    code: str
    batches: tuple[bytes, ...]


def ask_sites(
    grid: Grid,
    signed_plan: bytes,
    *,
    sites: int,
    seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[SiteAnswer]:
    """Ask every node that has registered, once `sites` of them are there; one answer a node, in order of arrival.

    Args:
        seconds: how long the whole takes at most; nodes without an answer by then are NO_ANSWER.
        clock, sleep: monotonic seconds, and how to wait.
    """
    end = clock() + seconds
    while len(nodes := sorted(grid.get_node_ids())) < sites and clock() < end:
        sleep(POLL_SECONDS)
    content = RecordDict({"plan": ConfigRecord({"signed": signed_plan})})
    messages = [Message(content, dst_node_id=node, message_type="query", ttl=max(1.0, end - clock())) for node in nodes]
    waiting = dict(zip(grid.push_messages(messages), nodes, strict=True))
    while waiting and clock() < end:
        replies = list(grid.pull_messages(list(waiting)))
        for reply in replies:
            node = waiting.pop(reply.metadata.reply_to_message_id, None)
            if node is not None:
                yield _read(node, reply)
        if not replies:
            sleep(POLL_SECONDS)
    for node in waiting.values():
        yield SiteAnswer(node, "", NO_ANSWER, ())


def _read(node: int, reply: Message) -> SiteAnswer:
    """An answer from a node that may send anything."""
    if reply.has_error():
        return SiteAnswer(node, "", FAILED, ())
    try:
        answer = reply.content["answer"]
        code, site = str(answer["code"])[:MAX_TEXT], str(answer["site"])[:MAX_TEXT]
        arrays = reply.content["batches"]
        if len(arrays) > MAX_BATCHES:
            return SiteAnswer(node, site, NONSENSE, ())
        return SiteAnswer(node, site, code, tuple(arrays[name].numpy().tobytes() for name in sorted(arrays)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return SiteAnswer(node, "", NONSENSE, ())
