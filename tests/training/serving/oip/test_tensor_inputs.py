from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from featurestore.define.entities import ColumnType
from featurestore.errors import BadRequest
from training.serving.arrays import Arrays
from training.serving.ask import Keyed, Raw
from training.serving.oip.tensor_inputs import inputs_of
from training.serving.oip.tensors import Tensor, head_of

TYPES: dict[str, ColumnType] = {"dest": "string", "seats": "int64", "night": "bool", "wind": "float64"}


def tensor(name: str, datatype: str, data: list[Any], *shape: int) -> Tensor:
    return head_of(name, datatype, list(shape or (len(data),))).of_json(data)


def column(kind: ColumnType, datatype: str, data: list[Any], *shape: int) -> list[Any]:
    given, _ = inputs_of([tensor("a", datatype, data, *shape)], {"a": kind})
    assert isinstance(given, Keyed)
    return list(given.entities["a"])


def test_rows_by_key_become_lists_of_their_types() -> None:
    tensors = [
        tensor("dest", "BYTES", ["ATL", "JFK"]),
        tensor("seats", "INT64", [3, 4]),
        tensor("night", "BOOL", [True, False], 2, 1),
        tensor("wind", "FP64", [0.5, 1], 2, 1),
    ]
    given, rows = inputs_of(tensors, TYPES)
    assert given == Keyed({"dest": ["ATL", "JFK"], "seats": [3, 4], "night": [True, False], "wind": [0.5, 1.0]})
    assert rows == 2


def test_a_model_without_inputs_is_asked_for_one_row() -> None:
    assert inputs_of([], {}) == (Keyed({}), 1)


@pytest.mark.parametrize(
    ("kind", "datatype", "data"),
    [
        ("int64", "INT8", [-3]),
        ("int64", "UINT64", [2**63 - 1]),
        ("int64", "FP32", [3.0]),
        ("int64", "FP64", [-(2.0**62)]),
        ("float64", "INT64", [-(2**53)]),
        ("float64", "UINT64", [2**53]),
        ("float64", "FP32", [0.5]),
        ("float64", "FP16", [0.25]),
    ],
)
def test_a_number_of_another_datatype_is_taken_if_it_is_the_same_number(
    kind: ColumnType, datatype: str, data: list[Any]
) -> None:
    found = column(kind, datatype, data)
    assert found == data
    assert type(found[0]) is {"int64": int, "float64": float}[kind]


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16"])
def test_nan_is_null_as_in_the_other_protocols(datatype: str) -> None:
    assert column("float64", datatype, [None, 0.5]) == [None, 0.5]


@pytest.mark.parametrize(
    ("kind", "datatype", "data"),
    [
        ("int64", "UINT64", [2**63]),
        ("int64", "UINT64", [2**64 - 1]),
        ("int64", "FP64", [0.5]),
        ("int64", "FP64", [2.0**63]),
        ("int64", "FP64", [-(2.0**64)]),
        ("int64", "FP64", [None]),
        ("float64", "INT64", [2**53 + 1]),
        ("float64", "INT64", [2**63 - 1]),
        ("float64", "UINT64", [2**64 - 1]),
    ],
)
def test_one_that_becomes_another_number_is_refused(kind: ColumnType, datatype: str, data: list[Any]) -> None:
    with pytest.raises(BadRequest, match="is another number as"):
        column(kind, datatype, data)


@pytest.mark.parametrize(
    ("kind", "datatype", "data"),
    [
        ("string", "INT64", [1]),
        ("int64", "BYTES", ["1"]),
        ("bool", "INT64", [1]),
        ("int64", "BOOL", [True]),
        ("float64", "BOOL", [True]),
        ("bool", "BYTES", ["true"]),
        ("string", "BOOL", [True]),
    ],
)
def test_texts_and_truth_values_are_not_numbers(kind: ColumnType, datatype: str, data: list[Any]) -> None:
    with pytest.raises(BadRequest, match=f"input 'a' must be .*, not {datatype}"):
        column(kind, datatype, data)


def test_a_column_has_one_value_a_row() -> None:
    with pytest.raises(BadRequest, match=r"`shape` must be \[rows\] or \[rows, 1\], not \[1, 2\]"):
        column("int64", "INT64", [1, 2], 1, 2)


def raw(*tensors: Tensor) -> Arrays:
    given, rows = inputs_of(tensors, TYPES)
    assert isinstance(given, Raw)
    assert rows == len(given.arrays.x)
    return given.arrays


def test_raw_features_without_a_mask_have_no_value_where_they_are_nan() -> None:
    x, mask, se = raw(tensor("x", "FP32", [1.5, None, 0.1, 2], 2, 2))
    assert x.dtype == np.float32
    assert x.tolist() == [[1.5, 0], [np.float32(0.1), 2]]
    assert mask.tolist() == [[True, False], [True, True]]
    assert se.tolist() == [[0, 0], [0, 0]]


def test_a_mask_says_where_values_and_errors_count() -> None:
    x, mask, se = raw(
        tensor("se", "FP32", [0.5, 9], 1, 2),
        tensor("x", "FP32", [7, 8], 1, 2),
        tensor("mask", "BOOL", [True, False], 1, 2),
    )
    assert (x.tolist(), mask.tolist(), se.tolist()) == ([[7, 0]], [[True, False]], [[0.5, 0]])
    kept, _, _ = raw(tensor("x", "FP32", [7, None], 1, 2), tensor("mask", "BOOL", [True, True], 1, 2))
    assert np.isnan(kept[0, 1]), "the model's inputs refuse it"


def test_raw_features_of_another_datatype_must_be_float32_exactly() -> None:
    assert raw(tensor("x", "FP64", [0.5, None], 1, 2)).x.tolist() == [[0.5, 0]]
    assert raw(tensor("x", "INT64", [3], 1, 1)).x.tolist() == [[3]]
    with pytest.raises(BadRequest, match="a value of FP64 is another number as FP32"):
        raw(tensor("x", "FP64", [0.1], 1, 1))
    with pytest.raises(BadRequest, match="input 'x' must be FP32, not BYTES"):
        raw(tensor("x", "BYTES", ["1"], 1, 1))
    with pytest.raises(BadRequest, match="input 'mask' must be BOOL, not INT64"):
        raw(tensor("x", "FP32", [1], 1, 1), tensor("mask", "INT64", [1], 1, 1))


def test_raw_tensors_are_of_one_shape_and_come_without_keys() -> None:
    with pytest.raises(BadRequest, match=r"input 'se': `shape` must be that of x, \[1, 2\], not \[2\]"):
        raw(tensor("x", "FP32", [1, 2], 1, 2), tensor("se", "FP32", [1, 2]))
    with pytest.raises(BadRequest, match="not both"):
        raw(tensor("x", "FP32", [1], 1, 1), tensor("dest", "BYTES", ["ATL"]))
    with pytest.raises(BadRequest, match="raw features need the input 'x'"):
        raw(tensor("mask", "BOOL", [True], 1, 1))
    with pytest.raises(BadRequest, match="two of `inputs` have the same name"):
        raw(tensor("x", "FP32", [1], 1, 1), tensor("x", "FP32", [1], 1, 1))


def test_a_model_whose_own_input_is_called_x_is_asked_by_key_only() -> None:
    given, rows = inputs_of([tensor("x", "FP64", [1, 2])], {"x": "float64"})
    assert given == Keyed({"x": [1.0, 2.0]})
    assert rows == 2
