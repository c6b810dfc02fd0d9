from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import field as field64
from crypto.errors import FieldElementOutOfRange
from crypto.noise import SeededNoise
from crypto.sharing import LeaderShares, SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import Aggregation, open_shares
from federation.batch.reports import Reports
from federation.commitment import Outcome
from federation.errors import DuplicateReport, NoiseRefused, ReportRefused
from federation.largest_sum import require_range
from federation.plan import Plan, PlannedView
from federation.protocol import run_collections
from federation.sharding import shard
from tests.examples import examples
from tests.federation.words import plan_in_words

DAY = 86_400 * 10**6


LAPLACE = Privacy(epsilon=2.0, mechanism="laplace", min_clients=2)


def view(name: str = "v", keys: int = 3, privacy: Privacy | None = None) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=range(keys)),
        features=[Count("n"), ClientCount("c"), Mean("x", clip=(0, 11), resolution=1), Rate("r", where="x > 1")],
        pane="1d",
        bounds=Bounds(2, 1),
        privacy=privacy or Privacy(rho=0.5, min_clients=2),
    )


def plan(*views: FeatureView, panes: int = 3, noise: str = "none", k: int = 2) -> Plan:
    planned = tuple(PlannedView(v, np.arange(panes, dtype=np.int64) * DAY, k) for v in (views or (view(),)))
    return plan_in_words(bytes(16), planned, noise)  # type: ignore[arg-type]


def random_bytes(seed: int) -> Callable[[int], bytes]:
    return np.random.default_rng(seed).bytes


def reports(plan: Plan, index: int, rng: np.random.Generator, count: int) -> tuple[Reports, np.ndarray]:
    """Random reports of one view, and the plain sums of each of its collections."""
    planned = plan.views[index]
    length = planned.layout.length
    dense = rng.integers(0, 12, (count, length)) * (rng.random((count, length)) < 0.3)
    rows = np.sort(rng.integers(0, len(planned.pane_starts), count))
    sums = np.zeros((len(planned.pane_starts), length), dtype=np.int64)
    np.add.at(sums, rows, dense)
    indptr = np.concatenate(([0], np.cumsum((dense != 0).sum(axis=1)))).astype(np.int64)
    slots = SparseRows(indptr, np.nonzero(dense)[1].astype(np.int32), dense[dense != 0].astype(np.int64), length)
    collection = (rows + plan.offsets[index]).astype(np.uint32)
    counts = np.bincount(rows, minlength=len(sums))
    return Reports(index, collection, slots), np.where((counts >= planned.min_clients)[:, None], sums, -1)


def mapped(planned: PlannedView, sums: np.ndarray) -> np.ndarray:
    layout = planned.layout
    return sums.reshape(len(sums), layout.keys, layout.slots_per_key) @ layout.basis.T


@settings(deadline=None, max_examples=examples(48))
@given(seed=st.integers(0, 2**32), counts=st.lists(st.integers(0, 40), min_size=1, max_size=3))
def test_without_noise_what_is_opened_is_the_mapped_plain_sum(seed: int, counts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    the_plan = plan(*(view(f"v{i}", keys=i + 1) for i in range(len(counts))))
    made = [reports(the_plan, index, rng, count) for index, count in enumerate(counts)]
    batches = [batch for batch, _ in made if len(batch.collection)]
    opened = run_collections(the_plan, batches, rng.bytes, None, None)
    for (_, sums), result in zip(made, opened, strict=True):
        is_open = (sums >= 0).any(axis=1)
        assert (result.outcomes == np.where(is_open, Outcome.OPENED, Outcome.BATCH_TOO_SMALL)).all()
        assert (result.sums == mapped(result.planned, sums[is_open])).all()


def test_how_reports_are_batched_and_ordered_does_not_matter() -> None:
    the_plan = plan()
    batch, _ = reports(the_plan, 0, np.random.default_rng(1), 40)
    order = np.random.default_rng(2).permutation(40)
    shuffled = Reports(0, batch.collection[order], batch.slots.take(order))
    parts = [Reports(0, shuffled.collection[a : a + 7], shuffled.slots[a : a + 7]) for a in range(0, 40, 7)]
    (whole,) = run_collections(the_plan, [batch], random_bytes(3), None, None)
    (split,) = run_collections(the_plan, parts, random_bytes(4), None, None)
    assert (whole.sums == split.sums).all()


@pytest.mark.parametrize("privacy", [Privacy(rho=0.5, min_clients=2), LAPLACE], ids=lambda of: of.mechanism)
def test_noise_has_twice_the_variance_of_one_aggregator_in_every_group(privacy: Privacy) -> None:
    the_plan = plan(view(keys=400, privacy=privacy), panes=60, noise="full")
    rng = np.random.default_rng(5)
    batch, sums = reports(the_plan, 0, rng, 600)
    sources = SeededNoise(7, "leader"), SeededNoise(7, "helper")
    (result,) = run_collections(the_plan, [batch], rng.bytes, *sources)
    error = result.sums - mapped(result.planned, sums)[result.outcomes == Outcome.OPENED]
    for group in result.planned.layout.groups:
        of_group = error[:, :, list(group.slots)]
        assert of_group.var() == pytest.approx(group.opened_variance, rel=0.05)
        assert abs(of_group.mean()) < 5 * (group.opened_variance / of_group.size) ** 0.5
        # a sum of two normals has kurtosis 3, of two Laplacians 4.5
        kurtosis = ((of_group - of_group.mean()) ** 4).mean() / of_group.var() ** 2
        assert (kurtosis > 3.8) == (privacy.mechanism == "laplace")


def test_one_aggregators_share_alone_tells_nothing() -> None:
    the_plan = plan()
    layout = the_plan.views[0].layout
    empty = SparseRows(np.array([0, 0]), np.empty(0, np.int32), np.empty(0, np.int64), layout.length)
    full = SparseRows(
        np.array([0, layout.length]),
        np.arange(layout.length, dtype=np.int32),
        np.full(layout.length, 11),
        layout.length,
    )
    means = []
    for slots in (empty, full):
        halves = [shard(the_plan, Reports(0, np.zeros(1, np.uint32), slots), random_bytes(s))[0] for s in range(400)]
        words = np.concatenate([half.shares.elements for half in halves])
        bits = np.unpackbits(np.ascontiguousarray(words >> np.uint64(40)).view(np.uint8))
        means.append(bits.reshape(-1, 64).mean(axis=0)[:24])
    assert np.abs(np.array(means) - 0.5).max() < 0.05  # every bit is a fair coin, whatever the vector


def test_each_aggregator_counts_for_itself_and_a_difference_opens_nothing() -> None:
    the_plan = plan()
    batch, _ = reports(the_plan, 0, np.random.default_rng(1), 30)
    to_leader, to_helper = shard(the_plan, batch, random_bytes(1))
    leader = Aggregation.start("leader", the_plan).add(to_leader).close()
    fewer = dataclasses.replace(
        to_helper,
        collection=to_helper.collection[1:],
        report_ids=to_helper.report_ids[1:],
        seeds=type(to_helper.seeds)(to_helper.seeds.seeds[1:]),
    )
    helper = Aggregation.start("helper", the_plan).add(fewer).close()
    shares = leader.noise(helper.commitment, None)
    first = batch.collection[0]
    assert shares.outcomes[0][first] == Outcome.BATCH_MISMATCH
    assert (np.delete(shares.outcomes[0], first) == Outcome.OPENED).all()


def test_a_pane_below_k_is_not_opened_and_the_others_go_on() -> None:
    the_plan = plan(k=15)
    counts = np.array([20, 3, 15])
    collection = np.repeat(np.arange(3, dtype=np.uint32), counts)
    length = the_plan.views[0].layout.length
    ones = SparseRows(np.arange(39), np.zeros(38, np.int32), np.ones(38, np.int64), length)
    (result,) = run_collections(the_plan, [Reports(0, collection, ones)], random_bytes(0), None, None)
    assert result.outcomes.tolist() == [Outcome.OPENED, Outcome.BATCH_TOO_SMALL, Outcome.OPENED]
    assert result.sums[:, 0, 0].tolist() == [20, 15]


def test_a_report_id_that_is_received_twice_opens_nothing() -> None:
    the_plan = plan()
    batch, _ = reports(the_plan, 0, np.random.default_rng(1), 10)
    half, _ = shard(the_plan, batch, random_bytes(1))
    with pytest.raises(DuplicateReport, match="10 report id"):
        Aggregation.start("leader", the_plan).add(half).add(half).close()


def test_a_report_of_another_plan_or_view_is_refused_by_name() -> None:
    the_plan = plan()
    batch, _ = reports(the_plan, 0, np.random.default_rng(1), 10)
    half, _ = shard(the_plan, batch, random_bytes(1))
    leader = Aggregation.start("leader", the_plan)
    for wrong in (
        dataclasses.replace(half, view=1),
        dataclasses.replace(half, collection=half.collection + np.uint32(9)),
        dataclasses.replace(half, report_ids=half.report_ids[1:]),
    ):
        with pytest.raises(ReportRefused):
            leader.add(wrong)
    short = SparseRows(np.zeros(11, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), 5)
    with pytest.raises(ReportRefused):
        shard(the_plan, Reports(0, batch.collection, short), random_bytes(1))


def test_an_element_outside_the_field_is_refused_and_nothing_of_its_batch_is_added() -> None:
    the_plan = plan()
    batch, _ = reports(the_plan, 0, np.random.default_rng(1), 10)
    half, _ = shard(the_plan, batch, random_bytes(1))
    bad = half.shares.elements.copy()
    bad[7, 3] = 2**64 - 1
    leader = Aggregation.start("leader", the_plan)
    with pytest.raises(FieldElementOutOfRange):
        leader.add(dataclasses.replace(half, shares=LeaderShares(bad)))
    assert not leader.sums[0].values.any()


def test_noise_and_plan_must_agree() -> None:
    closed = Aggregation.start("leader", plan()).close()
    with pytest.raises(NoiseRefused):
        closed.noise(closed.commitment, SeededNoise(1, "x"))
    noisy = Aggregation.start("leader", plan(noise="full")).close()
    with pytest.raises(NoiseRefused):
        noisy.noise(noisy.commitment, None)


def test_the_collector_refuses_aggregators_that_opened_different_panes() -> None:
    the_plan = plan()
    batch, _ = reports(the_plan, 0, np.random.default_rng(1), 30)
    to_leader, to_helper = shard(the_plan, batch, random_bytes(1))
    leader = Aggregation.start("leader", the_plan).add(to_leader).close()
    helper = Aggregation.start("helper", the_plan).add(to_helper).close()
    mine = leader.noise(helper.commitment, None)
    other = helper.noise(leader.commitment, None)
    with pytest.raises(ReportRefused):
        open_shares(the_plan, mine, dataclasses.replace(other, outcomes=(np.ones(3, np.uint8),)))


def test_each_noise_group_is_drawn_at_its_own_scale_by_its_mechanism_by_each_aggregator() -> None:
    asked: dict[str, list[tuple[str, Fraction]]] = {"leader": [], "helper": []}

    class Recording(SeededNoise):
        def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> np.ndarray:
            asked[self.role].append(("gaussian", sigma_sq))
            return super().discrete_gaussian(sigma_sq, size)

        def discrete_laplace(self, scale: Fraction, size: int) -> np.ndarray:
            asked[self.role].append(("laplace", scale))
            return super().discrete_laplace(scale, size)

        def __init__(self, role: str) -> None:
            super().__init__(1, role)
            self.role = role

    the_plan = plan(view("v"), view("pure", privacy=LAPLACE), noise="full")
    batches = [reports(the_plan, index, np.random.default_rng(1), 30)[0] for index in range(2)]
    run_collections(the_plan, batches, random_bytes(1), Recording("leader"), Recording("helper"))
    gauss, pure = (planned.layout.groups for planned in the_plan.views)
    scales = [("gaussian", group.mechanism.sigma_sq) for group in gauss] + [
        ("laplace", group.mechanism.b) for group in pure
    ]
    assert asked == {"leader": scales, "helper": scales}


@pytest.mark.parametrize(
    ("privacy", "reach"),
    [
        # Δ₂² = 1 and µρ = 1: σ² = 500,000, opened 10⁶: 16·(1,000 + 1). Δ₁ = 1 and µε = 1: b = 10⁶: 2·128·10⁶.
        (Privacy(rho=Fraction(1, 10**6), min_clients=2), 16_016),
        (Privacy(epsilon=Fraction(1, 10**6), mechanism="laplace", min_clients=2), 256_000_000),
    ],
    ids=["gaussian", "laplace"],
)
def test_sums_and_noise_together_stay_below_half_the_field(privacy: Privacy, reach: int) -> None:
    one = FeatureView(
        "v", entity=Entity("k", domain=[0]), features=[Count("n")], pane="1d", bounds=Bounds(1), privacy=privacy
    )
    layout = PlannedView(one, np.zeros(1, np.int64), 2).layout
    most = field64.HALF - reach - 1  # clients with one event each: their sum and the noise just fit
    require_range(layout, most)
    with pytest.raises(ReportRefused, match="half the field"):
        require_range(layout, most + 1)


def test_secrets_are_redacted_in_repr() -> None:
    the_plan = plan()
    batch, _ = reports(the_plan, 0, np.random.default_rng(1), 3)
    to_leader, to_helper = shard(the_plan, batch, random_bytes(1))
    for secret in (batch, batch.slots, to_leader.shares, to_helper.seeds, Aggregation.start("leader", the_plan)):
        assert "array" not in repr(secret)
