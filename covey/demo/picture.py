"""The demo's picture: delay over time, its error band, and the truth."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.store import Store

_WEEKS: Final = (datetime(2013, 6, 1, tzinfo=UTC), datetime(2013, 7, 20, tzinfo=UTC))


def draw(path: Path, private: Store, exact: Store) -> None:
    """Write a PNG of two features: private value with its band, and the exact value."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 1, figsize=(11, 7.5), constrained_layout=True)
    start, end = _WEEKS
    _panel(
        axes[0],
        private.history("area_delay", start, end),
        exact.history("area_delay", start, end),
        "late_24h",
        "Departures from New York 15 min late or more, last 24 h (area_delay:late_24h)",
    )
    atlanta = pc.equal(pc.field("dest"), "ATL")
    _panel(
        axes[1],
        private.history("dest_delay").filter(atlanta),
        exact.history("dest_delay").filter(atlanta),
        "late_28d",
        "Arrivals at Atlanta 15 min late or more, last 28 days (dest_delay:late_28d)",
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _panel(axis: Any, private: pa.Table, exact: pa.Table, feature: str, title: str) -> None:
    times = private["pane_end"].cast(pa.timestamp("us")).to_numpy()
    value = 100 * pc.fill_null(private[feature], np.nan).to_numpy()
    low, high = (100 * pc.fill_null(private[f"{feature}__{end}"], np.nan).to_numpy() for end in ("lo", "hi"))
    truth = 100 * pc.fill_null(exact[feature], np.nan).to_numpy()
    axis.fill_between(times, low, high, color="#7fb3d5", alpha=0.45, label="95 % interval", lw=0)
    axis.plot(times, value, color="#1f618d", lw=1.4, label="private")
    axis.plot(
        exact["pane_end"].cast(pa.timestamp("us")).to_numpy(), truth, color="#c0392b", lw=1.1, ls="--", label="truth"
    )
    axis.set_title(title, loc="left", fontsize=11)
    axis.set_ylabel("% late")
    axis.grid(alpha=0.25)
    axis.legend(loc="upper right", frameon=False, ncols=3)
    axis.margins(x=0)
