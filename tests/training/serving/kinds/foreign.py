"""Models that Covey did not make: a few nodes of ONNX each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.serving.kinds.process import Foreign, ForeignRunner
from training.serving.signature import ForeignCall, ForeignInput, ForeignOutput

WIDTH = 3
CALL = ForeignCall((ForeignInput("x", "values", "float32"),), "nan", ForeignOutput("y", None))
SUM = [helper.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=0)]
"""y = the sum of the features of a row."""


def constant(name: str, value: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


AXIS = constant("axis", np.array([1], np.int64))


def model_of(
    nodes: Sequence[onnx.NodeProto] = tuple(SUM),
    initializers: Sequence[TensorProto] = (AXIS,),
    outputs: Sequence[tuple[str, int, list[Any]]] = (("y", TensorProto.FLOAT, ["rows"]),),
    inputs: Sequence[tuple[str, int, list[Any]]] = (("x", TensorProto.FLOAT, ["rows", WIDTH]),),
    domains: Sequence[tuple[str, int]] = (("", 17),),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        list(initializers),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*one) for one in domains], ir_version=8)


def endless_nodes() -> list[onnx.NodeProto]:
    """y = the sum of a row; a row whose sum is above 100 never ends."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["v"], ["v_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", TensorProto.FLOAT, None),
        ],
    )
    return [
        helper.make_node("ReduceSum", ["x", "axis"], ["s"], keepdims=0),
        helper.make_node("ReduceMax", ["s"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "hundred"], ["above"]),
        helper.make_node("Loop", ["", "above", "s"], ["y"], body=body),
    ]


def foreign(model: onnx.ModelProto | None = None, **changes: Any) -> Foreign:
    data = (model_of() if model is None else model).SerializeToString()
    given: dict[str, Any] = {
        "model": "late@v1", "library": "onnx", "data": data, "call": CALL, "width": WIDTH, "device": "cpu", "limit_s": 30.0,
    }  # fmt: skip
    return Foreign(**given | changes)


def runner(model: onnx.ModelProto | None = None, **changes: Any) -> ForeignRunner:
    return ForeignRunner(foreign(model, **changes))
