from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from base.errors import ConfigInvalid  # noqa: E402
from deployment.errors import TrainingRefused  # noqa: E402
from featurestore.errors import ModelInvalid, StoreCorrupt, UnknownModel  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.publish.verify import check_store  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY, a_release  # noqa: E402
from tests.training.program import DAYS, make_labels, make_store, write_config  # noqa: E402
from training.data.matrix import MatrixLayout, matrices  # noqa: E402
from training.fit.config import TrainConfig  # noqa: E402
from training.fit.metrics import auc_of, measure  # noqa: E402
from training.fit.model import Baseline  # noqa: E402
from training.fit.train import train  # noqa: E402
from training.serving.kinds.model_kind import Exported  # noqa: E402
from training.serving.output_drift import OutputShares  # noqa: E402

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_labels(tmp_path, make_store(tmp_path))
    return tmp_path


class TestConfig:
    def test_paths_are_those_from_its_folder_and_store_can_be_another(self, tmp_path: Path) -> None:
        config = TrainConfig.load(write_config(tmp_path))
        assert config.store == tmp_path
        assert config.labels.file == tmp_path / "labels.parquet"
        assert TrainConfig.load(write_config(tmp_path), Path("elsewhere")).store == Path("elsewhere")
        assert f"{config.split.test_from:%Y-%m-%dT%H:%M%z}" == "1970-01-31T00:00+0000"

    @pytest.mark.parametrize(
        ("sections", "says"),
        [
            ({"model": {"epoch": 3}}, "[model] epoch: unknown key; did you mean epochs? Known are kind, task"),
            ({"labels": {"test_from": "2020"}}, "[labels] test_from: unknown key; did you mean [split] test_from?"),
            ({"": {"zzz": 1}}, "zzz: unknown key. Known are name, store"),
            ({"": {"name": None}}, 'name: the key is missing; write name = "…"'),
            ({"": {"name": 5}}, 'name: write name = "…", not 5'),
            (
                {"": {"store": None}},
                'store: the key is missing; write store = "DIR", or name the store when the model is trained',
            ),
            ({"labels": {"time": ""}}, '[labels] time: write time = "…"'),
            ({"labels": {"columns": "distance"}}, '[labels] columns: write columns = ["…", …]'),
            ({"labels": {"rename": {"dest": 5}}}, "[labels] rename.dest: write rename = {join_key"),
            ({"labels": {"rename": "dest"}}, "[labels] rename: write rename = {join_key = "),
            ({"labels": {"max_missing": 2}}, "[labels] max_missing: it must be at most 1, not 2"),
            ({"features": {"service": "vector"}}, "[features]: write refs = "),
            ({"features": {"refs": None}}, "[features]: write refs = "),
            ({"features": {"se": 1}}, "[features] se: write se = true|false"),
            ({"split": {"test_from": None}}, "[split] test_from: the key is missing; write test_from = 2013-09-01"),
            ({"split": {"valid_from": "1970-01-31"}}, "[split] test_from: it must be after valid_from"),
            ({"model": {"kind": "forest"}}, "[model] kind: it must be 'linear', 'mlp' or 'monotone', not 'forest'"),
            ({"model": {"batch_size": 0}}, "[model] batch_size: it must be at least 1, not 0"),
            ({"model": {"epochs": True}}, "[model] epochs: write epochs = N, not true"),
            ({"model": {"hidden": [0]}}, "[model] hidden: write a list of up to 8 layer sizes"),
            ({"model": {"learning_rate": 0}}, "[model] learning_rate: it must be at least 1e-09, not 0"),
            ({"collect": {"views": "v.py"}}, '[collect] events: the key is missing; write events = "…"'),
        ],
    )
    def test_what_is_wrong_is_named_with_its_place(self, tmp_path: Path, sections: dict[str, Any], says: str) -> None:
        path = write_config(tmp_path, **sections)
        with pytest.raises(ConfigInvalid) as caught:
            TrainConfig.load(path)
        assert str(caught.value).startswith(f"{path}: {says}")

    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "bad.toml").write_text("[[[")
        for name, says in (("bad.toml", "not TOML"), ("none.toml", "cannot be read")):
            with pytest.raises(ConfigInvalid, match=says):
                TrainConfig.load(tmp_path / name)

    def test_a_section_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text('name = "a"\nstore = "."\nlabels = 5\n')
        with pytest.raises(ConfigInvalid, match=r"labels: write a section \[labels\]"):
            TrainConfig.load(tmp_path / "c.toml")


class TestMetrics:
    def test_the_auc_counts_pairs_and_ties_half(self) -> None:
        rng = np.random.default_rng(0)
        y, p, w = rng.integers(0, 2, 200), rng.integers(0, 20, 200) / 20, rng.integers(0, 4, 200).astype(float)
        pairs = w[y == 1][:, None] * w[y == 0][None, :]
        wins = (p[y == 1][:, None] > p[y == 0][None, :]) + 0.5 * (p[y == 1][:, None] == p[y == 0][None, :])
        assert auc_of(y.astype(float), p)(w) == pytest.approx((pairs * wins).sum() / pairs.sum())

    def test_intervals_are_of_days_and_not_of_rows(self) -> None:
        """All rows of a day are equal, so a hundred times the rows add no information."""
        rng = np.random.default_rng(0)
        of_day = rng.normal(size=30)
        widths = []
        for rows in (1, 100):
            y = of_day.repeat(rows)
            measured = measure(y, np.zeros(len(y)), np.arange(30).repeat(rows) * DAY, "regression", 0)["rmse"]
            assert measured.low is not None
            assert measured.high is not None
            assert measured.low < measured.value < measured.high
            widths.append(measured.high - measured.low)
        assert widths[0] == pytest.approx(widths[1])
        assert measure(y[:5], y[:5], np.zeros(5, np.int64), "regression", 0)["rmse"].low is None


class TestTrain:
    def test_it_learns_what_is_there_and_registers_where_it_comes_from(self, project: Path) -> None:
        config = TrainConfig.load(write_config(project, model={"kind": "linear", "reference": True}))
        trained = train(config)
        auc, constant = trained.report.metrics["model"]["auc"], trained.report.metrics["constant"]["auc"]
        assert auc.value > 0.85
        assert auc.low is not None
        assert auc.low > 0.8
        assert constant.value == 0.5
        assert trained.report.metrics["reference"]["auc"].value > 0.85
        assert sum(trained.report.rows.values()) == 3000
        with Store.open(project) as store:
            (model,) = store.models()
            assert model == store.model("late") == store.model("late@v1") == trained.model
            assert set(model.files) == {Exported.FILE, "lineage.json", "report.json", "report.txt", "report.png"}
            lineage = json.loads(model.read("lineage.json"))
            assert lineage == model.lineage
            assert lineage["features"] == ["traffic@v1:flights", "everywhere@v1:flights"]
            assert lineage["names"] == [*lineage["features"], "distance"]
            labels = (project / "labels.parquet").read_bytes()
            assert lineage["labels"] == {
                "file": "labels.parquet", "sha256": hashlib.sha256(labels).hexdigest(), "rows": 3000,
            }  # fmt: skip
            last = pq.read_table(project / "labels.parquet")["at"].cast(pa.int64()).to_numpy().max()
            seen = [one for one in store.published("traffic", 0) if one.released_at <= last]
            assert len(seen) < DAYS
            assert lineage["views"][0]["releases"] == [one.release_id.hex() for one in seen]
            assert lineage["seed"] == 0
            assert OutputShares.of_lineage(lineage) is not None
        assert not check_store(project).damaged

    def test_the_same_again_is_the_same_model_and_another_version(self, project: Path) -> None:
        config = TrainConfig.load(write_config(project, model={"kind": "mlp", "epochs": 3}))
        first, second = train(config), train(config)
        assert str(second.model) == "late@v2"
        assert first.report.metrics == second.report.metrics
        with Store.open(project) as store:
            assert store.model("late").version == 2

    def test_a_missing_value_is_no_zero_and_a_standard_error_may_be_told(self, project: Path) -> None:
        config = TrainConfig.load(write_config(project, features={"se": True, "mask": True}))
        assert train(config).report.metrics["model"]["auc"].value > 0.85

    def test_a_target_of_numbers_is_a_regression(self, project: Path) -> None:
        config = TrainConfig.load(write_config(project, labels={"target": "delay"}))
        report = train(config).report
        assert report.task == "regression"
        assert report.metrics["model"]["rmse"].value < 0.5 * report.metrics["constant"]["rmse"].value

    def test_no_training_row_has_an_outcome_from_after_the_split(self, project: Path) -> None:
        rows = train(TrainConfig.load(write_config(project))).report.rows
        purged = train(TrainConfig.load(write_config(project, labels={"outcome_time": "known"}))).report.rows
        assert purged["train"] < rows["train"]
        assert purged["test"] == rows["test"]

    def test_a_service_names_the_features(self, project: Path) -> None:
        config = TrainConfig.load(write_config(project, features={"refs": None, "service": "vector"}))
        lineage = train(config).model.lineage
        assert lineage["service"] == "vector"
        assert lineage["features"] == ["everywhere@v1:flights", "traffic@v1:flights"]

    def test_a_model_that_diverges_is_refused(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Baseline, "loss", lambda self, batch, y: self.score(*batch) * float("nan"))
        with pytest.raises(
            TrainingRefused, match="no epoch has a finite validation loss; take a smaller learning_rate"
        ):
            train(TrainConfig.load(write_config(project, model={"epochs": 2})))

    def test_what_is_exported_is_what_was_tested(self, project: Path) -> None:
        """The exported file alone, on the join of the test labels, gives the report's AUC."""
        trained = train(TrainConfig.load(write_config(project, model={"kind": "mlp"})))
        program = torch.export.load(trained.model.folder / Exported.FILE).module()
        labels = pq.read_table(project / "labels.parquet")
        labels = labels.filter(pa.compute.greater_equal(labels["at"].cast(pa.int64()), 30 * DAY))
        refs = trained.model.lineage["features"]
        with Store.open(project) as store:
            joined = store.join(labels, refs, "at", full_names=True).read_all()
        (batch,) = joined.combine_chunks().to_batches()
        x, se, mask = matrices(batch, MatrixLayout.of(batch.schema, refs, ()))
        distance = labels["distance"].to_numpy().astype(np.float32)[:, None]
        inputs = (np.hstack((x, distance)), np.hstack((mask, distance > 0)), np.hstack((se, 0 * distance)))
        with torch.no_grad():
            predicted = program(*map(torch.from_numpy, inputs)).numpy()
        auc = auc_of(labels["late"].to_numpy().astype(float), predicted)(np.ones(len(predicted)))
        assert auc == pytest.approx(trained.report.metrics["model"]["auc"].value)


class TestCommand:
    def test_it_prints_the_report_and_a_served_vector(self, covey: Covey, project: Path) -> None:
        code, out, err = covey("train", write_config(project))
        assert code == 0, err
        for text in ("late: linear for a binary target, 3 features", "auc", "constant", "no nulls", "served now"):
            assert text in out
        assert "traffic@v1:flights" in out
        assert "registered as late@v1" in err
        assert "predict again: covey predict late dest=" in err
        code, out, _ = covey("models", "list", "--store", project)
        assert code == 0
        assert "late@v1" in out
        code, out, _ = covey("models", "list", "--store", project, "--json")
        assert [(one["name"], one["views"]) for one in json.loads(out)] == [("late", ["traffic@v1", "everywhere@v1"])]

    def test_json(self, covey: Covey, project: Path) -> None:
        code, out, err = covey("train", write_config(project), "--json")
        assert code == 0, err
        told = json.loads(out)
        assert told["model"] == "late@v1"
        assert set(told["metrics"]) == {"model", "constant"}
        assert told == {
            **json.loads((Path(told["folder"]) / "report.json").read_text()),
            "model": told["model"],
            "folder": told["folder"],
        }

    @pytest.mark.parametrize(
        ("sections", "code", "says"),
        [
            ({"labels": {"target": "nothing"}}, 2, "the labels need one column 'nothing' (target)"),
            ({"labels": {"target": "dest"}}, 2, "must hold numbers"),
            ({"labels": {"time": "distance"}}, 2, "must hold timestamps"),
            ({"labels": {"file": "none.parquet"}}, 2, "cannot be read (No such file"),
            ({"labels": {"rename": {"dest": "to"}}}, 2, "the labels need one column 'to'"),
            ({"features": {"refs": ["nothing:flights"]}}, 5, "no view 'nothing'"),
            ({"features": {"refs": ["traffic:nothing"]}}, 5, "no feature 'nothing'"),
            ({"features": {"refs": ["traffic@v3:flights"]}}, 5, "no view traffic@v3"),
            ({"features": {"refs": None, "service": "nothing"}}, 5, "no feature service 'nothing'"),
            ({"split": {"test_from": "2020-01-01"}}, 2, "no label has a time from"),
            ({"labels": {"target": "distance"}, "model": {"task": "binary"}}, 2, "not only 0 and 1"),
            ({"": {"store": "nowhere"}}, 5, "no store at"),
            ({"": {"name": "Late Model"}}, 2, "has lower-case letters"),
        ],
    )
    def test_what_cannot_be_is_one_line(
        self, covey: Covey, project: Path, sections: dict[str, Any], code: int, says: str
    ) -> None:
        got, out, err = covey("train", write_config(project, **sections))
        assert (got, out) == (code, "")
        assert says in err
        assert err.strip().splitlines()[-1].startswith("error: ")

    def test_a_target_of_one_kind_is_refused(self, covey: Covey, project: Path) -> None:
        table = pq.read_table(project / "labels.parquet")
        pq.write_table(
            table.set_column(table.column_names.index("late"), "late", pa.array([1] * 3000)), project / "labels.parquet"
        )
        code, _, err = covey("train", write_config(project))
        assert code == 2
        assert "every training row has the target 1" in err

    def test_arguments_that_do_not_fit(self, covey: Covey, project: Path) -> None:
        assert covey("train")[0] == 2
        assert covey("train", write_config(project), "--list")[0] == 2  # `covey models list` lists

    def test_a_store_that_is_written_to_is_named_and_the_cache_is_kept(self, covey: Covey, project: Path) -> None:
        with Publisher(project, lambda: 0):
            code, _, err = covey("train", write_config(project))
        assert code == 1
        assert "in use by another writer" in err


def test_without_a_store_the_events_are_collected_first(covey: Covey, tmp_path: Path) -> None:
    from tests.covey.conftest import VIEWS, make_events

    (tmp_path / "views.py").write_text(
        VIEWS + '\nvector = FeatureService("vector", ["visits:visits", "everywhere:all"])\n'
    )
    events = make_events()
    pq.write_table(events, tmp_path / "events.parquet")
    rng = np.random.default_rng(0)
    at = rng.integers(1_588_400_000, 1_588_600_000, 400)
    labels = {
        "shop": rng.choice(["a", "b"], 400).tolist(),
        "at": pa.array(at, pa.timestamp("s")),
        "late": rng.random(400) < 0.4,
    }
    pq.write_table(pa.table(labels), tmp_path / "labels.parquet")
    config = write_config(
        tmp_path,
        **{"": {"store": "fresh"}},
        labels={"columns": None, "max_missing": 0.9},
        features={"refs": None, "service": "vector"},
        split={"valid_from": "2020-05-03", "test_from": "2020-05-03T12:00:00"},
        model={"epochs": 1},
        collect={
            "views": "views.py", "events": "events.parquet", "client_column": "who", "time_column": "at",
            "site_column": "site", "budget": 1, "in_process": True,
        },
    )  # fmt: skip
    code, out, err = covey("train", config, "--trust")
    assert code == 0, err
    assert "served now" in out
    assert covey("train", config, "--trust")[0] == 0  # existing values are not collected again


class TestRegistry:
    def test_models_are_checked_as_they_are_read(self, tmp_path: Path) -> None:
        with Publisher(tmp_path, lambda: 7) as publisher:
            model = publisher.register_model("m", {"model.pt2": b"one"}, '{"a": 1}')
            publisher.register_model("m", {"model.pt2": b"two"}, "{}")
            for name, files in (("M", {"a.b": b""}), ("m", {"../a.b": b""}), ("m", {})):
                with pytest.raises(ModelInvalid):
                    publisher.register_model(name, files, "{}")
        with Store.open(tmp_path) as store:
            assert store.model("m@v1") == model
            assert store.model("m").read("model.pt2") == b"two"
            for name in ("n", "m@v3", "m@1", "../m"):
                with pytest.raises(UnknownModel, match="it has: m@v1, m@v2"):
                    store.model(name)
            (model.folder / "model.pt2").write_bytes(b"changed")
            with pytest.raises(StoreCorrupt, match="differs from the registered file"):
                model.read("model.pt2")
            with pytest.raises(StoreCorrupt, match="cannot be read"):
                model.read("nothing.pt2")
        assert [one.path for one in check_store(tmp_path).damaged] == ["models/m/v1/model.pt2"]

    def test_a_registration_that_was_cut_off_counts_for_nothing(self, tmp_path: Path) -> None:
        stray = tmp_path / "store" / "models" / "m" / "v1"
        with Publisher(tmp_path, lambda: 7) as publisher:
            folder = publisher.register_model("other", {"a.b": b""}, "{}").folder.parents[1] / "m" / "v1"
            folder.mkdir(parents=True)
            (folder / "old.pt2").write_bytes(b"old")
            model = publisher.register_model("m", {"a.b": b"new"}, "{}")
        assert [path.name for path in model.folder.iterdir()] == ["a.b"]
        assert model.version == 1
        assert not stray.exists() or stray == folder


def test_no_other_command_and_no_import_waits_for_torch(project: Path, covey: Covey) -> None:
    code = (
        "import sys, covey, covey.cli; from covey.cli import call;"
        f"call(['get', 'traffic:flights', 'dest=ATL', '--store', {str(project)!r}]);"
        f"call(['models', 'list', '--store', {str(project)!r}]); call(['train', '--help']); call(['predict', '--help']);"
        "print(sorted({'torch', 'sklearn', 'ray', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]"), done.stdout


def test_a_publication_during_the_join_means_that_it_is_joined_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.training.program import traffic
    from training.fit import train as module

    real, calls = module.FeatureDataset, list[int]()

    def made(*args: Any, **kwargs: Any) -> Any:
        dataset = real(*args, **kwargs)
        calls.append(1)
        if len(calls) == 1:
            with Publisher(project, lambda: 100 * DAY) as publisher:
                publisher.publish([a_release(traffic(), DAYS * DAY)])
        return dataset

    monkeypatch.setattr(module, "FeatureDataset", made)
    train(TrainConfig.load(write_config(project)))
    assert len(calls) == 2
