"""The plans that the machine draws: views of two prices that compete for the budget of two days, in panes of one hour."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import strategies as st

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from tests.federation.wire import DAY

HOUR = DAY // 24
Drawn = tuple[dict[str, float], list[tuple[int, int]], Any]
Told = Literal["all", "one", "none"]


def view_of(name: str, rho: float) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=["x", "y"]),
        features=[Count("n")],
        pane="1h",
        bounds=Bounds(3),
        privacy=Privacy(rho=rho, min_clients=2),
    )


VIEWS = {(name, rho): view_of(name, rho) for name in "vw" for rho in (0.03, 0.05, 0.07)}
plans = st.tuples(
    st.dictionaries(st.sampled_from("vw"), st.sampled_from([0.03, 0.05, 0.07]), min_size=1),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=3, unique=True).map(sorted),
    st.sampled_from(["active", "all"]),
)
sites = st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a")])
seeds = st.integers(0, 2**32)
