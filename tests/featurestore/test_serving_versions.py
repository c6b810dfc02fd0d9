"""Which versions of a model are in force: parsed strictly, drawn repeatably, rolled back to what was."""

from __future__ import annotations

import math
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import ModelInUse, NothingToRollBack, PromotionInvalid, StoreCorrupt, UnknownModel
from featurestore.registry.serving_versions import (
    ModelHistory,
    Newest,
    Promotion,
    Serving,
    Weights,
    parse_serving,
    serving_from_json,
    serving_to_json,
)

weights = st.dictionaries(st.integers(1, 10**6), st.floats(1e-3, 1e6), min_size=1, max_size=6)


class Model:
    """A model whose versions are registered, promoted and rolled back without a store."""

    def __init__(self) -> None:
        self.last, self.deleted, self.promotions, self.clock = 0, set[int](), list[Promotion](), count()

    @property
    def history(self) -> ModelHistory:
        alive = tuple(one for one in range(1, self.last + 1) if one not in self.deleted)
        return ModelHistory("m", alive, tuple(self.promotions))

    def register(self, versions: int = 1) -> None:
        self.last += versions

    def _append(self, serving: Serving, *, is_rollback: bool) -> None:
        self.promotions.append(Promotion(serving, self.history.newest, is_rollback, next(self.clock)))

    def promote(self, *words: str) -> None:
        self._append(parse_serving("m", words), is_rollback=False)

    def roll_back(self) -> None:
        self._append(self.history.before(), is_rollback=True)

    @property
    def in_force(self) -> str:
        return str(self.history.in_force)


@given(weights)
def test_what_is_promoted_is_read_back_and_shares_add_up_to_one(given_weights: dict[int, float]) -> None:
    made = Weights.of("m", given_weights)
    assert math.isclose(sum(share for _, share in made.shares), 1)
    read = serving_from_json("m", serving_to_json(made))
    assert isinstance(read, Weights)
    assert read.versions == made.versions == tuple(sorted(given_weights))
    assert [share for _, share in read.shares] == pytest.approx([share for _, share in made.shares], rel=1e-12)
    assert serving_from_json("m", serving_to_json(Newest())) == Newest()


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["newest"], "newest"),
        (["v12"], "v12"),
        (["v1=0.9", "v2=0.1"], "v1=0.9 v2=0.1"),
        (["v2=1", "v1=3"], "v1=0.75 v2=0.25"),
        (["v4=7"], "v4"),
    ],
)
def test_promotions_are_written_as_words(words: list[str], read: str) -> None:
    assert str(parse_serving("m", words)) == read


@pytest.mark.parametrize(
    "words",
    [
        [], [""], ["2"], ["v0"], ["v01"], ["v1", "v2"], ["v1", "v2=0.1"], ["newest", "v1"], ["v1=0"], ["v1=0.0"], ["v1=-1"],
        ["v1=nan"], ["v1=inf"], ["v1=1e3"], ["v1=0.5", "v1=0.5"], ["v1="], ["v1=.5"], ["v1= 1"], ["v1000000000"], ["v1=1\n"],
        [f"v{i}=1" for i in range(1, 102)], ["v١=1"],
    ],
)  # fmt: skip
def test_other_words_are_refused(words: list[str]) -> None:
    with pytest.raises(PromotionInvalid):
        parse_serving("m", words)


@pytest.mark.parametrize(
    "given_weights", [{}, {1: math.inf}, {1: math.nan}, {0: 1.0}, {1: 1e-300, 2: 1e300}, {1: 5e-324, 2: 1.0, 3: -1.0}]
)
def test_weights_that_give_a_version_no_request_are_refused(given_weights: dict[int, float]) -> None:
    with pytest.raises(PromotionInvalid):
        Weights.of("m", given_weights)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "[]",
        "{}",
        '{"1": 1}',
        '{"v1": 1.0}',
        '{"1": NaN}',
        '{"0": 1.0}',
        '"old"',
        '{" 1": 1.0}',
        '{"١": 1.0}',
        '{"1_0": 1.0}',
        '{"1": true}',
        "[" * 100_000,
    ],
)
def test_a_damaged_promotion_is_named(text: str) -> None:
    with pytest.raises(StoreCorrupt, match="promotion of model 'm'"):
        serving_from_json("m", text)


def test_an_id_always_gets_the_same_version_and_versions_get_their_shares() -> None:
    split = Weights.of("late", {1: 0.9, 2: 0.1})
    picked = [split.pick(f"request {i}") for i in range(20_000)]
    assert picked == [split.pick(f"request {i}") for i in range(20_000)]
    assert set(picked) == {1, 2}
    assert picked.count(2) / len(picked) == pytest.approx(0.1, abs=0.01)
    assert {split.pick(text) for text in ("", "\ud800", "\0", "x" * 10_000)} <= {1, 2}


def test_ids_stay_with_their_version_while_its_share_grows_and_models_draw_independently() -> None:
    idents = [f"request {i}" for i in range(2000)]
    few, more = Weights.of("m", {1: 0.2, 2: 0.8}), Weights.of("m", {1: 0.5, 2: 0.5})
    assert all(more.pick(one) == 1 for one in idents if few.pick(one) == 1)
    half, other = Weights.of("a", {1: 1, 2: 1}), Weights.of("b", {1: 1, 2: 1})
    both = sum(half.pick(one) == other.pick(one) for one in idents)
    assert both / len(idents) == pytest.approx(0.5, abs=0.05)


def test_a_known_id_is_drawn_as_in_every_other_process() -> None:
    split = Weights.of("late", {1: 0.5, 2: 0.5})
    assert [split.pick(str(i)) for i in range(12)] == [2, 1, 1, 2, 2, 1, 1, 1, 2, 1, 1, 1]


def test_without_promotions_each_registration_takes_over() -> None:
    model = Model()
    model.register(2)
    assert model.in_force == "v2"
    model.register()
    assert (model.in_force, model.history.serving) == ("v3", Newest())


def test_pinned_versions_stay_until_the_newest_is_promoted() -> None:
    model = Model()
    model.register(2)
    model.promote("v1=3", "v2=1")
    model.register()
    assert (model.in_force, model.history.in_force.heaviest) == ("v1=0.75 v2=0.25", 1)
    model.promote("newest")
    assert model.in_force == "v3"


def test_rollbacks_go_further_back_and_never_bring_back_what_was_rolled_back() -> None:
    model = Model()
    model.register(3)
    model.promote("v1")
    model.promote("v1=1", "v3=1")
    model.promote("v3")
    seen = [model.in_force]
    for _ in range(4):
        model.roll_back()
        seen.append(model.in_force)
    assert seen == ["v3", "v1=0.5 v3=0.5", "v1", "v3", "v2"]
    model.roll_back()
    assert model.in_force == "v1"
    with pytest.raises(NothingToRollBack):
        model.roll_back()


def test_a_registration_that_took_over_is_rolled_back_to_the_one_before_it() -> None:
    model = Model()
    model.register(3)
    model.roll_back()
    assert (model.in_force, model.history.serving) == ("v2", Weights.single("m", 2))
    model.register()
    assert model.in_force == "v2"  # a rollback pins: the next registration is promoted on purpose
    model.promote("newest")
    model.register()
    model.roll_back()
    assert model.in_force == "v4"
    model.roll_back()
    assert model.in_force == "v2"


def test_a_promotion_by_mistake_is_undone_exactly() -> None:
    model = Model()
    model.register(2)
    model.promote("v1")
    model.roll_back()
    assert model.history.serving == Newest()
    model.promote("v1")
    model.register()
    model.roll_back()
    assert (model.in_force, model.history.serving) == ("v2", Weights.single("m", 2))  # v3 was never in force


def test_the_same_promotion_twice_is_one_state() -> None:
    model = Model()
    model.register(2)
    model.promote("v1")
    model.promote("v1")
    model.roll_back()
    assert model.in_force == "v2"


def test_deleted_versions_are_passed_over() -> None:
    model = Model()
    model.register(4)
    model.promote("v2")
    model.promote("v3")
    model.deleted = {2, 4}
    model.roll_back()
    assert model.in_force == "v1"


def test_a_first_version_has_nothing_before_it() -> None:
    model = Model()
    model.register()
    with pytest.raises(NothingToRollBack, match="v1 is in force"):
        model.history.before()


def test_a_version_in_force_is_not_deletable() -> None:
    model = Model()
    model.register(3)
    model.history.require_deletable(2)
    with pytest.raises(ModelInUse, match="as the newest version"):
        model.history.require_deletable(3)
    model.promote("v1=9", "v2=1")
    model.history.require_deletable(3)
    with pytest.raises(ModelInUse, match="it is in force; promote another"):
        model.history.require_deletable(2)
    with pytest.raises(UnknownModel, match="m@v9"):
        model.history.require_deletable(9)


steps = st.lists(
    st.one_of(st.just("register"), st.just("roll back"), st.integers(1, 5), st.just("newest")), max_size=30
)


@given(steps)
def test_a_rollback_always_changes_what_is_in_force_to_something_that_was(steps: list[str | int]) -> None:
    model, seen = Model(), set[str]()
    model.register()
    for step in steps:
        seen.add(model.in_force)
        match step:
            case "register":
                model.register()
            case "newest":
                model.promote("newest")
            case "roll back":
                before = model.in_force
                try:
                    model.roll_back()
                except NothingToRollBack:
                    continue
                assert model.in_force in seen - {before}
            case int() if step <= model.last:
                model.promote(f"v{step}")


@given(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_enough_rollbacks_end(last: int, promoted: list[int]) -> None:
    model = Model()
    model.register(last)
    for version in promoted:
        model.promote(f"v{min(version, last)}")
    for _ in range(last + len(promoted)):
        try:
            model.roll_back()
        except NothingToRollBack:
            return
    pytest.fail("a rollback is always possible")
