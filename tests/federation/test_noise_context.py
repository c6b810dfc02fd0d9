"""Noise from a secret: equal sums get equal noise, and all other sums get independent noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crypto import field as field64
from crypto.noise import SecretNoise
from crypto.sharing import Accumulator
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Rate
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import ClosedAggregation
from federation.commitment import Commitment
from federation.noise_context import NoiseContext
from federation.plan import Plan, PlannedView
from tests.federation.wire import DAY
from tests.federation.words import plan_in_words, with_words

SECRET = SecretNoise(bytes(range(32)))


def noise_of(
    closed: ClosedAggregation, other: Commitment | None = None, source: SecretNoise = SECRET
) -> list[np.ndarray]:
    """The noise in each view's shares, int64[opened, K·S]."""
    other = other or closed.commitment
    noised = closed.noise(other, source).shares
    exact = replace(closed, plan=with_words(closed.plan, noise="none")).noise(other, None).shares
    return [field64.decode_centred(field64.subtract(one, plain)) for one, plain in zip(noised, exact, strict=True)]


def independent(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """No group of the two is equal. By chance, 24 equal samples of σ ≥ 1 are rarer than 2^-24."""
    return all((a != b).any() for a, b in zip(one, other, strict=True))


def closed_aggregator() -> ClosedAggregation:
    rng = np.random.default_rng(3)
    plan = plan_of(many_keys())
    sums = tuple(
        Accumulator.from_values(rng.integers(0, 9, (3, one.layout.length), dtype=np.uint64)) for one in plan.views
    )
    collections = plan.offsets[-1]
    return ClosedAggregation(
        "leader", plan, sums, Commitment((9,) * collections, tuple(rng.bytes(32) for _ in range(collections))), 9
    )


def many_keys() -> FeatureView:
    return FeatureView(
        "w",
        entity=Entity("k", domain=range(8)),
        features=[Count("n"), Rate("r", where="x > 1")],
        pane="1d",
        bounds=Bounds(2, 3),
        privacy=Privacy(rho=0.01, min_clients=2),
    )


def plan_of(view: FeatureView) -> Plan:
    return plan_in_words(bytes(16), (PlannedView(view, np.arange(3, dtype=np.int64) * DAY, 2),), "full")


def test_the_same_sums_of_the_same_plan_are_noised_alike() -> None:
    closed = closed_aggregator()
    again = replace(closed, sums=tuple(Accumulator.from_values(one.values.copy()) for one in closed.sums))
    for one, other in zip(noise_of(closed), noise_of(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.std(noise_of(closed)[0]) > 3


def test_any_other_sum_role_plan_commitment_or_secret_draws_independent_noise() -> None:
    closed = closed_aggregator()
    noise = noise_of(closed)
    for slot in range(0, closed.sums[0].values.size, 5):
        values = closed.sums[0].values.copy()
        values.reshape(-1)[slot] += np.uint64(1)
        assert independent(noise, noise_of(replace(closed, sums=(Accumulator.from_values(values),))))
    mine = closed.commitment
    ids = replace(mine, digests=(bytes(32), *mine.digests[1:]))
    more = replace(mine, counts=(10, *mine.counts[1:]))
    for changed in (
        noise_of(replace(closed, role="helper")),
        noise_of(replace(closed, plan=replace(closed.plan, plan_id=b"x" * 16))),
        noise_of(replace(closed, commitment=ids)),
        noise_of(replace(closed, commitment=more), more),
        noise_of(closed, source=SecretNoise(bytes(32))),
    ):
        assert independent(noise, changed)


def test_the_other_aggregators_commitment_is_in_the_noise_too() -> None:
    closed = closed_aggregator()
    other = replace(closed.commitment, digests=(*closed.commitment.digests[:-1], bytes(32)))
    first, second = noise_of(closed)[0], noise_of(closed, other)[0]
    assert (first[: len(second)] != second).any()


def test_groups_and_views_have_streams_of_their_own() -> None:
    closed = closed_aggregator()
    (noise,) = noise_of(closed)
    count, centred, non_null = noise.reshape(-1, 3).T
    assert not (count == centred).all()
    assert not (centred == non_null).all()
    contexts = {
        NoiseContext.of_shares(closed.plan, "leader", view, (b"", b""), b"", closed.sums[0].values).of_group(
            number, group
        )
        for view in range(3)
        for number, group in enumerate(closed.plan.views[0].layout.groups)
    }
    assert len(contexts) == 9
