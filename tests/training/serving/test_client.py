from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

import covey
from featurestore.define.decoded import Status
from featurestore.errors import BadReference, KeyRefused, OnlineUnavailable, RemoteFailed, Throttled, UnknownModel
from featurestore.remote.http_link import HttpLink
from featurestore.remote.tls import ReaderTls
from featurestore.store import Store
from training.errors import DeadlineMissed, InputRefused, ModelBusy, ModelNotReady
from training.serving.client import ModelClient

from .conftest import ModelServer

KEYS: dict[str, Any] = {"dest": ["ATL", "???"], "distance": np.array([1400.0, np.nan])}
GOOD: dict[str, Any] = {"model": "late", "version": 2, "epoch": 7, "predictions": [0.5, None]}


@pytest.fixture(scope="module")
def client(model_server: ModelServer) -> Iterator[ModelClient]:
    with covey.ModelClient.open(model_server.url) as opened:
        yield opened


def test_it_gets_what_the_model_predicts(client: ModelClient, model_store: Path) -> None:
    from training.serving.in_process.opened_model import OpenedModel

    with Store.open(model_store) as store:
        expected = OpenedModel.open(store, "late").predict(KEYS)
    predicted = client.predict("late", KEYS)
    assert (predicted.model, predicted.version, predicted.used, predicted.interval) == ("late", 1, None, None)
    assert predicted.values.dtype == np.float32
    np.testing.assert_array_equal(predicted.values, expected.values.astype(np.float32))
    explained = client.predict("late@v1", KEYS, explain=True, timeout=60).used
    assert explained is not None
    used = expected.used
    assert (explained.names, explained.releases) == (used.names, used.releases)
    for name in ("values", "se", "status"):
        np.testing.assert_array_equal(getattr(explained, name), getattr(used, name))
    assert explained.status[:, 0].tolist() == [Status.OK, Status.NOT_FOUND]


def test_it_gets_the_interval_of_each_prediction(client: ModelClient) -> None:
    predicted = client.predict("late", KEYS, interval=0.9)
    assert predicted.interval is not None
    lo, hi = predicted.interval
    assert lo.shape == hi.shape == (2,)
    assert lo[0] <= hi[0]
    assert lo[0] == pytest.approx(predicted.values[0], rel=1e-5)  # the store of the tests has no noise
    with pytest.raises(InputRefused, match="level"):
        client.predict("late", KEYS, interval=0.3)


def test_keys_may_be_columns_of_arrow(client: ModelClient) -> None:
    table = {"dest": pa.array(["ATL", "???"]), "distance": pa.array([1400.0, None])}
    assert client.predict("trees", table).values.tolist() == client.predict("trees", KEYS).values.tolist()


@pytest.mark.parametrize(
    ("model", "keys", "options", "error", "says"),
    [
        ("nothing", KEYS, {}, UnknownModel, "no model 'nothing' in this store; it has: late, trees"),
        ("../health", KEYS, {}, UnknownModel, "no model"),
        ("late", {"dest": ["ATL"]}, {}, BadReference, "model late@v1 needs 'distance'"),
        ("late", {"dest": [5], "distance": [1]}, {}, BadReference, "the request holds int"),
        ("late", {"dest": [b"ATL"], "distance": [1]}, {}, BadReference, "must be texts, numbers"),
        ("late", {"dest": ["ATL"], "distance": [np.inf]}, {}, InputRefused, "infinite"),
        ("late", {"dest": ["ATL"], "distance": [1e39]}, {}, InputRefused, "beyond float32"),
        ("late", KEYS, {"timeout": 1e-7}, DeadlineMissed, "timeout"),
    ],
)
def test_an_error_of_the_server_is_raised_by_its_name(
    client: ModelClient, model: str, keys: Any, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as found:
        client.predict(model, keys, **options)
    assert says in str(found.value)


class Answers:
    """A server that gives these answers, one after the other, and a clock that only sleep moves."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.left, self.requests, self.slept, self.now = list(answers), list[httpx.Request](), list[float](), 0.0

    def client(self) -> ModelClient:
        link = HttpLink("http://models", "secret", ReaderTls())
        link.client = httpx.Client(base_url="http://models", transport=httpx.MockTransport(self._answer))
        return ModelClient(link, self._sleep, lambda: self.now)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        found = self.left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def refusal(status: int, error: str | None, wait: int | None = None) -> httpx.Response:
    named = {} if error is None else {"error": error}
    headers = {} if wait is None else {"retry-after": str(wait)}
    return httpx.Response(status, json={"title": "t", "status": status, "detail": "so it is", **named}, headers=headers)


def test_it_retries_a_busy_model_after_the_time_that_the_server_names() -> None:
    server = Answers(
        refusal(429, "ModelBusy", 2), refusal(503, "OnlineUnavailable", 1), refusal(429, None, 3), httpx.Response(200, json=GOOD)
    )  # fmt: skip
    predicted = server.client().predict(
        "late", {"dest": ["ATL", "LAX"]}, interval=np.float64(0.9), explain=True, ident="7"
    )
    assert server.slept == [2, 1, 3]
    assert str(server.requests[-1].url) == "http://models/predict/late?explain=true&interval=0.9"
    assert json.loads(server.requests[-1].content) == {"entities": {"dest": ["ATL", "LAX"]}, "id": "7"}
    assert "timeout" not in server.requests[-1].headers
    np.testing.assert_array_equal(predicted.values, np.array([0.5, np.nan], np.float32))


@pytest.mark.parametrize(
    ("status", "error", "wait", "kind"),
    [
        (429, "ModelBusy", 11, ModelBusy),
        (429, None, 3_600, Throttled),
        (503, "OnlineUnavailable", 60, OnlineUnavailable),
        (503, "ModelNotReady", 1, ModelNotReady),
        (401, None, None, KeyRefused),
        (500, "TrainingArgument", None, RemoteFailed),
        (500, "mend_of", None, RemoteFailed),
    ],
)
def test_it_does_not_wait_long_nor_for_what_will_not_change(
    status: int, error: str | None, wait: int | None, kind: type[Exception]
) -> None:
    server = Answers(refusal(status, error, wait))
    with pytest.raises(kind, match="so it is") as found:
        server.client().predict("late", {})
    assert type(found.value) is kind
    assert server.slept == []


def test_it_waits_no_longer_than_its_timeout_and_sends_the_time_that_is_left() -> None:
    server = Answers(refusal(429, "ModelBusy", 1), refusal(429, "ModelBusy", 1))
    with pytest.raises(ModelBusy):
        server.client().predict("late", {}, timeout=1.5)
    assert server.slept == [1]
    assert [float(one.headers["timeout"]) for one in server.requests] == [1.5, 0.5]


def test_it_gives_up_after_some_retries() -> None:
    server = Answers(*(refusal(429, "ModelBusy", 1) for _ in range(9)))
    with pytest.raises(ModelBusy):
        server.client().predict("late", {})
    assert len(server.requests) == 4


def change(**parts: Any) -> bytes:
    return json.dumps(GOOD | parts).encode()


FEATURES = {"a": {"values": [1, 2], "se": [0, 0], "statuses": ["OK", "OK"]}}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"[" * 100_000, change(predictions=5), change(predictions=["x"]), change(predictions=[[1]]),
        change(version=None), change(interval=5), change(interval={"level": 0.9, "lo": [1], "hi": [1, 2]}),
        change(features=FEATURES), change(features=5, releases=[]), change(features={"a": FEATURES["a"] | {"se": [1]}}, releases=[]),
        change(features={"a": FEATURES["a"] | {"statuses": ["OK"]}}, releases=[]), change(features=FEATURES, releases=[5]),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteFailed, match="not that of a server of models"):
        Answers(httpx.Response(200, content=body)).client().predict("late", {})


def test_an_explained_answer_is_read_whole() -> None:
    given = {"values": [1.5, None], "se": [None, None], "statuses": ["GIVEN"] * 2}
    releases = [{"view": "v", "version": 1, "release": None, "pane_end": None}]
    interval = {"level": 0.9, "lo": [0.25, None], "hi": [0.75, None]}
    body = change(features=FEATURES | {"distance": given}, releases=releases, interval=interval)
    predicted = Answers(httpx.Response(200, content=body)).client().predict("late", {})
    assert predicted.interval is not None
    assert predicted.interval[0][0] == 0.25
    assert predicted.used is not None
    assert predicted.used.names == ("a", "distance")
    assert predicted.used.status.tolist() == [[0], [0]]
    assert predicted.used.values[0].tolist() == [1, 1.5]


@pytest.mark.parametrize("url", ["grpc://127.0.0.1:1", "late", "ftp://x"])
def test_another_url_and_an_unreachable_server_are_refused(url: str) -> None:
    with pytest.raises(RemoteFailed):
        ModelClient.open(url)
    with ModelClient.open("http://127.0.0.1:1") as client, pytest.raises(RemoteFailed, match=r"127\.0\.0\.1:1"):
        client.predict("late", {})


def test_it_needs_neither_pytorch_nor_the_libraries_of_a_server() -> None:
    code = (
        "import sys; from covey import ModelClient; ModelClient.open('http://127.0.0.1:1'); "
        "print([one for one in ('torch', 'fastapi', 'orjson', 'onnxruntime', 'sklearn') if one in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
