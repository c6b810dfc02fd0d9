"""The feature services of a views file are checked before a run as they are registered after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.run_services import FileServices, RunServices
from featurestore.define.kinds import Count
from featurestore.define.on_demand import OnDemandView
from featurestore.define.services import FeatureService
from featurestore.errors import OnDemandInvalid, ServiceInvalid, ViewChanged
from featurestore.publish.publish import Publisher
from tests.featurestore.making import DAY, HOUR, a_release, a_view, fill

V1 = a_view()
V2 = a_view(features=[Count("flights"), Count("all_flights")])


def of(*refs: str, left_out: str = "", on_demand: tuple[OnDemandView, ...] = (), view: object = V1) -> FileServices:
    assert isinstance(view, type(V1))
    return FileServices((FeatureService("s", refs),), on_demand, (view,), frozenset({left_out} - {""}))


def a_transformation(name: str, *features: str) -> OnDemandView:
    return OnDemandView(name, ("out",), {f"x{i}": one for i, one in enumerate(features)}, {}, lambda **_: {})


def test_services_of_a_view_without_a_store_are_checked_and_no_store_is_made(tmp_path: Path) -> None:
    of("delays:late_3h", "delays@v1:late").require(tmp_path)
    with pytest.raises(ServiceInvalid, match="'delays' serves no feature 'lat'"):
        of("delays:lat").require(tmp_path)
    with pytest.raises(ServiceInvalid, match="delay"):
        of("delay:late").require(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_service_that_reads_a_view_that_is_left_out_is_not_checked_but_waits(tmp_path: Path) -> None:
    waiting = of("delays:late", "other:x", left_out="other")
    waiting.require(tmp_path)
    fill(tmp_path, V1, 1)
    waiting.require(tmp_path)
    assert waiting.register(tmp_path, lambda: 100 * DAY) == RunServices((), ("s",))


def test_outputs_of_on_demand_views_are_checked_with_the_features_that_they_read(tmp_path: Path) -> None:
    of("made:out", on_demand=(a_transformation("made", "delays:late"),)).require(tmp_path)
    with pytest.raises(ServiceInvalid, match="'made' has no output 'put'"):
        of("made:put", on_demand=(a_transformation("made", "delays:late"),)).require(tmp_path)
    with pytest.raises(ServiceInvalid, match="no feature 'lat'"):
        of("made:out", on_demand=(a_transformation("made", "delays:lat"),)).require(tmp_path)
    with pytest.raises(OnDemandInvalid):
        of("delays:late", on_demand=(a_transformation("delays", "delays:late"),)).require(tmp_path)


def test_a_view_that_another_file_has_collected_may_be_named(tmp_path: Path) -> None:
    fill(tmp_path, a_view("other"), 1)
    of("delays:late", "other:late").require(tmp_path)
    with pytest.raises(ServiceInvalid):
        of("delays:late", "other@v2:late").require(tmp_path)


def test_a_view_with_another_definition_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, V1, 1)
    with pytest.raises(ViewChanged):
        of("delays:all_flights", view=V2).require(tmp_path)


def test_the_features_are_those_of_the_version_that_the_name_serves_after_the_run(tmp_path: Path) -> None:
    """A new version is served from its first release on: a service may name what it has, and no more what it lacks."""
    with Publisher(tmp_path, lambda: 10 * DAY + HOUR) as publisher:
        publisher.register(V1)
        publisher.publish([a_release(V1, 9 * DAY + i * HOUR) for i in range(24)])
        publisher.apply([V2])
    new, old = of("delays:all_flights", view=V2), of("delays:late", view=V2)
    new.require(tmp_path)
    with pytest.raises(ServiceInvalid):
        old.require(tmp_path)
    of("delays@v1:late", view=V2).require(tmp_path)
    of("delays:late").require(tmp_path)  # late panes of the first version, which is served still
    with Publisher(tmp_path, lambda: 12 * DAY) as publisher:
        publisher.publish([a_release(V2, 11 * DAY, view_version=2)])
    assert new.register(tmp_path, lambda: 12 * DAY).registered == ("s",)
    with pytest.raises(ServiceInvalid):
        old.register(tmp_path, lambda: 12 * DAY)
    with pytest.raises(ServiceInvalid):  # more panes of the first version do not make the name serve it again
        of("delays:late").require(tmp_path)


def test_a_view_that_has_published_nothing_takes_its_new_features(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register(V1)
    of("delays:all_flights", view=V2).require(tmp_path)
    with pytest.raises(ServiceInvalid):
        of("delays:late", view=V2).require(tmp_path)
