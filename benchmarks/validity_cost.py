"""The cost of proofs, by view and by kind of feature: the tables of docs/validity.md, and one JSON line.

    python -m benchmarks.validity_cost

There is no timing: lengths, bytes and soundness follow from the views. `python -m benchmarks.prio3` measures the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crypto.field import ELEMENT_BYTES
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.views_file import load_views
from federation.batch.reports import REPORT_ID_BYTES
from federation.circuit.circuit import FIELD64_X3, FIELD128_X1
from federation.circuit.cost import ProofCost, cost_of
from simulations.datasets.flights import flight_views, load_flights
from simulations.measuring import print_figures

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "taxi_views.py"
LIMIT = 1.5
"""Times the length of a SumVec of the slots' bits: what a view with proofs should not exceed."""
EVENTS = (1, 2, 3, 4, 5, 8, 13, 31, 1_000)
KINDS: Mapping[str, tuple[ViewFeature, ...]] = {
    "ClientCount": (ClientCount("c"),),
    "Count": (Count("n"),),
    "Rate": (Rate("r", where="x > 1"),),
    "Rate, ClientCount": (Rate("r", where="x > 1"), ClientCount("c")),
    "Rate, Count": (Rate("r", where="x > 1"), Count("n")),
    "Rate, Rate": (Rate("r", where="x > 1"), Rate("s", where="x > 2")),
    "Histogram of 2 cells": (Histogram("x", edges=[0]),),
    "Histogram of 7 cells": (Histogram("x", edges=range(6)),),
    "the same and nulls": (Histogram("x", edges=range(6), nulls=True),),
    "Mean of 1 step": (Mean("x", clip=(0, 1), resolution=1),),
    "Mean of 4 steps": (Mean("x", clip=(0, 4), resolution=1),),
    "Mean of 5 steps, Count": (Mean("x", clip=(0, 5), resolution=1), Count("n")),
    "two Means of 5 steps": (Mean("x", clip=(0, 5), resolution=1), Mean("y", clip=(0, 5), resolution=1)),
    "Mean of 1,000 steps": (Mean("x", clip=(0, 1_000), resolution=1),),
    "all of one kind each": (
        ClientCount("c"),
        Count("n"),
        Mean("x", clip=(0, 1_000), resolution=1),
        Histogram("x", edges=range(6)),
        Rate("r", where="x > 1"),
    ),
}


def main() -> None:
    """Print both tables as they stand in docs/validity.md, and one JSON line."""
    views = catalogue()
    print("\n".join(view_table(views)), end="\n\n")
    print("\n".join(kind_table()), end="\n\n")
    figures = {
        "limit": LIMIT,
        "views": {view.name: round(costs(view)[0].sum_vec_ratio, 2) for view in views},
        "kinds": {kind: {str(events): ratio(kind, events) for events in EVENTS} for kind in KINDS},
    }
    print_figures(figures)


def catalogue() -> list[FeatureView]:
    """The views of the demo and of the examples, and two in which a client has many events."""
    return [*flight_views(load_flights()), *load_views(EXAMPLES), purchases(), readings()]


def purchases() -> FeatureView:
    """Of a household: up to 10 purchases in each of up to 20 categories a day."""
    return FeatureView(
        "purchases",
        entity=Entity("category", domain=range(300)),
        features=[
            ClientCount("households"),
            Count("purchases"),
            Mean("price", clip=(0, 200), resolution=0.25),
            Histogram("price", edges=[2, 5, 10, 20, 50]),
            Rate("discounted", where="discount > 0"),
        ],
        pane="1d",
        bounds=Bounds(20, 10),
        privacy=Privacy(rho=0.1),
    )


def readings() -> FeatureView:
    """Of a meter: up to 96 readings a day, some of them failed."""
    return FeatureView(
        "readings",
        entity=Entity("district", domain=range(40)),
        features=[Mean("load", clip=(0, 10)), Histogram("load", edges=[0.5, 1, 2, 4], nulls=True)],
        pane="1d",
        bounds=Bounds(1, 96),
        privacy=Privacy(rho=0.1),
    )


def costs(view: FeatureView) -> tuple[ProofCost, ProofCost]:
    """With three proofs over Field64, and with one over Field128."""
    return cost_of(layout_of(view), FIELD64_X3), cost_of(layout_of(view), FIELD128_X1)


def ratio(kind: str, events: int) -> float:
    """The length against a SumVec's, of 100 keys of which a client has at most 3, to two places."""
    view = FeatureView(
        "v",
        entity=Entity("k", domain=range(100)),
        features=KINDS[kind],
        pane="1d",
        bounds=Bounds(3, events),
        privacy=Privacy(rho=0.5),
    )
    return round(costs(view)[0].sum_vec_ratio, 2)


def view_table(views: list[FeatureView]) -> list[str]:
    """Markdown: a line a view."""
    lines = [
        "| view | keys × slots | bits of the slots | measurement + 3 proofs | × SumVec | bytes to the leader, "
        "without proofs | with | over Field128 | a lie passes, below |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for view in views:
        layout, (cost, other) = layout_of(view), costs(view)
        bits = layout.keys * sum(slot.bits for slot in layout.slots)
        plain = ELEMENT_BYTES * layout.length + REPORT_ID_BYTES
        lines.append(
            f"| `{view.name}` | {layout.keys:,} × {layout.slots_per_key} | {bits:,} | "
            f"{cost.measurement:,} + 3 × {cost.proof:,} | {cost.sum_vec_ratio:.2f} | {plain:,} | "
            f"{cost.report_bytes_leader:,} | {other.report_bytes_leader:,} | 2^-{int(cost.soundness_bits)} |"
        )
    return lines


def kind_table() -> list[str]:
    """Markdown: × SumVec by features and `max_events_per_cell`."""
    header = ["features", *(f"{events:,}" for events in EVENTS)]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for kind in KINDS:
        cells = [ratio(kind, events) for events in EVENTS]
        lines.append(f"| {kind} | " + " | ".join(f"**{x:.2f}**" if x > LIMIT else f"{x:.2f}" for x in cells) + " |")
    return lines


if __name__ == "__main__":
    main()
