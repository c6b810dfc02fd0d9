"""Views that an earlier version registered: their bytes stay what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featurestore.define import view_pb2 as pb
from featurestore.define.definitions import FeatureView
from featurestore.define.earlier import earlier_form
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.services import FeatureService
from featurestore.define.wire import definition_hash, view_from_bytes, view_to_bytes
from featurestore.errors import DefinitionError, ViewChanged
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, a_release

RHO_BY_ZCDP = 24_355
"""Micro-ρ whose ε by zCDP at δ = 10⁻⁶ is 1, as every earlier version found it."""


def daily(**given: Any) -> FeatureView:
    """One key and one pane a day, so that a client-day has one cell; its bounds allow three."""
    usual: dict[str, Any] = {
        "entity": Entity("shop", value="all"),
        "features": [Count("n"), Rate("r", where="x > 1")],
        "pane": "1d",
        "bounds": Bounds(3),
        "privacy": Privacy(epsilon=1.0, min_clients=2),
    }
    return FeatureView("daily", **(usual | given))


def as_registered(view: FeatureView, micro_rho: int = RHO_BY_ZCDP, max_cells: int = 3) -> FeatureView:
    """The view as an earlier version wrote it: in bytes."""
    message = pb.FeatureView.FromString(view_to_bytes(view))
    message.micro_rho, message.max_cells = micro_rho, max_cells
    data = message.SerializeToString(deterministic=True)
    found = view_from_bytes(data)
    assert view_to_bytes(found) == data
    return found


def test_a_day_with_fewer_cells_than_the_bounds_allow_costs_less_noise() -> None:
    view = daily(privacy=Privacy(rho=0.1))
    assert (view.bounds.max_cells, view.bounds.declared_cells) == (1, 3)
    assert {group.delta2_sq for group in layout_of(view).groups} == {1}
    hourly = daily(pane="1h", bounds=Bounds(30), privacy=Privacy(rho=0.1))
    assert hourly.bounds.max_cells == 24
    assert replace(view, pane="1h").bounds.max_cells == 3  # its days have 24 cells
    assert view == daily(privacy=Privacy(rho=0.1), bounds=Bounds(1))


def test_the_bytes_of_an_earlier_version_keep_their_sensitivity() -> None:
    old = as_registered(daily(privacy=Privacy(rho=0.1)), 100_000)
    assert {group.delta2_sq for group in layout_of(old).groups} == {3}
    assert old != daily(privacy=Privacy(rho=0.1))


@pytest.mark.parametrize(
    ("view", "price"),
    [
        (daily(), (RHO_BY_ZCDP, 3)),
        (daily(bounds=Bounds(1)), (RHO_BY_ZCDP, 1)),
        (daily(pane="1h", privacy=Privacy(epsilon=1.0, delta=1e-9, min_clients=2)), (14_972, 3)),
        (daily(privacy=Privacy(rho=0.1)), (100_000, 3)),
    ],
)
def test_the_earlier_form_is_what_earlier_versions_wrote(view: FeatureView, price: tuple[int, int]) -> None:
    assert earlier_form(view) == as_registered(view, *price)
    assert view.privacy.micro_rho == price[0] or view.privacy.micro_rho > 1.1 * price[0]


def test_a_laplace_view_has_an_earlier_form_if_its_days_have_fewer_cells() -> None:
    view = daily(privacy=Privacy(epsilon=1.0, mechanism="laplace", min_clients=2))
    assert earlier_form(view) == as_registered(view, 0)
    assert [group.delta1 for group in layout_of(view).groups] == [1, 1, 1]
    assert [group.delta1 for group in layout_of(earlier_form(view)).groups] == [3, 3, 3]


def test_a_definition_that_says_the_same_as_before_is_its_own_earlier_form() -> None:
    view = daily(bounds=Bounds(1), privacy=Privacy(rho=0.1))
    assert earlier_form(view) == view


class TestRegistered:
    def test_a_registered_view_keeps_its_form_with_and_without_panes(self, tmp_path: Path) -> None:
        old, new = as_registered(daily()), daily()
        with Publisher(tmp_path, lambda: 0) as publisher:
            assert publisher.in_force(new) == new
            publisher.register(old)
            for _ in range(2):
                assert publisher.in_force(new) == publisher.register(new).view == publisher.register(old).view == old
                publisher.publish([a_release(old, 0)])
        with Store.open(tmp_path) as store:
            assert [definition_hash(view) for view in store.views()] == [definition_hash(old)]
            assert store.history("daily")["n"].to_pylist() == [10]

    def test_another_epsilon_or_feature_is_another_definition(self, tmp_path: Path) -> None:
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(as_registered(daily()))
            publisher.publish([a_release(as_registered(daily()), 0)])
            for other in (daily(privacy=Privacy(epsilon=1.1, min_clients=2)), daily(features=[Count("n")])):
                with pytest.raises(ViewChanged):
                    publisher.register(other)

    def test_a_new_default_of_noisers_leaves_a_registered_view_as_it_is(self, tmp_path: Path) -> None:
        each = daily(privacy=Privacy(rho=0.05, min_clients=2), bounds=Bounds(1))
        shared = each.with_default_noisers("shared")
        assert layout_of(shared).micro_rho == 2 * layout_of(each).micro_rho
        with Publisher(tmp_path, lambda: 0) as publisher:
            assert (
                publisher.register(each).view == publisher.register(shared).view == publisher.in_force(shared) == each
            )
            publisher.publish([a_release(each, 0)])
            assert publisher.in_force(shared) == each
            (applied,) = publisher.apply([shared])
            assert applied.registered.version == 1
            with pytest.raises(ViewChanged):  # it names its noisers: another definition
                publisher.register(daily(privacy=Privacy(rho=0.05, min_clients=2, noisers="shared"), bounds=Bounds(1)))

    def test_a_registered_view_stays_usable_if_its_present_form_has_too_little_noise(self, tmp_path: Path) -> None:
        new = daily(bounds=Bounds(24), privacy=Privacy(rho=5.0, min_clients=2))
        old = new.as_declared()
        with pytest.raises(DefinitionError, match="too large"):
            layout_of(new)
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(old)
            assert publisher.register(new).view == old

    def test_an_owner_reprices_a_view_before_its_first_pane(self, tmp_path: Path) -> None:
        new, old = daily(), as_registered(daily())
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(old)
            publisher.register_services([FeatureService("shops", ["daily:n"])])
            for as_defined, in_force in ((False, old), (True, new), (True, new), (False, new)):
                (applied,) = publisher.apply([new], as_defined=as_defined)
                assert (applied.registered.view, applied.registered.version) == (in_force, 1)
            publisher.publish([a_release(new, 0)])
            assert publisher.register(new).view == publisher.apply([new])[0].registered.view == new
        with Store.open(tmp_path) as store:
            assert store.get(["daily:n"], {"shop": ["all"]})["n"].to_pylist() == [10]

    def test_a_view_with_panes_gets_its_present_price_as_the_next_version(self, tmp_path: Path) -> None:
        old = as_registered(daily())
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(old)
            publisher.publish([a_release(old, 0)])
            assert publisher.register(daily()).view == old
            (kept,), (applied,) = publisher.apply([daily()]), publisher.apply([daily()], as_defined=True)
            assert (kept.registered.version, kept.registered.view) == (1, old)
            assert (applied.registered.version, applied.registered.view, applied.from_us) == (2, daily(), DAY)
            assert publisher.register(daily()).view == daily()
