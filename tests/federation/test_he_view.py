"""A view under homomorphic encryption: bounds, parameters, leak, and a report in the noise basis."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import field as field64
from crypto.bfv_parameters import MOST_CLIENTS, gaussian_bound, leak_rho
from crypto.errors import ValueOutOfRange
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.accountant import charge_of
from federation.basis import to_noise_basis
from federation.errors import HeImpossible, PlanInvalid, TermsImpossible
from federation.he.view import encode_report, he_parameters, leak_micro_rho, slot_bounds
from federation.ledger.state import Budget, LedgerState
from federation.manifest import manifest_of
from federation.plan import Plan, plan_from_bytes, plan_to_bytes
from federation.terms import Shares
from federation.wire_terms import WireTerms
from tests.examples import examples
from tests.federation.he_cases import EVENTS, Q_MAX, plan, reports_of, vectors, view, with_shares
from tests.federation.wire import COLLECTOR, HELPER, LEADER
from tests.federation.words import with_words


@settings(deadline=None, max_examples=examples(60))
@given(seed=st.integers(0, 2**32), keys=st.integers(2, 4), count=st.integers(0, 6))
def test_a_client_applies_the_map_that_aggregators_apply_to_shares(seed: int, keys: int, count: int) -> None:
    the_plan = plan(view(keys=keys))
    layout = the_plan.views[0].layout
    dense = vectors(keys, count, np.random.default_rng(seed))
    mine = encode_report(layout, reports_of(the_plan, 0, np.zeros(count, np.int64), dense).slots)
    assert np.array_equal(mine, field64.decode_centred(to_noise_basis(layout, field64.encode(dense))))


def test_bounds_are_what_one_client_can_add_to_a_slot() -> None:
    bounds = slot_bounds(layout_of(view(keys=2)), noisy=False)
    centred = EVENTS * math.ceil(Q_MAX / 2)
    assert bounds.low.tolist() == [0, 0, -centred, 0, -EVENTS, 0, 0, 0, 0] * 2
    assert bounds.high.tolist() == [EVENTS, 1, centred, EVENTS, EVENTS, EVENTS, EVENTS, EVENTS, EVENTS] * 2
    assert not bounds.noise.any()


def test_each_slot_has_the_noise_bound_of_its_own_group() -> None:
    layout = layout_of(view(keys=2))
    noise = slot_bounds(layout, noisy=True).noise.reshape(2, -1)
    for group in layout.groups:
        assert set(noise[:, list(group.slots)].reshape(-1).tolist()) == {gaussian_bound(group.mechanism.sigma_sq)}
    assert len(set(noise[0].tolist())) > 3


@pytest.mark.parametrize(("slot", "value"), [(0, EVENTS + 1), (1, 2), (2, EVENTS * Q_MAX + 1), (5, EVENTS + 1)])
def test_a_vector_that_no_client_can_have_is_not_encoded(slot: int, value: int) -> None:
    the_plan = plan()
    dense = np.zeros((2, 27), np.int64)
    dense[1, 9 + slot] = value
    with pytest.raises(ValueOutOfRange, match=r"^slot at index"):
        encode_report(the_plan.views[0].layout, reports_of(the_plan, 0, np.zeros(2, np.int64), dense).slots)


def test_the_leak_counts_the_panes_that_a_client_day_can_be_in() -> None:
    def at(pane: str, cells: int) -> FeatureView:
        return FeatureView(
            "v",
            entity=Entity("k", domain=range(9_000)),
            features=[Count("n")],
            pane=pane,
            bounds=Bounds(cells),
            privacy=Privacy(rho=0.5, min_clients=2),
        )

    one = leak_rho(he_parameters(at("1h", 1), 100, True)) * 10**6
    assert 0.9 < one <= 1
    assert [leak_micro_rho(at("1h", cells), 100, True) for cells in (1, 3, 24, 30)] == [
        math.ceil(cells * one) for cells in (1, 3, 24, 24)
    ]
    assert leak_micro_rho(at("1d", 30), 100, True) == 1


def test_a_price_in_pure_epsilon_and_more_clients_than_there_is_room_for_are_refused_by_the_plan() -> None:
    laplace = replace_privacy(Privacy(epsilon=1.0, mechanism="laplace", min_clients=2))
    with pytest.raises(HeImpossible, match="view 'v' cannot be encrypted: its price is in pure"):
        plan(laplace)
    plan(max_clients=MOST_CLIENTS)
    with pytest.raises(HeImpossible, match="max_clients = 1000001"):
        plan(max_clients=MOST_CLIENTS + 1)


def replace_privacy(privacy: Privacy) -> FeatureView:
    return FeatureView(
        "v", entity=Entity("k", value=1), features=[Count("n")], pane="1d", bounds=Bounds(1), privacy=privacy
    )


KEYED = WireTerms(LEADER.sign.public, HELPER.sign.public, COLLECTOR.public.collector, 0, encryption_keys_hash=bytes(32))


def test_a_plan_says_its_protection_and_for_how_many_clients() -> None:
    the_plan = plan()
    again = plan_from_bytes(plan_to_bytes(the_plan))
    assert (again.terms.protection, again.max_clients, again.hash) == ("he", 60, the_plan.hash)
    assert len({the_plan.hash, plan(max_clients=61).hash, with_shares(the_plan).hash}) == 3
    for changes, why in (
        ({"max_clients": 0}, "max_clients"),
        ({"terms": Shares()}, "max_clients"),
        ({"terms": Shares(), "max_clients": 0, "wire": KEYED}, "encryption keys"),
    ):
        with pytest.raises(PlanInvalid, match=why):
            replace(the_plan, **changes)  # type: ignore[arg-type]
    with pytest.raises(TermsImpossible, match="validity 'prio3' requires protection 'shares'"):
        with_words(the_plan, validity="prio3")


def test_the_leak_is_charged_and_stands_in_the_manifest() -> None:
    the_plan = plan(noise="full")
    (planned,) = the_plan.views
    price = planned.layout.micro_rho
    assert charge_of(the_plan, planned).aggregator.micro_rho == price + 1
    assert charge_of(with_shares(the_plan), planned).aggregator.micro_rho == price

    def intent(of: Plan, budget: int) -> tuple[int, str]:
        entry = LedgerState().intent(of, Budget(budget), 0)
        assert entry is not None
        return entry.views[0].price.aggregator.micro_rho, entry.views[0].scales

    cost, scales = intent(the_plan, price + 1)
    assert (cost, scales.split(";")[-1]) == (price + 1, "leak 1")
    assert intent(with_shares(the_plan), price) == (price, scales.removesuffix(";leak 1"))
    with pytest.raises(Exception, match="costs rho"):
        intent(the_plan, price)
    mine, theirs = (
        manifest_of(of, planned, noise_source="s, s", trust="t", commitments=("", ""))
        for of in (the_plan, with_shares(the_plan))
    )
    assert (mine.protection, mine.k_checked_by, mine.leak_micro_rho, mine.micro_rho) == ("he", "leader", 1, price + 1)
    assert mine.from_json(mine.to_json()) == mine
    assert "leak_micro_rho" not in theirs.to_dict()
    assert "k_checked_by" not in theirs.to_json()
    assert theirs.from_json(theirs.to_json()) == theirs


def test_under_shared_noise_the_key_holder_sees_half_of_the_variance_at_twice_the_price_and_the_leak() -> None:
    each = view(rho=0.05)
    shared = replace(each, privacy=replace(each.privacy, noisers="shared"))
    plans = [plan(one, noise="full") for one in (each, shared)]
    each_costs, shared_costs = (charge_of(one, one.views[0]) for one in plans)
    assert shared_costs.leak == plans[1].leak_micro_rho(plans[1].views[0]) > 0
    assert shared_costs.aggregator.micro_rho - shared_costs.leak == 2 * (
        each_costs.aggregator.micro_rho - each_costs.leak
    )
    assert shared_costs.outsiders.micro_rho == each_costs.aggregator.micro_rho - each_costs.leak
    for whole, half in zip(plans[0].views[0].layout.groups, plans[1].views[0].layout.groups, strict=True):
        assert half.variance == whole.variance / 2
    noise = [slot_bounds(one.views[0].layout, noisy=True).noise for one in plans]
    assert (noise[1] < noise[0]).all()
