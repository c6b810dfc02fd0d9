import numpy as np
import pytest

from deployment.drift.judge import Blocks
from deployment.drift.series import Series, series_of, usable_panes
from featurestore.define.panes import NEVER, Panes
from featurestore.define.release import MILLION

from .drifting import SHOPS, noise_sd, panes_of, sums


def _series(panes: Panes) -> dict[str, Series]:
    used = usable_panes(SHOPS, panes)
    blocks = Blocks(panes.start[used], np.zeros(used.sum(), int), 1)
    return {one.name: one for one in series_of(SHOPS, panes, used, blocks.place, blocks.past)}


def test_each_feature_and_each_cell_of_a_list_is_a_series() -> None:
    found = _series(panes_of(sums(30, 1)))
    assert list(found) == ["sales", "returned", "price_hist[0]", "price_hist[1]"]  # a window is none


def test_a_count_is_the_opened_sum_with_the_variance_of_its_noise() -> None:
    slots = sums(30, 1)
    found = _series(panes_of(slots))["sales"]
    assert (found.values == slots[..., 0]).all()
    assert np.allclose(found.noise, noise_sd(SHOPS)[0] ** 2)


def test_a_rate_is_compared_as_a_sum_with_known_noise() -> None:
    slots = sums(30, 1)
    found = _series(panes_of(slots))["returned"]
    assert found.ratio is not None
    share = found.ratio.usual
    past = slots[:-1].sum(axis=0)
    assert share == pytest.approx((past[:, 1] + past[:, 2]) / 2 / past[:, 2])
    assert np.allclose(found.values, (slots[..., 1] + slots[..., 2]) / 2 - share * slots[..., 2])
    sd = noise_sd(SHOPS)
    assert np.allclose(found.noise, sd[1] ** 2 / 4 + (share - 0.5) ** 2 * sd[2] ** 2)


def test_a_rate_of_no_events_has_its_sum_and_its_noise() -> None:
    slots = sums(30, 1)
    slots[7, 2, 1:3] = [-13, 0]
    found = _series(panes_of(slots))["returned"]
    assert found.ratio is not None
    assert found.values[7, 2] == pytest.approx(-6.5)
    assert found.noise[7, 2] == pytest.approx(found.noise[8, 2])
    assert found.ratio.count[7, 2] == 0


def test_a_pane_of_another_version_has_its_own_noise() -> None:
    units = np.full((30, 4), 2.0)
    units[:10] *= 3
    found = _series(panes_of(sums(30, 1), noise_units=units))
    assert found["sales"].noise[0, 0] == pytest.approx(3 * found["sales"].noise[-1, 0])


def test_panes_without_values_are_no_part_of_a_series() -> None:
    opened = np.ones(30, dtype=bool)
    opened[3] = False
    retracted = np.full(30, NEVER)
    retracted[7] = 1
    panes = panes_of(sums(30, 1), opened=opened, retracted_at=retracted)
    assert len(_series(panes)["sales"].values) == 28


def test_a_feature_that_a_pane_does_not_have_has_no_value_there() -> None:
    known = np.ones((30, 3), dtype=bool)
    known[:5, 1] = False
    found = _series(panes_of(sums(30, 1), known=known))
    assert np.isnan(found["returned"].values[:5]).all()
    assert np.isfinite(found["sales"].values).all()


def test_withheld_cells_have_no_value() -> None:
    withheld = np.zeros((30, 3), dtype=bool)
    withheld[4, 2] = True
    found = _series(panes_of(sums(30, 1), withheld=withheld))
    for one in found.values():
        assert np.argwhere(~np.isfinite(one.values)).tolist() == [[4, 2]]


def test_counts_are_compared_among_panes_with_the_same_sites() -> None:
    share = np.full(30, MILLION)
    share[:6] = MILLION // 2
    found = _series(panes_of(sums(30, 1), site_share=share))
    assert np.isnan(found["sales"].values[:6]).all()
    assert np.isfinite(found["returned"].values).all()


def test_a_key_whose_noise_hides_every_rate_shows_no_change() -> None:
    slots = sums(30, 1)
    slots[:, 2, 1:3] = slots[:, 2, 1:3] // 50
    assert _series(panes_of(slots))["returned"].shows_change(1).tolist() == [True, True, False]
    assert _series(panes_of(slots))["sales"].shows_change(1).all()


def test_a_count_of_all_keys_is_their_sum() -> None:
    found = _series(panes_of(sums(30, 1)))["sales"]
    total = found.total(np.array([True, False, True]), np.array([1.0, 1.0, 9.0]))
    assert np.allclose(total.values[:, 0], found.values[:, 0] + found.values[:, 2])
    assert np.allclose(total.noise[:, 0], found.noise[:, 0] + found.noise[:, 2])


def test_a_ratio_of_all_keys_weighs_each_by_what_it_says() -> None:
    found = _series(panes_of(sums(30, 1)))["returned"]
    assert found.ratio is not None
    variance = found.noise.mean(axis=0)
    total = found.total(np.ones(3, dtype=bool), variance)
    assert total.ratio is not None
    each = found.ratio.expected.mean(axis=0)
    assert total.ratio.expected.mean() == pytest.approx(each.sum())
    shown = total.ratio.expected.mean() / np.sqrt(total.noise.mean())
    assert shown == pytest.approx(
        np.sqrt((each**2 / variance).sum()), rel=0.05
    )  # the least variance of a common change
    assert shown > 1.05 * each.sum() / np.sqrt(variance.sum())
    assert found.ratio.usual.min() <= total.ratio.usual[0] <= found.ratio.usual.max()
