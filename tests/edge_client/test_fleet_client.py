"""A SuperLink that answers anything: a site handles every answer and continues."""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, Metadata, RecordDict
from flwr.app.message.message import make_message
from flwr.common.serde import message_to_proto
from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from google.protobuf.message import Message as Protobuf

from base.errors import CertificateMalformed
from base.logs import message_of
from base.tls.files import certificate_path, key_path
from base.tls.roles import TlsRole
from base.tls.trust import TrustFile
from edge_client.errors import MessageRefused, NodeKeyUnknown, RunOver, SiteClockApart, SuperLinkAway
from edge_client.fleet_client import MAX_ENVELOPE_BYTES, MAX_OBJECTS, FleetClient, SuperLink
from edge_client.plan_messages import PlanAnswer
from edge_client.serving import ABSENT_SECONDS, STRANGER_SECONDS, SiteService
from federation.node_keys import NodeKey
from tests.base.tls_world import operator, trust

KEY = NodeKey.generate(os.urandom)
Reply = bytes | Protobuf | int | list[Any]


class OddSuperLink:
    """A SuperLink in this process. `says` maps a call to its answer: bytes, a message, a status, or several of them in turn."""

    def __init__(self) -> None:
        self.says: dict[str, Reply] = {
            "activate-node": fleet_pb2.ActivateNodeResponse(node_id=7),
            "register-node": fleet_pb2.RegisterNodeFleetResponse(node_id=7),
            "deactivate-node": b"",
            "confirm-message-received": b"",
            "send-node-heartbeat": heartbeat_pb2.SendNodeHeartbeatResponse(success=True),
            "pull-messages": b"",
        }
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.now, self.clock_s = time.time(), 0.0
        self.pushed = fleet_pb2.PushMessagesRequest()
        odd = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                call = self.path.removeprefix("/v1/fleet/")
                odd.calls.append(call)
                status, told = odd.answer(call, body)
                self.send_response(status)
                self.send_header("content-length", str(len(told)))
                if status == 307:
                    self.send_header("location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(told)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + odd.clock_s)

            def log_message(self, *_: Any) -> None:
                """Nothing goes to stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, call: str, body: bytes) -> tuple[int, bytes]:
        told = self.says.get(call, 404)
        if isinstance(told, list):
            told = told.pop(0) if len(told) > 1 else told[0]
        if call == "pull-object" and told == 404:
            name = message_pb2.PullObjectRequest.FromString(body).object_id
            found = self.objects.get(name)
            told = message_pb2.PullObjectResponse(
                object_found=found is not None, object_available=found is not None, object_content=found or b""
            )
        if call == "push-messages":
            self.pushed = fleet_pb2.PushMessagesRequest.FromString(body)
        if isinstance(told, int):
            return told, b""
        return 200, told if isinstance(told, bytes) else told.SerializeToString()

    def sends(self, content: RecordDict, kind: str = "query") -> Message:
        """Prepare a message with this content."""
        message = make_message(Metadata(1, "", 1, 7, "", "", self.now, 60.0, kind), content)
        message.metadata.__dict__["_message_id"] = message.object_id
        self.objects = {name: each.deflate() for name, each in get_all_nested_objects(message).items()}
        envelope = message_to_proto(message)
        envelope.ClearField("content")
        pulled = fleet_pb2.PullMessagesResponse(
            messages_list=[envelope], message_object_trees=[get_object_tree(message)]
        )
        self.says["pull-messages"] = [pulled, b""]
        return message


@pytest.fixture
def odd() -> Iterator[OddSuperLink]:
    made = OddSuperLink()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def client(odd: OddSuperLink) -> Iterator[FleetClient]:
    with FleetClient(SuperLink(odd.address, None), KEY, lambda _: None) as made:
        yield made


def plan(signed: bytes = b"a plan") -> RecordDict:
    return RecordDict({"plan": ConfigRecord({"signed": signed, "encryption_keys": b""})})


def test_what_a_message_holds_arrives_and_is_confirmed(odd: OddSuperLink, client: FleetClient) -> None:
    odd.sends(plan())
    client.join()
    received = client.pull()
    assert received is not None
    assert client.content(received)["plan"]["signed"] == b"a plan"
    assert "confirm-message-received" not in odd.calls
    client.confirm(received)
    assert odd.calls[-1] == "confirm-message-received"
    assert client.pull() is None


def test_objects_that_are_not_what_they_are_named_are_refused(odd: OddSuperLink, client: FleetClient) -> None:
    odd.sends(plan())
    for name, data in list(odd.objects.items()):
        odd.sends(plan())
        odd.objects[name] = data[:-1] + bytes([data[-1] ^ 1])
        assert refusal(client) == "an object does not have the hash that names it"
    odd.sends(plan())
    odd.objects.popitem()
    assert refusal(client) == "the SuperLink does not have all of its objects"
    for data in (b"", b"nothing", b"Message 0\0", b"Eval  0\0", os.urandom(100)):
        name = hashlib.sha256(data).hexdigest()
        odd.sends(plan())
        odd.objects[name] = data
        pulled = odd.says["pull-messages"]
        assert isinstance(pulled, list)
        pulled[0].message_object_trees[0].CopyFrom(message_pb2.ObjectTree(object_id=name))
        assert refusal(client).startswith("its objects are malformed")


def test_a_message_has_few_objects_and_few_bytes(
    odd: OddSuperLink, client: FleetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    odd.sends(RecordDict({"plan": ArrayRecord([np.full(1, i) for i in range(MAX_OBJECTS)])}))
    assert refusal(client) == f"it has more than {MAX_OBJECTS} objects"
    assert "pull-object" not in odd.calls
    monkeypatch.setattr("edge_client.fleet_client.MAX_MESSAGE_BYTES", 10_000)
    monkeypatch.setattr("edge_client.fleet_client.MAX_ENVELOPE_BYTES", 1_000)
    for size in (9_900, 12_000, 100_000):
        odd.sends(plan(bytes(size)))
        assert "bytes" in refusal(client)
    odd.sends(plan(bytes(5_000)))
    received = client.pull()
    assert received is not None
    assert len(client.content(received)["plan"]["signed"]) == 5_000


def refusal(client: FleetClient) -> str:
    received = client.pull()
    assert received is not None
    with pytest.raises(MessageRefused) as raised:
        client.content(received)
    return raised.value.why


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (401, NodeKeyUnknown),
        (412, NodeKeyUnknown),
        (403, RunOver),
        (404, SuperLinkAway),
        (500, SuperLinkAway),
        (307, SuperLinkAway),  # the redirect is not followed
        (b"\xff" * 40, SuperLinkAway),
        (bytes(MAX_ENVELOPE_BYTES + 1), MessageRefused),
    ],
)
def test_every_other_answer_is_a_named_error(
    odd: OddSuperLink, client: FleetClient, told: Reply, error: type[Exception]
) -> None:
    odd.says["pull-messages"] = told
    with pytest.raises(error):
        client.pull()


@pytest.mark.parametrize(("clock_s", "where"), [(3_600, "behind"), (-3_600, "ahead of"), (-8, "ahead of")])
def test_a_wrong_clock_is_named_where_a_key_would_be_blamed(
    odd: OddSuperLink, client: FleetClient, clock_s: float, where: str
) -> None:
    odd.says["activate-node"], odd.clock_s = 401, clock_s
    with pytest.raises(SiteClockApart, match=rf"clock of this machine is [\d,]+ s {where} the SuperLink's"):
        client.join()
    odd.clock_s = 60 if clock_s > 0 else 0
    with pytest.raises(NodeKeyUnknown):
        client.join()


def test_several_messages_at_once_or_odd_envelopes_are_refused(odd: OddSuperLink, client: FleetClient) -> None:
    envelope = message_pb2.Message()
    for odd.says["pull-messages"] in (
        fleet_pb2.PullMessagesResponse(messages_list=[envelope, envelope]),
        fleet_pb2.PullMessagesResponse(messages_list=[envelope]),
    ):
        with pytest.raises(MessageRefused):
            client.pull()


def test_a_call_of_another_thread_goes_on_when_the_authorities_change(odd: OddSuperLink, tmp_path: Path) -> None:
    authority = operator(tmp_path, TlsRole.SUPERLINK)
    trust(tmp_path, TlsRole.SUPERLINK, authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path(tmp_path, "superlink"), key_path(tmp_path, "superlink"))
    odd.server.socket = context.wrap_socket(odd.server.socket, server_side=True, do_handshake_on_connect=False)
    began, goes_on, answer = threading.Event(), threading.Event(), odd.answer

    def slow(call: str, body: bytes) -> tuple[int, bytes]:
        if call == "pull-messages":
            began.set()
            goes_on.wait(20)
        return answer(call, body)

    odd.answer = slow  # type: ignore[method-assign]  # of this server alone
    with (
        FleetClient(SuperLink(odd.address, TrustFile(tmp_path, TlsRole.SUPERLINK)), KEY) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        pulled = threads.submit(client.pull)
        assert began.wait(20)
        trust(tmp_path, TlsRole.SUPERLINK, authority)
        client.beat()
        goes_on.set()
        assert pulled.result() is None


def test_a_trust_file_that_is_none_is_named(tmp_path: Path) -> None:
    trust = TrustFile(tmp_path, TlsRole.SUPERLINK)
    trust.path.parent.mkdir()
    for wrong in (b"", b"\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        trust.path.write_bytes(wrong)
        with pytest.raises(CertificateMalformed, match="no whole PEM certificate"):
            FleetClient(SuperLink("127.0.0.1:1", trust), KEY)


class Work:
    """A site's loop against `OddSuperLink`; it ends when the site waits for the n-th time."""

    def __init__(self, client: FleetClient, waits: int, caplog: pytest.LogCaptureFixture) -> None:
        caplog.clear()
        caplog.set_level(logging.INFO, "edge_client")
        self._caplog = caplog
        self.waited: list[float] = []
        self.now = 0.0
        self._waits = waits
        self.service = SiteService(client, lambda _: PlanAnswer("NOT_A_PLAN", "a"), self.wait, lambda: self.now)

    @property
    def said(self) -> list[str]:
        return [message_of(record) for record in self._caplog.records]

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds
        if len(self.waited) == self._waits:
            raise KeyboardInterrupt

    def run(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.service.run()


def test_a_superlink_that_is_away_is_tried_again_ever_more_slowly_and_joined_again(
    odd: OddSuperLink, client: FleetClient, caplog: pytest.LogCaptureFixture
) -> None:
    odd.says["activate-node"] = [503, 503, 503, fleet_pb2.ActivateNodeResponse(node_id=7)]
    odd.says["pull-messages"] = [b"", 503, b""]
    work = Work(client, 7, caplog)
    work.run()
    assert work.waited == [0.5, 1.0, 2.0, 0.5, 0.5, ABSENT_SECONDS, 0.5]
    assert [line.split(";")[0].split(":")[0] for line in work.said] == [
        "the SuperLink at 127.0.0.1", "registered as node 7", "the SuperLink at 127.0.0.1", "registered as node 7"
    ]  # fmt: skip
    assert odd.calls == [
        *["activate-node"] * 4, *["pull-messages"] * 2, "deactivate-node", "activate-node", "pull-messages", "deactivate-node"
    ]  # fmt: skip


def test_a_site_stays_away_also_if_the_superlink_did_not_answer_that_it_left(
    odd: OddSuperLink, client: FleetClient, caplog: pytest.LogCaptureFixture
) -> None:
    odd.says |= {"pull-messages": [412, b""], "deactivate-node": 503}
    work = Work(client, 3, caplog)
    work.run()
    assert work.waited == [0.5, ABSENT_SECONDS, 0.5]
    assert work.said[-1].startswith("registered as node 7")


def test_a_site_with_a_wrong_clock_joins_when_the_clock_is_right(
    odd: OddSuperLink, client: FleetClient, caplog: pytest.LogCaptureFixture
) -> None:
    odd.says["activate-node"], odd.clock_s = [*[401] * 30, fleet_pb2.ActivateNodeResponse(node_id=7)], 3_600
    work = Work(client, 31, caplog)
    work.run()
    assert work.now > STRANGER_SECONDS  # it does not give up: somebody corrects the clock
    first, last = work.said
    assert "Correct the wrong clock" in first
    assert last.startswith("registered as node 7")


def test_a_superlink_that_never_knows_the_key_ends_the_site_with_the_mend(
    odd: OddSuperLink, client: FleetClient, caplog: pytest.LogCaptureFixture
) -> None:
    odd.says["activate-node"] = odd.says["register-node"] = 412
    work = Work(client, 100, caplog)
    with pytest.raises(NodeKeyUnknown, match=r"adds the key to covey\.toml"):
        work.service.run()
    assert STRANGER_SECONDS < work.now < 3 * STRANGER_SECONDS


def test_a_superlink_without_authentication_is_told_the_key(odd: OddSuperLink, client: FleetClient) -> None:
    odd.says["activate-node"] = [412, fleet_pb2.ActivateNodeResponse(node_id=7)]
    assert client.join() == 7
    assert odd.calls == ["activate-node", "register-node", "activate-node"]


def test_every_message_is_answered_and_an_answer_that_nobody_wants_is_told(
    odd: OddSuperLink, client: FleetClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.join()
    for content, kind, why, last in (
        (RecordDict(), "query", "it holds no signed plan", "confirm-message-received"),
        (
            plan(),
            "train",
            "its type is 'train', not 'query'",
            "push-messages",
        ),  # unread: its sender may still push objects
    ):
        message = odd.sends(content, kind)
        odd.says["push-messages"] = fleet_pb2.PushMessagesResponse(objects_to_push=["x"], session_id="s")
        work = Work(client, 1, caplog)
        assert work.service.answer_next()
        assert why in work.said[0]
        assert odd.pushed.messages_list[0].metadata.reply_to_message_id == message.object_id
        assert odd.calls[-1] == last  # a confirmation comes after the answer, for which the coordinator waits
    odd.sends(plan())
    odd.says["confirm-message-received"] = 403  # the coordinator ended its run with this answer
    work = Work(client, 1, caplog)
    assert work.service.answer_next()
    assert not any("the run has ended" in said for said in work.said)
    for told, why in (
        (b"", "the run has ended"),
        (403, "the run has ended"),
        (bytes(2 * MAX_ENVELOPE_BYTES), "refused a message: the SuperLink's answer has more than"),
    ):
        odd.sends(plan())
        odd.says["push-messages"] = told
        work = Work(client, 1, caplog)
        assert work.service.answer_next()
        assert why in work.said[0]
    odd.says["pull-messages"] = [bytes(MAX_ENVELOPE_BYTES + 1), b""]
    assert work.service.answer_next()
    assert "it has no sender to answer" in work.said[1]
    assert not work.service.answer_next()
