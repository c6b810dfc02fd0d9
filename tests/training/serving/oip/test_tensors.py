from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import BadRequest
from training.serving.oip.tensors import Head, bytes_of, head_of

NUMERIC = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")


def head(datatype: str, *shape: int) -> Head:
    return head_of("a", datatype, list(shape))


def numpy_of(datatype: str) -> np.dtype[Any]:
    utils = pytest.importorskip("tritonclient.utils", reason="tritonclient is not installed (extra: dev)")
    return np.dtype(utils.triton_to_np_dtype(datatype))


@pytest.mark.parametrize("datatype", NUMERIC)
def test_raw_bytes_are_read_as_tritonclient_writes_them(datatype: str) -> None:
    sent = np.array([0, 1, 1, 0], numpy_of(datatype))
    tensor = head(datatype, 2, 2).of_bytes(sent.tobytes())
    assert isinstance(tensor.elements, np.ndarray)
    assert tensor.elements.dtype == sent.dtype
    assert tensor.elements.tolist() == sent.tolist()
    assert bytes_of(tensor.elements) == sent.tobytes()


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_bytes_are_written_and_read_as_tritonclient_does(texts: list[str]) -> None:
    utils = pytest.importorskip("tritonclient.utils", reason="tritonclient is not installed (extra: dev)")
    sent = utils.serialize_byte_tensor(np.array([one.encode() for one in texts], object)).item()
    assert head("BYTES", len(texts)).of_bytes(sent).elements == texts
    assert bytes_of(texts) == sent


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    values = np.array([1.0, -2.5, 0.15625], np.float32)
    sent = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    found = head("BF16", 3).of_bytes(sent).elements
    assert isinstance(found, np.ndarray)
    assert found.tolist() == values.tolist()


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "why"),
    [
        ("FP32", (2,), bytes(7), "7 bytes; its shape [2] needs 8"),
        ("FP32", (2,), bytes(12), "12 bytes; its shape [2] needs 8"),
        ("FP32", (2, 2**62), b"", "0 bytes; its shape"),
        ("BOOL", (1,), b"\x02", "a byte of BOOL is 0 or 1"),
        ("BYTES", (1,), b"\x01\0\0", "3 bytes are too few for 1 elements"),
        ("BYTES", (2,), b"\x01\0\0\0a\x09\0\0", "an element ends after the data"),
        ("BYTES", (1,), b"\xff\xff\xff\xffa", "an element ends after the data"),
        ("BYTES", (1,), b"\x01\0\0\0ab", "1 bytes follow its last element"),
        ("BYTES", (1,), b"\x01\0\0\0\xff", "the elements of BYTES must be UTF-8"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype: str, shape: tuple[int, ...], data: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(why)):
        head(datatype, *shape).of_bytes(data)


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_json_is_flat_or_nested_as_the_shape_is(data: list[Any]) -> None:
    found = head("INT64", 2, 2).of_json(data).elements
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [1, 2, 3, 4]


def test_null_is_nan_where_a_datatype_has_it() -> None:
    found = head("FP64", 2).of_json([None, 1]).elements
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, [np.nan, 1], equal_nan=True)
    with pytest.raises(BadRequest, match="its elements cannot be NoneType"):
        head("INT64", 2).of_json([None, 1])


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "why"),
    [
        ("FP32", (2,), None, "its `data` must be a list"),
        ("FP32", (2,), [1], "1 elements; its shape [2] needs 2"),
        ("FP32", (2, 2), [[1, 2], [3]], "nested, but not as its shape"),
        ("FP32", (2, 2), [[1, 2], 3], "nested, but not as its shape"),
        ("FP32", (1, 4), [[1, 2], [3, 4]], "nested, but not as its shape"),
        ("FP32", (1,), [True], "its elements cannot be bool"),
        ("FP32", (1,), ["1"], "its elements cannot be str"),
        ("FP32", (1, 1), [[[1]]], "its elements cannot be list"),
        ("INT8", (1,), [200], "an element does not fit into INT8"),
        ("UINT8", (1,), [-1], "an element does not fit into UINT8"),
        ("INT64", (1,), [1.0], "its elements cannot be float"),
        ("BOOL", (1,), [1], "its elements cannot be int"),
        ("BYTES", (1,), [1], "the elements of BYTES are strings"),
    ],
)
def test_json_that_does_not_fit_is_refused(datatype: str, shape: tuple[int, ...], data: Any, why: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(why)):
        head(datatype, *shape).of_json(data)


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "why"),
    [
        (None, "FP32", [1], "needs a `name`"),
        ("", "FP32", [1], "needs a `name`"),
        ("a", "FLOAT", [1], "datatype 'FLOAT' is unknown"),
        ("a", ["FP32"], [1], "is unknown"),
        ("a", "FP32", [], "`shape` must be a list of integers"),
        ("a", "FP32", [-1], "`shape` must be a list of integers"),
        ("a", "FP32", [True], "`shape` must be a list of integers"),
        ("a", "FP32", [1.0], "`shape` must be a list of integers"),
        ("a", "FP32", 3, "`shape` must be a list of integers"),
        ("a", "FP32", [10_001], "10,001 rows; at most 10,000"),
        ("a", "BYTES", [2**62], "rows; at most 10,000"),
        ("a", "BYTES", [1, 2**20], "`shape` of BYTES must be [rows] or [rows, 1]"),
        ("a", "FP32", [1, 1, 1], "3 dimensions; at most 2"),
    ],
)
def test_a_head_that_cannot_be_is_refused(name: Any, datatype: Any, shape: Any, why: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(why)):
        head_of(name, datatype, shape)
