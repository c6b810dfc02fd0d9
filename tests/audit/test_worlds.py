"""The two worlds differ in one client-day, by exactly the sensitivity, and in nothing else, as the claim states."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView

from .chain import Chain
from .coalitions import exact_sums
from .worlds import (
    CLIENT_COUNT,
    CLIENTS,
    COUNT,
    HISTOGRAM,
    LAPLACE_COUNT,
    MEAN,
    PANES,
    RATE,
    SHARED_COUNT,
    WHOLE_VIEW,
    run_world,
)

VIEWS = (COUNT, SHARED_COUNT, CLIENT_COUNT, MEAN, HISTOGRAM, RATE, WHOLE_VIEW, LAPLACE_COUNT)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_canary_is_the_worst_case_it_moves_every_group_by_its_whole_sensitivity(view: FeatureView) -> None:
    present, absent = (run_world(view, Chain(), canary=canary) for canary in (True, False))
    difference = exact_sums(present) - exact_sums(absent)
    for group in present.plan.views[0].layout.groups:
        moved = difference[:, :, list(group.slots)]
        assert (moved**2).sum() == group.delta2_sq
        assert np.abs(moved).sum() == group.delta1


def test_the_canary_reports_in_both_worlds_so_that_their_number_says_nothing() -> None:
    present, absent = (run_world(COUNT, Chain(), canary=canary) for canary in (True, False))
    for world in (present, absent):
        assert world.leader.commitment.counts == world.helper.commitment.counts == (CLIENTS,) * PANES


def test_the_canarys_cells_are_spread_over_panes_so_that_carrying_them_matters() -> None:
    present, absent = (run_world(COUNT, Chain(), canary=canary) for canary in (True, False))
    moved = exact_sums(present) - exact_sums(absent)
    assert [np.count_nonzero(pane) for pane in moved] == [1, 1, 0]
