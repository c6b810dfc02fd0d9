"""The manifest of a release says under which terms its sums were opened, in full."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from deployment.coordinator.collector import releases_of
from deployment.inspect.releases import claims_of
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Mean
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Manifest
from featurestore.errors import StoreCorrupt
from federation.aggregation import OpenedView
from federation.commitment import Outcome
from federation.dating import Dating
from federation.plan import FromEvents, PlannedView
from tests.federation.words import plan_in_words

DAY = 86_400 * 10**6
GAUSS = Privacy(rho=0.1, min_clients=2)
PURE = Privacy(epsilon=0.5, mechanism="laplace", min_clients=2)


def view(privacy: Privacy) -> FeatureView:
    return FeatureView(
        "v",
        entity=Entity("k", domain=["a", "b"]),
        features=[Count("n"), Mean("x", clip=(0, 11), resolution=1), Histogram("x", edges=[1, 2])],
        pane="1d",
        bounds=Bounds(2, 3),
        privacy=privacy,
    )


def manifest(
    privacy: Privacy,
    noise: str = "full",
    participation: str = "active",
    from_events: tuple[FromEvents, ...] = (),
    **given: object,
) -> Manifest:
    planned = PlannedView(view(privacy), np.array([0, DAY], dtype=np.int64), 2)
    plan = plan_in_words(bytes(16), (planned,), noise, participation=participation, from_events=from_events)  # type: ignore[arg-type]
    outcomes = np.array([Outcome.OPENED, Outcome.BATCH_TOO_SMALL], dtype=np.uint8)
    opened = OpenedView(planned, outcomes, np.zeros((1, 2, planned.layout.slots_per_key), dtype=np.int64))
    terms = {"noise_source": "opendp, opendp", "trust": "one-honest-noiser"} | given
    release, void = releases_of(plan, opened, now=3 * DAY, dating=Dating.REPLAY_DAYS, **terms)  # type: ignore[arg-type]
    assert release.manifest == void.manifest
    return release.manifest


@pytest.mark.parametrize("privacy", [GAUSS, PURE], ids=lambda of: of.mechanism)
def test_a_manifest_survives_its_json(privacy: Privacy) -> None:
    for one in (manifest(privacy), manifest(privacy, noise="none"), manifest(privacy, commitments=("ab", "cd"))):
        text = one.to_json()
        assert Manifest.from_json(text) == one
        assert Manifest.from_json(text).to_json() == text


def test_every_group_says_its_mechanism_sensitivity_price_and_scale() -> None:
    planned = PlannedView(view(GAUSS), np.zeros(1, np.int64), 2)
    told = manifest(GAUSS)
    assert told.noise == "discrete-gaussian"
    for group, of in zip(told.groups, planned.layout.groups, strict=True):
        assert (group.mechanism, group.delta2_sq, group.micro_rho) == ("gaussian", of.delta2_sq, of.mechanism.micro_rho)
        assert group.scale == math.sqrt(of.delta2_sq * 10**6 / (2 * of.mechanism.micro_rho))  # σ
        assert group.standard_error == pytest.approx(told.noise_factor * group.scale)
    assert told.micro_rho == sum(group.micro_rho for group in told.groups)
    assert told.micro_epsilon is None


def test_a_laplace_manifest_says_pure_epsilon_and_b() -> None:
    told = manifest(PURE)
    assert told.noise == "discrete-laplace"
    for group in told.groups:
        assert group.mechanism == "laplace"
        assert group.scale == pytest.approx(group.delta1 * 10**6 / group.micro_epsilon)  # b
        assert group.standard_error == pytest.approx(2 * group.scale, rel=0.01)  # √2·√2·b, but for the discreteness
    assert told.micro_epsilon == sum(group.micro_epsilon for group in told.groups)
    assert told.micro_epsilon <= 500_000


def test_two_noises_of_the_full_scale_are_stated_as_the_square_root_of_two() -> None:
    told = manifest(GAUSS)
    assert (told.noisers, told.noise_factor, told.trust) == (2, math.sqrt(2), "one-honest-noiser")


def test_a_manifest_of_shared_noise_says_so_and_has_half_of_the_variance_at_twice_the_price() -> None:
    one, two = (manifest(replace(GAUSS, noisers=noisers)) for noisers in ("each", "shared"))
    assert (one.noise_split, two.noise_split, two.noisers, two.noise_factor) == ("each", "shared", 2, math.sqrt(2))
    assert two.micro_rho == 2 * one.micro_rho
    for half, whole in zip(two.groups, one.groups, strict=True):
        assert half.standard_error**2 == pytest.approx(whole.standard_error**2 / 2)
        assert half.standard_error == pytest.approx(two.noise_factor * half.scale)
        assert half.moves is not None
        assert whole.moves is not None
        assert half.moves.sigma_sq == whole.moves.sigma_sq / 2
    outside, inside = (claims_of(of)[0] for of in (two, one))
    assert outside.outsiders == pytest.approx(inside.aggregator)
    assert outside.outsiders < outside.aggregator


def test_a_manifest_of_an_unknown_split_of_the_noise_is_refused_and_a_missing_one_is_each() -> None:
    text = manifest(replace(GAUSS, noisers="shared")).to_json()
    assert Manifest.from_json(text).noise_split == "shared"
    assert "noise_split" not in manifest(GAUSS).to_json()
    for word in ('"both"', "1", "null", '["shared"]'):
        with pytest.raises(StoreCorrupt, match=r"noise_split is .*, not each or shared"):
            Manifest.from_json(text.replace('"noise_split":"shared"', f'"noise_split":{word}'))


def test_without_noise_the_manifest_says_so_and_has_no_scale() -> None:
    for privacy in (GAUSS, PURE):
        told = manifest(privacy, noise="none")
        assert (told.noise, told.noise_source, told.noisers, told.noise_factor) == ("none", "none", 0, 0.0)
        assert {(group.scale, group.standard_error) for group in told.groups} == {(0.0, 0.0)}
        assert [group.micro_rho for group in told.groups] == [group.micro_rho for group in manifest(privacy).groups]


def test_activity_is_outside_the_claim_where_only_active_clients_report() -> None:
    assert manifest(GAUSS).outside_claim == ("activity",)
    assert manifest(GAUSS, participation="all").outside_claim == ()


def test_what_of_a_plan_follows_from_events_is_outside_the_claim() -> None:
    assert manifest(GAUSS, from_events=("days",)).outside_claim == ("activity", "days")
    assert manifest(GAUSS, participation="all", from_events=("days", "sites")).outside_claim == ("days", "sites")


def test_the_commitments_of_both_aggregators_are_in_the_manifest() -> None:
    assert manifest(GAUSS).commitments == ("", "")
    told = manifest(GAUSS, commitments=("ab" * 32, "cd" * 32))
    assert json.loads(told.to_json())["commitments"] == ["ab" * 32, "cd" * 32]
