"""The figures of a run, which the console shows, are those that `covey lab run` prints."""

from __future__ import annotations

from typing import Any

import pytest

from covey.cli.lab_tables import _of_attack, _of_collection
from deployment.printing.tables import Table
from simulations.reports.figures import figures
from simulations.reports.recorded import Record
from simulations.reports.sweep_page import measures

ERROR = {
    "values": 104,
    "mean_abs_error": 7.5,
    "rmse": 9.25,
    "served_se": 9.5,
    "rmse_over_se": 0.97,
    "coverage": 0.98,
    "mean_abs_truth": 2.5,
}


def a_side(shift: float, epsilon: dict[str, float] | None) -> dict[str, Any]:
    effect = {"what": "advantage", "estimate": 0.25 + shift, "low": 0.125 + shift, "high": 0.5 + shift}
    return {
        "attack": "membership",
        "defence": "noise",
        "effect": effect,
        "baseline": 0.0625 + shift,
        "epsilon": epsilon,
        "claimed_epsilon": 2.5 + shift,
    }


ATTACK = {"attack": {"on": a_side(0.0, {"low": 0.75}), "off": a_side(3.0, None)}}
COLLECTION = {
    "summary": {
        "views": {"delays": {"opened": 3, "void": 1, "reports": 12_345, "rejected": 0, "clients": 200}},
        "error": {"delays": {"planes": ERROR, "empty": {**dict.fromkeys(ERROR), "values": 0}}},
        "wall_s": 1.5,
        "bytes_per_client": 5156.6,
    },
    "attack": None,
}


def printed(table: Table) -> set[float]:
    """All numbers of a printed table."""
    cells = [cell.value for row in table.rows for cell in row]
    ends = [end for value in cells if isinstance(value, list) for end in value]
    return {value for value in (*cells, *ends) if isinstance(value, int | float)}


@pytest.mark.parametrize(("run", "table"), [(COLLECTION, _of_collection), (ATTACK, _of_attack)])
def test_every_number_that_the_command_prints_is_a_figure(run: dict[str, Any], table: Any) -> None:
    numbers = printed(table(run))
    assert len(numbers) > 4
    assert numbers <= set(dict(figures(Record(run))).values())


def test_a_run_has_the_counts_and_costs_of_the_title_and_the_caption() -> None:
    found = dict(figures(Record(COLLECTION)))
    names = ("opened", "void", "reports", "clients")
    assert [found[f"delays {name}"] for name in names] == [3, 1, 12_345, 200]
    assert (found["bytes a client"], found["wall seconds"]) == (5156.6, 1.5)
    assert found["delays:planes relative error"] == ERROR["rmse"] / ERROR["mean_abs_truth"]


def test_an_effect_is_followed_by_its_interval_and_measures_come_first() -> None:
    assert list(dict(figures(Record(ATTACK))))[:3] == [
        "defence off: advantage",
        "defence off: 95 % from",
        "defence off: 95 % to",
    ]
    drawn = list(measures(Record(COLLECTION)))
    assert list(figures(Record(COLLECTION)))[: len(drawn)] == drawn
