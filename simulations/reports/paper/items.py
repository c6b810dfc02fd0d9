"""The experiments of a report: their settings and their results.

A point is one number of one curve. It has a 95 % interval if the experiment was repeated: Student's t over repeats, each with
other events and other noise. An attack computes its own interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from federation.terms import Validity

from .config import ReportConfig


@dataclass(frozen=True)
class ReportItem:
    """One experiment.

    Attributes:
        kind: a key of `running.RUNS`.
        asked: its settings, as JSON values. An experiment runs again if one of them changes.
        weight: approximate seconds, for the progress bar.
    """

    name: str
    kind: str
    asked: Mapping[str, Any]
    weight: float


@dataclass(frozen=True)
class Point:
    """One number of the curve `series`: the value of `measure` at `x` on the axis `x_name`."""

    series: str
    measure: str
    x_name: str
    x: float
    estimate: float
    low: float | None = None
    high: float | None = None
    repeats: int = 1


@dataclass(frozen=True)
class ItemResult:
    """The result of an experiment. `extra`: results that are no points, as JSON values."""

    points: tuple[Point, ...]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FinishedItem:
    """An experiment that ran.

    Attributes:
        error: one line if the experiment failed; then `outcome` is None.
        revision: git revision of the code; None outside a clone.
    """

    item: ReportItem
    outcome: ItemResult | None
    error: str | None
    seconds: float
    revision: str | None


def experiments_of(config: ReportConfig) -> Iterator[ReportItem]:
    """Yield the experiments of a set in the order in which they run."""
    common = {"seed": config.seed, "delta": config.delta}
    if (utility := config.utility) is not None:
        fleet = {name: getattr(utility, name) for name in ("clients", "keys", "days", "repeats")}
        for rho in utility.rhos:
            yield ReportItem(f"utility-rho-{_in_full(rho)}", "errors", common | fleet | {"rho": rho}, utility.repeats)
    if (clients := config.clients) is not None:
        fleet = {name: getattr(clients, name) for name in ("rho", "keys", "days", "repeats")}
        for count in clients.clients:
            yield ReportItem(f"clients-{count}", "errors", common | fleet | {"clients": count}, clients.repeats)
    if (attacks := config.attacks) is not None:
        setting = {name: getattr(attacks, name) for name in ("clients", "k", "trials")}
        for name in attacks.names:
            for rho in attacks.rhos:
                asked = common | setting | {"attack": name, "rho": rho}
                yield ReportItem(f"attack-{name}-rho-{_in_full(rho)}", "attack", asked, 1 + attacks.trials / 100)
    if (cost := config.cost) is not None:
        for count in cost.clients:
            for validity in Validity:
                if validity is Validity.NONE or count <= cost.prio3_up_to:
                    asked = common | {"clients": count, "validity": validity.value, "keys": 8}
                    yield ReportItem(f"cost-clients-{count}-{validity.value}", "cost", asked, 1 + count / 2000)
        for slots in cost.slots:
            asked = common | {"slots": slots, "clients": cost.slots_clients, "names": list(cost.slots_names)}
            yield ReportItem(f"cost-slots-{slots}", "slots", asked, 2 * len(cost.slots_names) + slots / 500)
    if (protections := config.protections) is not None:
        asked = common | asdict(protections) | {"names": list(protections.names)}
        yield ReportItem("protections", "protections", asked, 2 * len(protections.names))


def _in_full(rho: float) -> str:
    """Format ρ exactly, such as `0.1` or `1`, so that names of experiments differ."""
    return repr(rho).removesuffix(".0")
