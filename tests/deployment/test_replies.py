"""Replies that arrive in pieces, and replies that stop half way: one silent site holds up nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from flwr.app import ConfigRecord, Message, Metadata, RecordDict
from flwr.app.message import make_message
from flwr.common.constant import ErrorCode
from flwr.common.serde import message_to_proto
from flwr.proto import message_pb2
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectUnavailableError

from deployment.coordinator.replies import SILENT_SECONDS, ArrivingReplies


@dataclass
class Link:
    """What a SuperLink has: the objects that have arrived, those that were given up, and the confirmed messages."""

    objects: dict[str, bytes] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    confirmed: list[str] = field(default_factory=list)
    now: float = 50.0

    def pull(self, name: str) -> bytes:
        if name in self.gone:
            raise ObjectPullError(name, "it could not be found")
        if name not in self.objects:
            raise ObjectUnavailableError(name)
        return self.objects[name]

    def replies(self) -> ArrivingReplies:
        return ArrivingReplies(self.pull, self.confirmed.append, lambda: self.now)


@dataclass
class Reply:
    """A site's reply to a message, as the site pushes it."""

    answers: str
    text: str
    envelope: message_pb2.Message = field(init=False)
    tree: message_pb2.ObjectTree = field(init=False)
    objects: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        content = RecordDict({"answer": ConfigRecord({"code": self.text})})
        message = make_message(Metadata(1, "", 7, 1, self.answers, "", 1.0, 60.0, "query"), content)
        message.metadata.__dict__["_message_id"] = message.object_id
        self.objects = {name: each.deflate() for name, each in get_all_nested_objects(message).items()}
        self.envelope, self.tree = message_to_proto(message), get_object_tree(message)
        self.envelope.ClearField("content")


@pytest.fixture
def link() -> Link:
    return Link()


def codes(messages: list[Message]) -> list[str]:
    return [message.content["answer"]["code"] for message in messages]


def test_a_reply_is_taken_when_its_last_object_is_there_and_is_confirmed_once(link: Link) -> None:
    reply, replies = Reply("m1", "OK"), link.replies()
    replies.begin(reply.envelope, reply.tree)
    for name, data in reply.objects.items():
        assert list(replies.take()) == []
        link.now += SILENT_SECONDS - 1  # a slow site is not lost while its objects arrive
        link.objects[name] = data
    (message,) = replies.take()
    assert codes([message]) == ["OK"]
    assert message.metadata.reply_to_message_id == "m1"
    assert link.confirmed == []  # a confirmation costs time that the reports need not wait for
    replies.confirm()
    replies.confirm()
    assert link.confirmed == [reply.envelope.metadata.message_id]
    assert list(replies.take()) == []


def test_a_reply_that_stops_half_way_holds_up_no_other_one(link: Link) -> None:
    half, whole, replies = Reply("m1", "LATE"), Reply("m2", "OK"), link.replies()
    link.objects = dict([*whole.objects.items(), next(iter(half.objects.items()))])
    replies.begin(half.envelope, half.tree)
    replies.begin(whole.envelope, whole.tree)
    assert codes(list(replies.take())) == ["OK"]
    assert replies.not_begun(["m1", "m2", "m3"]) == ["m2", "m3"]  # the SuperLink has given out m1 and knows it no more


def test_a_silent_or_deleted_reply_is_lost_and_its_message_is_free_again(link: Link) -> None:
    silent, deleted, replies = Reply("m1", "A"), Reply("m2", "B"), link.replies()
    replies.begin(silent.envelope, silent.tree)
    replies.begin(deleted.envelope, deleted.tree)
    link.gone = set(deleted.objects)
    (lost,) = replies.take()
    assert (lost.metadata.reply_to_message_id, lost.error.code) == ("m2", ErrorCode.REPLY_MESSAGE_UNAVAILABLE)
    link.now += SILENT_SECONDS
    assert list(replies.take()) == []
    link.now += 1
    (lost,) = replies.take()
    assert (lost.metadata.reply_to_message_id, lost.error.code) == ("m1", ErrorCode.REPLY_MESSAGE_UNAVAILABLE)
    assert replies.not_begun(["m1", "m2"]) == ["m1", "m2"]
    assert link.confirmed == []
