"""The kind `monotone` of `covey train`: directions, trees as data, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
sklearn = pytest.importorskip("sklearn", reason="the extra `train` is not installed")

from base.errors import ConfigInvalid  # noqa: E402
from deployment.errors import ModelRefused, TrainingRefused  # noqa: E402
from featurestore.define.filtered import Filtered  # noqa: E402
from featurestore.define.kinds import Count, Rate  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import a_view  # noqa: E402
from tests.training.program import make_labels, make_store, write_config  # noqa: E402
from training.errors import ArchiveRefused  # noqa: E402
from training.fit.config import Monotone, TrainConfig  # noqa: E402
from training.fit.directions import directions_of  # noqa: E402
from training.fit.train import train  # noqa: E402
from training.serving.in_process.opened_model import OpenedModel  # noqa: E402
from training.serving.kinds.model_kind import Monotone as MonotoneKind  # noqa: E402
from training.serving.kinds.trees import Trees  # noqa: E402

Covey = Callable[..., tuple[int, str, str]]
NETWORK_KEYS = dict.fromkeys(("epochs", "learning_rate"))
MONOTONE = NETWORK_KEYS | {"kind": "monotone", "rising": ["traffic:flights"]}
ONE_TREE: dict[str, Any] = {
    "feature": [1, 0, 0],
    "threshold": [0.5, 0.0, 0.0],
    "null_left": [False, False, False],
    "left": [1, 1, 2],
    "right": [2, 1, 2],
    "value": [0.0, -1.0, 2.0],
}
CHAIN: dict[str, Any] = {  # each node has the next two as children; the last two are leaves
    "feature": [0] * 4096,
    "threshold": [0.0] * 4096,
    "null_left": [False] * 4096,
    "left": [min(node + 1, 4094) if node < 4094 else node for node in range(4096)],
    "right": [min(node + 2, 4095) if node < 4094 else node for node in range(4096)],
    "value": [0.0] * 4096,
}
FILE: dict[str, Any] = {"format": 1, "task": "regression", "width": 2, "start": 10.0, "trees": [ONE_TREE]}


def config_of(project: Path, **model: Any) -> TrainConfig:
    return TrainConfig.load(write_config(project, model=MONOTONE | model))


def bytes_of(**changes: Any) -> bytes:
    return json.dumps(FILE | changes).encode()


def asked(trees: Trees, x: list[list[float]]) -> list[float]:
    values = torch.tensor(x)
    return trees(values, ~values.isnan(), torch.zeros_like(values)).tolist()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_labels(tmp_path, make_store(tmp_path))
    return tmp_path


def test_its_prediction_only_rises_or_falls_with_what_the_configuration_names(project: Path) -> None:
    config = config_of(project, rising=["traffic:flights"], falling=["distance"])
    trained = train(config)
    assert trained.report.metrics["model"]["auc"].value > 0.75
    assert trained.model.lineage["directions"] == {
        "traffic@v1:flights": 1, "everywhere@v1:flights": 0, "distance": -1,
    }  # fmt: skip
    trees = Trees.of(trained.model.read(MonotoneKind.FILE))
    steps = np.linspace(0, 1000, 200).tolist()
    rising = asked(trees, [[step, 20.0, 500.0] for step in steps])
    falling = asked(trees, [[110.0, 20.0, step] for step in steps])
    assert rising == sorted(rising)
    assert rising[0] + 0.3 < rising[-1]
    assert falling == sorted(falling, reverse=True)  # odds rise with the distance, so it can only be left out
    assert f"tree {trained.report.chosen + 1} of 150" in str(trained.report)


def test_a_regression_and_a_service_work_as_well_and_the_seed_decides(project: Path) -> None:
    config = config_of(project, rising=["traffic:flights", "distance"])
    config = config.model_copy(update={"labels": config.labels.model_copy(update={"target": "delay"})})
    first, second = train(config), train(config)
    assert first.report.task == "regression"
    assert first.report.metrics["model"]["rmse"].value < 0.5 * first.report.metrics["constant"]["rmse"].value
    assert first.model.read(MonotoneKind.FILE) == second.model.read(MonotoneKind.FILE)


def test_the_command_predicts_with_what_it_has_registered(covey: Covey, project: Path) -> None:
    code, out, err = covey("train", write_config(project, model=MONOTONE))
    assert code == 0, err
    assert "late: monotone for a binary target, 3 features" in out
    assert "served now" in out
    with Store.open(project) as store:
        served = OpenedModel.open(store, "late")
        given = {"dest": ["ATL", "LAX"], "distance": [200.0, float("nan")]}
        predicted = served.predict(given)
        x = predicted.used.values
        np.testing.assert_array_equal(
            predicted.values, asked(Trees.of(served.model.read(MonotoneKind.FILE)), x.tolist())
        )
    code, out, _ = covey("predict", "late", "dest=ATL,distance=200", "--store", project, "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["prediction"] == pytest.approx(predicted.values[0])


def test_a_registered_file_that_is_no_trees_is_refused(project: Path) -> None:
    lineage = train(config_of(project)).model.lineage
    with Publisher(project, lambda: 7) as publisher:
        publisher.register_model("late", {MonotoneKind.FILE: b"[]"}, json.dumps(lineage))
    with Store.open(project) as store, pytest.raises(ModelRefused, match=r"trees\.json is refused"):
        OpenedModel.open(store, "late")


class TestDirections:
    VIEW = a_view(
        features=[Rate("late", where="delay >= 15"), Count("flights"), Filtered("late", "4h", sd=0.1)], windows=["3h"]
    )
    NAMES = ("delays@v2:late", "delays:late_3h", "delays:flights", "delays:late_n", "delays:late_pred", "distance")

    def test_rates_and_what_is_filtered_of_them_rise_unless_directions_are_stated(self) -> None:
        assert directions_of(Monotone((), ()), self.NAMES, [self.VIEW]) == (1, 1, 0, 0, 1, 0)
        assert directions_of(Monotone((), ("distance",)), self.NAMES, [self.VIEW]) == (0, 0, 0, 0, 0, -1)
        stated = Monotone(("delays:late", "delays:hist"), ("delays@v2:flights",))
        cells = (*self.NAMES, "delays:hist[0]", "delays:hist[1]")
        assert directions_of(stated, cells, [self.VIEW]) == (1, 0, -1, 0, 0, 0, 1, 1)

    def test_a_name_that_is_no_feature_and_features_without_a_direction_are_refused(self) -> None:
        with pytest.raises(TrainingRefused, match="names 'delays:lat', but the features are delays:late, "):
            directions_of(Monotone(("delays:lat",), ()), self.NAMES, [self.VIEW])
        with pytest.raises(TrainingRefused, match=r"names one cell, 'delays:hist\[0\]'"):
            directions_of(Monotone(("delays:hist[0]",), ()), (*self.NAMES, "delays:hist[0]"), [self.VIEW])
        with pytest.raises(TrainingRefused, match="'delays:late' is both in rising and in falling"):
            directions_of(Monotone(("delays:late",), ("delays@v2:late",)), self.NAMES, [self.VIEW])
        with pytest.raises(TrainingRefused, match=r"needs a feature with a direction.*Write rising ="):
            directions_of(Monotone((), ()), ("delays:flights", "distance"), [self.VIEW])

    @pytest.mark.parametrize(
        ("sections", "says"),
        [
            (
                {"model": {"rising": ["a:b"]}},
                "rising is a key of kind \"monotone\"; remove it, or change kind = 'linear'",
            ),
            ({"model": {"kind": "monotone"}}, 'epochs is a key of the kinds "linear" and "mlp"'),
            ({"model": MONOTONE | {"falling": ["traffic:flights"]}}, "is both in rising and in falling"),
            ({"model": MONOTONE, "features": {"se": True}}, 'kind "monotone" takes no standard errors'),
        ],
    )
    def test_keys_of_another_kind_are_refused(self, tmp_path: Path, sections: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigInvalid) as caught:
            TrainConfig.load(write_config(tmp_path, **sections))
        assert says in str(caught.value)


class TestTrees:
    def test_a_row_walks_to_its_leaf_and_a_null_goes_where_the_node_says(self) -> None:
        trees = Trees.of(bytes_of())
        assert asked(trees, [[9.0, 0.5], [9.0, 0.6], [9.0, float("nan")]]) == [9.0, 12.0, 12.0]
        left = Trees.of(bytes_of(trees=[ONE_TREE | {"null_left": [True, False, False]}] * 2))
        assert asked(left, [[9.0, float("nan")]]) == [8.0]
        assert Trees.of(left.to_bytes()).to_bytes() == left.to_bytes()
        assert asked(left.first(1), [[9.0, float("nan")]]) == [9.0]
        assert asked(Trees.of(bytes_of(task="binary", start=-2.0)), [[0.0, 1.0]]) == [0.5]
        with pytest.raises(ArchiveRefused, match="it takes 2 features, but 1 are given"):
            asked(trees, [[1.0]])

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"\xff", "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", "an object with the keys"),
            (bytes_of(more=1), "an object with the keys"),
            (bytes_of(format=2), "format 2"),
            (bytes_of(task="code"), "task code"),
            (bytes_of(width=True), "its width"),
            (bytes_of(width=2**17), "its width"),
            (bytes_of(start=True), "in place of a number"),
            (bytes_of().replace(b"10.0", b"NaN"), "not JSON with finite numbers"),
            (bytes_of().replace(b"10.0", b"1e999"), "in place of a number"),
            (bytes_of().replace(b"10.0", b"1" + b"0" * 400), "in place of a number"),
            (bytes_of(trees=[CHAIN, *[ONE_TREE] * 1023]), "more than 1,048,576 nodes"),
            (bytes_of(trees=[]), "1 to 4,096 trees"),
            (bytes_of(trees=[ONE_TREE] * 4097), "1 to 4,096 trees"),
            (bytes_of(trees=[{}]), "a tree must be an object"),
            (bytes_of(trees=[{name: [] for name in ONE_TREE}]), "1 to 4,096 nodes"),
            (bytes_of(trees=[ONE_TREE | {"value": [0.0]}]), "lists of equal length"),
            (bytes_of(trees=[ONE_TREE | {"feature": [2, 0, 0]}]), "cannot be there"),
            (bytes_of(trees=[ONE_TREE | {"feature": [True, 0, 0]}]), "cannot be there"),
            (bytes_of(trees=[ONE_TREE | {"left": [1, 0, 2]}]), "cannot be there"),  # back to the root: an endless walk
            (bytes_of(trees=[ONE_TREE | {"right": [3, 1, 2]}]), "cannot be there"),
            (bytes_of(trees=[ONE_TREE | {"left": [0, 1, 2]}]), "two children, or none"),
            (bytes_of(trees=[ONE_TREE | {"null_left": [0, 0, 0]}]), "truth values"),
            (bytes_of(trees=[ONE_TREE | {"value": ["1", 0.0, 0.0]}]), "in place of a number"),
        ],
    )
    def test_a_file_that_covey_train_does_not_write_is_refused(self, data: bytes, says: str) -> None:
        with pytest.raises(ArchiveRefused, match=says):
            Trees.of(data)
