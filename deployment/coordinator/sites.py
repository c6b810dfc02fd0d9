"""Send a plan or a draft to the sites through Flower, and receive their answers until the deadline.

Flower's own `send_and_receive` polls every three seconds and loses late replies, so this module pushes and pulls messages
itself. The reply for a dead node comes as an error from another node, so replies are matched by the message they answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from numpy.lib import format as npy

from edge_client.trace_record import sender_in, with_context
from federation.batch.encoding import MAX_BATCH_BYTES
from federation.parties import require_site_id

from .site_answer import FAILED, NO_ANSWER, NONSENSE, SiteAnswer

POLL_SECONDS: Final = (0.02, 0.25)
"""The pauses between two looks for answers: the first one after an answer, and the longest one. Each is a tenth longer than the
one before."""
MAX_BATCHES: Final = 100_000
MAX_CODE: Final = 40
_CODE: Final = re.compile(rf"[A-Z][A-Z_]{{0,{MAX_CODE - 1}}}", re.ASCII)
_NPY_HEADER_BYTES: Final = 256

_ASK_AGAIN: Final = (ErrorCode.NODE_UNAVAILABLE, ErrorCode.REPLY_MESSAGE_UNAVAILABLE)


def plan_message(signed_plan: bytes, encryption_keys: bytes = b"") -> RecordDict:
    """The message with a plan and, under `he`, its signed encryption keys."""
    return with_context(RecordDict({"plan": ConfigRecord({"signed": signed_plan, "encryption_keys": encryption_keys})}))


def draft_message(signed_draft: bytes) -> RecordDict:
    """The message that asks what a site would answer to the plan of a draft."""
    return with_context(RecordDict({"draft": ConfigRecord({"signed": signed_draft})}))


def ask_sites(
    grid: Grid,
    content: RecordDict,
    *,
    sites: int,
    seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[SiteAnswer]:
    """Send a message to each node when it registers, until `sites` nodes have answered; answers in order of arrival.

    A site that never registers does not delay other sites' reports: each answer is returned when it arrives. A node that leaves
    before it has answered completely is asked again when it is back.

    Args:
        seconds: the timeout of all answers together; a node without an answer by then is NO_ANSWER.
        clock, sleep: a clock of monotonic seconds, and a function that waits.
    """
    end = clock() + seconds
    contacted: set[int] = set()
    waiting: dict[str, int] = {}
    pause, longest = POLL_SECONDS
    while (left := end - clock()) > 0 and (waiting or len(contacted) < sites):
        new = sorted(set(grid.get_node_ids()) - contacted) if len(contacted) < sites else []
        contacted.update(new)
        messages = [Message(content, dst_node_id=node, message_type="query", ttl=max(1.0, left)) for node in new]
        for node, message_id in zip(new, grid.push_messages(messages) if new else (), strict=True):
            if message_id:
                waiting[message_id] = node
            else:  # the node left before the message was pushed
                yield SiteAnswer(node, "", FAILED, ())
        replies = list(grid.pull_messages(list(waiting))) if waiting else []
        for reply in replies:
            node_of = waiting.pop(reply.metadata.reply_to_message_id, None)
            if node_of is not None and reply.has_error() and reply.error.code in _ASK_AGAIN:
                contacted.discard(
                    node_of
                )  # it left before it answered, or while it did: it is asked again when it is back
            elif node_of is not None:
                yield _read(node_of, reply)
        if replies:
            pause = POLL_SECONDS[0]
        else:
            sleep(pause)
            pause = min(longest, pause * 1.1)
    for node in waiting.values():
        yield SiteAnswer(node, "", NO_ANSWER, ())


def _read(node: int, reply: Message) -> SiteAnswer:
    """Parse an untrusted answer."""
    if reply.has_error():
        return SiteAnswer(node, "", FAILED, ())
    try:
        code, site = reply.content["answer"]["code"], reply.content["answer"]["site"]
        known = isinstance(code, str) and isinstance(site, str)
        if not known or not _CODE.fullmatch(code) or code in (NO_ANSWER, NONSENSE, FAILED):
            return SiteAnswer(node, "", NONSENSE, ())
        if site:  # empty if the site could not read its own configuration
            require_site_id(site)
        batches = _batches_in(reply.content)
        return SiteAnswer(node, site, code, batches, sender_in(reply.content))
    except Exception:  # noqa: BLE001 - whatever a node sends, the others' reports go on
        return SiteAnswer(node, "", NONSENSE, ())


def _batches_in(records: RecordDict) -> tuple[bytes, ...]:
    """The batches of an answer, in the record of its code or in one of their own. Raises ValueError, KeyError, TypeError."""
    if (small := records["answer"].get("batches")) is None:
        arrays = records["batches"]
        if not isinstance(arrays, ArrayRecord) or len(arrays) > MAX_BATCHES:
            raise ValueError("no batches, or too many")
        return tuple(_bytes_of(arrays[name]) for name in sorted(arrays))
    if not isinstance(small, list) or len(small) > MAX_BATCHES or "batches" in records:
        raise ValueError("no batches, too many, or two places with batches")
    if not all(isinstance(batch, bytes) and len(batch) <= MAX_BATCH_BYTES for batch in small):
        raise ValueError("not bytes, or longer than a batch")
    return tuple(small)


def _bytes_of(array: Array) -> bytes:
    """The bytes of a batch: one dimension of uint8 in numpy's format, no longer than a batch. Raises ValueError.

    `Array.numpy` is not used, because it unpacks archives and allocates as much memory as the header says.
    """
    if len(array.data) > MAX_BATCH_BYTES + _NPY_HEADER_BYTES:
        raise ValueError("longer than a batch")
    file = BytesIO(array.data)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("not numpy's format 1.0")
    shape, _, dtype = npy.read_array_header_1_0(file, max_header_size=_NPY_HEADER_BYTES)
    data = file.read()
    if dtype != np.uint8 or shape != (len(data),):
        raise ValueError("not bytes")
    return data
