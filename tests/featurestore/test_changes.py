"""What a change of a definition means. The sums of the naive side come from the layout and the parts of the view."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define import view_pb2 as pb
from featurestore.define.changes import (
    BOUNDS_FIELDS,
    ENTITY_FIELDS,
    PRIVACY_FIELDS,
    VIEW_FIELDS,
    Annotated,
    Effect,
    NewCollection,
    Recomputed,
    Unchanged,
    compare,
)
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import KINDS, ViewFeature
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.wire import definition_hash, view_from_bytes, view_to_bytes

FEATURES: tuple[ViewFeature, ...] = (
    ClientCount("planes"),
    Mean("arr_delay", clip=(-60, 180)),
    Histogram("dep_delay", edges=[0, 15]),
    Rate("late", where="arr_delay >= 15"),
    Rate("slow", where="dep_delay >= 15", derive=True),
    Filtered("late", "4h", sd=0.1),
)


def a_view(*features: ViewFeature, **changes: Any) -> FeatureView:
    usual: dict[str, Any] = {
        "entity": Entity("dest", domain=["ATL", "LAX"]),
        "pane": "1h",
        "windows": ["3h"],
        "bounds": Bounds(max_cells=3),
        "privacy": Privacy(rho=0.1, min_clients=5),
        "tags": {"team": "ops"},
    }
    return FeatureView("delays", features=features or FEATURES, **usual | changes)


def swapped(name: str, feature: ViewFeature) -> tuple[ViewFeature, ...]:
    """The features with another one in the place of this one."""
    return tuple(feature if one.name == name else one for one in FEATURES)


ANNOTATED = (
    (a_view(description="Delays"), ["description: '' → 'Delays'"]),
    (a_view(owner="ops", ttl="2d"), ["ttl: None → '2d'", "owner: '' → 'ops'"]),
    (a_view(tags={"tier": "1"}), ["tags.team: removed 'ops'", "tags.tier: added '1'"]),
    (a_view(release_delay="10m", grace="1m"), ["release_delay: '5m' → '10m'", "grace: '0s' → '1m'"]),
    (
        a_view(*swapped("planes", ClientCount("planes", description="all"))),
        ["features.planes.description: '' → 'all'"],
    ),
)
RECOMPUTED = (
    (a_view(windows=["3h", "24h"]), ["windows: ['3h'] → ['3h', '24h']"]),
    (a_view(min_coverage=0.5, min_site_coverage=0.5), ["min_coverage: 0.8 → 0.5", "min_site_coverage: 0.0 → 0.5"]),
    (
        a_view(*FEATURES[:-1], privacy=Privacy(rho=0.1, min_clients=5, suppress_below=9)),
        ["features.late(Filtered): removed Filtered", "privacy.suppress_below: None → 9"],
    ),
    (
        a_view(*FEATURES[:-1], Filtered("late", "6h", sd=0.1)),
        ["features.late(Filtered).half_life: '4h' → '6h'"],
    ),
    (a_view(*FEATURES[:-1]), ["features.late(Filtered): removed Filtered"]),
    (
        a_view(*FEATURES, Rate("early", where="dep_delay < 0", derive=True)),
        ["features.early: added Rate"],
    ),
    (a_view(*swapped("planes", ClientCount("flyers"))), ["features.planes.name: 'planes' → 'flyers'"]),
    (
        a_view(FEATURES[1], FEATURES[0], *FEATURES[2:]),
        ["features: in the order planes arr_delay_mean dep_delay_hist late slow late → "],
    ),
    (
        a_view(*swapped("slow", Rate("slow", where="dep_delay < 15", derive=True))),
        ["features.slow.where: 'dep_delay >= 15' → 'dep_delay < 15'"],
    ),
)
COLLECTED = (
    (
        a_view(entity=Entity("dest", domain=["ABQ", "ATL"])),
        ["entity.domain: 2 → 2 keys, added 'ABQ', removed 'LAX'"],
    ),
    (
        a_view(entity=Entity("dest", domain=["ATL", "LAX", *(f"A{i}" for i in range(9))])),
        ["entity.domain: 2 → 11 keys, added 'A0' 'A1' 'A2' and 6 more"],
    ),
    (
        a_view(entity=Entity("dest", domain=["ATL", "LAX"], column="to")),
        ["entity.columns: ['dest'] → ['to']"],
    ),
    (a_view(pane="15m"), ["pane: '1h' → '15m'"]),
    (a_view(time="landed"), ["time: None → 'landed'"]),
    (a_view(bounds=Bounds(3, 2)), ["bounds.max_events_per_cell: 1 → 2"]),
    (a_view(privacy=Privacy(rho=0.25, min_clients=5)), ["privacy.rho: 0.1 → 0.25"]),
    (a_view(privacy=Privacy(rho=0.1, min_clients=5, noisers="shared")), ["privacy.noisers: 'each' → 'shared'"]),
    (
        a_view(*swapped("arr_delay_mean", Mean("arr_delay", clip=(-60, 240)))),
        [
            "features.arr_delay_mean.clip: (-60.0, 180.0) → (-60.0, 240.0)",
            "features.arr_delay_mean.resolution: 0.125 → 0.25",
        ],
    ),
    (a_view(*FEATURES, Count("flights")), ["features.flights: added Count"]),
    (
        a_view(*swapped("slow", Rate("slow", where="dep_delay >= 15"))),
        ["features.slow.derive: True → False"],
    ),
    (a_view(*swapped("planes", ClientCount("planes", weight=2))), ["features.planes.weight: 1 → 2"]),
    (a_view(*swapped("planes", Count("planes"))), ["features.planes: ClientCount → Count"]),
)


@pytest.mark.parametrize(
    ("effect", "cases"), [(Annotated, ANNOTATED), (Recomputed, RECOMPUTED), (NewCollection, COLLECTED)]
)
def test_a_change_names_each_field_as_the_file_spells_it(effect: type, cases: Any) -> None:
    for changed, lines in cases:
        found = compare(a_view(), changed)
        assert type(found) is effect, found
        for line in lines:
            assert any(str(one).startswith(line) for one in found.changes), (line, list(map(str, found.changes)))


def test_the_largest_effect_of_a_field_decides() -> None:
    found = compare(a_view(), a_view(pane="15m", windows=["1h"], owner="ops"))
    assert isinstance(found, NewCollection)
    assert {one.field: one.effect for one in found.changes} == {
        "pane": Effect.COLLECTED,
        "windows": Effect.RECOMPUTED,
        "owner": Effect.ANNOTATED,
    }


def test_a_definition_that_was_read_from_bytes_is_unchanged() -> None:
    """Resolutions, columns and prices have other spellings in the bytes of a view."""
    for made in (a_view(), a_view(privacy=Privacy(epsilon=1.0, min_clients=5))):
        assert compare(view_from_bytes(view_to_bytes(made)), made) == compare(made, made) == Unchanged()


def test_weights_in_the_same_proportions_give_the_same_sums() -> None:
    plain, doubled = ((Count("n", weight=w), ClientCount("c", weight=3 * w)) for w in (1, 2))
    assert isinstance(compare(a_view(*plain), a_view(*doubled)), Recomputed)


def test_only_two_definitions_of_one_view_are_compared() -> None:
    other = FeatureView(
        "other", entity=a_view().entity, features=[Count("n")], pane="1h", bounds=Bounds(1), privacy=Privacy(0.1)
    )
    with pytest.raises(ValueError, match="'delays' and 'other' are two views"):
        compare(a_view(), other)


# every field is classified

ELSEWHERE = {"name", "entity", "features", "bounds", "privacy", "tags"}
"""Fields of a view that are compared part by part; its name cannot change."""
GIVEN = {"rho", "epsilon", "noisers", "unpriced", "_"}
"""What a price and its noisers were written as; `micro_rho`, `micro_epsilon` and `chosen_noisers` hold what they mean."""


def names(of: Any) -> set[str]:
    return {one.name for one in fields(of)}


def test_every_field_of_a_view_and_of_its_parts_has_an_effect() -> None:
    assert names(FeatureView) == ELSEWHERE | VIEW_FIELDS.keys()
    assert names(Entity) == {"domain"} | ENTITY_FIELDS.keys()
    assert names(Bounds) == {"declared_cells"} | BOUNDS_FIELDS.keys()
    assert names(Privacy) - GIVEN == PRIVACY_FIELDS.keys()


def test_every_setting_of_every_kind_is_compared() -> None:
    of_kind = {type(one): one for one in (*FEATURES, Count("n"))}
    assert of_kind.keys() == {kind for kind in KINDS.values() if kind.__module__.startswith("featurestore.")}
    for kind, one in of_kind.items():
        assert names(kind) - {"name", "weight", "description"} == one.spelled_settings().keys(), kind


def test_every_field_of_the_canonical_bytes_is_one_that_is_compared() -> None:
    """A field that only the bytes have would change the hash of a definition without a change that is named."""
    spelled = {"keys", "columns", "domain"}
    assert {one.name for one in pb.Entity.DESCRIPTOR.fields} == spelled
    known = ELSEWHERE - {"bounds", "privacy"} | VIEW_FIELDS.keys() | BOUNDS_FIELDS.keys() | PRIVACY_FIELDS.keys()
    assert {one.name for one in pb.FeatureView.DESCRIPTOR.fields} == known - {"chosen_noisers"} | {"noisers"}


# against the sums themselves

ALTERNATIVES: dict[str, list[Any]] = {
    "entity": [Entity("dest", domain=["ATL", "LAX"]), Entity("dest", domain=["ATL", "LAX"], column="to")],
    "windows": [["3h"], ["1d"]],
    "bounds": [Bounds(3), Bounds(3, 2)],
    "privacy": [Privacy(rho=0.1, min_clients=5, suppress_below=below) for below in (None, 7)],
    "owner": ["", "ops"],
    "min_coverage": [0.8, 0.5],
}
OPTIONAL: list[ViewFeature] = [
    Count("flights"),
    Count("flights", weight=2),
    Count("departures"),
    Mean("arr_delay", clip=(0, 60)),
    Histogram("dep_delay", edges=[0, 15], name="bars"),
    Rate("late", where="arr_delay >= 15"),
]
DEFINITIONS = st.builds(
    lambda chosen, **settings: a_view(ClientCount("planes"), *chosen, **settings),
    st.lists(st.sampled_from(OPTIONAL), max_size=4, unique_by=lambda one: one.name),
    **{name: st.sampled_from(values) for name, values in ALTERNATIVES.items()},
)


def sums_of(view: FeatureView) -> Any:
    """What decides about the sums of a view: what each client adds, and the noise of each group, without names and order."""
    layout = layout_of(view)
    groups = [[group.mechanism for group in layout.groups if group.feature == one.name] for one in view.collected]
    slots = [
        (type(one), sorted(one.settings().items()), group) for one, group in zip(view.collected, groups, strict=True)
    ]
    return view.entity, view.pane, view.bounds, view.privacy.micro_rho, sorted(map(repr, slots))


@given(DEFINITIONS, DEFINITIONS)
def test_a_new_collection_is_what_has_other_sums(old: FeatureView, new: FeatureView) -> None:
    found = compare(old, new)
    assert isinstance(found, NewCollection) == (sums_of(old) != sums_of(new)), found
    assert isinstance(found, Unchanged) == (definition_hash(old) == definition_hash(new)), found


def test_rows_may_leave_under_the_same_version() -> None:
    old, new = a_view(Count("n")), a_view(Count("n"), retention="400d")
    assert compare(old, new) == Annotated(compare(old, new).changes)
    assert list(map(str, compare(old, new).changes)) == ["retention: None → '400d'"]
