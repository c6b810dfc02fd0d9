"""Make the measurement of a liar that follows the circuit as far as its lie allows.

A report that is out of bounds has no valid measurement. The liar sends the nearest measurement. It encodes exactly the lie and
keeps every linear relation that the lie does not contradict: the equalities of each cell, the number of active cells. It breaks
only quadratic relations: some entry is no bit, or some product of two forms is not zero. So the proof fails because of the
lie, and not because of a wrong encoding.

A lie may also contradict a relation of the encoding itself: a Count is the sum of the cells of a histogram that counts all
events, and no measurement can say otherwise. Then the liar encodes the lie slot by slot as far as possible. If the result is
a valid report, one of its bits is changed to a value that is no bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crypto.field import Elements
from crypto.field_modulus import P
from crypto.flp.encoding import range_checked_bits
from crypto.ntt_forms import Form
from featurestore.define.layout import Layout
from federation.circuit.cell import CellCircuit, cell_circuit
from federation.circuit.circuit import prio3_of


def forge(layout: Layout, vector: Elements) -> Elements:
    """Return uint64[meas_len]: a measurement that encodes `vector: uint64[slots]`, with bits wherever possible.

    If a lie contradicts a relation of slots, the later slots follow the first.
    """
    cell, max_cells = cell_circuit(layout), layout.view.bounds.max_cells
    wanted = vector.reshape(layout.keys, layout.slots_per_key)
    entries = np.zeros(prio3_of(layout).circuit.meas_len, np.uint64)
    active = 0
    for key in range(layout.keys):
        bits = _cell(cell, layout, wanted[key].tolist())
        entries[key * cell.bits : (key + 1) * cell.bits] = bits
        active += _value(cell.activity.form, bits)
    active = active * pow(cell.activity.size, -1, P) % P
    if len(number := entries[layout.keys * cell.bits :]):
        written = active if active <= max_cells else 0
        number[:] = range_checked_bits(np.array(written), max_cells)
        number[0] = (int(number[0]) + active - written) % P  # its weight is 1
    return entries


def _cell(cell: CellCircuit, layout: Layout, wanted: list[int]) -> list[int]:
    """Return the entries of one key: the bits of values in range, changed until every linear relation holds."""
    if not any(wanted):
        return [0] * cell.bits
    in_range = [value if value <= slot.max_value else 0 for value, slot in zip(wanted, layout.slots, strict=True)]
    bits = cell.encode(np.array(in_range, np.int64).reshape(1, 1, -1)).reshape(-1).tolist()
    slots = list(zip(cell.slots, wanted, strict=True))
    entries = _solved([*slots, *((form, 0) for form in cell.equalities)], bits)
    if max(entries) <= 1 and any(_value(form, entries) != value for form, value in slots):
        entries[0] += 2
    return entries


def _solved(relations: Sequence[tuple[Form, int]], entries: list[int]) -> list[int]:
    """Change few entries, so that each form has its value mod p. A form that earlier forms determine is skipped.

    Gaussian elimination of the differences: each independent form gets one entry to change.
    """
    solved: list[tuple[int, dict[int, int], int]] = []
    for form, value in relations:
        terms, missing = dict(form.terms), (value - _value(form, entries)) % P
        for pivot, others, difference in solved:
            factor = terms.pop(pivot, 0)
            missing -= factor * difference
            for entry, coefficient in others.items():
                terms[entry] = terms.get(entry, 0) - factor * coefficient
        terms = {entry: left for entry, coefficient in terms.items() if (left := coefficient % P)}
        if terms:
            pivot = next(iter(terms))
            scale = pow(terms.pop(pivot), -1, P)
            others = {entry: coefficient * scale % P for entry, coefficient in terms.items()}
            solved.append((pivot, others, missing * scale % P))
    changes: dict[int, int] = {}
    for pivot, others, difference in reversed(solved):
        changes[pivot] = (difference - sum(c * changes.get(entry, 0) for entry, c in others.items())) % P
    return [(entry + changes.get(i, 0)) % P for i, entry in enumerate(entries)]


def _value(form: Form, entries: Sequence[int]) -> int:
    return (form.constant + sum(coefficient * entries[entry] for entry, coefficient in form.terms.items())) % P
