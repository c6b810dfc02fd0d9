"""The attacker's bound stays below the claim, and comes near enough to it for the test to mean something.

pytest tests/audit --full --log-cli-level=INFO      by hand: minutes, with the figures
"""

from __future__ import annotations

import hashlib
import logging

import pytest

from crypto.noise import NoiseSource, SecretNoise
from featurestore.define.definitions import FeatureView

from .chain import Chain
from .coalitions import COALITIONS, audit
from .worlds import CLIENT_COUNT, COUNT, HISTOGRAM, LAPLACE_COUNT, MEAN, RATE, WHOLE_VIEW

FAST_VIEWS = (COUNT, MEAN, HISTOGRAM, WHOLE_VIEW)
FULL_VIEWS = (CLIENT_COUNT, RATE)
CONFIDENCE = 0.99
AUDITS = (len(FAST_VIEWS) + len(FULL_VIEWS) + 3) * len(COALITIONS)
"""All audits of this file hold at once with this confidence."""


_log = logging.getLogger(__name__)


class ReleaseNoise(Chain):
    """The noise source of releases, with a secret of its own for each draw."""

    def leader_noise(self, seed: int) -> NoiseSource:
        return SecretNoise(hashlib.sha256(b"leader %d" % seed).digest())

    def helper_noise(self, seed: int) -> NoiseSource:
        return SecretNoise(hashlib.sha256(b"helper %d" % seed).digest())


@pytest.fixture
def full(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--full"):
        pytest.skip("takes minutes: pytest --full")


def audit_gaussian(view: FeatureView, chain: Chain, draws: int, requests: int = 1) -> None:
    """The bound is below the claim for every coalition, and near it for coalitions that know one of the two noises."""
    made = audit(view, chain, draws, requests=requests)
    for coalition in COALITIONS:
        bounds = made.attack(coalition, confidence=CONFIDENCE, audits=AUDITS)
        assert bounds.by_mu is not None
        figures = bounds.at_threshold, bounds.by_mu, made.claimed
        _log.info("%s, %s: ε ≥ %.2f at the best threshold, ≥ %.2f by μ, claimed %.2f", view.name, coalition, *figures)
        assert bounds.best <= made.claimed, coalition
        if coalition != "collector":
            assert bounds.at_threshold >= 0.3 * made.claimed, coalition
            assert bounds.by_mu >= 0.75 * made.claimed, coalition


@pytest.mark.parametrize("view", FAST_VIEWS, ids=lambda view: view.name)
def test_no_coalition_shows_more_than_the_claim_and_one_aggregator_shows_most_of_it(
    view: FeatureView, draws: int
) -> None:
    audit_gaussian(view, Chain(), draws)


def test_asking_for_a_collection_again_shows_nothing_more(draws: int) -> None:
    audit_gaussian(COUNT, Chain(), draws, requests=4)


def test_of_pure_dp_no_coalition_shows_more_than_the_claim_without_any_delta(draws: int) -> None:
    made = audit(LAPLACE_COUNT, Chain(), draws)
    assert (made.claimed, made.delta) == (1.0, 0.0)
    for coalition in COALITIONS:
        bounds = made.attack(coalition, confidence=CONFIDENCE, audits=AUDITS)
        assert bounds.best <= made.claimed, coalition
        assert coalition == "collector" or bounds.best >= 0.9 * made.claimed


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("view", FULL_VIEWS, ids=lambda view: view.name)
def test_no_coalition_shows_more_than_the_claim_of_any_other_feature(view: FeatureView, draws: int) -> None:
    audit_gaussian(view, Chain(), draws)


@pytest.mark.usefixtures("full")
def test_no_coalition_shows_more_than_the_claim_with_the_noise_that_releases_have() -> None:
    audit_gaussian(COUNT, ReleaseNoise(), draws=100_000)
