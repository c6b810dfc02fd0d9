"""A store behind a real server on the loopback, over HTTP and gRPC, gives the answers and errors of a local store."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from base.times import from_us
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Mean, Rate
from featurestore.define.on_demand import Feature, Input, on_demand
from featurestore.define.services import FeatureService
from featurestore.errors import (
    BadReference,
    BadRequest,
    FeatureStoreError,
    NotFoundError,
    OnDemandFailed,
    RemoteFailed,
    RequestTooLarge,
    Throttled,
    UnknownFeature,
    UnknownFeatureService,
    UnknownView,
)
from featurestore.online.settings import OnlineSettings
from featurestore.publish.publish import Publisher
from featurestore.remote.store import RemoteStore
from featurestore.remote.tls import ReaderTls
from featurestore.server.api_keys import Consumers, KeyRing
from featurestore.server.app import FeatureServer, health_of
from featurestore.server.batching import Batcher
from featurestore.server.connections import Connections
from featurestore.server.first_reads import FirstReads
from featurestore.server.grpc_service import grpc_beside
from featurestore.server.guard import Gate, Guard
from featurestore.server.hosts import Hosts
from featurestore.server.http_server import make_server
from featurestore.server.listen import open_socket, url_of
from featurestore.server.metrics import Counts
from featurestore.server.reads import Reads
from featurestore.server.throttle import Limits, ServerLimits, Throttle
from featurestore.server.tls import ServerTls
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void

VIEW = a_view(
    entity=Entity(["dest", "hour"], [("ATL", 0), ("ATL", 1), ("LÄX", 0)]),
    features=[
        Count("flights"),
        Mean("delay", clip=(-60, 180)),
        Histogram("delay", edges=[0, 15]),
        Rate("late", where="delay >= 15"),
    ],
)
AREA = a_view("area", entity=Entity("area", value="NYC"))
KEYS: dict[str, list[Any]] = {"dest": ["ATL", "LÄX", None, "XXX"], "hour": [1, 0, 0, None], "by": [1.5, 2.0, 3.0, None]}
NOW = 10 * HOUR


@on_demand(outputs=["x"])
def scaled(
    late: Annotated[np.ndarray, Feature("delays:late_3h")], by: Annotated[np.ndarray, Input("float64")]
) -> np.ndarray:
    return late * by


@on_demand(outputs=["x"])
def broken(late: Annotated[np.ndarray, Feature("delays:late")]) -> np.ndarray:
    return late[1:]


CALLS = 100
"""The most connections, and calls over gRPC, at a time."""
REFS = ["delays:flights", "delays:late", "delays:delay_hist_3h", "area:flights", "scaled:x"]


@dataclass
class Served:
    directory: Path
    http: str
    grpc: str
    local: Store

    def urls(self) -> list[str]:
        return [self.http, self.grpc]


def fill(directory: Path, settings: OnlineSettings | None = None) -> None:
    with Publisher(directory, lambda: DAY, settings) as publisher:
        for view in (VIEW, AREA):
            publisher.register(view)
            publisher.publish([a_release(view, i * HOUR, 10 * i + 1) for i in range(4)])
        publisher.publish([a_void(AREA, 4 * HOUR)])
        publisher.register_services([FeatureService("model", ["delays:late", "scaled:x"])], [scaled])


@contextmanager
def serving(
    directory: Path,
    keys: KeyRing | None = None,
    limits: Limits | None = None,
    *,
    tls: ServerTls | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Served]:
    store = Store.open(directory, on_demand=[scaled, broken], clock=lambda: NOW)
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    gate = Gate(keys, Throttle(ServerLimits(limits or Limits())), Counts())
    app = Guard(
        FeatureServer(store, beside=grpc_beside(f"{host}:{port}", gate, CALLS, tls), poll_s=0.01),
        Hosts(host),
        gate,
        lambda: health_of(store.blocks),
    )
    listening = open_socket(host, 0)
    server = make_server(app, Connections(CALLS), tls)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    local = Store.open(directory, on_demand=[scaled, broken], clock=lambda: NOW)
    try:
        secure = "" if tls is None else "s"
        yield Served(directory, url_of(listening, f"http{secure}"), f"grpc{secure}://{host}:{port}", local)
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
        assert not thread.is_alive()
        local.close()
        store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("remote")
    fill(directory)
    with serving(directory) as running:
        yield running


@pytest.fixture(params=["http", "grpc"])
def remote(request: pytest.FixtureRequest, served: Served) -> Iterator[RemoteStore]:
    with opened(getattr(served, request.param)) as store:
        yield store


@contextmanager
def opened(url: str, key: str | None = None) -> Iterator[RemoteStore]:
    with Store.open(url, key=key) as store:
        assert isinstance(store, RemoteStore)
        yield store


@contextmanager
def impatient(url: str, key: str, waited: list[float]) -> Iterator[RemoteStore]:
    """A store that records its waits instead of waiting."""
    with opened(url, key) as store:
        yield RemoteStore(store._transport, waited.append)


def read_often(store: RemoteStore) -> None:
    for _ in range(50):
        store.reader(REFS).read(KEYS)


class TestTheSameAnswers:
    def test_get(self, served: Served, remote: RemoteStore) -> None:
        for options in ({}, {"clamp": True}, {"full_names": True}):
            assert remote.get(REFS[:3], KEYS, **options).equals(served.local.get(REFS[:3], KEYS, **options))
        assert remote.get(REFS, KEYS, full_names=True).equals(served.local.get(REFS, KEYS, full_names=True))
        assert remote.get(["area:flights"]).equals(served.local.get(["area:flights"]))
        table = pa.table({"dest": pa.array(["ATL"], pa.large_string()), "hour": pa.array([1], pa.int8())})
        assert remote.get(["delays:late"], table).equals(served.local.get(["delays:late"], table))

    def test_vectors(self, served: Served, remote: RemoteStore) -> None:
        theirs, ours = (store.reader(REFS, intervals=True).read(KEYS) for store in (remote, served.local))
        assert theirs.names == ours.names
        assert theirs.epoch == ours.epoch
        assert theirs.intervals is not None
        assert ours.intervals is not None
        for one, other in zip((*theirs[1:5], *theirs.intervals), (*ours[1:5], *ours.intervals), strict=True):
            assert one.tobytes() == other.tobytes()
            assert one.dtype == other.dtype
        assert remote.reader(["area:flights"]).read().values.shape == (1, 1)
        assert remote.reader(["area:flights"]).read().intervals is None
        assert remote.reader(["delays:late"]).read({"dest": [], "hour": []}).values.shape == (0, 1)

    def test_history_releases_views_services_and_key_types(self, served: Served, remote: RemoteStore) -> None:
        for view in ("delays", "area"):
            assert remote.history(view).equals(served.local.history(view))
            assert remote.history(view, intervals=False).equals(served.local.history(view, intervals=False))
            assert remote.releases(view).equals(served.local.releases(view))
        bounds = (from_us(HOUR), from_us(3 * HOUR))
        assert remote.history("delays", *bounds).equals(served.local.history("delays", *bounds))
        assert remote.history("delays", *bounds).num_rows == 6
        assert remote.views() == served.local.views()
        assert remote.services() == served.local.services()
        assert remote.service("model").refs == ("delays:late", "scaled:x")
        types = {"dest": "string", "hour": "int64", "by": "float64"}
        assert remote.key_types(REFS) == served.local.key_types(REFS) == types
        assert remote.published("delays", 0) == served.local.published("delays", 0)

    def test_joins(self, served: Served, remote: RemoteStore, tmp_path: Path) -> None:
        random = np.random.default_rng(2)
        count = 50_000
        at = [from_us(int(us)) for us in random.integers(0, 8 * HOUR, count)]
        labels = pa.table(
            {
                "dest": random.choice(["ATL", "LÄX", "X"], count),
                "hour": random.integers(0, 2, count),
                "by": random.random(count),
                "at": pa.array(at, pa.timestamp("us", "UTC")),
            }
        )
        expected = served.local.join(labels, REFS, "at", full_names=True).read_all()
        joined = remote.join(labels, REFS, "at", full_names=True).read_all()
        plain = remote.join(labels, REFS, "at", full_names=True, intervals=False)
        assert set(joined.column_names) - set(plain.schema.names) == {
            name for name in joined.column_names if name.endswith(("__lo", "__hi"))
        }
        plain.read_all()
        assert joined.combine_chunks().equals(expected.combine_chunks())
        path = tmp_path / "labels.csv"
        path.write_text("dest,hour,at\nATL,1,1970-01-01T05:00:00Z\n")
        for features in (["delays:late"],):
            ours = served.local.join(path, features, "at").read_all()
            assert remote.join(path, features, "at").read_all().equals(ours)
        live = served.local.join(labels, REFS, "at", full_names=True, clock="live").read_all()
        assert (
            remote.join(labels, REFS, "at", full_names=True, clock="live")
            .read_all()
            .combine_chunks()
            .equals(live.combine_chunks())
        )
        assert set(live["delays__flights__status"].to_pylist()) == {"NOT_FOUND"}
        assert remote.clocks(REFS) == served.local.clocks(REFS)
        assert remote.clocks(["scaled:x"]) == {"delays": {"live": 0, "replay": 4}}

    def test_a_view_that_is_read_from_the_online_store(self, tmp_path: Path) -> None:
        (tmp_path / "covey.toml").write_text("[online]\nblock_mib = 0\n")
        fill(tmp_path)
        with serving(tmp_path) as served:
            for url in served.urls():
                with opened(url) as remote:
                    assert remote.get(REFS, KEYS, full_names=True).equals(served.local.get(REFS, KEYS, full_names=True))
                    values = remote.reader(REFS).read(KEYS).values
                    assert values.tobytes() == served.local.reader(REFS).read(KEYS).values.tobytes()


class TestTheSameErrors:
    @pytest.mark.parametrize(
        ("ask", "error"),
        [
            (lambda store: store.get(["nothing:x"], KEYS), UnknownView),
            (lambda store: store.get(["delays:x"], KEYS), UnknownFeature),
            (lambda store: store.get(["delays:late"], {"dest": ["ATL"]}), BadReference),
            (lambda store: store.get(["delays:late"], {"dest": ["ATL"], "hour": ["1"]}), BadReference),
            (lambda store: store.get(["broken:x"], KEYS), OnDemandFailed),
            (lambda store: store.reader(["nothing:x"]).read(KEYS), UnknownView),
            (lambda store: store.reader(["delays:late"]).read({"dest": ["ATL"]}), BadReference),
            (lambda store: store.reader(["delays:late"]).read({"dest": ["ATL"], "hour": [1.5]}), BadReference),
            (lambda store: store.reader(["broken:x"]).read(KEYS), OnDemandFailed),
            (lambda store: store.history("nothing"), UnknownView),
            (lambda store: store.releases("nothing"), UnknownView),
            (lambda store: store.service("nothing"), UnknownFeatureService),
            (lambda store: store.join(pa.table({"at": [from_us(0)]}), ["delays:late"], "at"), BadReference),
            (lambda store: store.join(pa.table({"at": [1]}), ["area:late"], "at"), BadReference),
            (lambda store: next(iter(store.watch("nothing"))), UnknownView),
        ],
    )
    def test_are_raised_with_the_same_words(
        self, served: Served, remote: RemoteStore, ask: Callable[[Any], Any], error: type[FeatureStoreError]
    ) -> None:
        with pytest.raises(error) as theirs:
            ask(remote)
        with pytest.raises(error) as ours:
            ask(served.local)
        if error is not OnDemandFailed and "'1'" not in str(
            ours.value
        ):  # a server receives a table and no Python lists
            assert str(theirs.value) == str(ours.value)

    def test_a_server_that_is_not_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        for scheme in ("http", "grpc"):
            with opened(f"{scheme}://127.0.0.1:{port}") as store:
                for ask in (lambda store: store.views(), lambda store: store.reader(["a:b"]).read()):
                    with pytest.raises(RemoteFailed, match=f"127.0.0.1:{port}"):
                        ask(store)
        for url in ("ftp://host", "http://[::1", "redis://x"):
            with pytest.raises(RemoteFailed):
                Store.open(url)

    def test_another_kind_of_server(self) -> None:
        import http.server

        class Odd(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"\xff" * 100)

            def log_message(self, *_: Any) -> None: ...

        with http.server.HTTPServer(("127.0.0.1", 0), Odd) as odd:
            threading.Thread(target=odd.serve_forever, daemon=True).start()
            with opened(f"http://127.0.0.1:{odd.server_port}") as store:
                for ask in (lambda store: store.views(), lambda store: store.reader(["a:b"]).read()):
                    with pytest.raises(RemoteFailed):
                        ask(store)
            odd.shutdown()

    def test_too_many_rows(self, remote: RemoteStore) -> None:
        keys = {"dest": ["ATL"] * 10_001, "hour": [1] * 10_001}
        with pytest.raises(RequestTooLarge, match="10,001 rows"):
            remote.reader(["delays:late"]).read(keys)


def _labels(count: int) -> pa.Table:
    return pa.table({"at": pa.array([HOUR] * count, pa.timestamp("us"))})


class TestKeys:
    def test_are_asked_for_and_throttled_on_both(self, tmp_path: Path) -> None:
        fill(tmp_path)
        consumers = Consumers(tmp_path)
        key = consumers.add("trainer", Limits(rows=1), 0, os.urandom)
        with serving(tmp_path, KeyRing(consumers)) as served:
            for url in served.urls():
                with (
                    opened(url, "covey_00000000_" + "A" * 43) as store,
                    pytest.raises(RemoteFailed, match="does not know this API key"),
                ):
                    store.views()
                with opened(url) as store, pytest.raises(RemoteFailed, match="needs an API key"):
                    store.reader(REFS).read(KEYS)
            with opened(served.http, key) as store:
                assert store.views()
                store.reader(REFS).read(KEYS)
            for url in served.urls():
                waited: list[float] = []
                with impatient(url, key, waited) as store, pytest.raises(Throttled, match="over the limit") as refused:
                    read_often(store)
                assert refused.value.retry_after_s >= 1
                assert waited[-3:] == [refused.value.retry_after_s] * 3

    @pytest.mark.parametrize(
        "read",
        [
            lambda store: store.get(["area:flights"], {"area": ["NYC"] * 500}),
            lambda store: store.join(_labels(500), ["area:flights"], "at").read_all(),
            lambda store: store.history("area"),
        ],
    )
    def test_rows_of_tables_count(self, tmp_path: Path, read: Callable[[RemoteStore], Any]) -> None:
        fill(tmp_path)
        consumers = Consumers(tmp_path)
        keys = [consumers.add(name, Limits(rows=1), 0, os.urandom) for name in ("one", "two")]
        with serving(tmp_path, KeyRing(consumers)) as served:
            for url, key in zip(served.urls(), keys, strict=True):
                with impatient(url, key, []) as store:
                    read(store)
                    with pytest.raises(Throttled, match="over the limit"):
                        store.reader(["area:flights"]).read()


class TestWatch:
    def test_every_pane_arrives_once_in_order_and_a_watch_goes_on_where_it_was(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with serving(tmp_path) as served:
            last = served.local.published("delays", 0)[-1].seq
            for url in served.urls():
                with opened(url) as store:
                    watch = iter(store.watch("delays", after=0))
                    seen = [next(watch) for _ in range(4)]
                    assert seen == served.local.published("delays", 0)[:4]
            streams = [iter(Store.open(url).watch("delays", after=last)) for url in served.urls()]
            with Publisher(tmp_path, lambda: DAY) as publisher:
                publisher.publish([a_release(VIEW, 5 * HOUR, 7), a_void(VIEW, 6 * HOUR)])
            for stream in streams:
                one, two = next(stream), next(stream)
                assert (one.state, one.pane_start, one.reason) == ("opened", 5 * HOUR, None)
                assert (two.state, two.pane_start, two.reason) == ("void", 6 * HOUR, "BATCH_TOO_SMALL")
                assert one.seq == two.seq > last

    def test_what_is_published_while_a_watch_is_told_of_another_pane(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with Store.open(tmp_path) as store, Publisher(tmp_path, lambda: DAY) as publisher:

            async def watched() -> list[int]:
                panes = await Reads(store, Batcher(), FirstReads(store.root)).published("delays", 0)
                seen = [(await anext(panes)).pane_start for _ in range(4)]
                publisher.publish([a_release(VIEW, 5 * HOUR, 7)])  # the watch has read before, and yields its last pane
                assert store.blocks.refresh()
                seen.append((await asyncio.wait_for(anext(panes), 20)).pane_start)
                return seen

            assert asyncio.run(watched()) == [0, HOUR, 2 * HOUR, 3 * HOUR, 5 * HOUR]

    def test_a_local_watch(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with Store.open(tmp_path) as store, Publisher(tmp_path, lambda: DAY) as publisher:

            def wait() -> bool:
                start = len(store.published("delays", 0)) * HOUR
                if start < 7 * HOUR:
                    publisher.publish([a_release(VIEW, start, 7)])
                return start < 7 * HOUR

            assert [one.pane_start for one in store.watch("delays", wait=wait)] == [4 * HOUR, 5 * HOUR, 6 * HOUR]


class TestHostileBytes:
    @pytest.mark.parametrize(
        ("path", "content", "status"),
        [
            ("/v1/vectors", b"\xff\xff", 422),
            ("/v1/vectors", b"", 422),
            ("/v1/read/get", b"", 422),
            ("/v1/read/get", b"\xff" * 64, 422),
            ("/v1/read/get?arguments=[]", b"", 422),
            ("/v1/read/get?arguments={", b"", 422),
            ('/v1/read/get?arguments={"features":3}', b"", 422),
            ('/v1/read/history?arguments={"view":"delays","start":1.5}', b"", 422),
            ('/v1/read/history?arguments={"view":"delays","start":9223372036854775807}', b"", 422),
            ('/v1/read/history?arguments={"view":"delays","odd":1}', b"", 422),
            ('/v1/read/history?arguments={"view":"\\ud800"}', b"", 422),
            ('/v1/read/key_types?arguments={"features":["\\ud800"]}', b"", 422),
            ("/v1/read/nothing", b"", 422),
        ],
    )
    def test_are_a_problem_and_no_defect(self, served: Served, path: str, content: bytes, status: int) -> None:
        response = httpx.post(served.http + path, content=content, timeout=60)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"]

    def test_a_cut_or_flipped_table_never_kills_the_server(self, served: Served) -> None:
        table = pa.table({"dest": ["ATL"] * 50, "hour": [1] * 50})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        whole = sink.getvalue().to_pybytes()
        url = f"{served.http}/v1/read/get"
        arguments = {"arguments": json.dumps({"features": ["delays:late"]})}
        random = np.random.default_rng(4)
        with httpx.Client(timeout=60) as client:
            for i in random.integers(0, len(whole), 150).tolist():
                flipped = whole[:i] + bytes([whole[i] ^ int(random.integers(1, 256))]) + whole[i + 1 :]
                for content in (flipped, whole[:i]):
                    assert client.post(url, params=arguments, content=content).status_code in (200, 413, 422)
            assert client.post(url, params=arguments, content=whole).status_code == 200

    @pytest.mark.parametrize(
        ("table", "options", "status"),
        [
            (pa.table({"dest": pa.nulls(2**21), "hour": pa.nulls(2**21)}), {}, 413),
            (pa.table({"dest": ["ATL"], "hour": [1]}), {"compression": "zstd"}, 422),
            (pa.table({"dest": pa.array(["ATL"]).dictionary_encode(), "hour": [1]}), {"compression": "lz4"}, 422),
            (pa.table({"dest": pa.array(["ATL"]).dictionary_encode(), "hour": [1]}), {}, 200),
        ],
    )
    def test_few_bytes_never_become_many_rows(
        self, served: Served, table: pa.Table, options: dict[str, str], status: int
    ) -> None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(table)
        arguments = {"arguments": json.dumps({"features": ["delays:late"]})}
        response = httpx.post(
            f"{served.http}/v1/read/get", params=arguments, content=sink.getvalue().to_pybytes(), timeout=30
        )
        assert response.status_code == status, response.text

    def test_many_names(self, served: Served) -> None:
        from featurestore.read import features_pb2 as pb

        for message in (
            pb.GetFeaturesRequest(features=["area:flights"] * 1_001),
            pb.GetFeaturesRequest(features=["area:flights"], entities={str(i): pb.Values() for i in range(1_001)}),
        ):
            response = httpx.post(f"{served.http}/v1/vectors", content=message.SerializeToString(), timeout=60)
            assert (response.status_code, response.json()["error"]) == (413, RequestTooLarge.__name__)
        nulls = pb.Values(strings=pb.Strings(values=["a"]), null=[0, 0])
        message = pb.GetFeaturesRequest(features=["area:flights"], entities={"area": nulls})
        assert (
            httpx.post(f"{served.http}/v1/vectors", content=message.SerializeToString(), timeout=60).status_code == 422
        )

    @pytest.mark.parametrize("path", ["/v1/vectors", "/v1/read/get", "/get-online-features"])
    def test_who_goes_away_while_sending_is_no_defect(
        self, served: Served, path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def gone() -> float:
            lines = httpx.get(f"{served.http}/metrics", timeout=60).text.splitlines()
            return sum(float(line.split()[-1]) for line in lines if 'status="0"' in line)

        before = gone()
        host, port = served.http.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc".encode())
        while gone() == before:
            threading.Event().wait(0.01)
        assert not caplog.records

    def test_a_watch_from_a_number_that_no_publication_can_have(self, served: Served) -> None:
        with opened(served.grpc) as store, pytest.raises(BadRequest):
            next(iter(store.watch("delays", after=2**64 - 1)))

    def test_entities_that_do_not_fit_together(self, served: Served) -> None:
        from featurestore.read import features_pb2 as pb
        from featurestore.remote.http_transport import HttpTransport

        odd = [
            pb.GetFeaturesRequest(),
            pb.GetFeaturesRequest(features=["delays:late"], feature_service="model"),
            pb.GetFeaturesRequest(features=["delays:late"], entities={"dest": pb.Values()}),
            pb.GetFeaturesRequest(
                features=["delays:late"], entities={"dest": pb.Values(strings=pb.Strings(values=["a"]), null=[7])}
            ),
            pb.GetFeaturesRequest(
                features=["delays:late"],
                entities={
                    "dest": pb.Values(strings=pb.Strings(values=["a"])),
                    "hour": pb.Values(ints=pb.Ints(values=[1, 2])),
                },
            ),
        ]
        transport = HttpTransport(served.http, None, ReaderTls())
        for message in odd:
            response = transport._client.post("/v1/vectors", content=message.SerializeToString())
            assert response.status_code == 422
            assert response.json()["error"] == BadRequest.__name__
        transport.close()


def test_feasts_route_answers_in_arrow_where_that_is_accepted(served: Served) -> None:
    body = {"features": REFS, "entities": {**KEYS, "hour": [1, 0, 0, None]}, "full_feature_names": True}
    response = httpx.post(
        f"{served.http}/get-online-features",
        json=body,
        headers={"accept": "application/vnd.apache.arrow.stream"},
        timeout=60,
    )
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert pa.ipc.open_stream(response.content).read_all().equals(served.local.get(REFS, KEYS, full_names=True))


def test_feasts_route_refuses_in_arrow_what_does_not_fit_its_type(served: Served) -> None:
    body = {"features": ["delays:late"], "entities": {"dest": ["ATL"], "hour": [2**63]}}
    response = httpx.post(
        f"{served.http}/get-online-features",
        json=body,
        headers={"accept": "application/vnd.apache.arrow.stream"},
        timeout=60,
    )
    assert response.status_code == 422, response.text


def test_a_given_column_is_not_replaced(served: Served) -> None:
    with pytest.raises(BadReference, match="area__pane_end"):
        served.local.get(["area:flights"], {"area__pane_end": [1]})


def test_calls_over_grpc_are_counted_with_their_status(tmp_path: Path) -> None:
    fill(tmp_path)
    with serving(tmp_path) as running, opened(running.grpc) as store:
        store.reader(REFS).read(KEYS)
        store.history("delays")
        with pytest.raises(NotFoundError):
            store.reader(["delays:nothing"]).read(KEYS)
        shown = httpx.get(f"{running.http}/metrics", timeout=60).text
    counted = re.findall(
        r'covey_requests_total\{route="/covey\.features\.v1\.Features/(\w+)",status="(\d+)"\} (\S+)', shown
    )
    by_status = {(call, status): float(count) for call, status, count in counted}
    assert by_status["GetFeatures", "200"] >= 1
    assert by_status["Read", "200"] >= 1
    assert {status for call, status in by_status if call == "GetFeatures"} == {"200", "404"}
