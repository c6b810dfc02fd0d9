from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.entities import Entity, Key
from featurestore.define.keys import domain_index, encode_key
from featurestore.errors import BadReference

TEXTS = st.text(st.sampled_from("\0\x01aé€😀\xff"), max_size=4)
NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3))
KEYS = st.tuples(TEXTS, NUMBERS, st.booleans(), TEXTS)


@given(st.lists(KEYS, max_size=30))
def test_encoded_keys_sort_as_keys_and_no_two_are_equal(keys: list[Key]) -> None:
    assert sorted(keys, key=encode_key) == sorted(keys)
    assert len({encode_key(key) for key in keys}) == len(set(keys))


@given(st.lists(KEYS, min_size=2, max_size=10, unique=True))
def test_no_encoded_key_begins_with_another(keys: list[Key]) -> None:
    encoded = sorted(encode_key(key) for key in keys)
    assert not any(b.startswith(a) for a, b in itertools.pairwise(encoded))


@given(st.data(), st.lists(KEYS, min_size=1, max_size=12, unique=True))
def test_the_index_of_composite_keys_is_their_place_in_the_sorted_domain(
    data: st.DataObject, domain: list[Key]
) -> None:
    entity = Entity(["a", "b", "c", "d"], domain=domain)
    some: st.SearchStrategy[Any] = st.one_of(st.sampled_from(domain), KEYS, st.just((None,) * 4))
    asked = data.draw(st.lists(some, max_size=20))
    parts = list(zip(*asked, strict=True)) or [(), (), (), ()]
    types = [pa.string(), pa.int64(), pa.bool_(), pa.string()]
    columns = [pa.chunked_array([pa.array(p[:3], t), pa.array(p[3:], t)]) for p, t in zip(parts, types, strict=True)]
    expected = [sorted(domain).index(key) if key in domain else -1 for key in asked]
    assert domain_index(entity, columns).tolist() == expected


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["b", "zz", None, "a"]),
        pa.array(["b", "zz", None, "a"], pa.large_string()),
        pa.array(["b", "zz", None, "a"], pa.string_view()),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2]), pa.array(["b", "zz", "a"], pa.string_view())),
        pa.array(["b", "zz", None, "a"]).dictionary_encode(),
        pa.chunked_array([pa.array(["b", "zz"]).dictionary_encode(), pa.array([None, "a"]).dictionary_encode()]),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_every_text_type_is_looked_up(column: pa.Array) -> None:
    assert domain_index(Entity("k", domain=["a", "b"]), [column]).tolist() == [1, -1, -1, 0]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.uint16(), pa.uint64(), pa.int64()], ids=str)
def test_every_integer_type_is_looked_up(kind: pa.DataType) -> None:
    assert domain_index(Entity("k", domain=[7, 5, 2**62]), [pa.array([7, 8, None, 5], kind)]).tolist() == [1, -1, -1, 0]


def test_an_unsigned_value_beyond_int64_is_outside_the_domain() -> None:
    column = pa.array([2**64 - 1, 2], pa.uint64())
    assert domain_index(Entity("k", domain=[-1, 2]), [column]).tolist() == [-1, 1]


def test_booleans_and_all_null_columns_are_looked_up() -> None:
    entity = Entity("k", domain=[True, False])
    assert domain_index(entity, [pa.array([True, None, False])]).tolist() == [1, -1, 0]
    assert domain_index(entity, [pa.nulls(2)]).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("domain", "column"),
    [
        (["a"], pa.array([1])),
        ([1], pa.array(["1"])),
        ([1], pa.array([1.0])),
        ([1], pa.array([True])),
        ([True], pa.array([1])),
    ],
)
def test_a_column_of_another_type_is_refused_by_name_type_and_mend(domain: list[Any], column: pa.Array) -> None:
    with pytest.raises(BadReference, match=rf"'gate'.*{column.type}.*cast"):
        domain_index(Entity("gate", domain=domain), [column])


def test_a_domain_of_many_parts_does_not_overflow() -> None:
    domain = [tuple(range(i, i + 8)) for i in range(2_000)]
    columns = [pa.array(np.arange(2_000) + i) for i in range(8)]
    assert domain_index(Entity(list("abcdefgh"), domain=domain), columns).tolist() == list(range(2_000))
