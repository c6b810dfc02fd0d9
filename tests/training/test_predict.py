from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from deployment.errors import ModelOutdated, ModelRefused  # noqa: E402
from featurestore.define.kinds import Count, Rate  # noqa: E402
from featurestore.errors import BadReference, StoreCorrupt  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY, a_release  # noqa: E402
from tests.training.program import DAYS, DESTS, everywhere, make_labels, make_store, traffic, write_config  # noqa: E402
from training.fit.config import TrainConfig  # noqa: E402
from training.fit.train import train  # noqa: E402
from training.serving.in_process.opened_model import OpenedModel  # noqa: E402
from training.serving.in_process.predictions import prediction_rows, print_predicted  # noqa: E402
from training.serving.kinds.model_kind import Exported  # noqa: E402

Covey = Callable[..., tuple[int, str, str]]

ON_DEMAND = """
from typing import Annotated

import numpy as np

from covey import Feature, Input, on_demand


@on_demand(outputs=["weighed"])
def busy(
    flights: Annotated[np.ndarray, Feature("traffic:flights")], distance: Annotated[np.ndarray, Input("float64")]
) -> np.ndarray:
    return flights + distance / 10
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        make_labels(directory, make_store(directory))
        train(TrainConfig.load(write_config(directory, labels={"constants": {"area": "NYC"}})))
    return directory


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy of the project for tests that change it."""
    shutil.copytree(trained, tmp_path / "p")
    return tmp_path / "p"


def test_it_is_what_the_exported_model_says_of_a_join_at_this_moment(trained: Path) -> None:
    given: dict[str, list[Any]] = {"dest": [*DESTS, "???"], "distance": [100.0, 500.0, 900.0, 500.0]}
    with Store.open(trained) as store:
        served = OpenedModel.open(store, "late")
        assert served.inputs == {"dest": "string", "distance": "float64"}
        predicted = served.predict(given)
        labels = pa.table({**given, "at": pa.array([99 * DAY] * 4, pa.timestamp("us", "UTC"))})
        joined = store.join(labels, list(served.features), "at", full_names=True).read_all()
    columns = [joined["traffic@v1__flights"], joined["everywhere@v1__flights"], joined["distance"]]
    x = np.column_stack([column.fill_null(0).to_numpy().astype(np.float32) for column in columns])
    mask = np.column_stack([column.is_valid().to_numpy() for column in columns])
    program = torch.export.load(served.model.folder / Exported.FILE).module()
    with torch.no_grad():
        expected = program(*map(torch.from_numpy, (x, mask, np.zeros_like(x)))).numpy()
    assert predicted.values.tolist() == expected.tolist()
    assert not mask[3, 0]
    assert mask[3, 1]
    assert len(set(predicted.values.tolist())) == 4


def test_it_reads_what_was_published_since(project: Path) -> None:
    given = {"dest": ["ATL"], "distance": [500.0]}
    with Store.open(project) as store:
        served = OpenedModel.open(store, "late")
        before = served.predict(given).values
        with Publisher(project, lambda: 100 * DAY) as publisher:
            publisher.publish([a_release(traffic(), DAYS * DAY, 1000)])
        assert served.predict(given).values > before
        with pytest.raises(BadReference, match=r"model late@v1 needs 'distance'; it takes: dest, distance"):
            served.predict({"dest": ["ATL"]})
        with pytest.raises(BadReference):
            served.predict({"dest": [5], "distance": [1.0]})


def test_the_command_prints_predictions_with_values_and_statuses(covey: Covey, trained: Path) -> None:
    words = ["predict", "late", "dest=ATL,distance=100", "dest=???,distance=900", "--store", trained]
    code, out, err = covey(*words)
    assert code == 0, err
    for text in ("traffic@v1:flights", "dest=ATL", "± 0", "OK", "NOT_FOUND", "GIVEN"):
        assert text in out
    code, out, _ = covey(*words, "--json")
    assert code == 0
    first, second = json.loads(out)
    assert first["keys"] == {"dest": "ATL"}
    assert 0 < first["prediction"] < 1
    assert first["features"]["traffic@v1:flights"]["status"] == "OK"
    assert second["features"]["traffic@v1:flights"] == {"value": None, "se": None, "status": "NOT_FOUND"}
    assert second["features"]["distance"] == {"value": 900.0, "se": None, "status": "GIVEN"}


def test_a_column_that_is_no_number_is_null(covey: Covey, trained: Path) -> None:
    code, out, err = covey("predict", "late", "dest=ATL,distance=nan", "--store", trained, "--json")
    assert code == 0, err
    assert "NaN" not in out
    assert json.loads(out)[0]["features"]["distance"] == {"value": None, "se": None, "status": "GIVEN"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nothing", "dest=ATL,distance=1"], 5, "no model 'nothing' in this store; it has: late@v1"),
        (["late@v7", "dest=ATL,distance=1"], 5, "no model 'late@v7'"),
        (["late"], 2, "no join key is given; add dest=…,distance=… for each row"),
        (["late", "dest=ATL"], 2, "must give dest, distance"),
        (["late", "dest=ATL,distance=far"], 2, "distance must be a number, got 'far'"),
        (["late", "dest=ATL,distance=-inf"], 2, "'distance' is infinite"),
    ],
)
def test_what_is_wrong_is_one_line(covey: Covey, trained: Path, words: list[str], code: int, says: str) -> None:
    got, out, err = covey("predict", *words, "--store", trained)
    assert (got, out) == (code, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_view_with_another_definition_is_refused(covey: Covey, project: Path, tmp_path: Path) -> None:
    """The same model in a store whose view of that name has another definition or is missing."""
    with Store.open(project) as store:
        model = store.model("late")
        files = {name: model.read(name) for name in model.files}
    other = traffic(features=[Count("flights"), Rate("late", where="delay >= 15")])
    for name, views, says in (
        ("other", [other, everywhere()], "view 'traffic' is v1, "),
        ("without", [everywhere()], "the store has no view 'traffic' any more"),
    ):
        with Publisher(tmp_path / name, lambda: 100 * DAY) as publisher:
            for view in views:
                publisher.register(view)
            publisher.register_model("late", files, json.dumps(model.lineage))
        code, out, err = covey("predict", "late", "dest=ATL,distance=1", "--store", tmp_path / name)
        assert (code, out) == (4, "")
        assert says in err
        assert "covey train CONFIG.toml" in err


def test_a_model_that_was_changed_is_not_loaded(covey: Covey, project: Path) -> None:
    with Store.open(project) as store:
        path = store.model("late").folder / Exported.FILE
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    code, _, err = covey("predict", "late", "dest=ATL,distance=1", "--store", project)
    assert code == 1
    assert "differs from the registered file" in err


@pytest.mark.parametrize(
    "change",
    [
        {"features": None}, {"features": [1]}, {"views": None}, {"views": [1]}, {"views": "traffic"},
        {"views": [{"name": "traffic", "version": "1", "definition_hash": "00"}]}, {"views_file_sha256": 7},
    ],
    ids=str,
)  # fmt: skip
def test_a_lineage_that_somebody_changed_is_refused_by_name(project: Path, change: dict[str, Any]) -> None:
    with Publisher(project, lambda: 100 * DAY) as publisher, Store.open(project) as store:
        model = store.model("late")
        files = {name: model.read(name) for name in model.files}
        publisher.register_model("late", files, json.dumps({**model.lineage, **change}))
        with pytest.raises(StoreCorrupt, match="the lineage of model late@v2 does not say which views it reads"):
            OpenedModel.open(store, "late")


def test_a_model_that_is_no_archive_is_refused(project: Path) -> None:
    with Publisher(project, lambda: 100 * DAY) as publisher, Store.open(project) as store:
        lineage = store.model("late").lineage
        publisher.register_model("late", {Exported.FILE: b"no zip file"}, json.dumps(lineage))
        with pytest.raises(ModelRefused, match=r"model late@v2: model\.pt2 is refused: it is no whole zip"):
            OpenedModel.open(store, "late")


def test_on_demand_views_are_those_of_the_training(
    covey: Covey, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    views = project / "views.py"
    views.write_text(ON_DEMAND)
    config = write_config(
        project,
        **{"": {"name": "weighed"}},
        labels={"columns": None},
        features={"refs": ["busy:weighed", "everywhere:flights"], "views": "views.py"},
    )
    code, _, err = covey("train", config, "--trust")
    assert code == 0, err
    words = ["predict", "weighed", "dest=ATL,distance=100", "--store", project]
    code, shown, err = covey(*words, "--views", views, "--json")
    assert code == 0, err
    assert json.loads(shown)[0]["features"]["busy:weighed"]["status"] == "OK"
    assert covey(*words)[0] == 4
    views.write_text(ON_DEMAND.replace("/ 10", "/ 11"))
    code, _, err = covey(*words, "--views", views)
    assert code == 4
    assert "is not the file of on-demand views that it was trained with" in err
    with Store.open(project) as store, pytest.raises(ModelOutdated, match="name the file that declares them"):
        OpenedModel.open(store, "weighed")


def test_a_model_goes_on_with_its_version_of_a_view_and_needs_no_newer_one(covey: Covey, project: Path) -> None:
    words = ["predict", "late", "dest=ATL,distance=100", "--store", project, "--json"]
    before = json.loads(covey(*words)[1])
    newer = traffic(features=[Count("flights"), Rate("late", where="delay >= 15")])
    with Publisher(project, lambda: (DAYS + 1) * DAY) as publisher:
        publisher.apply([traffic(description="flights of an airport")])
    assert json.loads(covey(*words)[1]) == before  # a text is no other version
    with Publisher(project, lambda: (DAYS + 1) * DAY) as publisher:
        publisher.apply([newer])
        publisher.publish([a_release(newer, (DAYS + 2) * DAY, 999, view_version=2)])
    with Store.open(project) as store:
        assert store.blocks.snapshot.find("traffic").header.version == 2
    assert json.loads(covey(*words)[1]) == before


def test_the_command_prints_intervals(covey: Covey, tmp_path: Path) -> None:
    """Of an unknown key only the view of all keys has values, so its noise is less."""
    make_labels(tmp_path, make_store(tmp_path, noise="full"))
    train(TrainConfig.load(write_config(tmp_path, labels={"constants": {"area": "NYC"}})))
    words = [
        "predict",
        "late",
        "dest=ATL,distance=100",
        "dest=???,distance=900",
        "--store",
        tmp_path,
        "--interval",
        "0.9",
    ]
    code, out, err = covey(*words, "--json")
    assert code == 0, err
    first, second = json.loads(out)
    assert first["interval"]["lo"] < first["prediction"] < first["interval"]["hi"]
    assert second["interval"]["lo"] <= second["prediction"] <= second["interval"]["hi"]
    code, out, _ = covey(*words)
    assert code == 0
    assert f"[{first['interval']['lo']:.4g}, {first['interval']['hi']:.4g}]" in out


def test_a_prediction_without_an_interval_says_so(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a narrow table breaks the words
    given: dict[str, list[Any]] = {"dest": ["ATL"], "distance": [100.0]}
    with Store.open(trained) as store:
        served = OpenedModel.open(store, "late")
        none = replace(served.predict(given), interval=(np.array([np.nan]), np.array([np.nan])))
        assert prediction_rows(served, given, none)[0]["interval"] is None
        print_predicted(served, given, none)
    assert "(no interval)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dest=ATL,distance=100", "--interval", "1"], "interval=1: a level must be above 0.5 and at most 0.999"),
        (["dest=ATL,distance=100", "--interval", "0.2"], "interval=0.2: a level must be above 0.5"),
        (
            ["--labels", "labels.parquet", "--out", "x.csv", "--interval", "0.9"],
            "--interval is for rows on the command line",
        ),
    ],
)
def test_what_is_no_interval_is_one_line(covey: Covey, trained: Path, words: list[str], says: str) -> None:
    code, out, err = covey("predict", "late", *words, "--store", trained)
    assert code == 2
    assert not out
    assert says in err


def test_a_runner_is_closed_if_the_model_cannot_be_opened(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []

    def refuse(*_: object, **__: object) -> None:
        raise StoreCorrupt("a view")

    with Store.open(project) as store:
        monkeypatch.setattr("training.serving.kinds.own_runners.ProgramRunner.close", lambda self: closed.append(self))
        monkeypatch.setattr("training.serving.inputs.model_inputs.ModelInputs.of", refuse)
        with pytest.raises(StoreCorrupt):
            OpenedModel.open(store, "late")
    assert len(closed) == 1
