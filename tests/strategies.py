"""Hypothesis strategies: random views with random events, small enough that every bound is effective.

A `Case` holds all arguments of `tests.oracle.oracle`. The truth of each `where` is drawn with its text, as a Python function in
SQL's three-valued logic, so that a second implementation needs no SQL.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any, Final

import pyarrow as pa
from hypothesis import strategies as st

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy

Row = Mapping[str, Any]
Truth = Callable[[Row], bool | None]

EPOCH: Final = date(1970, 1, 1)
DAY_SECONDS: Final = 86_400
PANE_SECONDS: Final = {"5s": 5, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": DAY_SECONDS}
WINDOWS: Final = {
    "5s": ["10s", "1m", "60s"],
    "15s": ["45s", "1m", "1h"],
    "1m": ["2m", "120s", "1h"],
    "5m": ["10m", "1h"],
    "15m": ["30m", "45m", "2h", "1d"],
    "1h": ["2h", "180m", "24h", "2d"],
    "1d": ["48h", "3d", "28d"],
}
LENGTHS: Final = {
    "10s": 10, "45s": 45, "60s": 60, "1m": 60, "2m": 120, "120s": 120, "10m": 600, "30m": 1_800, "45m": 2_700, "1h": 3_600, "2h": 7_200, "180m": 10_800,
    "1d": 86_400, "24h": 86_400, "2d": 172_800, "48h": 172_800, "3d": 259_200, "28d": 2_419_200,
}  # fmt: skip

MAX_EVENTS: Final = 60
CLIENTS: Final = ("n1", "n2", "n3", "N3", "line\nbreak", "", "c" * 300, "Zo\u00eb", "Zoe\u0308")
SITES: Final = ("ua", "dl", "b\u00e9")
TEXTS: Final = ("AA", "Aa", "", "O'Hare", "A\u00e9", "Ae\u0301", "50%")
NUMBERS: Final = (-60.0, -0.5, 0.0, 0.1, 14.999999999999998, 15.0, 15.5, 100.0, 180.0)
LITERALS: Final = {
    "-60": -60.0,
    "-0.5": -0.5,
    "0": 0.0,
    "0.1": 0.1,
    "15": 15.0,
    "15.0": 15.0,
    "1e2": 100.0,
    "180": 180.0,
}
FIRST_DAYS: Final = tuple(
    (day - EPOCH).days
    for day in (date(1969, 12, 30), date(1970, 1, 1), date(2013, 3, 9), date(2013, 11, 2), date(2024, 2, 28))
)


@dataclass(frozen=True)
class Case:
    """A view, the pooled events, and how to read them: the arguments of the oracle.

    Attributes:
        truths: for each `where` of the view, its result for a row whose numbers are floats and whose NaN are None.
    """

    view: FeatureView
    events: pa.Table
    client_column: str
    time_column: str
    site_column: str | None
    days: tuple[int, ...]
    min_clients: int
    truths: Mapping[str, Truth]


@st.composite
def cases(draw: st.DrawFn, *, panes: tuple[str, ...] = ("1h", "1d", "15m", "1h", "1d", "5m", "1m")) -> Case:
    """A random (view, events) pair; one client has several events in a cell and several cells in a day."""
    view, truths = draw(views(panes=panes))
    span = draw(st.integers(1, 1 if view.pane in ("5s", "15s") else 2 if view.pane in ("1m", "5m") else 4))
    first = draw(st.sampled_from(FIRST_DAYS))
    return Case(
        view=view,
        events=draw(events_of(view, first, span)),
        client_column="plane",
        time_column="at",
        site_column=draw(st.sampled_from(["site", "site", "site", None])),
        days=tuple(range(first, first + span)),
        min_clients=view.privacy.min_clients,
        truths=truths,
    )


@st.composite
def views(draw: st.DrawFn, *, panes: tuple[str, ...] = ("1h", "1d", "15m")) -> tuple[FeatureView, Mapping[str, Truth]]:
    """A view over the columns of `events_of`, and the truth of each of its `where`."""
    pane = draw(st.sampled_from(panes))
    features, truths = draw(features_())
    windows = draw(st.lists(st.sampled_from(WINDOWS[pane]), max_size=2, unique_by=LENGTHS.__getitem__))
    view = FeatureView(
        "v",
        entity=draw(entities()),
        features=features,
        pane=pane,
        windows=windows,
        time=draw(st.sampled_from([None, None, "seen_at"])),
        bounds=Bounds(max_cells=draw(st.integers(1, 3)), max_events_per_cell=draw(st.integers(1, 3))),
        privacy=Privacy(rho=0.1, min_clients=draw(st.integers(2, 4))),
        min_coverage=draw(st.sampled_from([0.8, 0.5, 1 / 3, 2 / 3, 0.25, 0, 1])),
    )
    return view, truths


@st.composite
def entities(draw: st.DrawFn) -> Entity:
    """Text, int64, bool, composite and constant entities over the columns `to`, `gate` and `night`."""
    texts = st.lists(st.sampled_from(["ATL", "O'Hare", "\u00e9", "e\u0301", "", "a\nb"]), min_size=1, unique=True)
    numbers = st.lists(st.sampled_from([-5, 0, 7, 2**62]), min_size=1, unique=True)
    booleans = st.lists(st.booleans(), min_size=1, unique=True)
    match draw(st.sampled_from(["constant", "string", "string", "int64", "bool", "composite", "composite"])):
        case "constant":
            return Entity("area", value=draw(st.sampled_from(["NYC", 7, False])))
        case "string":
            return Entity("dest", domain=draw(texts), column="to")
        case "int64":
            return Entity("gate", domain=draw(numbers))
        case "bool":
            return Entity("night", domain=draw(booleans))
    keys = draw(st.lists(st.sampled_from(["to", "gate", "night"]), min_size=2, max_size=3, unique=True))
    domains: dict[str, list[Any]] = {"to": draw(texts)[:2], "gate": draw(numbers)[:2], "night": draw(booleans)}
    domain = list(product(*(domains[key] for key in keys)))
    some = draw(st.lists(st.sampled_from(domain), min_size=1, max_size=len(domain), unique=True))
    return Entity([f"by_{key}" for key in keys], domain=some, column=keys)


@st.composite
def features_(draw: st.DrawFn) -> tuple[list[ViewFeature], Mapping[str, Truth]]:
    """One to five features of any type, some derived, and the truth of each `where`."""
    truths: dict[str, Truth] = {}
    features: list[ViewFeature] = draw(
        st.lists(
            st.one_of(st.just(Count("events")), st.just(ClientCount("planes")), means(), histograms()),
            max_size=4,
            unique_by=lambda feature: feature.name,
        )
    )
    for i in range(draw(st.integers(0 if features else 1, 2))):
        text, truth = draw(wheres())
        truths[text] = truth
        features.append(Rate(f"rate_{i}", where=text))
    for histogram in [feature for feature in features if isinstance(feature, Histogram)][:1]:
        if draw(st.booleans()):
            edge, op = draw(st.sampled_from(histogram.edges)), draw(st.sampled_from([">=", "<"]))
            text = f"{histogram.column} {op} {edge!r}"
            truths[text] = _compared(histogram.column, op, float(edge))
            features.append(Rate("derived_rate", where=text, derive=True))
        if histogram.nulls and draw(st.booleans()):
            features.append(Count("derived_count", derive=True))
    return draw(st.permutations(features)), truths


@st.composite
def means(draw: st.DrawFn) -> Mean:
    """A Mean, with clips and resolutions that do and do not divide each other."""
    clip, resolution = draw(
        st.sampled_from([((-60, 180), 1.0), ((-60, 180), None), ((0, 1), 0.1), ((-0.5, 15.5), None), ((0, 100), 30)])
    )
    column = draw(st.sampled_from(["delay", "taxi", "temp"]))
    return Mean(column, clip=clip, resolution=resolution, name=draw(st.sampled_from(["", "average"])))


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    """A Histogram whose edges are among the values that the events take."""
    edges = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=4, unique=True))
    column = draw(st.sampled_from(["delay", "taxi", "temp"]))
    return Histogram(column, edges=sorted(edges), nulls=draw(st.booleans()))


@st.composite
def events_of(draw: st.DrawFn, view: FeatureView, first: int, span: int) -> pa.Table:
    """Events around a few moments of `span` days from `first`, some of the day before and after."""
    per_second = draw(st.sampled_from([1, 10**3, 10**6, 10**9]))
    width = PANE_SECONDS[view.pane] * per_second
    day = DAY_SECONDS * per_second
    edges = st.builds(
        lambda n, off: first * day + n * width + off,
        st.integers(0, span * day // width - 1),
        st.sampled_from([0, 0, 1, -1, width // 2, width - 1]),
    )
    hot = draw(st.lists(edges, min_size=1, max_size=4))
    moments = st.one_of(
        st.sampled_from(hot),
        st.builds(operator.add, st.sampled_from(hot), st.sampled_from([0, 1, -1, 2, 7, width, -width])),
        st.integers((first - 1) * day, (first + span + 1) * day - 1),
    )
    clients = draw(st.lists(st.sampled_from(CLIENTS), min_size=2, max_size=5, unique=True))
    sites = draw(st.lists(st.sampled_from(SITES), min_size=1, max_size=2, unique=True))
    keys = _key_values(view.entity)

    def rarely_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.integers(0, 19).flatmap(lambda n: st.none() if n == 19 else values)

    number = st.one_of(
        st.sampled_from([None, math.nan, math.inf, -math.inf, *NUMBERS, *(x + 0.5 for x in NUMBERS)]),
        st.floats(-100, 200),
    )
    rows = st.fixed_dictionaries(
        {
            "plane": rarely_null(st.sampled_from(clients)),
            "site": st.sampled_from(sites),
            "at": rarely_null(moments),
            "seen_at": rarely_null(moments),
            **{column: rarely_null(st.sampled_from(values)) for column, values in keys.items()},
            "delay": number,
            "taxi": st.sampled_from([None, -60, 0, 1, 15, 16, 180, 2**53 + 1, -(2**63)]),
            "temp": number,
            "carrier": st.sampled_from([None, *TEXTS]),
            "tail": st.sampled_from([None, *TEXTS]),
            "diverted": st.sampled_from([None, False, True]),
        }
    )
    fewest = draw(st.sampled_from([0, 8, 16, 32]))  # by itself Hypothesis draws about 6
    drawn = draw(st.lists(rows, min_size=fewest, max_size=MAX_EVENTS * 2 // 3))
    if drawn:
        drawn += draw(st.lists(st.sampled_from(drawn), max_size=MAX_EVENTS // 3))
    unit = {1: "s", 10**3: "ms", 10**6: "us", 10**9: "ns"}[per_second]
    zone = st.sampled_from([None, "UTC", "America/New_York", "Asia/Kolkata", "+05:30"])
    schema = pa.schema(
        {
            "plane": pa.string(),
            "site": pa.string(),
            "at": pa.timestamp(unit, draw(zone)),
            "seen_at": pa.timestamp(unit, draw(zone)),
            "to": pa.string(),
            "gate": pa.int64(),
            "night": pa.bool_(),
            "delay": pa.float64(),
            "taxi": pa.int64(),
            "temp": pa.float32(),
            "carrier": pa.string(),
            "tail": pa.string(),
            "diverted": pa.bool_(),
        }
    )
    table = pa.table({name: pa.array([row[name] for row in drawn], schema.field(name).type) for name in schema.names})
    cut = draw(st.integers(0, len(drawn)))
    return pa.concat_tables([table[:cut], table[cut:]])  # two chunks, one of them possibly empty


def _key_values(entity: Entity) -> dict[str, list[Any]]:
    """For each key column: the domain's values, twice, and one that is (mostly) outside."""
    values: dict[str, list[Any]] = {"to": ["ATL"], "gate": [7], "night": [True]}
    outside = {"to": "atl", "gate": 8, "night": False}
    for i, column in enumerate(entity.columns):
        inside = sorted({key[i] for key in entity.domain})
        values[column] = [*inside, *inside, outside[column]]
    return values


# --- where: each node is (text, precedence, truth) -------------------------------------------------------------------

_Node = tuple[str, int, Truth]
_OR, _AND, _NOT, _ATOM = range(4)
_OPS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_MIRRORED: Final = {"=": "=", "<>": "<>", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def wheres() -> st.SearchStrategy[tuple[str, Truth]]:
    """A predicate of the closed grammar over the columns of `events_of`, and its truth."""
    return st.recursive(_atoms(), _larger, max_leaves=5).map(lambda node: (node[0], node[2]))


@st.composite
def _atoms(draw: st.DrawFn) -> _Node:
    kind = draw(st.sampled_from(["compare", "compare", "columns", "texts", "boolean", "null", "in", "between", "like"]))
    column = draw(st.sampled_from(["delay", "taxi", "temp"]))
    op = draw(st.sampled_from(sorted(_OPS)))
    no = draw(st.booleans())
    literal = st.sampled_from(sorted(LITERALS))
    word = st.sampled_from(TEXTS)
    match kind:
        case "compare":
            text = draw(literal)
            mirrored = draw(st.booleans())
            shown = f"{text} {_MIRRORED[op]} {column}" if mirrored else f"{column} {op} {text}"
            return shown, _ATOM, _compared(column, op, LITERALS[text])
        case "columns":
            other = draw(st.sampled_from(["delay", "taxi", "temp"]))
            return f"{column} {op} {other}", _ATOM, _strict(lambda a, b: _OPS[op](a, b), column, other)
        case "texts":
            value = draw(word)
            return f"carrier {op} {_text(value)}", _ATOM, _compared("carrier", op, value)
        case "boolean":
            if draw(st.booleans()):
                return "diverted", _ATOM, lambda row: row["diverted"]
            return f"diverted = {no}".upper().replace("DIVERTED", "diverted"), _ATOM, _compared("diverted", "=", no)
        case "null":
            name = draw(st.sampled_from(["delay", "taxi", "carrier", "diverted"]))
            return f"{name} IS {'NOT ' * no}NULL", _ATOM, lambda row: (row[name] is None) != no
        case "in":
            if draw(st.booleans()):
                given = draw(st.lists(literal, min_size=1, max_size=3))
                numbers = [LITERALS[text] for text in given]
                return (
                    f"{column} {'NOT ' * no}IN ({', '.join(given)})",
                    _ATOM,
                    _strict(lambda x: (x in numbers) != no, column),
                )
            words = draw(st.lists(word, min_size=1, max_size=3))
            listed = ", ".join(map(_text, words))
            return f"carrier {'NOT ' * no}in ({listed})", _ATOM, _strict(lambda x: (x in words) != no, "carrier")
        case "between":
            low, high = draw(literal), draw(literal)
            a, b = LITERALS[low], LITERALS[high]
            return (
                f"{column} {'NOT ' * no}BETWEEN {low} AND {high}",
                _ATOM,
                _strict(lambda x: (a <= x <= b) != no, column),
            )
    # For two compared text columns, the LIKE shows that both are texts.
    pattern = draw(st.sampled_from(["A%", "%", "_a", "a_", "%'%", "50%", "A__"]))
    shape = re.compile("".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)
    like = _strict(lambda x: (shape.fullmatch(x) is not None) != no, "carrier")
    text = f"carrier {'NOT ' * no}LIKE {_text(pattern)}"
    if draw(st.booleans()):
        return text, _NOT, like
    return f'{text} AND "carrier" {op} tail', _AND, _both(like, _strict(_OPS[op], "carrier", "tail"))


def _larger(parts: st.SearchStrategy[_Node]) -> st.SearchStrategy[_Node]:
    @st.composite
    def larger(draw: st.DrawFn) -> _Node:
        kind = draw(st.sampled_from([_OR, _AND, _NOT]))
        shown, truths = [], []
        for text, precedence, truth in (draw(parts) for _ in range(1 if kind == _NOT else 2)):
            shown.append(f"({text})" if precedence < kind or draw(st.booleans()) else text)
            truths.append(truth)
        if kind == _NOT:
            return f"NOT {shown[0]}", _NOT, _negated(truths[0])
        return (" OR " if kind == _OR else " and ").join(shown), kind, (_either if kind == _OR else _both)(*truths)

    return larger()


def _strict(function: Callable[..., bool], *columns: str) -> Truth:
    """Null if one of the columns is."""

    def truth(row: Row) -> bool | None:
        values = [row[column] for column in columns]
        return None if None in values else function(*values)

    return truth


def _compared(column: str, op: str, literal: float | str | bool) -> Truth:
    return _strict(lambda value: _OPS[op](value, literal), column)


def _negated(part: Truth) -> Truth:
    def truth(row: Row) -> bool | None:
        value = part(row)
        return None if value is None else not value

    return truth


def _both(left: Truth, right: Truth) -> Truth:
    def truth(row: Row) -> bool | None:
        values = (left(row), right(row))
        return False if False in values else None if None in values else True

    return truth


def _either(left: Truth, right: Truth) -> Truth:
    return _negated(_both(_negated(left), _negated(right)))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
