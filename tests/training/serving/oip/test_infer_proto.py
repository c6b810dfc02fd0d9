from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.errors import BadRequest, RequestTooLarge
from training.serving.ask import Keyed
from training.serving.oip import inference_pb2 as pb
from training.serving.oip.infer_proto import parse_infer, parse_message, render_infer

from .answers import explained

TYPES: dict[str, Any] = {"dest": "string", "seats": "int64", "night": "bool", "wind": "float64", "level": "int64"}


def request(*inputs: pb.Tensor, raw: tuple[bytes, ...] = (), **more: Any) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(inputs=inputs, raw_input_contents=raw, **more)


def tensor(name: str, datatype: str, *shape: int, **contents: Any) -> pb.Tensor:
    made = pb.Tensor(name=name, datatype=datatype, shape=shape)
    if contents:
        made.contents.MergeFrom(pb.TensorContents(**contents))
    return made


def test_contents_of_each_kind_are_read() -> None:
    message = request(
        tensor("dest", "BYTES", 1, bytes_contents=["Jä".encode()]),
        tensor("seats", "UINT8", 1, uint_contents=[3]),
        tensor("night", "BOOL", 1, bool_contents=[True]),
        tensor("wind", "FP32", 1, fp32_contents=[0.5]),
        tensor("level", "INT16", 1, int_contents=[-4]),
    )
    found = parse_infer(parse_message(pb.ModelInferRequest, message.SerializeToString())).ask("late", None, TYPES, None)
    assert found.given == Keyed({"dest": ["Jä"], "seats": [3], "night": [True], "wind": [0.5], "level": [-4]})


def test_raw_contents_are_read() -> None:
    message = request(tensor("seats", "INT64", 2), raw=(np.array([3, 4]).tobytes(),), id="5")
    message.parameters["interval"].double_param = 0.9
    message.parameters["timeout"].uint64_param = 7
    found = parse_infer(message).ask("late", 1, TYPES, None)
    assert (found.given, found.level, found.ident) == (Keyed({"seats": [3, 4]}), 0.9, "5")
    assert found.timeout_s == 7e-6


@pytest.mark.parametrize("raw", [True, False])
def test_an_answer_has_the_form_of_its_request(raw: bool) -> None:
    message = request(tensor("seats", "INT64", 2, int64_contents=[3, 4]))
    for name in ("status", "prediction", "lo", "features"):
        message.outputs.add(name=name)
    message.parameters["interval"].double_param = 0.9
    made = render_infer(parse_infer(message), explained(), raw=raw)
    assert [(one.name, one.datatype, list(one.shape)) for one in made.outputs] == [
        ("status", "BYTES", [2, 3]),
        ("prediction", "FP32", [2]),
        ("lo", "FP64", [2]),
        ("features", "FP64", [2, 3]),
    ]
    assert made.parameters["epoch"].int64_param == 7
    assert len(made.raw_output_contents) == (4 if raw else 0)
    if raw:
        assert np.frombuffer(made.raw_output_contents[2], "<f8").tolist() == [0.2, 0.0]
    else:
        assert list(made.outputs[0].contents.bytes_contents)[:3] == [b"OK", b"NOT_FOUND", b""]
        assert list(made.outputs[2].contents.fp64_contents) == [0.2, 0.0]


def test_more_values_than_the_event_loop_can_take_are_refused_before_they_are_converted() -> None:
    message = request(*(tensor(str(i), "INT64", 10_000) for i in range(101)))
    with pytest.raises(RequestTooLarge, match="1,010,000 values; at most 1,000,000"):
        parse_infer(message)


def test_unknown_fields_are_ignored() -> None:
    later = request(tensor("seats", "INT64", 1, int64_contents=[3])).SerializeToString() + b"\xfa\x07\x03abc"
    assert parse_infer(parse_message(pb.ModelInferRequest, later)).tensors[0].name == "seats"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (request(tensor("a", "INT64", 1), raw=(bytes(8), bytes(8))), "raw_input_contents has 2 entries for 1 inputs"),
        (request(tensor("a", "INT64", 1, int64_contents=[1]), raw=(bytes(8),)), "not both"),
        (request(tensor("a", "INT64", 2, int64_contents=[1])), "1 elements; its shape [2] needs 2"),
        (request(tensor("a", "INT64", 1, fp32_contents=[1])), "INT64 is sent in int64_contents, not in fp32_contents"),
        (request(tensor("a", "INT8", 1, int_contents=[200])), "an element does not fit into INT8"),
        (request(tensor("a", "FP16", 1)), "FP16 is sent in raw_input_contents"),
        (request(tensor("a", "BYTES", 1, bytes_contents=[b"\xff"])), "must be UTF-8"),
        (request(tensor("a", "FP32", -1)), "`shape` must be a list of integers of 0 or more"),
        (request(tensor("", "FP32", 1)), "needs a `name`"),
        (request(outputs=[pb.RequestedOutput(name="y")]), "no output 'y'"),
        (request(*(tensor("a", "FP32", 0) for _ in range(1_001))), "at most 1,000 inputs"),
        (request(parameters={"timeout": pb.Parameter()}), "parameter 'timeout' has no value"),
        (request(parameters={"interval": pb.Parameter(string_param="0.9")}), "'interval' must be a number"),
    ],
)
def test_a_message_that_cannot_be_is_refused(message: pb.ModelInferRequest, why: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(why)):
        parse_infer(message)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.binary(max_size=100), st.sampled_from(["INT64", "BYTES", "BOOL", "FP16", "", "?"]), st.lists(st.integers(-1, 3))
)
def test_hostile_bytes_are_named_mistakes_only(data: bytes, datatype: str, shape: list[int]) -> None:
    good = request(tensor("seats", datatype, *shape), raw=(data,)).SerializeToString()
    for bad in (data, good, good[: len(data)], good + data):
        try:
            parse_infer(parse_message(pb.ModelInferRequest, bad))
        except BadRequest:
            continue
