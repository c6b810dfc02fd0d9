"""The plot of docs/utility.md: the share of the gain against the price."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from simulations.tasks.scores import Interval
from simulations.tasks.study import CHARTED, PROMISES, Model


def draw(path: Path, tasks: Mapping[str, Mapping[tuple[str, Model], Interval]]) -> None:
    """Write the picture: one panel a task, one line a model, bars from the intervals."""
    epsilons = {promise.title: promise.epsilon for promise in PROMISES if promise.title in CHARTED}
    figure, panels = plt.subplots(1, len(tasks), figsize=(5.4 * len(tasks), 4.4), layout="constrained", squeeze=False)
    for axes, (name, shares) in zip(panels[0], tasks.items(), strict=True):
        models = dict.fromkeys(model for title, model in shares if title in CHARTED)
        for index, model in enumerate(models):
            found = [shares[title, model] for title in epsilons]
            bars = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
            at = [epsilon * 1.03 ** (index - 1) for epsilon in epsilons.values()]
            colour = plt.get_cmap("viridis")(0.85 * index / max(1, len(models) - 1))
            axes.errorbar(
                at, [one.value for one in found], bars, color=colour, marker="o", capsize=3, label=model.title
            )
        axes.set_xscale("log")
        axes.set_xticks(list(epsilons.values()), [f"{epsilon:.2g}" for epsilon in epsilons.values()])
        axes.minorticks_off()
        axes.axhline(1, color="grey", linewidth=0.8)
        axes.set_ylim(0, 1.15)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel("ε of a client-day against outsiders (δ = 10⁻⁶, shared noise)")
        axes.set_title(name)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="lower right")
    panels[0][0].set_ylabel("share of the exact aggregates' gain")
    figure.savefig(path, dpi=120)
    plt.close(figure)
