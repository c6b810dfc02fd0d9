"""How often the served 95 % intervals hold the exact value, given that a value is served.

Each key of a view has another number of events and another share of late ones. Its exact sums come from the encoding of events.
The noise of both aggregators is drawn by the sampler of releases (from a seed, so a run can be repeated), and values, errors and
intervals are decoded by the code that publishes and serves them. A pane is a draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from base.times import DAY_US
from crypto.noise import SeededNoise
from edge_client.compute import compute
from edge_client.events import make_events
from featurestore.define.decoded import Decoded, Ints, value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import Layout, layout_of
from featurestore.define.panes import NEVER, Panes
from featurestore.define.privacy import Bounds, Mechanism, Privacy
from featurestore.define.release import MILLION
from featurestore.define.values import interval_of, served_features
from featurestore.offline.window_rows import issue_times, make_issues
from federation.aggregation import draw_noise
from federation.noise_context import NoiseContext
from federation.plan import PLAN_ID_BYTES, PlannedView, new_plan
from federation.terms import Noise, Participation, Shares

SHARES: Final = (0.0, 0.1, 0.5, 0.9, 1.0)
"""The shares of late events. At 0 and 1 a ratio depends most on its count, which DROWNED selects."""
MULTIPLES: Final = (0.5, 1.0, 1.25, 1.5, 2.0, 4.0, 20.0)
"""Numbers of events, in units of each ratio's own limit of DROWNED."""
WINDOW_PANES: Final = 2
CHUNK: Final = 2_000
Z: Final = 1.96


@dataclass(frozen=True)
class Coverage:
    """The coverage of one feature at one number of events, over all shares of late events.

    Attributes:
        limits: the number of events over the least n that DROWNED serves; infinite for a feature that is never DROWNED.
        served: how many values were served.
        held: the share of these that the interval holds; by_se: that value ± 1.96 se holds.
    """

    mechanism: Mechanism
    feature: str
    n: int
    limits: float
    served: int
    held: float
    by_se: float


def measure(draws: int = 6_000, seed: int = 7) -> list[Coverage]:
    """The coverage of every feature type, over panes and windows, for Gaussian and Laplace noise."""
    return [one for mechanism in ("gaussian", "laplace") for one in _measure(mechanism, draws, seed)]


def extremes(measured: list[Coverage]) -> tuple[float, float]:
    """The least and the greatest coverage, over features and n from DROWNED's limit up."""
    held = [one.held for one in measured if one.limits >= 1]
    return min(held), max(held)


def print_coverage(measured: list[Coverage]) -> None:
    """Print the least and the greatest coverage of each feature, and the coverage of ratios by n."""
    features = Table(
        "noise",
        "feature",
        "interval",
        "value ± 1.96 se",
        title="Coverage of 95 % intervals, n from the limit of DROWNED up",
    )
    by_feature: dict[tuple[str, str], list[Coverage]] = defaultdict(list)
    for one in measured:
        by_feature[one.mechanism, one.feature].append(one)
    for (mechanism, name), parts in by_feature.items():
        above = [one for one in parts if one.limits >= 1]
        spans = ((min(held), max(held)) for held in ([one.held for one in above], [one.by_se for one in above]))
        features.add_row(mechanism, name, *(f"{low:.3f} – {high:.3f}" for low, high in spans))
    Console().print(features)
    by_n = Table(
        "noise",
        "ratio",
        *(f"{multiple:g}" for multiple in MULTIPLES),
        title="Coverage of ratios by n ÷ the limit of DROWNED",
    )
    for (mechanism, name), parts in by_feature.items():
        if np.isfinite(parts[0].limits):
            nearest = (min(parts, key=lambda one: abs(one.limits - multiple)) for multiple in MULTIPLES)
            by_n.add_row(mechanism, name, *(f"{one.held:.3f}" for one in nearest))
    Console().print(by_n)


def _view(mechanism: Mechanism, keys: int) -> FeatureView:
    price = Privacy(rho=0.1) if mechanism == "gaussian" else Privacy(mechanism="laplace", epsilon=1.0)
    return FeatureView(
        "v",
        entity=Entity("k", domain=range(keys)),
        features=[
            Count("n"),
            ClientCount("clients"),
            Mean("x", clip=(0, 100)),
            Rate("late", where="x >= 60"),
            Histogram("x", edges=[20, 60], nulls=True),
            Rate("late_x", where="x >= 60", derive=True),
            Count("n_all", derive=True),
        ],
        pane="1d",
        windows=[f"{WINDOW_PANES}d"],
        bounds=Bounds(max_cells=1, max_events_per_cell=1),
        privacy=price,
    )


def _limits(layout: Layout) -> dict[str, float]:
    """The least number of events, a pane, that DROWNED serves, by ratio over panes and windows."""
    variance = {group.feature: group.opened_variance for group in layout.groups if group.kind != "centred_sum"}
    of_pane = {"x_mean": variance["x_mean"], "late": variance["late"], "late_x": 3 * variance["x_hist"]}
    limits = {name: 3 * each**0.5 for name, each in of_pane.items()}
    return limits | {f"{name}_{WINDOW_PANES}d": limit / WINDOW_PANES**0.5 for name, limit in limits.items()}


def _measure(mechanism: Mechanism, draws: int, seed: int) -> Iterator[Coverage]:
    limits = _limits(layout_of(_view(mechanism, 1)))
    counts = sorted({int(np.ceil(multiple * limit)) for multiple in MULTIPLES for limit in limits.values()})
    n = np.repeat(counts, len(SHARES))
    late = np.round(n * np.tile(SHARES, len(counts))).astype(np.int64)
    view = _view(mechanism, len(n))
    layout = layout_of(view)
    of_one = _events_slots(view)
    exact = (np.outer(n - late, of_one[0]) + np.outer(late, of_one[1])) @ layout.basis.T
    tallies: dict[str, Ints] = defaultdict(lambda: np.zeros((3, len(counts)), np.int64))
    for chunk in range(draws // CHUNK):
        for name, tally in _tallies(view, layout, exact, chunk, seed).items():
            tallies[name] += tally.reshape(3, len(counts), len(SHARES)).sum(axis=2)
    for name, (served, held, by_se) in tallies.items():
        for i, count in enumerate(counts):
            of_limit = count / limits[name] if name in limits else np.inf
            if served[i] >= draws // 100:
                yield Coverage(
                    mechanism,
                    name,
                    count,
                    of_limit,
                    int(served[i]),
                    float(held[i] / served[i]),
                    float(by_se[i] / served[i]),
                )


def _events_slots(view: FeatureView) -> Ints:
    """int64[2, slots_per_key]: what an event on time (x = 0) and a late one (x = 100) add to the raw slots of their key."""
    at = pa.array(np.zeros(2, np.int64), pa.timestamp("us"))
    table = pa.table({"who": [0, 1], "k": [0, 0], "t": at, "x": [0.0, 100.0]})
    slots = compute(view, make_events(table, "who", "t")).slots
    dense = np.zeros((2, slots.length), np.int64)
    np.add.at(dense, (np.repeat([0, 1], np.diff(slots.indptr)), slots.columns), slots.values)
    return dense[:, : layout_of(view).slots_per_key]


def _tallies(view: FeatureView, layout: Layout, exact: Ints, chunk: int, seed: int) -> dict[str, Ints]:
    """int64[3, keys] by feature: how many values are served, and how many of them the interval, or value ± 1.96 se, holds."""
    starts = np.arange(CHUNK, dtype=np.int64) * DAY_US
    terms = Shares(participation=Participation.ALL)
    plan = new_plan(
        [PlannedView(view, starts, view.privacy.min_clients)], terms, Noise.FULL, plan_id=bytes(PLAN_ID_BYTES), sites=()
    )
    sums = np.broadcast_to(exact, (CHUNK, *exact.shape)).copy()
    context = NoiseContext.of_decrypted(plan, 0, b"", bytes(CHUNK), exact)
    truths = _decoded(view, sums[:WINDOW_PANES], 0.0)
    for name in ("leader", "helper"):
        sums += draw_noise(layout, CHUNK, SeededNoise(seed, f"{name} {chunk}"), context)
    tallies: dict[str, Ints] = {}
    for served, decoded, true in zip(served_features(view), _decoded(view, sums, 2.0), truths, strict=True):
        value, truth = decoded.value.astype(np.float64), true.value[-layout.keys :]
        low, high = interval_of(view, served).bounds(value, decoded.se)
        shape = (CHUNK, layout.keys, served.width)
        is_there = value_is_there(decoded.status).reshape(*shape[:2], 1)
        value, low, high = value.reshape(shape), low.reshape(shape), high.reshape(shape)
        se, truth = decoded.se.reshape(*shape[:2], 1), truth.reshape(shape[1:])
        with np.errstate(invalid="ignore"):
            held = is_there & (low <= truth) & (truth <= high)
            by_se = is_there & (np.abs(value - truth) <= Z * se)
        every = np.broadcast_to(is_there, shape)
        tallies[served.name] = np.stack([one.sum(axis=(0, 2)) for one in (every, held, by_se)])
    return tallies


def _decoded(view: FeatureView, sums: Ints, noises: float) -> tuple[Decoded, ...]:
    """The served features of consecutive panes with these sums, int64[P, K, S], as a publication decodes them."""
    count = len(sums)
    starts = np.arange(count, dtype=np.int64) * DAY_US
    every = np.ones(count, dtype=bool)
    panes = Panes(
        starts,
        every,
        np.full(count, MILLION),
        sums,
        ~every[:, None],
        np.full((count, 1), noises),
        every[:, None],
        starts + DAY_US,
        np.full(count, NEVER),
    )
    pane, released_at = issue_times(view, panes, np.arange(count), np.zeros(count, np.int64))
    return make_issues(view, panes, pane, released_at).features
