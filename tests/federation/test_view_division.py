"""Every way to divide events holds exactly for parts of at most that many events, and for no parts if the unit is 0."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ntt_forms import Form
from federation.circuit.division import Division, bundle_bits, shortest_division
from federation.circuit.forms import ONE, Bits, value_of
from federation.circuit.relations import Relations, Unit

UNITS = {"one": Unit(ONE), "bit": Unit(Form({0: 1})), "bit of size 6": Unit(Form({0: 6}), 6)}


MOST_BITS = 16


def circuit_of(division: Division, unit: Unit) -> tuple[Relations, list[Form]]:
    """Relations whose bit 0 and first slot are the unit; the parts are the other slots."""
    relations = Relations()
    relations.take(1, lambda slots, _: slots[..., :1].astype(np.uint8))
    return relations, relations.divided(division, unit, lambda slots, _: slots[..., 1:])


def satisfied(relations: Relations, bits: Bits) -> npt.NDArray[np.bool_]:
    holds = np.ones(len(bits), np.bool_)
    for left, right in relations.products:
        holds &= (value_of(left, bits) == 0) | (value_of(right, bits) == 0)
    for form in relations.equalities:
        holds &= value_of(form, bits) == 0
    return holds


def written(relations: Relations, slots: npt.NDArray[np.int64]) -> Bits:
    """The bits of rows of slots."""
    bits = np.zeros((len(slots), 1, relations.bits), np.uint8)
    for write in relations.writers:
        write(slots[:, None], bits)
    return bits[:, 0]


def divisions(events: int, parts: int) -> list[Division]:
    """The shortest division, and all others with up to three bundles."""
    made, sizes, left = [shortest_division(events, parts)], (), events
    while left and len(sizes) <= 3:
        made += [Division(parts, sizes, left, halved) for halved in ((False, True) if parts == 2 else (False,))]
        sizes = (*sizes, -(-left // (parts + 1)))
        left -= sizes[-1]
    return made


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
@pytest.mark.parametrize(
    ("parts", "events"),
    [(parts, events) for parts, most in ((1, 9), (2, 20), (3, 6), (4, 4), (7, 2)) for events in range(most + 1)],
)
def test_over_all_bits_there_are_just_the_parts_of_at_most_so_many_events(parts: int, events: int, unit: Unit) -> None:
    allowed = np.array([p for p in product(range(events + 1), repeat=parts) if sum(p) <= events])
    rows = np.column_stack((np.ones(len(allowed), np.int64), allowed))
    reachable = {(unit.size, *division) for division in allowed.tolist()}
    if unit.form.terms:
        rows = np.concatenate((rows, np.zeros_like(rows[:1])))
        reachable.add((0,) * (1 + parts))
    for division in divisions(events, parts):
        relations, forms = circuit_of(division, unit)
        assert (relations.bits, len(relations.products) <= division.products) == (1 + division.bits, True)
        bits = written(relations, rows)
        assert satisfied(relations, bits).all()
        assert (np.column_stack([value_of(form, bits) for form in forms]) == rows[:, 1:]).all()
        if division.bits < MOST_BITS:
            bits = (np.arange(2**relations.bits)[:, None] >> np.arange(relations.bits) & 1).astype(np.uint8)
            bits = bits[satisfied(relations, bits)]
            reached = np.column_stack([value_of(form, bits) for form in (unit.form, *forms)])
            assert set(map(tuple, reached.tolist())) == reachable


@given(st.integers(0, 2_000), st.integers(1, 12), st.sampled_from(list(UNITS.values())), st.data())
def test_any_division_of_many_events_is_written_as_it_is(
    events: int, parts: int, unit: Unit, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, events), min_size=parts, max_size=parts)))
    division = data.draw(st.sampled_from(divisions(events, parts)))
    row = np.array([[1, *np.diff([0, *cuts])], [0] * (1 + parts)])
    relations, forms = circuit_of(division, unit)
    bits = written(relations, row)
    assert satisfied(relations, bits).all()
    assert (np.column_stack([value_of(form, bits) for form in forms]) == row[:, 1:]).all()


def test_the_shortest_division_is_no_longer_than_numbers_bundles_or_halves_alone() -> None:
    for events in (*range(70), 96, 999, 1_000, 10**6):
        for parts in (1, 2, 3, 7, 40):
            shortest = shortest_division(events, parts)
            assert sum(shortest.bundles) + shortest.rest == events
            assert shortest.bits <= min(division.bits for division in divisions(events, parts))
            if parts == 2 and events > 1:
                assert shortest.bits <= 3 * events.bit_length() - 1


def test_bundles_of_more_events_than_there_may_be_are_others() -> None:
    sizes = (2, 1, 1)
    bits = bundle_bits(np.array([[3, 3], [0, 9], [2, 2]]), 4, sizes)
    assert (np.array(sizes) @ bits.astype(np.int64)).tolist()[2] == [2, 2]
    assert (bits.sum(axis=-1) <= 1).all()
