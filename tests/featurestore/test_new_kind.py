"""A kind of feature in its own file is collected, proven, encrypted, opened and served without a change of the product."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import KINDS, register
from featurestore.define.kinds import ClientCount, Count, Mean
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.wire import view_from_bytes, view_to_bytes
from featurestore.errors import DefinitionError, ViewMalformed
from featurestore.store import Store
from tests.featurestore.maximum import Max
from tests.pipeline import run_views

DAY = 86_400 * 10**6
START = int(datetime(2021, 3, 1, tzinfo=UTC).timestamp()) * 10**6
DAYS, KEYS, CLIENTS = 4, 3, 12
EDGES = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
MAX_CELLS, MAX_EVENTS = 2, 2

VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=range(KEYS)),
    features=[Count("n"), ClientCount("c"), Max("x", edges=EDGES), Mean("x", clip=(0, 50), resolution=1)],
    pane="1d",
    windows=["2d"],
    bounds=Bounds(max_cells=MAX_CELLS, max_events_per_cell=MAX_EVENTS),
    privacy=Privacy(rho=1.0, min_clients=2),
    min_coverage=1.0,
)


def events() -> pa.Table:
    """Some values are null or below the first edge; some clients exceed the bounds; key 2 reaches no edge on day 1."""
    rng = np.random.default_rng(5)
    size = 240
    day, key = rng.integers(0, DAYS, size), rng.integers(0, KEYS, size)
    x = np.round(rng.normal(4 * key, 10), 1)
    x[(day == 1) & (key == 2)] = -1.0
    at = np.sort(rng.integers(0, DAY, size))
    return pa.table(
        {
            "who": rng.integers(0, CLIENTS, size),
            "k": key,
            "t": pa.array(START + day * DAY + at, pa.timestamp("us")),
            "x": pa.array(x, mask=rng.random(size) < 0.1),
        }
    )


def oracle(table: pa.Table) -> dict[tuple[int, int], float | None]:
    """By (key, day): the largest edge that an event within the bounds reaches, written from the definition."""
    cells: dict[tuple[int, int], set[int]] = defaultdict(set)
    taken: Counter[tuple[int, int, int]] = Counter()
    best: dict[tuple[int, int], float | None] = {(key, day): None for key in range(KEYS) for day in range(DAYS)}
    for row in table.sort_by("t").to_pylist():
        day = int(row["t"].replace(tzinfo=UTC).timestamp()) * 10**6 // DAY - START // DAY
        key, who = row["k"], row["who"]
        if key not in cells[who, day] and len(cells[who, day]) == MAX_CELLS:
            continue
        cells[who, day].add(key)
        taken[who, key, day] += 1
        if taken[who, key, day] > MAX_EVENTS or row["x"] is None:
            continue
        reached = [edge for edge in EDGES if row["x"] >= edge]
        known = best[key, day]
        if reached and (known is None or reached[-1] > known):
            best[key, day] = reached[-1]
    return best


@pytest.mark.parametrize(
    "terms", [{}, {"validity": "prio3"}, {"protection": "he"}], ids=["shares", "shares with proofs", "encrypted"]
)
def test_it_is_exact(terms: dict[str, Any], tmp_path: Path) -> None:
    table = events()
    (report,) = run_views([VIEW], table, tmp_path, client="who", time="t", **terms)
    assert (report.opened, report.rejected) == (DAYS, 0)
    with Store.open(tmp_path) as store:
        rows = store.history("v").to_pylist()
        latest = store.get(["v:x_max"], {"k": list(range(KEYS))})
    expected = oracle(table)
    assert None in expected.values()
    assert len(set(expected.values())) > 3
    for row in rows:
        day = int(row["pane_start"].timestamp()) * 10**6 // DAY - START // DAY
        own, before = expected[row["k"], day], expected.get((row["k"], day - 1))
        assert row["x_max"] == own
        assert row["x_max__status"] == ("DROWNED" if own is None else "OK")
        if day:
            assert row["x_max_2d"] == max((edge for edge in (own, before) if edge is not None), default=None)
    assert len(rows) == DAYS * KEYS
    assert latest["x_max"].to_pylist() == [expected[key, DAYS - 1] for key in range(KEYS)]


def test_noise_costs_it_what_a_histogram_costs(tmp_path: Path) -> None:
    run_views([VIEW], events(), tmp_path, client="who", time="t", noise_seed=3)
    with Store.open(tmp_path) as store:
        (record, *_) = store.releases("v").to_pylist()
        values = {row["x_max"] for row in store.history("v").to_pylist()}
    assert '"feature":"x_max","kind":"histogram"' in record["manifest"]
    assert values <= {None, *EDGES}


def test_its_definition_travels_as_bytes() -> None:
    data = view_to_bytes(VIEW)
    assert view_from_bytes(data) == VIEW
    assert view_to_bytes(view_from_bytes(data)) == data


def test_an_installation_that_does_not_know_it_refuses_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    data = view_to_bytes(VIEW)
    monkeypatch.delitem(KINDS, "max")
    with pytest.raises(ViewMalformed, match="'x_max' is of the kind 'max', which is unknown here"):
        view_from_bytes(data)


def test_its_own_checks_are_the_views() -> None:
    with pytest.raises(DefinitionError, match="strictly increasing"):
        FeatureView(
            "v",
            entity=VIEW.entity,
            features=[Max("x", edges=(2, 1))],
            pane="1d",
            bounds=VIEW.bounds,
            privacy=VIEW.privacy,
        )


def test_a_spelling_belongs_to_one_kind() -> None:
    class Other(Max):
        pass

    with pytest.raises(ValueError, match="the spelling 'max' belongs to Max"):
        register(Other)


ROOT = Path(__file__).resolve().parents[2]
ROOMS = ["covey", "simulations", "training", "deployment", "edge_client", "aggregator", "federation", "featurestore"]
BUILT_IN = {"Count", "ClientCount", "Mean", "Histogram", "Rate"}


def kind_checks(path: Path) -> list[str]:
    """The places where a module checks whether a feature is of a kind, by isinstance or by a pattern."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("kinds")
        for alias in node.names
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            names = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
        elif isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name):
            names = {node.cls.id}
        else:
            continue
        if names & imported & BUILT_IN:
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_no_module_asks_a_feature_for_its_kind_but_where_a_filtered_names_its_rate() -> None:
    found = [place for room in ROOMS for path in (ROOT / room).rglob("*.py") for place in kind_checks(path)]
    assert {place.split(":")[0] for place in found} == {
        "featurestore/define/definitions.py",
        "featurestore/define/view_checks.py",
    }
    assert len(found) == 2
