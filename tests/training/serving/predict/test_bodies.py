from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.decoded import Status
from featurestore.errors import BadRequest, FeatureStoreError, RequestTooLarge
from training.errors import InputRefused
from training.serving import request_limits
from training.serving.ask import Ask, Keyed, Predicted, Used, UsedRelease
from training.serving.predict.bodies import Target, parse_predict, parse_target, render

LATE = Target("late", None, explain=False, level=None)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (b"/predict/late", LATE),
        (b"/predict/late?", LATE),
        (b"/predict/late@v12", Target("late", 12, explain=False, level=None)),
        (b"/predict/late%40v12?explain=false", Target("late", 12, explain=False, level=None)),
        (b"/predict/late?explain=true&interval=0.9", Target("late", None, explain=True, level=0.9)),
        (b"/predict/", Target("", None, explain=False, level=None)),
        (b"/predict/a/b", Target("a/b", None, explain=False, level=None)),
    ],
)
def test_a_url_names_the_model_its_version_and_what_is_asked(url: bytes, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (b"/predict/late@vx", "a version is a number, such as late@v2"),
        (b"/predict/late@v", "a version is a number"),
        ("/predict/late@v٣".encode(), "a version is a number"),
        (b"/predict/late?explain=1", "must be true or false"),
        (b"/predict/late?explain=true&explain=true", "has a name twice"),
        (b"/predict/late?explain", "cannot be read"),
        (b"/predict/late?%ff=1", "cannot be read"),
        (b"/predict/late?more=1", "it may have explain and interval"),
        (b"/predict/late?interval=1", "interval=1: a level must be above 0.5 and at most 0.999"),
        (b"/predict/late?interval=nan", "interval=nan: a level must be above"),
        (b"/predict/late?interval=high", "interval='high' must be a number"),
        (b"/predict/late?" + b"x" * 2_000, "the URL has 2,014 bytes; at most 1,024"),
        (b"/predict/late?" + b"&".join(b"explain=true" for _ in range(9)), "cannot be read"),
    ],
)
def test_a_url_that_asks_something_else_is_refused(url: bytes, says: str) -> None:
    with pytest.raises((BadRequest, InputRefused)) as found:
        parse_target(url)
    assert says in str(found.value)


def parsed(body: bytes, *headers: tuple[bytes, bytes]) -> Ask:
    return parse_predict(LATE, headers, body)


def test_a_body_has_a_list_for_each_input_and_perhaps_an_id() -> None:
    ask = parsed(b'{"entities": {"dest": ["ATL", null], "distance": [1400, 2.5]}, "id": "7:b"}', (b"timeout", b"0.25"))
    assert ask.given == Keyed({"dest": ["ATL", None], "distance": [1400, 2.5]})
    assert (ask.rows, ask.ident, ask.timeout_s, ask.version) == (2, "7:b", 0.25, None)
    assert parsed(b'{"entities": {}}').rows == 1
    assert parsed(b'{"entities": {"dest": []}}').rows == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"entities": {"distance": [NaN]}}', "not JSON"),
        (b'{"entities": {"dest": ["\\ud800"]}}', "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "must be a JSON object"),
        (b'{"entities": []}', "`entities` must be an object of lists"),
        (b'{"entities": {"dest": "ATL"}}', "`entities` must be an object of lists"),
        (b'{"entities": {"dest": ["ATL"]}, "more": 1}', "the body has 'more'; it may have `entities` and `id`"),
        (b'{"entities": {}, "id": 5}', "`id` must be a text"),
        (b'{"entities": {}, "id": "%s"}' % (b"x" * 257), "at most 256 characters"),
        (b'{"entities": {"dest": ["ATL"], "dest": ["LAX"]}}', "the body has 'dest' twice"),
        (b'{"entities": {"dest": ["ATL"], "de\\u0073t": ["LAX"]}}', "the body has 'dest' twice"),
        (b'{"entities": {"dest": ["ATL"]}, "entities": {"dest": ["LAX"]}}', "the body has 'entities' twice"),
        (b'{"entities": {"dest": [":"], "x": [1], "x": [2]}}', "the body has 'x' twice"),
        (b'{"entities": {"dest:": [' + b"[" * 900 + b"]" * 900 + b"]}}", "takes plain values, not lists or objects"),
    ],
)
def test_a_body_of_another_form_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(BadRequest) as found:
        parsed(body)
    assert says in str(found.value)


@pytest.mark.parametrize(
    "entities", [{"dest": [1] * 1_000_001}, {str(name): [":"] for name in range(10_001)}], ids=["values", "inputs"]
)
def test_more_values_than_the_event_loop_can_take_are_refused(
    entities: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", None)  # before the slow parser sees them
    with pytest.raises(RequestTooLarge, match=r"values of .* inputs; at most 1,000,000"):
        parsed(orjson.dumps({"entities": entities}))


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        (b'{"a": ' + b"[" * 1_000 + b"]" * 1_000 + b"}", "nested too deep"),
        (b"{" + b"".join(b'"%d": 1, ' % name for name in range(200_000)) + b'"199999": 1}', "'199999' twice"),
    ],
    ids=["deep", "many"],
)
def test_what_a_namesake_replaces_costs_little(replaced: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        parsed(b'{"entities": %s, "entities": {}}' % replaced)


@pytest.mark.parametrize("value", [b"0", b"-1", b"nan", b"soon", b"inf", b""])
def test_a_timeout_that_is_no_time_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match="Timeout"):
        parsed(b'{"entities": {}}', (b"timeout", value))
    with pytest.raises(BadRequest, match="twice"):
        parsed(b'{"entities": {}}', (b"timeout", b"1"), (b"timeout", b"1"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["entities", "id", "dest", ":"]), inner)
    ),
)


@given(body=st.one_of(st.binary(), JSON.map(lambda one: json.dumps(one).encode())), cut=st.integers(0, 60))
def test_any_bytes_are_parsed_or_refused_by_name(body: bytes, cut: int) -> None:
    for data in (body, b'{"entities":' + body[:cut] + b"}"):
        try:
            ask = parsed(data)
        except FeatureStoreError:
            continue
        assert isinstance(ask.given, Keyed)
        assert orjson.loads(data)["entities"] == ask.given.entities


def predicted(rows: int = 2, **more: Any) -> Predicted:
    return Predicted("late", 3, 17, np.array([0.1, np.nan], np.float32)[:rows], **more)


def used(rows: int = 2) -> Used:
    values, se = np.array([[1.5, 2], [np.nan, np.nan]]), np.array([[0.5, np.nan], [np.nan, np.nan]])
    status = np.array([[Status.OK], [Status.NOT_FOUND]], np.uint8)
    release = UsedRelease("traffic", 1, "ab", 5)
    return Used(("traffic@v1:flights", "distance"), values, se, status, (release, UsedRelease("area", 2, "", None)))


def test_an_answer_has_no_more_than_was_asked() -> None:
    assert render(predicted(), None) == b'{"model":"late","version":3,"epoch":17,"predictions":[0.1,null]}'


def test_an_answer_names_the_features_their_releases_and_the_interval() -> None:
    interval = (np.array([0.0625, np.nan]), np.array([0.5, np.nan]))
    assert orjson.loads(render(predicted(used=used(), interval=interval), 0.9)) == {
        "model": "late",
        "version": 3,
        "epoch": 17,
        "predictions": [0.1, None],
        "interval": {"level": 0.9, "lo": [0.0625, None], "hi": [0.5, None]},
        "features": {
            "traffic@v1:flights": {"values": [1.5, None], "se": [0.5, None], "statuses": ["OK", "NOT_FOUND"]},
            "distance": {"values": [2.0, None], "se": [None, None], "statuses": ["GIVEN", "GIVEN"]},
        },
        "releases": [
            {"view": "traffic", "version": 1, "release": "ab", "pane_end": 5},
            {"view": "area", "version": 2, "release": None, "pane_end": None},
        ],
    }


def test_more_numbers_than_an_answer_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "MAX_NUMBERS", 3)
    with pytest.raises(RequestTooLarge, match="4 features of all rows; at most 3"):
        render(predicted(used=used()), None)
    assert render(predicted(), None)
