"""The attacker's bound stays below the claim, and comes near enough to it for the test to mean something.

pytest tests/audit --full --log-cli-level=INFO      by hand: minutes, with the figures
"""

from __future__ import annotations

import hashlib
import logging

import pytest

from crypto.noise import NoiseSource, NoiseStream, SecretNoise
from featurestore.define.definitions import FeatureView

from .chain import Chain
from .coalitions import COALITIONS, audit
from .worlds import (
    CLIENT_COUNT,
    COUNT,
    HISTOGRAM,
    LAPLACE_COUNT,
    MEAN,
    RATE,
    SHARED_COUNT,
    SHARED_WHOLE_VIEW,
    WHOLE_VIEW,
)

FAST_VIEWS = (COUNT, SHARED_COUNT, MEAN, HISTOGRAM, WHOLE_VIEW)
FULL_VIEWS = (CLIENT_COUNT, RATE, SHARED_WHOLE_VIEW)
SPANS = (1, 7)
"""Days of a claim: a client-day, and any seven."""
CONFIDENCE = 0.99
AUDITS = (len(FAST_VIEWS) + len(FULL_VIEWS) + 4) * len(COALITIONS) * len(SPANS)
"""All audits of this file hold at once with this confidence."""
LEAST_SHOWN = {1: 0.75, 7: 0.65}
"""The part of a claim that every coalition shows by μ. A seventh of the draws is left for seven days, so the limits are wider."""


_log = logging.getLogger(__name__)


class FreshSecrets:
    """The noise source of releases, with a new secret for each request: one secret gives equal sums equal noise."""

    name, seeded = SecretNoise.name, SecretNoise.seeded

    def __init__(self, label: str) -> None:
        self.label, self.requests = label, 0

    def stream(self, context: bytes) -> NoiseStream:
        self.requests += 1
        return SecretNoise(hashlib.sha256(f"{self.label} {self.requests}".encode()).digest()).stream(context)


class ReleaseNoise(Chain):
    """The noise source of releases."""

    def leader_noise(self, seed: int) -> NoiseSource:
        return FreshSecrets(f"leader {seed}")

    def helper_noise(self, seed: int) -> NoiseSource:
        return FreshSecrets(f"helper {seed}")


@pytest.fixture
def full(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--full"):
        pytest.skip("takes minutes: pytest --full")


def audit_gaussian(view: FeatureView, chain: Chain, draws: int, requests: int = 1) -> None:
    """Of a day and of seven, the bound of every coalition is below the claim against it, and near it."""
    made = audit(view, chain, draws, requests=requests)
    for days in SPANS:
        for coalition in COALITIONS:
            bounds = made.attack(coalition, days, confidence=CONFIDENCE, audits=AUDITS)
            claimed = made.claimed(coalition, days)
            assert bounds.by_mu is not None
            figures = bounds.at_threshold, bounds.by_mu, claimed
            _log.info(
                "%s, %s, %d days: ε ≥ %.2f at a threshold, ≥ %.2f by μ, claimed %.2f",
                view.name,
                coalition,
                days,
                *figures,
            )
            assert bounds.best <= claimed, (coalition, days)
            assert bounds.by_mu >= LEAST_SHOWN[days] * claimed, (coalition, days)
            if coalition != "collector":
                assert bounds.at_threshold >= 0.2 * claimed, (coalition, days)


@pytest.mark.parametrize("view", FAST_VIEWS, ids=lambda view: view.name)
def test_no_coalition_shows_more_than_the_claim_and_one_aggregator_shows_most_of_it(
    view: FeatureView, draws: int
) -> None:
    audit_gaussian(view, Chain(), draws)


def test_asking_for_a_collection_again_shows_nothing_more(draws: int) -> None:
    audit_gaussian(COUNT, Chain(), draws, requests=4)


def test_of_pure_dp_no_coalition_shows_more_than_the_claim_without_any_delta(draws: int) -> None:
    made = audit(LAPLACE_COUNT, Chain(), draws)
    assert ([made.claimed(one) for one in COALITIONS], made.delta) == ([1.0] * 3, 0.0)
    for days in SPANS:
        for coalition in COALITIONS:
            bounds = made.attack(coalition, days, confidence=CONFIDENCE, audits=AUDITS)
            assert bounds.best <= made.claimed(coalition, days), (coalition, days)
            assert coalition == "collector" or days > 1 or bounds.best >= 0.9 * made.claimed(coalition)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("view", FULL_VIEWS, ids=lambda view: view.name)
def test_no_coalition_shows_more_than_the_claim_of_any_other_feature(view: FeatureView, draws: int) -> None:
    audit_gaussian(view, Chain(), draws)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("view", [COUNT, SHARED_COUNT], ids=lambda view: view.name)
def test_no_coalition_shows_more_than_the_claim_with_the_noise_that_releases_have(view: FeatureView) -> None:
    audit_gaussian(view, ReleaseNoise(), draws=100_000)
