"""The audit finds each planted fault: the attacker's bound exceeds the claim by a wide margin."""

from __future__ import annotations

import logging

import pytest

from featurestore.define.definitions import FeatureView

from .chain import Chain
from .coalitions import COALITIONS, Coalition, audit
from .faults import CellsNotCarried, ClipOff, CopiedNoise, FreshNoiseOnRepeat, HalfSigma
from .worlds import COUNT, MEAN

MARGIN = 1.2
"""A fault counts as found from this factor on: chance alone never exceeds the claim by so much."""
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
        _log.info("%s, %s: ε ≥ %.2f, claimed %.2f", type(fault).__name__, coalition, bounds.best, made.claimed)
        assert bounds.best > MARGIN * made.claimed, coalition
