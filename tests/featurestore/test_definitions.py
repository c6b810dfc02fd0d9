from __future__ import annotations

import copy
import itertools
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.values import served_features
from featurestore.define.wire import view_to_bytes
from featurestore.errors import DefinitionError, ExpressionError, ExpressionRefused


def view(*features: ViewFeature, **changes: Any) -> FeatureView:
    settings: dict[str, Any] = {
        "entity": Entity("dest", domain=["JFK", "LAX"]),
        "pane": "1d",
        "bounds": Bounds(max_cells=3),
        "privacy": Privacy(rho=0.1),
    }
    return FeatureView(changes.pop("name", "v"), features=features or (Count("n"),), **settings | changes)


def error(*features: ViewFeature, **changes: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        layout_of(view(*features, **changes))
    assert repr(changes.get("name", "v")) in str(caught.value)  # every message names its view
    return str(caught.value)


def error_of(*features: ViewFeature) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        view(*features)
    return caught.value


class TestNames:
    def test_default_names_follow_the_column(self) -> None:
        made = view(Count("flights"), Mean("arr_delay", clip=(0, 1)), Histogram("arr_delay", edges=[0]))
        assert [feature.name for feature in made.features] == ["flights", "arr_delay_mean", "arr_delay_hist"]

    def test_served_names_are_the_pane_without_suffix_and_each_window_as_spelled(self) -> None:
        made = view(ClientCount("planes"), Rate("late", where="x > 1"), windows=["7d", "48h"])
        assert [served.name for served in served_features(made)] == ["planes", "late", "late_7d", "late_48h"]

    @pytest.mark.parametrize("name", ["Flights", "a__b", "1a", "", "pane_end", "coverage_7d", "dest", "x" * 300, "n\n"])
    def test_a_bad_or_reserved_feature_name_is_refused(self, name: str) -> None:
        error(Count(name))

    @pytest.mark.parametrize("name", ["V", "a__b", "", "a-b", "é"])
    def test_a_bad_view_name_is_refused(self, name: str) -> None:
        error(name=name)

    def test_a_collision_proposes_another_name(self) -> None:
        message = error(Count("a"), Mean("x", clip=(0, 1), name="a"))
        assert "'a'" in message
        assert "name='a_2'" in message

    def test_a_feature_that_collides_with_anothers_window_is_refused(self) -> None:
        assert "'n_7d'" in error(Count("n"), Count("n_7d"), windows=["7d"])

    def test_a_column_without_a_usable_name_needs_name(self) -> None:
        assert "name=" in error(Mean("Arr Delay", clip=(0, 1)))
        view(Mean("Arr Delay", clip=(0, 1), name="arr"))

    @pytest.mark.parametrize("key", ["pane_start", "coverage_x", "a__b"])
    def test_a_reserved_join_key_is_refused(self, key: str) -> None:
        error(entity=Entity(key, domain=["a"]))


class TestFeatures:
    @pytest.mark.parametrize(
        ("clip", "says"),
        [
            (None, "`clip` is required"),
            ((180, -60), "`clip` must be (low, high) with low < high, got (180, -60)"),
            ((1, 1), "low < high"),
            ((0, float("nan")), "finite"),
            ((0, float("inf")), "finite"),
            ((0, 1, 2), "two finite"),
            ((-1.7e308, 1.7e308), "too wide"),
            ((0, 5e-324), "too narrow"),
            ((2**60, 2**60 + 1), "low < high"),
            ((0, 10**400), "two finite"),
            (5, "two finite numbers, (low, high), got 5"),
            ("ab", "two finite"),
        ],
    )
    def test_a_bad_clip_is_refused_with_the_mend(self, clip: Any, says: str) -> None:
        message = error(Mean("x", clip=clip))
        assert says in message
        assert "'x_mean'" in message

    @pytest.mark.parametrize("resolution", [0, -1, 3, float("nan"), 1e-9, 5e-324, "fine"])
    def test_a_bad_resolution_is_refused(self, resolution: Any) -> None:
        assert "resolution" in error(Mean("x", clip=(0, 2), resolution=resolution))

    @pytest.mark.parametrize(
        ("clip", "step", "q_max"), [((0, 1000), 1.0, 1000), ((-60, 180), 0.125, 1920), ((0, 1), 2.0**-10, 1024)]
    )
    def test_the_default_resolution_is_the_largest_power_of_two_in_a_thousandth(
        self, clip: tuple[float, float], step: float, q_max: int
    ) -> None:
        mean = Mean("x", clip=clip)
        assert (mean.step, mean.q_max) == (step, q_max)

    @pytest.mark.parametrize(
        "edges", [[], [1, 1], [2, 1], [0, float("nan")], [0, float("inf")], list(range(2000)), 5, "012", [[0]], None]
    )
    def test_bad_edges_are_refused(self, edges: Any) -> None:
        assert "edges" in error(Histogram("x", edges=edges))

    @pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), True, "1", 10**1001, Fraction(1, 10**1001)])
    def test_a_weight_that_is_no_positive_number_is_refused(self, weight: Any) -> None:
        assert "`weight`" in error(Count("n", weight=weight))

    @pytest.mark.parametrize(
        ("feature", "says"),
        [
            (Count("n", description=5), "feature 'n': `description` must be a text of valid Unicode, got 5"),  # type: ignore[arg-type]
            (Count("n", description="\ud800"), "`description`"),
            (Count(5), "a feature's name"),  # type: ignore[arg-type]
            (Count("n", derive=1), "`derive` must be True or False, got 1"),  # type: ignore[arg-type]
            (Mean(5, name="m", clip=(0, 1)), "feature 'm': `column` must be the name of a column"),  # type: ignore[arg-type]
            (Mean("\udfff", name="m", clip=(0, 1)), "`column`"),
            (Mean("", name="m", clip=(0, 1)), "`column`"),
            (Histogram("x", edges=[0], nulls=2), "`nulls` must be True or False"),  # type: ignore[arg-type]
            (Rate("r", where="x = '\ud800'"), "not valid Unicode"),
            (Rate("r", where=5), "write a condition"),  # type: ignore[arg-type]
        ],
    )
    def test_what_no_encoding_holds_is_refused_with_the_mend(self, feature: ViewFeature, says: str) -> None:
        assert says in error(feature)

    def test_a_bad_where_names_view_and_feature(self) -> None:
        message = error(Rate("late", where="read_csv('x') = 1"))
        assert "'late'" in message

    def test_too_many_steps_times_events_are_refused(self) -> None:
        features = [Mean("x", clip=(0, 2**24), resolution=1)]
        assert "coarsen" in error(*features, bounds=Bounds(1, max_events_per_cell=256))


class TestTexts:
    @pytest.mark.parametrize("attribute", ["owner", "description", "time"])
    @pytest.mark.parametrize("text", [5, "\ud800", b"x"])
    def test_a_text_that_no_encoding_holds_is_refused(self, attribute: str, text: Any) -> None:
        assert f"`{attribute}`" in error(**{attribute: text})

    @pytest.mark.parametrize("tags", [["a"], "a", 5, {"a": 5}, {5: "a"}, {"a": "\ud800"}, {"\ud800": "a"}])
    def test_tags_map_texts_to_texts(self, tags: Any) -> None:
        assert "`tags` must map texts to texts" in error(tags=tags)

    @pytest.mark.parametrize("features", [Count("n"), "n", 5, None])
    def test_features_are_a_list(self, features: Any) -> None:
        with pytest.raises(DefinitionError, match="view 'v': `features` must be a list"):
            FeatureView(
                "v", entity=Entity("a", value="b"), features=features, pane="1d", bounds=Bounds(1), privacy=Privacy(0.1)
            )

    def test_windows_are_a_list(self) -> None:
        assert "`windows` must be a list" in error(windows=7)
        assert view(windows="7d").windows == ("7d",)

    def test_a_window_of_more_than_a_century_is_refused(self) -> None:
        assert "longer than a hundred years" in error(windows=["36526d"])
        assert view(windows=["36525d"]).windows == ("36525d",)


class TestPlainValues:
    def test_numpys_values_make_the_same_view(self) -> None:
        given = view(
            Mean(np.str_("x"), clip=np.array([0, 10]), resolution=np.float32(0.5)),
            Histogram("x", edges=np.linspace(0, 10, 3), nulls=np.bool_(True)),  # type: ignore[arg-type]
            Count("n", weight=np.int64(2)),  # type: ignore[arg-type]
            bounds=Bounds(np.int64(3), np.int32(2)),  # type: ignore[arg-type]
            privacy=Privacy(np.float64(0.1), delta=np.float64(1e-6), min_clients=np.int64(50)),  # type: ignore[arg-type]
            min_coverage=np.float32(0.5),
            windows=np.array(["7d"]),
            tags={"a": np.str_("b")},
        )
        plainly = view(
            Mean("x", clip=(0, 10), resolution=0.5),
            Histogram("x", edges=[0, 5, 10], nulls=True),
            Count("n", weight=2),
            bounds=Bounds(3, 2),
            min_coverage=0.5,
            windows=["7d"],
            tags={"a": "b"},
        )
        assert given == plainly
        assert hash(given) == hash(plainly)
        assert view_to_bytes.__wrapped__(given) == view_to_bytes.__wrapped__(plainly)

    def test_a_domain_may_be_an_array(self) -> None:
        assert Entity("a", domain=np.arange(3)) == Entity("a", domain=[0, 1, 2])
        assert Entity("a", domain=np.array(["x", "y"])) == Entity("a", domain=["x", "y"])
        assert Entity(["a", "b"], domain=np.array([[1, 2], [3, 4]])) == Entity(["a", "b"], domain=[(1, 2), (3, 4)])
        assert Entity("a", value=np.str_("x")).types == ("string",)
        with pytest.raises(ValueError, match=r"1\.5 in the domain is float"):
            Entity("a", domain=np.array([1.5]))

    def test_a_view_is_read_only_and_can_be_copied(self) -> None:
        made = view(tags={"a": "1"})
        with pytest.raises(TypeError):
            made.tags["a"] = "2"  # type: ignore[index]
        for again in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert again == made
            assert view_to_bytes.__wrapped__(again) == view_to_bytes.__wrapped__(made)


class TestDerive:
    hist = Histogram("x", edges=[0, 15], nulls=True)

    @pytest.mark.parametrize("where", ["x >= 15", "x < 0", "x>=15.0"])
    def test_a_rate_is_derived_at_an_edge(self, where: str) -> None:
        made = view(self.hist, Rate("r", where=where, derive=True))
        assert layout_of(made).slots_per_key == self.hist.cells

    @pytest.mark.parametrize("where", ["x > 15", "x >= 14", "y >= 15", "x <= 0", "x >= 15 AND x < 20", "NOT x < 0"])
    def test_any_other_rate_under_derive_says_what_is_missing(self, where: str) -> None:
        assert "exactly `column >= edge` or `column < edge`" in error(self.hist, Rate("r", where=where, derive=True))

    def test_a_count_is_derived_from_a_histogram_with_nulls(self) -> None:
        assert layout_of(view(self.hist, Count("n", derive=True))).slots_per_key == 4
        without = Histogram("x", edges=[0, 15])
        assert "nulls=True" in error(without, Count("n", derive=True))


class TestTime:
    @pytest.mark.parametrize("pane", ["2h", "1w", "", "24h", "1D"])
    def test_another_pane_is_refused(self, pane: str) -> None:
        assert "1m 5m 15m 1h 1d" in error(pane=pane)

    @pytest.mark.parametrize(
        ("pane", "windows", "says"),
        [
            ("1d", ["1d"], "equals the pane"),
            ("1d", ["24h"], "equals the pane"),
            ("1h", ["24h", "1d"], "twice"),
            ("1d", ["36h"], "multiple"),
            ("1d", ["0d"], "multiple"),
            ("1d", ["week"], "duration"),
        ],
    )
    def test_bad_windows_are_refused(self, pane: str, windows: list[str], says: str) -> None:
        assert says in error(pane=pane, windows=windows)

    def test_grace_may_not_outlast_the_release_delay(self) -> None:
        assert "grace" in error(grace="10m", release_delay="5m")

    @pytest.mark.parametrize("ttl", ["0s", "soon", "-1d"])
    def test_a_bad_ttl_is_refused(self, ttl: str) -> None:
        error(ttl=ttl)

    @pytest.mark.parametrize("retention", ["0s", "ever", "-1d", "23h"])
    def test_a_retention_that_no_row_survives_is_refused(self, retention: str) -> None:
        assert "retention" in error(retention=retention, ttl="1d")
        assert view(retention="1d", ttl="1d").retention_us == 86_400 * 10**6

    def test_rows_that_a_filtered_needs_cannot_leave(self) -> None:
        features = [Rate("late", where="x > 1"), Filtered("late", "6h", sd=0.1)]
        assert "all panes" in error(*features, retention="400d")

    @pytest.mark.parametrize("coverage", [-0.1, 1.1, float("nan"), "all"])
    def test_a_coverage_outside_0_and_1_is_refused(self, coverage: Any) -> None:
        assert "min_coverage" in error(min_coverage=coverage)
        assert "min_site_coverage" in error(min_site_coverage=coverage)


class TestPrivacy:
    @pytest.mark.parametrize(
        "rho", [0, -1, float("nan"), float("inf"), 1e-9, 1e9, "1", True, 10**400, Fraction(10**400)]
    )
    def test_a_bad_rho_is_refused(self, rho: Any) -> None:
        assert "`rho` must be from 0.000001 to 1000" in error(privacy=Privacy(rho=rho))

    @pytest.mark.parametrize(
        "epsilon", [0, -1, float("nan"), float("inf"), 1e-9, 1e9, "1", True, 10**400, Fraction(10**400)]
    )
    @pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
    def test_a_bad_epsilon_is_refused(self, epsilon: Any, mechanism: Any) -> None:
        assert "`epsilon` must be" in error(privacy=Privacy(epsilon=epsilon, mechanism=mechanism))

    def test_a_price_is_given_once(self) -> None:
        assert "exactly one; got neither" in error(privacy=Privacy())
        assert "exactly one; got neither" in error(privacy=Privacy(mechanism="laplace"))
        assert "exactly one; got both" in error(privacy=Privacy(rho=0.1, epsilon=1.0))

    def test_pure_dp_has_no_price_in_rho(self) -> None:
        message = error(privacy=Privacy(rho=0.1, mechanism="laplace"))
        assert "mechanism='laplace' is pure DP; give `epsilon=` instead" in message

    @pytest.mark.parametrize("mechanism", ["Laplace", "", None, 5, ["laplace"]])
    def test_an_unknown_mechanism_is_refused(self, mechanism: Any) -> None:
        assert "`mechanism` must be gaussian or laplace" in error(privacy=Privacy(epsilon=1.0, mechanism=mechanism))

    @pytest.mark.parametrize("noisers", ["Shared", "", "both", 5, ["shared"]])
    def test_unknown_noisers_are_refused(self, noisers: Any) -> None:
        assert "`noisers` must be each or shared" in error(privacy=Privacy(rho=0.1, noisers=noisers))

    def test_shared_laplace_noise_is_refused(self) -> None:
        message = error(privacy=Privacy(epsilon=1.0, mechanism="laplace", noisers="shared"))
        assert "noisers='shared' needs Gaussian noise" in message

    def test_a_gaussian_price_in_epsilon_is_a_rho_once_a_view_has_it(self) -> None:
        asked = Privacy(epsilon=1.0)
        assert (asked.micro_rho, asked.unpriced) == (0, 1)
        assert asked == Privacy(epsilon=Fraction(1)) != Privacy(epsilon=2.0)
        held = view(privacy=asked).privacy
        assert held.micro_rho > 0
        assert held == Privacy(rho=Fraction(held.micro_rho, 10**6)) != asked
        assert hash(held) == hash(Privacy(rho=Fraction(held.micro_rho, 10**6)))
        assert view(privacy=Privacy(epsilon=1.0, delta=1e-9)).privacy.micro_rho < held.micro_rho

    def test_a_laplace_price_is_held_as_whole_micro_epsilon_of_its_decimal_text(self) -> None:
        privacy = Privacy(epsilon=0.29, mechanism="laplace")
        assert (privacy.micro_epsilon, privacy.micro_rho) == (290_000, 0)
        assert privacy == Privacy(epsilon=Fraction(29, 100), mechanism="laplace")
        assert privacy != Privacy(epsilon=0.28, mechanism="laplace")
        assert privacy != Privacy(epsilon=0.29)

    def test_an_epsilon_that_leaves_nothing_or_hardly_any_noise_for_a_group_is_refused(self) -> None:
        tiny, huge = (Privacy(epsilon=epsilon, mechanism="laplace") for epsilon in (0.000002, 3))
        assert "`epsilon` is too small" in error(Rate("a", where="x > 1"), privacy=tiny)
        assert "`epsilon` is too large: b = 0.333 < 1/2" in error(Count("a"), privacy=huge, bounds=Bounds(1))
        assert "`epsilon` is too large: σ²" in error(Count("a"), privacy=Privacy(epsilon=100.0), bounds=Bounds(1))

    def test_rho_is_held_as_whole_micro_rho_of_its_decimal_text(self) -> None:
        assert Privacy(rho=0.29).micro_rho == 290_000
        assert Privacy(rho=Fraction(1, 3)).micro_rho == 333_333
        assert Privacy(rho=np.float64(0.29)).micro_rho == 290_000

    def test_two_prices_are_equal_if_their_micro_rho_is(self) -> None:
        assert Fraction(0.29) == 0.29
        assert Privacy(rho=Fraction(0.29)).micro_rho == 289_999
        assert Privacy(rho=Fraction(0.29)) != Privacy(rho=0.29)
        assert Privacy(rho=Fraction(29, 100)) == Privacy(rho=0.29)
        assert hash(Privacy(rho=Fraction(29, 100))) == hash(Privacy(rho=0.29))

    def test_a_rho_that_leaves_nothing_for_a_group_is_refused(self) -> None:
        assert "too small" in error(Rate("a", where="x > 1"), privacy=Privacy(rho=0.000002))

    def test_a_rho_that_leaves_hardly_any_noise_is_refused(self) -> None:
        assert "too large" in error(Count("a"), privacy=Privacy(rho=100), bounds=Bounds(1))

    @pytest.mark.parametrize("delta", [0, 1, -0.1, 1.0, 0.0, 2.0])
    def test_a_bad_delta_is_refused(self, delta: Any) -> None:
        assert "`delta`" in error(privacy=Privacy(rho=0.1, delta=delta))
        assert "`delta`" in error(privacy=Privacy(epsilon=1.0, delta=delta))

    def test_delta_must_be_below_one_over_k(self) -> None:
        for delta, k in ((0.02, 50), (0.5, 2), (1e-6, 10**6), (0.1, 50)):
            told = error(privacy=Privacy(0.1, delta=delta, min_clients=k))
            assert f"must be below 1/min_clients = 1/{k}" in told
            assert float(told.rsplit(" ", 1)[1]) < 1 / k  # the proposed value passes
        for delta, k in ((0.0199, 50), (0.4999, 2), (9.9e-7, 10**6)):
            view(privacy=Privacy(0.1, delta=delta, min_clients=k))

    @pytest.mark.parametrize("k", [0, 1, -5, 2.5, True])
    def test_a_k_below_two_is_refused(self, k: Any) -> None:
        assert "`min_clients`" in error(privacy=Privacy(rho=0.1, min_clients=k))

    @pytest.mark.parametrize("below", [0, -1, 1.5, True, 2**32])
    def test_a_suppress_below_that_is_no_small_number_is_refused(self, below: Any) -> None:
        assert "`suppress_below`" in error(ClientCount("c"), privacy=Privacy(rho=0.1, suppress_below=below))

    def test_suppress_below_needs_a_client_count(self) -> None:
        assert "ClientCount" in error(privacy=Privacy(rho=0.1, suppress_below=10))
        view(ClientCount("c"), privacy=Privacy(rho=0.1, suppress_below=10))

    def test_a_where_outside_the_grammar_is_told_from_other_errors(self) -> None:
        with pytest.raises(ExpressionRefused, match="view 'v', feature 'r'") as caught:
            view(Rate("r", where="x + 1 > 2"))
        assert isinstance(caught.value.__cause__, ExpressionError)
        assert not isinstance(error_of(Count("pane_end")), ExpressionRefused)

    @pytest.mark.parametrize("bounds", [Bounds(0), Bounds(1, 0), Bounds(-1), Bounds(1.5)])  # type: ignore[arg-type]
    def test_bounds_below_one_are_refused(self, bounds: Bounds) -> None:
        assert "whole number" in error(bounds=bounds)


class TestEntities:
    def test_the_order_of_the_domain_does_not_matter(self) -> None:
        assert Entity("a", domain={"x", "y", "z"}) == Entity("a", domain=["z", "y", "x"])

    def test_types_follow_from_the_domain(self) -> None:
        entity = Entity(["a", "b", "c"], domain=itertools.product(["x"], [1, 2], [True, False]))
        assert entity.types == ("string", "int64", "bool")
        assert entity.domain[0] == ("x", 1, False)

    @pytest.mark.parametrize(
        ("domain", "says"),
        [
            ([], "empty"),
            (["a", 1], "mixes"),
            ([1, True], "mixes"),
            (["a", "a"], "twice"),
            ([1.5], "float"),
            ([None], "NoneType"),
            ([2**63], "int64"),
            (["\ud800"], "Unicode"),
            (["x" * 2000], "characters"),
            ([("a", "b")], "part"),
            (7, "values or a file"),
        ],
    )
    def test_a_bad_domain_is_refused(self, domain: Any, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            Entity("a", domain=domain)

    @pytest.mark.parametrize("names", ["\ud800", 5, ["a", 5], "", []])
    def test_names_are_texts_of_valid_unicode(self, names: Any) -> None:
        with pytest.raises(ValueError, match="valid Unicode"):
            Entity(names, domain=["x"])
        with pytest.raises(ValueError, match="valid Unicode"):
            Entity("a", domain=["x"], column=names)

    def test_a_domain_can_be_a_file(self, tmp_path: Any) -> None:
        (tmp_path / "d.txt").write_text("JFK\nLAX\n")
        (tmp_path / "d.csv").write_text("a,b\nx,1\ny,2\n")
        assert Entity("dest", domain=tmp_path / "d.txt").domain == (("JFK",), ("LAX",))
        assert Entity(["a", "b"], domain=str(tmp_path / "d.csv")).domain == (("x", 1), ("y", 2))
        with pytest.raises(ValueError, match="no domain file"):
            Entity("dest", domain=tmp_path / "none.txt")
        with pytest.raises(ValueError, match=r"has no column\(s\) c;"):
            Entity("c", domain=tmp_path / "d.csv")

    def test_a_constant_entity_reads_no_column(self) -> None:
        entity = Entity("area", value="NYC")
        assert entity.constant
        assert entity.domain == (("NYC",),)
        for wrong in ({"value": "a", "domain": ["a"]}, {}, {"value": "a", "column": "b"}):
            with pytest.raises(ValueError, match="entity"):
                Entity("area", **wrong)  # type: ignore[arg-type]
