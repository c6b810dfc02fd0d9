"""The picture of docs/scale.md: shards, money, and the loads that more shards do not reduce."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from federation.terms import Validity
from simulations.scale.model import WHOLE, Estimate


def draw(path: Path, estimates: Mapping[tuple[str, int, Validity, int], Estimate]) -> None:
    """Write the picture; the last panel is of phones without proofs."""
    lines: dict[tuple[str, Validity], list[Estimate]] = defaultdict(list)
    for (fleet, _, validity, _), one in estimates.items():
        lines[fleet, validity].append(one)
    figure, panels = plt.subplots(1, 3, figsize=(12.5, 4.2), layout="constrained")
    for index, ((fleet, validity), found) in enumerate(lines.items()):
        clients, line = [one.regime.clients for one in found], "-" if validity is Validity.NONE else "--"
        for axes, values in zip(panels, ([one.shards for one in found], [one.dollars for one in found]), strict=False):
            axes.loglog(clients, values, line, marker="o", color=f"C{index // 2}", label=f"{fleet}, {validity}")
    phones = lines["phones", Validity.NONE]
    for index, name in enumerate(name for name in WHOLE if name != "noise"):
        loads = [one.loads[name] for one in phones]
        panels[2].loglog([one.regime.clients for one in phones], loads, marker="o", color=f"C{index + 2}", label=name)
    panels[2].axhline(1, color="grey", linewidth=0.8)
    titles = (
        "shards of each aggregator",
        "dollars, machines and egress",
        "loads that shards do not share: phones, none",
    )
    slots = phones[0].regime.slots
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        axes.set_xlabel(f"clients, one report of {slots:,} slots each")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False)
    panels[2].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
