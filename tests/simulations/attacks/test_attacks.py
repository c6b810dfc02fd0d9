"""Every attack in both directions: it succeeds if its one defence is off, and fails if the defence is on."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from crypto.noise import SeededNoise
from featurestore.define.kinds import Count, Mean
from featurestore.define.layout import layout_of
from simulations.attacks import drop_all_but_one
from simulations.attacks.attack import AttackResult, Setting
from simulations.attacks.lies.kinds import PLAUSIBLE
from simulations.attacks.lies.vectors import vector_of
from simulations.attacks.poisoning import BOUND
from simulations.attacks.registry import ATTACKS
from simulations.attacks.stage.panes import TwoWorlds, view_of
from simulations.attacks.statistics.bounds import gaussian_epsilon
from simulations.attacks.texts import TEXTS
from simulations.errors import SettingRefused

SMALL = Setting(clients=20, k=10, trials=60)
POWERFUL = Setting(clients=10, k=2, trials=40_000)
"""Enough trials for a lower bound near the true ε. It would exceed the claim if the noise were half as large."""


def run(name: str, setting: Setting, *, defended: bool) -> AttackResult:
    return ATTACKS[name].run(setting, defended=defended, progress=lambda *_: None)


@cache
def default(name: str, defended: bool) -> AttackResult:
    return run(name, Setting(), defended=defended)


def columns(result: AttackResult) -> Iterator[npt.NDArray[np.float64]]:
    for one in result.series:
        yield from (part for part in (one.x, one.y, one.low, one.high) if part is not None)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_succeeds_where_its_defence_is_off_and_not_where_it_is_on(name: str) -> None:
    on, off = default(name, True), default(name, False)
    assert (on.succeeded, off.succeeded) == (False, True), (on.note, off.note)
    assert (on.defended, off.defended) == (True, False)


@pytest.mark.parametrize("defended", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_result_is_complete(name: str, defended: bool) -> None:
    result = default(name, defended)
    effect, epsilon = result.effect, result.epsilon
    assert (result.attack, result.defence) == (name, TEXTS[name].defence)
    assert effect.low <= effect.estimate <= effect.high
    assert epsilon is None or 0 <= epsilon.low <= epsilon.estimate <= epsilon.high
    assert all(
        len({len(column) for column in columns(dataclasses.replace(result, series=(one,)))}) == 1
        for one in result.series
    )
    assert all(np.isfinite(column).all() for column in columns(result))
    assert result.note.endswith(".")
    assert result.trials > 0


@pytest.mark.parametrize("name", ATTACKS)
def test_curves_have_the_same_names_on_both_sides_so_that_one_legend_does(name: str) -> None:
    on, off = ([one.label for one in default(name, defended).series] for defended in (True, False))
    assert on in ([], off)


@pytest.mark.parametrize("name", ATTACKS)
def test_with_the_defence_on_no_more_is_measured_than_claimed(name: str) -> None:
    result = default(name, True)
    if result.epsilon is not None:
        assert result.claimed_epsilon is not None
        assert result.epsilon.low <= result.claimed_epsilon


@pytest.mark.parametrize("defended", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_seed_gives_the_same_result_and_progress_ends(name: str, defended: bool) -> None:
    steps: list[tuple[int, int]] = []
    first = run(name, SMALL, defended=defended)
    again = ATTACKS[name].run(SMALL, defended=defended, progress=lambda *step: steps.append(step))
    for field in dataclasses.fields(first):
        if field.name != "series":
            assert getattr(first, field.name) == getattr(again, field.name)
    assert all(np.array_equal(*pair) for pair in zip(columns(first), columns(again), strict=True))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


@pytest.mark.parametrize("name", ["membership", "reconstruction", "attribute", "colluding-sites", "straggler"])
def test_another_seed_gives_another_result(name: str) -> None:
    one, other = (run(name, dataclasses.replace(SMALL, seed=seed), defended=True) for seed in (0, 1))
    same = [np.array_equal(*pair) for pair in zip(columns(one), columns(other), strict=True)]
    assert (one.effect, one.epsilon) != (other.effect, other.epsilon) or not all(same)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize(
    "setting",
    [Setting(clients=10, k=10, trials=40, rho=0.001), Setting(clients=13, k=2, trials=41, rho=2.0)],
    ids=["k is all", "k is least"],
)
def test_an_attack_runs_at_the_edges_of_its_settings(name: str, setting: Setting) -> None:
    for defended in (True, False):
        run(name, setting, defended=defended)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"k": 101}, "k is 101; it must be from 2 to the number of clients, 100"),
        ({"k": 1}, "k is 1"),
        ({"clients": 9, "k": 5}, "clients is 9; it must be at least 10"),
        ({"trials": 39}, "trials is 39; it must be at least 40"),
        ({"trials": 20_001}, "clients × trials"),
        ({"rho": 0.0}, "rho is 0"),
        ({"rho": -0.1}, "rho is -0.1"),
        ({"rho": float("nan")}, "rho is nan"),
        ({"rho": 2.1}, "rho is 2.1"),
        ({"delta": 0.0}, "delta is 0"),
        ({"delta": 0.02}, "delta is 0.02; it must be above 0 and below 1/k"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_setting_that_nothing_runs_with_is_refused_before_anything_runs(
    changes: dict[str, float], match: str
) -> None:
    with pytest.raises(SettingRefused, match=match):
        dataclasses.replace(Setting(), **changes)


def test_the_texts_are_those_of_the_attacks_in_their_order_and_load_nothing_heavy() -> None:
    assert list(ATTACKS) == list(TEXTS)
    assert all((attack.what, attack.defence, attack.what_is_off) == TEXTS[name] for name, attack in ATTACKS.items())
    code = "import sys, simulations.attacks.texts; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# attack by attack


def test_differencing_costs_far_more_than_is_claimed_and_more_with_every_opening() -> None:
    off = default("differencing", False)
    assert off.epsilon is not None
    assert off.claimed_epsilon is not None
    assert off.epsilon.low > 2 * off.claimed_epsilon
    (points,) = off.series
    assert points.x.tolist() == [1, 2, 5, 10, 20, 50, 100]
    assert points.y[-1] > points.y[3] > points.y[0]
    assert default("differencing", True).series[0].x.tolist() == [1]


def test_without_noise_membership_is_told_beyond_what_is_claimed_with_it() -> None:
    on, off = default("membership", True), default("membership", False)
    assert on.epsilon is not None
    assert off.epsilon is not None
    assert on.claimed_epsilon is not None
    assert off.epsilon.low > on.claimed_epsilon
    assert off.claimed_epsilon is None


def test_the_likelihood_ratio_of_a_release_is_as_good_as_its_price_allows() -> None:
    setting = Setting(clients=10, k=2, trials=5_000)
    result = run("membership", setting, defended=True)
    assert result.epsilon is not None
    opened_by_both = gaussian_epsilon(setting.rho**0.5, setting.delta)  # μ = √(2ρ) of one noise, and there are two
    assert result.epsilon.estimate == pytest.approx(opened_by_both, rel=0.08)


def test_the_likelihood_ratio_weighs_each_group_by_its_noise() -> None:
    view = view_of(SMALL, Count("n"), Mean("x", clip=(0, 100)), keys=2)
    layout = layout_of(view)
    assert len({group.variance for group in layout.groups}) > 1
    vector = vector_of(PLAUSIBLE, layout).astype(np.int64)
    worlds = TwoWorlds.make(layout, vector, np.zeros((2, 3), np.bool_))
    sums = (worlds.vectors.sum(axis=1)).reshape(2, layout.keys, -1) @ layout.basis.T
    scores = worlds.scores(sums)
    assert scores.absent[0] == 0
    assert scores.present[0] == pytest.approx(
        2 * SMALL.rho, rel=0.01
    )  # Σ d²/σ² is 2ρ where d is all that the bounds allow


def test_the_ledgers_leave_one_subset_and_more_of_them_give_more_bits() -> None:
    assert default("reconstruction", True).series[0].x.tolist() == [1]
    right = default("reconstruction", False).series[0].y
    assert right[-1] > 0.85
    assert right[-1] > right[0]


def test_in_a_cell_of_one_client_exact_sums_are_that_client() -> None:
    (points,) = default("attribute", False).series
    assert points.y[0] == 1.0
    assert points.y[0] > points.y[2]
    assert default("attribute", True).series[0].y[0] < 0.8


@pytest.mark.parametrize("defended", [True, False], ids=["on", "off"])
def test_liars_within_the_bounds_move_a_sum_by_a_bound_each_at_most(defended: bool) -> None:
    result = default("poisoning", defended)
    plausible, allowed = result.series[1:]
    assert plausible.low is not None
    assert (plausible.low <= allowed.y).all()
    assert plausible.y[-1] > plausible.y[0]
    assert allowed.y[-1] == pytest.approx(result.margin)
    assert result.margin == pytest.approx(5 * BOUND / (2 * BOUND**2 / 0.2) ** 0.5)
    assert ("(100 reports rejected)" in result.note) == defended
    assert f"{plausible.y[-1]:.2f} ({plausible.low[-1]:.2f} …" in result.note
    assert (result.effect.low == 0.0) == defended  # with the defence the bias can be zero or have the other sign


def test_where_a_rejected_lie_leaves_too_few_reports_the_pane_stays_shut() -> None:
    result = run("poisoning", Setting(clients=10, k=10, trials=40), defended=True)
    assert (result.effect.estimate, result.effect.high, result.succeeded) == (0.0, 0.0, False)
    assert "stayed closed" in result.note
    assert "stayed shut" not in default("poisoning", True).note


def test_what_a_stranger_opens_is_noised_all_the_same() -> None:
    on, off = default("sybil", True), default("sybil", False)
    assert (on.effect.estimate, off.effect.estimate) == (0.0, 1.0)
    assert on.epsilon is None
    assert off.epsilon is not None
    assert off.claimed_epsilon is not None
    assert off.epsilon.low <= off.claimed_epsilon


def test_invented_clients_beat_k_always_and_the_noise_holds() -> None:
    assert all("in 100% of the panes" in default("sybil-enrolled", defended).note for defended in (True, False))
    result = run("sybil-enrolled", POWERFUL, defended=True)
    assert result.epsilon is not None
    assert result.claimed_epsilon is not None
    assert 0.4 * result.claimed_epsilon < result.epsilon.low <= result.claimed_epsilon


def test_the_helpers_noise_alone_holds_what_is_claimed() -> None:
    result = run("drop-all-but-one", POWERFUL, defended=False)
    assert result.epsilon is not None
    assert result.claimed_epsilon is not None
    assert 0.7 * result.claimed_epsilon < result.epsilon.low <= result.claimed_epsilon


def test_half_the_helpers_noise_is_measured_to_be_more_than_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    class HalfScale(SeededNoise):
        def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> npt.NDArray[np.int64]:
            return super().discrete_gaussian(sigma_sq / 4, size)

    monkeypatch.setattr(drop_all_but_one, "SeededNoise", HalfScale)
    result = run("drop-all-but-one", POWERFUL, defended=False)
    assert result.epsilon is not None
    assert result.claimed_epsilon is not None
    assert result.epsilon.low > 1.2 * result.claimed_epsilon


def test_the_helper_refuses_the_true_count_and_a_lie_about_it_for_its_own_reasons() -> None:
    assert (
        "BATCH_TOO_SMALL to the true count and BATCH_MISMATCH to a false count"
        in default("drop-all-but-one", True).note
    )
    assert "OPENED to a false count" in default("drop-all-but-one", False).note


def test_without_noise_the_rest_of_a_pooled_sum_is_exact() -> None:
    (within,) = default("colluding-sites", False).series
    assert within.y[0] == 1.0
    on = default("colluding-sites", True)
    assert on.baseline == pytest.approx(252 / 1024)
    assert on.series[0].y[0] < 0.4


def test_under_all_time_tells_only_where_events_are_dear() -> None:
    (points,) = default("straggler", True).series
    assert points.y[0] == pytest.approx(0.5, abs=0.1)
    assert points.y[-1] > 0.9
    assert f"and {points.y[-1]:.2f} if it costs 100 ms" in default("straggler", True).note
