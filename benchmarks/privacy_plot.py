"""The plot of docs/privacy.md: the served standard error of a Mean and a Count against ρ and n.

One client-day adds one event to one cell. Each feature has a view of its own with the whole ρ, and both aggregators add noise.
For m features in a view use the curve of ρ/m; for c cells a day with e events each, the curve of ρ/(c·e²).
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from featurestore.define.decoded import Decoded, Status
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import PaneFeature
from featurestore.define.kinds import Count, Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.values import decode

RHOS = (0.01, 0.03, 0.1, 0.3, 1.0)
CLIENTS = np.unique(np.geomspace(20, 1e6, 400).astype(np.int64))
COUNT = Count("n")
MEAN = Mean("x", clip=(0, 100), resolution=0.1)


def draw(path: Path) -> None:
    """Write the picture: a Mean's standard error in parts of its clip range, a Count's in parts of the count."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.6), layout="constrained", sharey=True)
    for index, rho in enumerate(RHOS):
        colour = plt.get_cmap("viridis")(0.9 * index / (len(RHOS) - 1))
        mean, count = _served(MEAN, rho), _served(COUNT, rho)
        share = 100 * mean.se / 100  # per cent of a clip range that is 100 wide
        sure, rough = mean.status == Status.OK, mean.status == Status.ROUGH_SE
        left.loglog(CLIENTS[rough], share[rough], color=colour, linestyle=":")
        left.loglog(CLIENTS[sure], share[sure], color=colour)
        right.loglog(CLIENTS, 100 * count.se / CLIENTS, color=colour, label=f"ρ = {rho:g}")
    left.set_title("Mean: standard error in % of the clip range")
    right.set_title("Count: standard error in % of the count")
    left.plot([], [], color="grey", linestyle=":", label="rough: n < 20·se(n)")
    left.legend(frameon=False)
    right.legend(frameon=False, title="a client-day")
    for axes in (left, right):
        axes.set_xlabel("n, events of one key and pane (one a client)")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        axes.set_ylim(1e-3, 100)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _served(feature: PaneFeature, rho: float) -> Decoded:
    """Return the served values at each number of events, for values in the middle of the clip range."""
    view = FeatureView(
        "v",
        entity=Entity("area", value="all"),
        features=[feature],
        pane="1d",
        bounds=Bounds(max_cells=1, max_events_per_cell=1),
        privacy=Privacy(rho=rho),
    )
    sums = CLIENTS[:, None] if feature is COUNT else np.stack([np.zeros_like(CLIENTS), CLIENTS], axis=1)
    both = np.full(len(CLIENTS), 2.0)
    return decode(layout_of(view), feature, sums, both, np.zeros(len(CLIENTS), np.uint8))
