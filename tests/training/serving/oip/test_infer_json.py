from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.errors import BadRequest, RequestTooLarge
from featurestore.server.refusal import Header
from training.errors import InputRefused
from training.serving import request_limits
from training.serving.ask import Ask, Keyed, Predicted
from training.serving.oip.infer_json import parse_infer, render_infer
from training.serving.oip.infer_request import InferRequest

from .answers import explained, predicted

http = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (extra: dev)")

SEATS = {"name": "seats", "shape": [2], "datatype": "INT64", "data": [3, 4]}


def parse(body: Any, *headers: Header, raw: bytes = b"") -> InferRequest:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    found, _ = parse_infer(headers, text + raw)
    return found


def asked(body: Any) -> Ask:
    return parse(body).ask("late", None, {"seats": "int64"}, None)


def of_client(tensors: list[Any], outputs: list[Any] | None = None, **more: Any) -> InferRequest:
    """What we read of the body that tritonclient makes."""
    body, size = http.InferenceServerClient.generate_request_body(tensors, outputs=outputs, **more)
    headers = () if size is None else ((b"inference-header-content-length", b"%d" % size),)
    found, _ = parse_infer(headers, body)
    return found


def read_by_client(request: InferRequest, answer: Predicted) -> Any:
    made = render_infer(request, answer)
    length = dict(made.more).get(b"inference-header-content-length")
    return http.InferenceServerClient.parse_response_body(
        made.body, header_length=None if length is None else int(length)
    )


def client_tensor(name: str, values: np.ndarray[Any, Any], datatype: str, binary: bool) -> Any:
    tensor = http.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def test_a_request_by_key_becomes_an_ask() -> None:
    found = asked({"id": "42", "inputs": [SEATS], "parameters": {"timeout": 5_000, "interval": 0.9, "priority": 1}})
    assert vars(found) == vars(Ask("late", None, Keyed({"seats": [3, 4]}), 2, "42", False, 0.9, 0.005))


def test_the_shorter_of_two_times_counts() -> None:
    request = parse({"inputs": [SEATS], "parameters": {"timeout": 50_000}})
    types = {"seats": "int64"}
    assert request.ask("late", 2, types, 0.01).timeout_s == 0.01
    assert request.ask("late", 2, types, 1.0).timeout_s == 0.05
    _, header = parse_infer([(b"timeout", b"0.25")], json.dumps({"inputs": [SEATS]}).encode())
    assert header == 0.25


def test_an_answer_explains_itself_if_an_output_or_a_parameter_asks_for_it() -> None:
    assert not asked({"inputs": [SEATS]}).explain
    assert asked({"inputs": [SEATS], "outputs": [{"name": "status"}]}).explain
    assert asked({"inputs": [SEATS], "parameters": {"explain": True}}).explain


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_sends_keys_and_raw_features(binary: bool) -> None:
    dest = client_tensor("dest", np.array([b"ATL", b"J\xc3\xa4"], object), "BYTES", binary)
    seats = client_tensor("seats", np.array([[3], [4]], np.int64), "INT64", binary)
    request = of_client([dest, seats], request_id="7", priority=2, timeout=9)
    assert request.ident == "7"
    assert request.ask("late", None, {"dest": "string", "seats": "int64"}, None).given == Keyed(
        {"dest": ["ATL", "Jä"], "seats": [3, 4]}
    )
    x = client_tensor("x", np.array([[0.5, 0.1]], np.float32), "FP32", binary)
    (tensor,) = of_client([x]).tensors
    assert isinstance(tensor.elements, np.ndarray)
    assert tensor.elements.dtype == np.float32
    assert tensor.elements.tolist() == [0.5, np.float32(0.1)]


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_reads_every_output(binary: bool) -> None:
    names = ("status", "prediction", "lo", "hi", "features", "se")
    outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in names]
    seats = client_tensor("seats", np.array([3, 4], np.int64), "INT64", binary)
    answer = explained()
    found = read_by_client(of_client([seats], outputs, request_id="a", parameters={"interval": 0.9}), answer)
    head = found.get_response()
    assert (head["model_name"], head["model_version"], head["id"]) == ("late", "2", "a")
    assert [one["name"] for one in head["outputs"]] == list(names)
    assert head["parameters"]["epoch"] == 7
    assert json.loads(head["parameters"]["releases"]) == [
        {"view": "delays", "version": 1, "release": "ab12", "pane_end": 1_700_000_000_000_000}
    ]
    assert found.as_numpy("prediction").tolist() == answer.values.tolist()
    assert found.as_numpy("prediction").dtype == np.float32
    assert answer.used is not None
    assert answer.interval is not None
    assert np.array_equal(found.as_numpy("features"), answer.used.values, equal_nan=True)
    assert np.array_equal(found.as_numpy("se"), answer.used.se, equal_nan=True)
    assert found.as_numpy("lo").tolist() == [0.2, 0.0]
    assert np.array_equal(found.as_numpy("hi"), [0.3, np.nan], equal_nan=True)
    texts = [[str(one, "utf-8") if isinstance(one, bytes) else one for one in row] for row in found.as_numpy("status")]
    assert texts == [["OK", "NOT_FOUND", ""], ["ROUGH_SE", "OK", ""]]


def test_without_outputs_an_answer_has_the_prediction_and_its_interval_if_there_is_one() -> None:
    plain = render_infer(parse({"inputs": [SEATS]}), predicted())
    assert json.loads(plain.body) == {
        "model_name": "late",
        "model_version": "2",
        "parameters": {"epoch": 7},
        "outputs": [{"name": "prediction", "datatype": "FP32", "shape": [2], "data": [0.25, 0.1]}],
    }
    between = render_infer(parse({"inputs": [SEATS], "parameters": {"interval": 0.9}}), explained())
    assert [one["name"] for one in json.loads(between.body)["outputs"]] == ["prediction", "lo", "hi"]


def test_an_output_overrides_the_requests_form() -> None:
    parameters = {"binary_data_output": True}
    outputs = [{"name": "prediction", "parameters": {"binary_data": False}}, {"name": "se"}]
    made = render_infer(parse({"inputs": [SEATS], "parameters": parameters, "outputs": outputs}), explained())
    size = int(dict(made.more)[b"inference-header-content-length"])
    first, second = json.loads(made.body[:size])["outputs"]
    assert first["data"] == [0.25, 0.1]
    assert second["parameters"] == {"binary_data_size": 48}
    assert len(made.body) - size == 48


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"inputs": NaN}', "the body is not JSON"),
        (b"[]", "the body must be a JSON object"),
        ({"inputs": {}}, "`inputs` must be a list of objects"),
        ({"inputs": [1]}, "`inputs` must be a list of objects"),
        ({"inputs": [SEATS] * 1_001}, "`inputs` has 1,001 entries"),
        ({"inputs": [SEATS], "outputs": "prediction"}, "`outputs` must be a list of objects"),
        ({"inputs": [SEATS], "id": 5}, "`id` must be a string"),
        ({"inputs": [SEATS], "parameters": []}, "the request: `parameters` must be an object"),
        ({"inputs": [SEATS | {"parameters": 1}]}, "input 'seats': `parameters` must be an object"),
        ({"inputs": [SEATS], "outputs": [{"name": "y"}]}, "no output 'y'; there are: prediction, lo"),
        ({"inputs": [SEATS], "outputs": [{}]}, "no output 'None'"),
        ({"inputs": [SEATS], "outputs": [{"name": ["lo"]}]}, "no output"),
        ({"inputs": [SEATS], "outputs": [{"name": "se"}, {"name": "se"}]}, "two of `outputs`"),
        ({"inputs": [SEATS], "outputs": [{"name": "lo"}]}, "need the parameter `interval`"),
        (
            {"inputs": [SEATS], "outputs": [{"name": "se", "parameters": {"classification": 3}}]},
            "classification is not supported",
        ),
        (
            {"inputs": [SEATS], "outputs": [{"name": "se", "parameters": {"binary_data": 1}}]},
            "parameter 'binary_data' must be true or false",
        ),
        ({"inputs": [SEATS], "parameters": {"intervall": 0.9}}, "no parameter 'intervall'; there are: timeout"),
        ({"inputs": [SEATS], "parameters": {"interval": "0.9"}}, "'interval' must be a number, such as 0.9"),
        ({"inputs": [SEATS], "parameters": {"interval": True}}, "'interval' must be a number, such as 0.9"),
        ({"inputs": [SEATS], "parameters": {"timeout": -1}}, "'timeout' must be a whole number"),
        ({"inputs": [SEATS], "parameters": {"timeout": 0.5}}, "'timeout' must be a whole number"),
        ({"inputs": [SEATS], "parameters": {"priority": "high"}}, "'priority' must be a whole number"),
        ({"inputs": [SEATS], "parameters": {"sequence_id": 1}}, "keep no state between requests"),
        ({"inputs": [SEATS | {"parameters": {"shared_memory_region": "a"}}]}, "shared memory is not supported"),
        ({"inputs": [SEATS | {"parameters": {"binary_data_size": 16}}]}, "send `data` or binary_data_size, not both"),
    ],
)
def test_a_body_that_cannot_be_is_refused(body: Any, why: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(why)):
        parse(body)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([SEATS | {"shape": [1_000, 1_001], "data": [1]}], "1,001,000 values; at most 1,000,000"),
        ([SEATS | {"name": str(i), "shape": [10_000], "data": [1]} for i in range(101)], "1,010,000 values"),
        (
            [
                {"name": str(i), "shape": [10_000], "datatype": "BYTES", "parameters": {"binary_data_size": 0}}
                for i in range(101)
            ],
            "1,010,000 values",
        ),
        ([[]] * 250_000, "250,002 lists and objects; at most 250,000"),
    ],
    ids=["one", "many", "texts", "lists"],
)
def test_more_values_than_the_event_loop_can_take_are_refused_before_they_are_converted(inputs: Any, says: str) -> None:
    with pytest.raises(RequestTooLarge, match=says):
        parse({"inputs": inputs})


def test_numbers_as_raw_bytes_are_not_bounded_as_values() -> None:
    x = {"name": "x", "shape": [10_000, 101], "datatype": "BOOL", "parameters": {"binary_data_size": 1_010_000}}
    text = orjson.dumps({"inputs": [x]})
    length = (b"inference-header-content-length", b"%d" % len(text))
    made, _ = parse_infer([length], text + bytes(1_010_000))
    assert made.tensors[0].shape == (10_000, 101)


def test_more_numbers_than_an_answer_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "MAX_NUMBERS", 5)
    asked = parse({"inputs": [SEATS], "outputs": [{"name": "status"}]})
    with pytest.raises(RequestTooLarge, match="6 features of all rows; at most 5"):
        render_infer(asked, explained())
    assert render_infer(parse({"inputs": [SEATS]}), predicted()).status == 200


def test_a_level_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputRefused, match="interval=1: a level must be above"):
        parse({"inputs": [SEATS], "parameters": {"interval": 1}})


def test_raw_features_have_no_interval_because_their_noise_is_unknown() -> None:
    x = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}
    with pytest.raises(BadRequest, match="an interval needs rows by key"):
        asked({"inputs": [x], "parameters": {"interval": 0.9}})


BINARY = {"name": "seats", "shape": [2], "datatype": "INT64", "parameters": {"binary_data_size": 16}}


def length_of(body: Any) -> Header:
    return b"inference-header-content-length", b"%d" % len(json.dumps(body))


def test_raw_bytes_follow_the_json() -> None:
    body = {"inputs": [BINARY]}
    (tensor,) = parse(body, length_of(body), raw=np.array([5, 6]).tobytes()).tensors
    assert isinstance(tensor.elements, np.ndarray)
    assert tensor.elements.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("length", "raw", "why"),
    [
        (b"-1", bytes(16), "must be a number of bytes, not '-1'"),
        (b"1e3", bytes(16), "must be a number of bytes"),
        (b"9" * 30, bytes(16), "must be a number of bytes"),
        (b"900", bytes(16), "is 900, but the body has"),
        (b"5", bytes(16), "the body is not JSON"),
        (None, bytes(15), "binary_data_size is 16, but 15 bytes are left"),
        (None, bytes(17), "1 bytes follow the last tensor"),
    ],
)
def test_a_length_that_does_not_fit_the_body_is_refused(length: bytes | None, raw: bytes, why: str) -> None:
    body = {"inputs": [BINARY]}
    header = length_of(body) if length is None else (b"inference-header-content-length", length)
    with pytest.raises(BadRequest, match=re.escape(why)):
        parse(body, header, raw=raw)


@pytest.mark.parametrize("size", [-1, 2**70, True, "16", 8.0, None])
def test_so_is_a_size_that_is_none(size: Any) -> None:
    body = {"inputs": [BINARY | {"parameters": {"binary_data_size": size}}]}
    with pytest.raises(BadRequest, match="binary_data_size is"):
        parse(body, length_of(body), raw=bytes(16))


@pytest.mark.parametrize("value", [b"0", b"-1", b"nan", b"inf", b"soon", b""])
def test_a_timeout_is_a_number_of_seconds(value: bytes) -> None:
    with pytest.raises(BadRequest, match="the header Timeout"):
        parse({"inputs": [SEATS]}, (b"timeout", value))
    with pytest.raises(BadRequest, match="the header Timeout comes twice"):
        parse({"inputs": [SEATS]}, (b"timeout", b"1"), (b"timeout", b"1"))


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(body=st.binary(max_size=200), length=st.integers(0, 220), more=st.dictionaries(
    st.sampled_from(["id", "inputs", "outputs", "parameters"]), json_values | st.lists(st.dictionaries(
        st.sampled_from(["name", "shape", "datatype", "data", "parameters"]),
        json_values | st.sampled_from(["FP32", "BYTES", "BOOL", [1], {"binary_data_size": 4}])), max_size=3)))  # fmt: skip
def test_hostile_bytes_are_named_mistakes_only(body: bytes, length: int, more: dict[str, Any]) -> None:
    made = json.dumps(more).encode()
    for text, header in ((body, length), (made + body, len(made)), (made + body, length)):
        try:
            parse(text, (b"inference-header-content-length", b"%d" % header))
        except BadRequest:
            continue
