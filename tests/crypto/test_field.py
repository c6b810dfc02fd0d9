"""Field64 against Python integers, and its encoding against damaged bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import field
from crypto.errors import CryptoError, FieldElementOutOfRange, NotAMultiple, ValueOutOfRange, WrongArray
from crypto.field_modulus import P

# Uniform elements hardly ever meet the carries; the corners do.
CORNERS = [0, 1, 2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1, 2**63, P // 2, P // 2 + 1, P - 2**32, P - 2, P - 1]
element = st.one_of(st.sampled_from(CORNERS), st.integers(0, P - 1))
vectors = st.lists(element, min_size=1, max_size=40)
centred = st.integers(-field.HALF, field.HALF)


def elements_of(integers: list[int]) -> field.Elements:
    return np.array([v % P for v in integers], np.uint64)


def as_ints(elements: field.Elements) -> list[int]:
    return [int(e) for e in elements]


def test_all_pairs_of_corner_elements_add_subtract_and_multiply_as_python_integers_do():
    a = elements_of(CORNERS)[:, None]
    b = elements_of(CORNERS)[None, :]
    for ours, exact in [
        (field.add, lambda x, y: (x + y) % P),
        (field.subtract, lambda x, y: (x - y) % P),
        (field.multiply, lambda x, y: x * y % P),
    ]:
        assert ours(a, b).tolist() == [[exact(x, y) for y in CORNERS] for x in CORNERS]


@given(vectors, st.data())
def test_the_algebra_is_that_of_python_integers(a: list[int], data: st.DataObject):
    b = data.draw(st.lists(element, min_size=len(a), max_size=len(a)))
    x, y = elements_of(a), elements_of(b)
    assert as_ints(field.add(x, y)) == [(s + t) % P for s, t in zip(a, b, strict=True)]
    assert as_ints(field.subtract(x, y)) == [(s - t) % P for s, t in zip(a, b, strict=True)]
    assert as_ints(field.multiply(x, y)) == [s * t % P for s, t in zip(a, b, strict=True)]
    assert as_ints(field.negate(x)) == [-s % P for s in a]


@given(vectors, st.integers(-(2**200), 2**200))
def test_scale_takes_any_python_integer(a: list[int], k: int):
    assert as_ints(field.scale(elements_of(a), k)) == [s * k % P for s in a]


@given(st.lists(centred, max_size=30))
def test_decode_centred_inverts_encode(values: list[int]):
    encoded = field.encode(np.array(values, np.int64))
    assert as_ints(encoded) == [v % P for v in values]
    assert field.decode_centred(encoded).tolist() == values


def test_the_ends_of_the_centred_range_are_kept_and_one_beyond_is_refused_without_telling_the_value():
    ends = np.array([field.HALF, -field.HALF], np.int64)
    assert field.decode_centred(field.encode(ends)).tolist() == ends.tolist()
    for beyond in (field.HALF + 1, -field.HALF - 1, 2**63 - 1, -(2**63)):
        with pytest.raises(ValueOutOfRange) as refused:
            field.encode(np.array([0, beyond], np.int64))
        assert refused.value.index == 1
        if abs(beyond) > field.HALF + 1:
            assert str(abs(beyond)) not in str(refused.value)


def test_decode_refuses_words_that_are_no_elements():
    with pytest.raises(FieldElementOutOfRange) as refused:
        field.decode_centred(np.array([3, P], np.uint64))
    assert refused.value.index == 1


@given(st.lists(centred, min_size=1, max_size=8), st.integers(-1000, 1000))
def test_a_linear_map_of_small_integers_commutes_with_the_encoding(values: list[int], k: int):
    small = [v % 2001 - 1000 for v in values]
    mapped = field.scale(field.encode(np.array(small, np.int64)), k)
    assert field.decode_centred(mapped).tolist() == [k * v for v in small]


@given(st.lists(element, max_size=30))
def test_from_bytes_inverts_to_bytes(a: list[int]):
    data = field.to_bytes(elements_of(a))
    assert data == b"".join(v.to_bytes(8, "little") for v in a)
    for form in (data, bytearray(data), memoryview(data), memoryview(b"x" + data)[1:]):  # the last one is not aligned
        assert as_ints(field.from_bytes(form)) == a


def test_aligned_bytes_are_not_copied_and_the_elements_are_read_only():
    data = bytearray(elements_of([1, 2, 3]).tobytes())
    elements = field.from_bytes(data)
    assert np.shares_memory(elements, np.frombuffer(data, np.uint8))
    assert not elements.flags.writeable


@given(st.binary(max_size=40).filter(lambda b: len(b) % 8))
def test_trailing_bytes_are_an_error(data: bytes):
    with pytest.raises(NotAMultiple) as refused:
        field.from_bytes(data)
    assert (refused.value.have, refused.value.unit) == (len(data), 8)


@given(st.lists(element, max_size=10), st.integers(P, 2**64 - 1), st.lists(element, max_size=10))
def test_a_word_of_p_or_more_is_an_error_that_tells_its_place(before: list[int], word: int, after: list[int]):
    with pytest.raises(FieldElementOutOfRange) as refused:
        field.from_bytes(b"".join(v.to_bytes(8, "little") for v in [*before, word, *after]))
    assert refused.value.index == len(before)


@given(st.integers(0, 9), st.integers(0, 20), st.randoms(use_true_random=False))
def test_sum_rows_is_the_column_sum_mod_p(rows: int, width: int, random):  # type: ignore[no-untyped-def]
    matrix = np.array([[random.choice(CORNERS) for _ in range(width)] for _ in range(rows)], np.uint64)
    matrix = matrix.reshape(rows, width)
    exact = [sum(int(matrix[b, j]) for b in range(rows)) % P for j in range(width)]
    assert as_ints(field.sum_rows(matrix)) == exact


def test_sum_rows_refuses_words_of_p_or_more():
    with pytest.raises(FieldElementOutOfRange):
        field.sum_rows(np.array([[1, 2], [3, P]], np.uint64))


def test_other_dtypes_are_refused():
    with pytest.raises(WrongArray):
        field.encode(np.array([1.0]))  # type: ignore[arg-type]
    with pytest.raises(WrongArray):
        field.decode_centred(np.array([1], np.int64))  # type: ignore[arg-type]
    assert issubclass(WrongArray, CryptoError)
