from __future__ import annotations

from fractions import Fraction
from math import isqrt

from hypothesis import given
from hypothesis import strategies as st

from crypto.cks20 import ROOM
from crypto.noise import SecretNoise
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean
from featurestore.define.layout import layout_of
from featurestore.define.noise_scale import SAMPLER_ROOM, drawable_scale, drawable_sigma_sq
from featurestore.define.privacy import Bounds, Privacy

STREAM = SecretNoise(bytes(32)).stream(b"")
fractions = st.builds(Fraction, st.integers(1, 2**120), st.integers(1, 2**90))


def test_the_room_is_the_samplers() -> None:
    assert SAMPLER_ROOM == ROOM


@given(fractions)
def test_a_variance_is_rounded_up_by_a_small_part_and_the_sampler_takes_it(sigma_sq: Fraction) -> None:
    drawn = drawable_sigma_sq(sigma_sq)
    if drawn is None:
        assert isqrt(int(sigma_sq)) >= ROOM - 1
        return
    STREAM.discrete_gaussian(drawn, 1)
    assert drawn >= sigma_sq
    assert drawn - sigma_sq <= max(sigma_sq / 2**26, Fraction(1, 2**54))


@given(fractions)
def test_a_laplace_scale_is_rounded_up_likewise(scale: Fraction) -> None:
    drawn = drawable_scale(scale)
    if drawn is None:
        assert scale > ROOM - 1
        return
    STREAM.discrete_laplace(drawn, 1)
    assert scale <= drawn <= scale + max(scale / 2**27, Fraction(1, 2**54))


def test_a_scale_that_fits_is_not_changed() -> None:
    for exact in (Fraction(1, 4), Fraction(750_000 * 10**6, 2 * 31_337), Fraction(2**56 - 1, 3)):
        assert drawable_scale(exact) == exact
    assert drawable_sigma_sq(Fraction(750_000 * 10**6, 2 * 31_337)) == Fraction(750_000 * 10**6, 2 * 31_337)


def of_events(events: int) -> FeatureView:
    return FeatureView(
        "v",
        entity=Entity("k", domain=["a"]),
        features=[Mean("x", clip=(0, 10**9), resolution=64.0)],
        pane="1d",
        bounds=Bounds(3, events),
        privacy=Privacy(rho=0.000991),
    )


def test_a_view_has_the_variance_that_is_drawn_and_its_price_covers_it() -> None:
    group = layout_of(of_events(7)).groups[0]
    exact = Fraction(group.delta2_sq * 10**6, 2 * group.mechanism.micro_rho)
    assert exact.numerator >= ROOM
    assert exact < group.mechanism.sigma_sq < exact * (1 + Fraction(1, 2**26))
    assert Fraction(group.delta2_sq, 1) / (2 * group.mechanism.sigma_sq) <= Fraction(group.mechanism.micro_rho, 10**6)


def test_a_scale_beyond_all_fractions_is_the_next_whole_one() -> None:
    assert drawable_sigma_sq(Fraction(2**58)) == Fraction(2**58)
    assert drawable_sigma_sq(Fraction(2**58 + 1)) == Fraction((2**29 + 1) ** 2)
    assert drawable_sigma_sq(Fraction(2**112)) is None
    assert drawable_scale(Fraction(2**56)) is None


def test_a_view_may_have_noise_as_wide_as_its_bounds_allow() -> None:
    group = layout_of(of_events(200)).groups[0]
    assert group.mechanism.sigma_sq > 2**56
    assert isqrt(int(group.mechanism.sigma_sq)) ** 2 == group.mechanism.sigma_sq
    assert Fraction(group.delta2_sq, 1) / (2 * group.mechanism.sigma_sq) <= Fraction(group.mechanism.micro_rho, 10**6)
