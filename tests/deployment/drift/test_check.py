from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deployment.drift.check import check
from deployment.drift.report import Checked, Report, Terms, Unchecked
from deployment.drift.season import Season
from featurestore.define.panes import NEVER
from featurestore.define.release import MILLION
from tests.featurestore.making import DAY

from .drifting import MONDAY, SHOPS, noise_sd, panes_of, sums

ONCE = Terms()


def _checked(slots: Any, terms: Terms = ONCE, **panes: Any) -> Checked:
    report = check(SHOPS, "shops", panes_of(slots, **panes), terms)
    assert isinstance(report, Checked), report
    return report


def test_a_view_that_does_not_change_shows_nothing_and_says_what_it_would_have_found() -> None:
    report = _checked(sums(90, 3))
    assert not report.drifts
    assert (report.season, report.past, report.blocks, report.series) == (Season.WEEKDAY, 89, 89, 16)
    assert [(one.feature, one.keys) for one in report.power][:2] == [("sales", 3), ("returned", 3)]
    assert all(one.one is not None and one.every is not None and one.every < one.one for one in report.power)


def test_a_change_is_named_with_its_key_its_size_and_an_interval_that_holds_it() -> None:
    report = _checked(sums(90, 3, jump=150))
    found = {(one.feature, one.key): one for one in report.changes}
    sales = found["sales", ("south",)]
    assert sales.low <= 150 <= sales.high
    assert sales.low > 0
    assert sales.usual == pytest.approx(400, abs=60)
    assert sales.size == pytest.approx(sums(90, 3, jump=150)[-1, 1, 0] - sales.usual)
    assert sales.since_us == MONDAY + 89 * DAY
    assert report.p == min(one.p for one in report.changes)
    assert ("sales", ("north",)) not in found
    assert ("returned", ("south",)) not in found


def test_a_rate_that_changes_is_measured_against_the_count_of_the_newest_pane() -> None:
    report = _checked(sums(90, 3, jump=300, returned=0.3))
    change = next(one for one in report.changes if one.feature == "returned" and one.key == ("south",))
    assert change.size == pytest.approx(0.2, abs=0.05)
    assert change.low <= 0.2 <= change.high
    assert change.usual == pytest.approx(0.1, abs=0.02)


def test_a_change_of_some_days_is_dated_and_found_by_comparing_them_as_one() -> None:
    slots = sums(154, 8, jump=45, last=5)
    assert not _checked(slots).drifts
    report = _checked(slots, Terms(last=5))
    assert {one.key for one in report.changes if one.feature == "sales"} >= {("south",)}
    south = next(one for one in report.changes if one.feature == "sales" and one.key == ("south",))
    assert abs(south.since_us - (MONDAY + 149 * DAY)) <= 2 * DAY
    assert south.low <= 45 <= south.high
    assert (len(report.newest), report.blocks) == (5, 29)


def test_a_weekend_is_no_drift() -> None:
    assert not _checked(sums(91, 3)).drifts  # the last day is a Sunday, with two fifths of the sales
    flat = replace_weekday(sums(91, 3))
    assert _checked(flat).drifts


def replace_weekday(slots: Any) -> Any:
    """The last day sells as much as a Monday."""
    moved = slots.copy()
    moved[-1] = moved[-7]
    return moved


def test_only_the_named_features_are_compared() -> None:
    report = _checked(sums(90, 5, jump=150), Terms(features=("returned",)))
    assert report.series == 4
    assert not report.drifts


def test_a_lower_level_needs_more_evidence() -> None:
    slots = sums(90, 3, jump=90)
    p = _checked(slots).p
    assert _checked(slots, Terms(level=2 * p)).drifts
    assert not _checked(slots, Terms(level=p / 2)).drifts


def test_an_interval_excludes_no_change_just_when_the_change_is_found() -> None:
    report = _checked(sums(90, 3, jump=120, returned=0.2), Terms(level=0.1))
    for one in report.changes:
        assert (one.low > 0) == (one.size > 0)
        assert (one.high < 0) == (one.size < 0)


def test_too_short_a_past_is_not_checked_and_says_what_is_needed() -> None:
    assert check(SHOPS, "shops", panes_of(sums(20, 1)), Terms()) == Unchecked(
        "shops", Terms(), "20 of its panes have values, and a check of 1 needs 21"
    )
    report = check(SHOPS, "shops", panes_of(sums(60, 1)), Terms(last=7))
    assert isinstance(report, Unchecked)
    assert "147" in report.why
    assert isinstance(check(SHOPS, "shops", panes_of(sums(21, 1)), Terms()), Checked)


def test_panes_without_values_are_counted_by_reason() -> None:
    opened, retracted, share = np.ones(90, dtype=bool), np.full(90, NEVER), np.full(90, MILLION)
    opened[[4, 5]], retracted[9], share[20] = False, 1, MILLION // 3
    report = _checked(sums(90, 3), opened=opened, retracted_at=retracted, site_share=share)
    assert report.left_out == {"void": 2, "retracted": 1, "with other sites, for counts": 1}
    assert report.past == 86


def test_noise_that_hides_every_change_is_said() -> None:
    slots = sums(60, 1)
    slots[:, :, 1:3] //= 100
    report = check(SHOPS, "shops", panes_of(slots), Terms(features=("returned",)))
    assert isinstance(report, Unchecked)
    assert "hides every possible change" in report.why


def test_keys_that_noise_hides_one_by_one_are_compared_together() -> None:
    slots = sums(90, 3)
    rng = np.random.default_rng(2)
    n = rng.poisson(75, (90, 3))
    true = rng.binomial(n, np.where(np.arange(90) < 89, 0.1, 1.0)[:, None])
    slots[..., 1] = 2 * true - n + rng.normal(0, 40, (90, 3))
    slots[..., 2] = n + rng.normal(0, 40, (90, 3))
    wide = np.full((90, 1), 2.0) * (40 / noise_sd(SHOPS)[1:3].mean()) ** 2
    report = _checked(slots, Terms(features=("returned",)), noise_units=wide)
    (power,) = report.power
    assert power.hidden > 0
    assert power.every is not None
    assert None in [one.key for one in report.changes]


def test_a_key_without_a_value_in_the_newest_pane_is_not_compared() -> None:
    withheld = np.zeros((90, 3), dtype=bool)
    withheld[-1, 0] = True
    report = _checked(sums(90, 3), withheld=withheld)
    assert report.series == 4 * 3  # two keys and their sum
    assert [one.absent for one in report.power] == [1] * 4


def test_a_view_of_one_key_has_no_sum_over_keys() -> None:
    view = replace(SHOPS, entity=replace_entity())
    report = check(view, "shops", panes_of(sums(90, 3)[:, :1]), Terms())
    assert isinstance(report, Checked)
    assert report.series == 4
    assert all(one.every is None for one in report.power)


def replace_entity() -> Any:
    """The entity with one shop."""
    from featurestore.define.entities import Entity

    return Entity("shop", domain=["north"])


def test_exact_sums_are_compared_too() -> None:
    report: Report = check(SHOPS, "shops", panes_of(sums(90, 3, jump=200), noise_units=np.zeros((90, 1))), Terms())
    assert isinstance(report, Checked)
    assert report.drifts


def test_a_check_of_the_same_panes_says_the_same() -> None:
    slots = sums(90, 3, jump=100)
    assert _checked(slots) == _checked(slots)
