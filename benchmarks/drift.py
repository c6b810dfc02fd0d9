"""False alarms and power of `covey monitor`, and of a PSI that ignores noise, at ε = 1.

`benchmarks.drift_worlds` makes the worlds. Each is checked once, at the level .01. PSI compares the values of all keys in the
newest panes with those of the past in ten bins of equal shares, for each feature, and takes .25 (or .1) as an alarm, by the rule
of thumb that drift monitors ship.

    python -m benchmarks.drift                # 500 worlds of each kind
    python -m benchmarks.drift --worlds 2000

* `false_alarms`: the share of all worlds without drift in which a check finds something; `false_alarms_se` its standard error,
  `false_alarms_by_worlds` by kind of world (500 worlds give ± .004).
* `power`: the share of worlds found in which the newest pane, or each of the newest seven compared as one, is shifted by 1 to 4
  standard errors of one served value: of one key, or of all.
* `stated_power`: the share found of shifts of all keys that the check itself states to find with 80 %.
* `interval_coverage`: the share of shifts that the interval of the changed series holds, given that it was found.
* `psi_false_alarms`, `psi_power`: the same of PSI.
* `check_ms`: the time of a check of 16 keys × 2 features over 26 weeks.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from deployment.drift.check import check
from deployment.drift.judge import Blocks
from deployment.drift.report import Checked, Report, Terms
from deployment.drift.season import places, season_of
from deployment.drift.series import series_of, usable_panes
from featurestore.define.decoded import Floats
from featurestore.define.panes import Panes
from simulations.measuring import print_figures

from .drift_worlds import KINDS, Flights, Rng, World, synthetic

LEVEL: Final = 0.01
SHIFTS: Final = (1, 2, 3, 4)
BINS: Final = 10
RULES: Final = (0.25, 0.1)


@dataclass(frozen=True)
class Kind:
    """A kind of worlds.

    Attributes:
        make: makes a world from a seed and its number.
        last: how many panes are compared as one.
    """

    name: str
    make: Callable[[Rng, int], World]
    last: int = 1


def kinds() -> tuple[Kind, ...]:
    """All kinds of worlds without drift."""
    days, hours = Flights(hourly=False), Flights(hourly=True)
    return (
        Kind("flights_days", lambda rng, i: days.world(rng, 26, 1 + i % 7)),
        Kind("flights_7_days", lambda rng, _: days.world(rng, 26, 7), 7),
        Kind("flights_hours", lambda rng, i: hours.world(rng, 12, 12 + i % 10)),
        *_synthetic_kinds(),
    )


def _synthetic_kinds() -> Iterator[Kind]:
    """The synthetic ones: short and long histories, few and many keys."""
    yield Kind(
        "synthetic_days", lambda rng, i: synthetic(rng, KINDS[i % 6], (1, 5, 40)[i // 6 % 3], (57, 183)[i // 18 % 2])
    )
    yield Kind("synthetic_7_days", lambda rng, i: synthetic(rng, KINDS[i % 6], (1, 5, 40)[i // 6 % 3], 189), 7)


def without_drift(kind: Kind, worlds: int, seed: int) -> tuple[float, Floats, float]:
    """The false alarms of a kind, those of PSI by rule, and the seconds of a check."""
    alarms, psi, seconds = 0, np.zeros(len(RULES)), 0.0
    for i in range(worlds):
        rng = np.random.default_rng([seed, i])
        world = kind.make(rng, i)
        panes = world.panes(rng)
        start = time.process_time()
        alarms += finds(judge(world, panes, kind.last))
        seconds += time.process_time() - start
        psi += psi_alarms(world, panes, kind.last)
    return alarms / worlds, psi / worlds, seconds / worlds


def with_shift(
    kind: Kind, feature: str, key: int | None, errors: float, worlds: int, seed: int
) -> tuple[float, float, list[bool]]:
    """The share of shifts that a check finds, and that PSI finds; and whether the interval of each found key holds the shift."""
    found, psi, held = 0, 0.0, list[bool]()
    for i in range(worlds):
        rng = np.random.default_rng([seed, i])
        world = kind.make(rng, i)
        moved = world.shifted(feature, key, errors, kind.last)
        panes = moved.panes(rng)
        report = judge(moved, panes, kind.last)
        found += finds(report)
        psi += float(psi_alarms(moved, panes, kind.last)[0])
        if key is not None and feature == "flights":
            size = float((moved.sums - world.sums)[-1, key, 0])
            held += [
                one.low <= size <= one.high
                for one in changes(report)
                if one.feature == feature and one.key == world.view.entity.domain[key]
            ]
    return found / worlds, psi / worlds, held


def stated_power(kind: Kind, worlds: int, seed: int) -> float:
    """The share found of shifts of the count of all keys by as much as a check states to find with 80 %."""
    found, tried = 0, 0
    for i in range(worlds):
        rng = np.random.default_rng([seed, i])
        world = kind.make(rng, i)
        report = judge(world, world.panes(rng), kind.last)
        powers = report.power if isinstance(report, Checked) else ()
        size = next((one.one if one.keys == 1 else one.every for one in powers if one.feature == "flights"), None)
        if size is None:
            continue
        sums = world.sums.copy()
        sums[-kind.last :, :, 0] += round(size)
        tried += 1
        found += finds(judge(world, World(world.view, world.starts, sums, world.clients).panes(rng), kind.last))
    return found / max(tried, 1)


def judge(world: World, panes: Panes, last: int) -> Report:
    """The check of a world."""
    return check(world.view, world.view.name, panes, Terms(level=LEVEL, last=last))


def finds(report: Report) -> bool:
    """Whether a check finds something."""
    return isinstance(report, Checked) and report.drifts


def changes(report: Report) -> tuple[Any, ...]:
    """What a check finds."""
    return report.changes if isinstance(report, Checked) else ()


def psi_alarms(world: World, panes: Panes, last: int) -> Floats:
    """float64[rules]: 1 where the PSI of a feature is an alarm."""
    used = usable_panes(world.view, panes)
    starts = panes.start[used]
    blocks = Blocks(starts, places(season_of(starts, world.view.pane_us), starts), last)
    largest = 0.0
    for one in series_of(world.view, panes, used, blocks.place, blocks.past):
        values = one.values
        if one.ratio is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = one.ratio.usual + values / one.ratio.count
        past, new = (part[np.isfinite(part)] for part in (values[:-last], values[-last:]))
        if len(past) and len(new):
            largest = max(largest, psi(past, new))
    return np.array([float(largest > rule) for rule in RULES])


def psi(past: Floats, new: Floats) -> float:
    """The population stability index over bins of equal shares of the past."""
    edges = np.quantile(past, np.linspace(0, 1, BINS + 1)[1:-1])
    a, b = (np.bincount(np.searchsorted(edges, x), minlength=BINS) / len(x) for x in (past, new))
    a, b = np.maximum(a, 1e-4), np.maximum(b, 1e-4)
    return float(((b - a) * np.log(b / a)).sum())


def measure(every: tuple[Kind, ...], worlds: int, seed: int = 5) -> dict[str, Any]:
    """All figures."""
    alarms, psi_rules, seconds = {}, {}, {}
    for kind in every:
        alarms[kind.name], psi_rules[kind.name], seconds[kind.name] = without_drift(kind, worlds, seed)
    mean = float(np.mean(list(alarms.values())))
    shifted = max(20, worlds // 5)
    power: dict[str, dict[str, float]] = {}
    psi_power: dict[str, dict[str, float]] = {}
    held: list[bool] = []
    for kind in every:
        for feature, key in (("flights", 0), ("flights", None), ("late", 0), ("late", None)):
            name = f"{kind.name} {feature} {'all keys' if key is None else 'one key'}"
            power[name], psi_power[name] = {}, {}
            for errors in SHIFTS:
                found, by_psi, intervals = with_shift(kind, feature, key, errors, shifted, seed + 1)
                power[name][f"{errors}"], psi_power[name][f"{errors}"] = round(found, 3), round(by_psi, 3)
                held += intervals
    stated = {kind.name: round(stated_power(kind, shifted, seed + 2), 3) for kind in every}
    return {
        "level": LEVEL,
        "worlds": worlds * len(every),
        "false_alarms": round(mean, 4),
        "false_alarms_se": round(math.sqrt(mean * (1 - mean) / (worlds * len(every))), 4),
        "false_alarms_by_worlds": {name: round(share, 4) for name, share in alarms.items()},
        "power": power,
        "stated_power": stated,
        "interval_coverage": round(float(np.mean(held)), 3) if held else None,
        "psi_false_alarms": {
            name: dict(zip(map(str, RULES), shares.round(3).tolist(), strict=True))
            for name, shares in psi_rules.items()
        },
        "psi_power": psi_power,
        "check_ms": round(1e3 * seconds[every[0].name], 1),
    }  # fmt: skip


def main() -> None:
    """Print the figures, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=500, help="worlds without drift of each kind")
    figures = measure(kinds(), parser.parse_args().worlds)
    out = Console()
    alarms = Table("worlds", "false alarms", "PSI > .25", "PSI > .1", title="Without drift")
    for name, share in figures["false_alarms_by_worlds"].items():
        alarms.add_row(name, f"{share:.4f}", *(f"{one:.3f}" for one in figures["psi_false_alarms"][name].values()))
    out.print(alarms)
    power = Table("shift of", *(f"{one} se" for one in SHIFTS), *(f"PSI, {one} se" for one in SHIFTS), title="Power")
    for name, shares in figures["power"].items():
        power.add_row(name, *(f"{one:.2f}" for one in (*shares.values(), *figures["psi_power"][name].values())))
    out.print(power)
    print_figures(figures)


if __name__ == "__main__":
    main()
