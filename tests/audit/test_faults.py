"""The audit finds each planted fault: the attacker's bound exceeds the claim by a wide margin."""

from __future__ import annotations

import logging

import pytest

from featurestore.define.definitions import FeatureView

from .chain import Chain
from .coalitions import COALITIONS, Coalition, audit
from .faults import (
    CellsNotCarried,
    ClipOff,
    CopiedNoise,
    FreshNoiseOnRepeat,
    HalfSigma,
    Plant,
    half_of_the_half,
    no_noise_of_the_helper,
    uncounted_feature,
)
from .worlds import COUNT, MEAN, SHARED_COUNT, TWO_FEATURES

MARGIN = 1.2
"""A fault counts as found from this factor on: chance alone never exceeds the claim by so much."""
WEEK_MARGIN = 1.05
"""The same for seven days, of which there are a seventh as many draws."""
WITH_LEADER: tuple[Coalition, ...] = ("leader + collector",)
WITH_EITHER: tuple[Coalition, ...] = ("leader + collector", "helper + collector")

_log = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("fault", "view", "requests", "found_by"),
    [
        pytest.param(HalfSigma(), COUNT, 1, WITH_LEADER, id="half the sigma at one aggregator"),
        pytest.param(CopiedNoise(), COUNT, 1, WITH_EITHER, id="the helper copies the leader's noise"),
        pytest.param(FreshNoiseOnRepeat(), COUNT, 4, WITH_EITHER, id="fresh noise on a repeated collect"),
        pytest.param(ClipOff(), MEAN, 1, COALITIONS, id="clip off"),
        pytest.param(CellsNotCarried(), COUNT, 1, WITH_EITHER, id="max_cells not carried across panes"),
    ],
)
def test_a_planted_fault_is_found(
    fault: Chain, view: FeatureView, requests: int, found_by: tuple[Coalition, ...], draws: int
) -> None:
    made = audit(view, fault, draws, requests=requests)
    for coalition in found_by:
        bounds = made.attack(coalition, confidence=0.99, audits=len(found_by))
        claimed = made.claimed(coalition)
        _log.info("%s, %s: ε ≥ %.2f, claimed %.2f", type(fault).__name__, coalition, bounds.best, claimed)
        assert bounds.best > MARGIN * claimed, coalition


@pytest.mark.parametrize(
    ("plant", "view", "found_by"),
    [
        pytest.param(half_of_the_half, SHARED_COUNT, COALITIONS, id="half of the half"),
        pytest.param(no_noise_of_the_helper, SHARED_COUNT, ("collector", "leader + collector"), id="one noise missing"),
        pytest.param(uncounted_feature, TWO_FEATURES, COALITIONS, id="a feature not counted", marks=pytest.mark.long),
    ],
)
def test_a_planted_line_is_found_in_a_day_and_in_seven(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, view: FeatureView, found_by: tuple[Coalition, ...], draws: int
) -> None:
    """Each of them makes the true ε larger than the claim by a factor of 1.4 or more.

    Without the noise of one aggregator, outsiders have the ε of the other one, which is claimed beside theirs.
    """
    plant(monkeypatch)
    made = audit(view, Chain(), draws)
    for days, margin in ((1, MARGIN), (7, WEEK_MARGIN)):
        for coalition in found_by:
            bounds = made.attack(coalition, days, confidence=0.99, audits=2 * len(found_by))
            claimed = made.claimed(coalition, days)
            _log.info("%s, %s, %d days: ε ≥ %.2f, claimed %.2f", plant.__name__, coalition, days, bounds.best, claimed)
            assert bounds.best > margin * claimed, (coalition, days)
        if plant is no_noise_of_the_helper:
            assert made.attack("collector", days, confidence=0.99).best <= made.claimed("leader + collector", days)
