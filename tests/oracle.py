"""The oracle: the exact values of a view, by DuckDB SQL over everybody's plaintext, written from DESIGN §3.

It shares no code and no method with the pipeline: no slots, no ledger, no streaming, one query. With noise off the pipeline
must agree with it exactly.

numbered ─► known key, client, time ─► bounds (events of a cell, then cells of a client-day) ─► kept
kept ─► sums of each (key, pane);  kept ─► panes with enough clients ─► grid of keys × panes ─► windows
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import duckdb
import pyarrow as pa

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import KeyType
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate

DAY_US: Final = 86_400 * 10**6
TICKS_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ARROW_KEYS: Final[dict[KeyType, pa.DataType]] = {"string": pa.string(), "int64": pa.int64(), "bool": pa.bool_()}


def oracle(
    view: FeatureView,
    events: pa.Table,
    *,
    client_column: str,
    time_column: str,
    site_column: str | None,
    days: Iterable[int],
    opened: set[int] | None = None,
    min_clients: int,
) -> pa.Table:
    """The noise-off value of every (domain key, pane), sorted by key (as in `Entity.domain`) and pane.

    Args:
        view: its `time` goes before `time_column`; its own `min_clients` is not read.
        events: the pooled events of all sites, in input order.
        client_column, time_column: whose event it is, and when.
        site_column: on which site the client lives; None: all on one.
        days: UTC days since the epoch, each whole; every pane of them closes, no other pane ever does.
        opened: pane starts (µs) that were opened; None: those where `min_clients` clients have a kept event.
        min_clients: k, the fewest clients of an opened pane (participation `active`).

    Returns:
        Join keys, `pane_start`, `pane_end`, the pane's features, then for each window its features and coverage.
    """
    if view.privacy.suppress_below is not None:
        raise ValueError("the oracle does not compute suppress_below")
    width_us = view.pane_us
    whole_days = sorted(set(days))
    pane_ids = [pane for day in whole_days for pane in range(day * DAY_US // width_us, (day + 1) * DAY_US // width_us)]
    features = [(feature, f"f{i}") for i, feature in enumerate(view.features)]

    with duckdb.connect() as db:
        db.register("domain", _domain(view))
        db.register("events", _renamed(view, events, client_column, view.time or time_column, site_column))
        db.register("panes_that_close", pa.table({"pane": pa.array(pane_ids, pa.int64())}))
        db.register("days_that_close", pa.table({"day": pa.array(whole_days, pa.int64())}))
        db.register(
            "opened_by_hand",
            pa.table({"pane": pa.array([start // width_us for start in sorted(opened or ())], pa.int64())}),
        )
        _predicates(db, view, events)

        ticks = TICKS_PER_SECOND[_time_type(events, view.time or time_column).unit]
        db.execute(f"""
            CREATE TABLE located AS
            SELECT events.*, domain.key_id,
                {_floor_div("events.t", width_us * ticks // 10**6)} AS pane,
                {_floor_div("events.t", 86_400 * ticks)} AS day
            FROM events
            JOIN domain ON {" AND ".join(["TRUE", *(f"events.k{i} = domain.d{i}" for i in _key_columns(view))])}
            WHERE client IS NOT NULL AND t IS NOT NULL
        """)
        db.execute(f"""
            CREATE TABLE kept AS
            WITH ranked AS (
                SELECT *,
                    row_number() OVER cell AS nth_event_of_cell,
                    first_value(t) OVER cell AS first_t, first_value(ord) OVER cell AS first_ord
                FROM located
                WHERE day IN (SELECT day FROM days_that_close)
                WINDOW cell AS (PARTITION BY site, client, key_id, pane ORDER BY t, ord)
            ), bounded AS (
                SELECT *, dense_rank() OVER (PARTITION BY site, client, day ORDER BY first_t, first_ord) AS nth_cell
                FROM ranked
            )
            SELECT * FROM bounded
            WHERE nth_event_of_cell <= {view.bounds.max_events_per_cell} AND nth_cell <= {view.bounds.max_cells}
        """)
        db.execute(f"""
            CREATE TABLE panes AS
            WITH clients AS (
                SELECT pane, count(*) AS n FROM (SELECT DISTINCT pane, site, client FROM kept) GROUP BY pane
            )
            SELECT pane, {
            f"coalesce(n, 0) >= {min_clients}" if opened is None else "pane IN (SELECT pane FROM opened_by_hand)"
        } AS is_open
            FROM panes_that_close LEFT JOIN clients USING (pane)
        """)
        slots = [(slot, sql) for feature, f in features for slot, sql in _slots(feature, f)]
        db.execute(f"""
            CREATE TABLE sums AS
            WITH encoded AS (
                SELECT *{"".join(f", {sql} AS {name}" for name, sql in _encodings(view))}
                FROM kept {"JOIN truths USING (ord)" if _rates(view) else ""}
            )
            SELECT key_id, pane{"".join(f", {sql} AS {slot}" for slot, sql in slots)}
            FROM encoded GROUP BY key_id, pane
        """)
        db.execute(f"""
            CREATE TABLE grid AS
            SELECT key_id, pane, is_open
                {"".join(f", CASE WHEN is_open THEN coalesce({slot}, 0) END AS {slot}" for slot, _ in slots)}
            FROM domain CROSS JOIN panes LEFT JOIN sums USING (key_id, pane)
        """)
        db.execute(f"""
            CREATE TABLE windows AS
            SELECT *{"".join(_trailing(view, [slot for slot, _ in slots]))}
            FROM grid
        """)
        served = [(feature.name, _value(feature, f, "")) for feature, f in features]
        for window in view.trailing:
            covered = f"CAST(open_{window.name} AS DOUBLE) / CAST({window.panes} AS DOUBLE)"
            for feature, f in features:
                if not isinstance(feature, ClientCount):
                    enough = f"{covered} >= {_double(view.min_coverage)}"
                    value = f"CASE WHEN {enough} THEN {_value(feature, f, f'_{window.name}')} END"
                    served.append((f"{feature.name}_{window.name}", value))
            served.append((f"coverage_{window.name}", covered))
        answer = db.sql(f"""
            SELECT {", ".join(f"d{i} AS {_quoted(key)}" for i, key in enumerate(view.entity.keys))},
                pane * {width_us} AS pane_start, (pane + 1) * {width_us} AS pane_end,
                {", ".join(f"{sql} AS {_quoted(name)}" for name, sql in served)}
            FROM windows JOIN domain USING (key_id) ORDER BY key_id, pane
        """).to_arrow_table()
    return answer.cast(_schema(view, answer.column_names))


def _domain(view: FeatureView) -> pa.Table:
    columns: dict[str, pa.Array] = {"key_id": pa.array(range(len(view.entity.domain)), pa.int64())}
    for i, kind in enumerate(view.entity.types):
        columns[f"d{i}"] = pa.array([key[i] for key in view.entity.domain], ARROW_KEYS[kind])
    return pa.table(columns)


def _key_columns(view: FeatureView) -> range:
    return range(0 if view.entity.constant else len(view.entity.columns))


def _renamed(view: FeatureView, events: pa.Table, client: str, time: str, site: str | None) -> pa.Table:
    """The events under names of our own: ord, t (ticks of UTC), client, site, k0… (keys), x0… (values)."""
    _time_type(events, time)
    columns = {
        "ord": pa.array(range(events.num_rows), pa.int64()),
        "t": events[time].cast(pa.int64()),  # naive times are UTC, and Arrow stores zoned ones in UTC; exact in ns too
        "client": events[client],
        "site": events[site] if site is not None else pa.array([""] * events.num_rows),
    }
    for i in _key_columns(view):
        columns[f"k{i}"] = events[view.entity.columns[i]]
    for i, feature in enumerate(view.features):
        if isinstance(feature, Mean | Histogram):
            columns[f"x{i}"] = events[feature.column].cast(pa.float64(), safe=False)
    return pa.table(columns)


def _time_type(events: pa.Table, time: str) -> pa.TimestampType:
    kind = events.schema.field(time).type
    if not pa.types.is_timestamp(kind):
        raise TypeError(f"the time column {time!r} is {kind}, not a timestamp")
    return kind


def _rates(view: FeatureView) -> list[tuple[int, Rate]]:
    return [(i, feature) for i, feature in enumerate(view.features) if isinstance(feature, Rate)]


def _predicates(db: duckdb.DuckDBPyConnection, view: FeatureView, events: pa.Table) -> None:
    """A view `truths`: the result of each `where` for each event, over cleaned columns under the source's own names."""
    if not _rates(view):
        return
    texts = [feature.where for _, feature in _rates(view)]
    source = {name: events[name] for name in events.column_names if any(name in text for text in texts)}
    db.register("named", pa.table({**source, "oracle's ord": pa.array(range(events.num_rows), pa.int64())}))
    cleaned = [f"""{_clean(name, source[name].type)} AS {_quoted(name)}""" for name in source]
    db.execute(f"""
        CREATE TABLE truths AS
        SELECT "oracle's ord" AS ord{"".join(f", ({feature.where}) AS r{i}" for i, feature in _rates(view))}
        FROM (SELECT {", ".join([*cleaned, '''"oracle's ord"'''])} FROM named)
    """)


def _clean(name: str, kind: pa.DataType) -> str:
    """A number as a DOUBLE, null for NaN (in DuckDB, NaN > 15 is true); all other values stay."""
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        x = f"CAST({_quoted(name)} AS DOUBLE)"
        return f"CASE WHEN isnan({x}) THEN NULL ELSE {x} END"
    return _quoted(name)


def _encodings(view: FeatureView) -> list[tuple[str, str]]:
    """What one event adds: qᵢ of a Mean (null for a null value), cellᵢ of a Histogram (null for a null value)."""
    encodings = []
    for i, feature in enumerate(view.features):
        x = f"x{i}"
        missing = f"{x} IS NULL OR isnan({x})"
        if isinstance(feature, Mean):
            low, high = map(_double, _clip(feature))
            # Spelled out, as DuckDB's least and greatest skip nulls: a null would become the clip's low.
            clipped = (
                f"CASE WHEN {missing} THEN NULL WHEN {x} < {low} THEN {low} WHEN {x} > {high} THEN {high} ELSE {x} END"
            )
            q = f"floor((({clipped}) - {low}) / {_double(_step(feature))} + {_double(0.5)})"
            encodings.append((f"q{i}", f"CAST({q} AS BIGINT)"))
        elif isinstance(feature, Histogram):
            edges = ", ".join(_double(float(edge)) for edge in feature.edges)
            cell = f"len(list_filter([{edges}], lambda edge: edge <= {x}))"
            encodings.append((f"cell{i}", f"CASE WHEN {missing} THEN NULL ELSE {cell} END"))
    return encodings


def _slots(feature: ViewFeature, f: str) -> list[tuple[str, str]]:
    """The sums from which a feature's value is computed, with the aggregate that gives each."""
    i = f[1:]
    match feature:
        case Count():
            return [(f"{f}_n", "count(*)")]
        case ClientCount():
            return [(f"{f}_n", "count(DISTINCT {'site': site, 'client': client})")]
        case Mean():
            return [(f"{f}_q", f"coalesce(sum(q{i}), 0)"), (f"{f}_n", f"count(q{i})")]
        case Rate():
            return [(f"{f}_true", f"count(*) FILTER (r{i})"), (f"{f}_n", f"count(r{i})")]
        case Histogram():
            cells = [(f"{f}_c{c}", f"count(*) FILTER (cell{i} = {c})") for c in range(len(feature.edges) + 1)]
            return [*cells, (f"{f}_null", f"count(*) FILTER (cell{i} IS NULL)")] if feature.nulls else cells


def _value(feature: ViewFeature, f: str, window: str) -> str:
    """SQL of the value, over the pane's sums or (with a suffix) a window's. Null sums (a void) give null."""
    match feature:
        case Count() | ClientCount():
            return f"CAST({f}_n{window} AS BIGINT)"
        case Mean():
            average = f"CAST({f}_q{window} AS DOUBLE) / CAST({f}_n{window} AS DOUBLE)"
            value = f"{_double(_clip(feature)[0])} + {_double(_step(feature))} * ({average})"
            return f"CASE WHEN {f}_n{window} >= 1 THEN {value} END"
        case Rate():
            share = f"CAST({f}_true{window} AS DOUBLE) / CAST({f}_n{window} AS DOUBLE)"
            return f"CASE WHEN {f}_n{window} >= 1 THEN {share} END"
        case Histogram():
            cells = ", ".join(f"CAST({slot}{window} AS BIGINT)" for slot, _ in _slots(feature, f))
            return f"CASE WHEN {f}_c0{window} IS NOT NULL THEN [{cells}] END"


def _trailing(view: FeatureView, slots: list[str]) -> list[str]:
    """For each window: how many of its panes were opened, and the sum of each slot over them (no pane: zero)."""
    columns = []
    for window in view.trailing:
        over = f"OVER (PARTITION BY key_id ORDER BY pane RANGE BETWEEN {window.panes - 1} PRECEDING AND CURRENT ROW)"
        columns.append(f", count(*) FILTER (is_open) {over} AS open_{window.name}")
        columns += [f", coalesce(sum({slot}) {over}, 0) AS {slot}_{window.name}" for slot in slots]
    return columns


def _schema(view: FeatureView, names: list[str]) -> pa.Schema:
    types: dict[str, pa.DataType] = {
        **{key: ARROW_KEYS[kind] for key, kind in zip(view.entity.keys, view.entity.types, strict=True)},
        **dict.fromkeys(("pane_start", "pane_end"), pa.timestamp("us", tz="UTC")),
        **{f"coverage_{window}": pa.float64() for window in view.windows},
    }
    for feature in view.features:
        kind = (
            pa.list_(pa.int64())
            if isinstance(feature, Histogram)
            else pa.float64()
            if isinstance(feature, Mean | Rate)
            else pa.int64()
        )
        types |= dict.fromkeys([feature.name, *(f"{feature.name}_{window}" for window in view.windows)], kind)
    return pa.schema([(name, types[name]) for name in names])


def _clip(mean: Mean) -> tuple[float, float]:
    assert mean.clip is not None
    return float(mean.clip[0]), float(mean.clip[1])


def _step(mean: Mean) -> float:
    """The resolution; by default the largest power of two ≤ (high − low)/1000."""
    low, high = _clip(mean)
    return float(mean.resolution) if mean.resolution is not None else 2.0 ** (math.frexp((high - low) / 1000)[1] - 1)


def _floor_div(ticks: str, width: int) -> str:
    """Rounded down, also before 1970: DuckDB's // rounds towards zero."""
    return f"(({ticks} - (({ticks} % {width}) + {width}) % {width}) // {width})"


def _double(x: float) -> str:
    return f"CAST('{x!r}' AS DOUBLE)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
