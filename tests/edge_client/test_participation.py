"""The reports that a site sends, against a naive count over every pane and client."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crypto.sharing import SparseRows
from edge_client.compute import Contributions, Dropped
from edge_client.participation import of_active_clients, of_every_client, seats_for, seats_of

LENGTH = 4


def contributions(rows: dict[tuple[int, int], list[int]]) -> Contributions:
    keys = sorted(rows)
    dense = np.array([rows[key] for key in keys], np.int64).reshape(len(keys), LENGTH)
    indptr = np.concatenate(([0], np.cumsum((dense != 0).sum(axis=1))))
    slots = SparseRows(indptr, np.nonzero(dense)[1].astype(np.int32), dense[dense != 0], LENGTH)
    panes, clients = (np.array([key[i] for key in keys], dtype) for i, dtype in ((0, np.int64), (1, np.int32)))
    return Contributions(panes, clients, np.ones(len(panes), np.int64), slots, Dropped())


def dense(slots: SparseRows) -> list[list[int]]:
    rows = []
    for i in range(len(slots)):
        row = [0] * LENGTH
        for k in range(slots.indptr[i], slots.indptr[i + 1]):
            row[slots.columns[k]] += int(slots.values[k])
        rows.append(row)
    return rows


made_by = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 4)), st.lists(st.integers(0, 3), min_size=LENGTH, max_size=LENGTH)
)
asked = st.lists(st.integers(0, 6), min_size=1, unique=True).map(sorted)


@given(rows=made_by, panes=asked)
def test_active_clients_report_what_they_contribute_to_the_panes_asked_for(
    rows: dict[tuple[int, int], list[int]], panes: list[int]
) -> None:
    reports = of_active_clients(np.array(panes), contributions(rows))
    told = list(zip(reports.pane.tolist(), reports.reporter.tolist(), dense(reports.slots), strict=True))
    assert told == [(panes.index(pane), client, rows[pane, client]) for pane, client in sorted(rows) if pane in panes]


@given(rows=made_by, panes=asked, enrolled=st.integers(1, 7), seed=st.integers(0, 99))
def test_every_seat_reports_every_pane_zeros_too(
    rows: dict[tuple[int, int], list[int]], panes: list[int], enrolled: int, seed: int
) -> None:
    seat_of = np.full(5, -1)
    seated = np.random.default_rng(seed).permutation(5)[:enrolled]
    seat_of[seated] = np.random.default_rng(seed + 1).permutation(enrolled)[: len(seated)]
    reports = of_every_client(np.array(panes), contributions(rows), seat_of, enrolled)
    told = list(zip(reports.pane.tolist(), reports.reporter.tolist(), dense(reports.slots), strict=True))
    on = {int(seat): client for client, seat in enumerate(seat_of) if seat >= 0}
    zeros = [0] * LENGTH
    assert told == [
        (number, seat, rows.get((pane, on.get(seat, -1)), zeros))
        for number, pane in enumerate(panes)
        for seat in range(enrolled)
    ]


def test_clients_sit_in_the_order_of_their_names_and_the_rest_is_nobodys() -> None:
    names = [bytes([i]) * 32 for i in (7, 3, 5)]
    seats = seats_for(names, 5)
    assert seats.seat_of.tolist() == [2, 0, 1]
    assert seats.names[:3] == [names[1], names[2], names[0]]
    assert len(set(seats.names)) == 5
    assert seats.left_out == 0
    few = seats_for(names, 2)
    assert few.seat_of.tolist() == [-1, 0, 1]
    assert (few.left_out, len(few.names)) == (1, 2)
    assert seats_for([], 3).names == seats_for([], 3).names


def test_seats_that_were_given_stay() -> None:
    names = [bytes([i]) * 32 for i in (7, 3, 5)]
    before = seats_for(names[:2], 3)
    again = seats_of(names, before.names)
    assert again.seat_of.tolist() == [1, 0, -1]  # the third client is new
    assert again.left_out == 1


def test_repr_tells_no_value() -> None:
    reports = of_active_clients(np.array([0]), contributions({(0, 1): [1, 2, 3, 4]}))
    assert repr(reports) == "PaneReports(1 reports: redacted)"
    assert repr(seats_for([b"x" * 32], 2)) == "Seats(2: redacted)"
