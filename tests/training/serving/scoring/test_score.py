from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from featurestore.errors import BadReference  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY  # noqa: E402
from tests.training.program import DESTS, make_labels, make_store, write_config  # noqa: E402
from training.data.dataset import FeatureDataset  # noqa: E402
from training.errors import ColumnMissing, PlainTooLarge, ScoreColumnTaken  # noqa: E402
from training.fit.config import TrainConfig  # noqa: E402
from training.fit.epochs import predictions  # noqa: E402
from training.fit.train import train  # noqa: E402
from training.serving.arrays import Arrays, Floats32  # noqa: E402
from training.serving.in_process.opened_model import OpenedModel  # noqa: E402
from training.serving.kinds.loading import Loading  # noqa: E402
from training.serving.kinds.open_runner import open_runner  # noqa: E402
from training.serving.scoring import score as score_module  # noqa: E402
from training.serving.scoring.rows import AtLabelTimes, AtOnce, Moment, RowsToScore  # noqa: E402
from training.serving.scoring.score import score  # noqa: E402

Covey = Callable[..., tuple[int, str, str]]
COLUMNS = ["dest", "at", "known", "distance", "late", "delay", "prediction", "version", "epoch", "statuses"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the models `late` (a network) and `trees`, and its labels."""
    directory = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        make_labels(directory, make_store(directory))
        train(TrainConfig.load(write_config(directory, model={"kind": "mlp", "epochs": 2})))
        networks = {"epochs": None, "learning_rate": None}
        trees = {"kind": "monotone", "rising": ["traffic:flights", "distance"], **networks}
        train(TrainConfig.load(write_config(directory, "trees.toml", model=trees, **{"": {"name": "trees"}})))
    return directory


def scored(store: Store, model: str, file: Path, moment: Moment, batch: int = 4096, **given: Any) -> pa.Table:
    found = store.model(model)
    rows = RowsToScore(file, moment, tuple(found.lineage["columns"]), **given)
    result = score(store, found, open_runner(found, Loading(compile=False)), rows, batch=batch)
    return pa.Table.from_batches(result.batches, schema=result.schema)


@pytest.mark.parametrize("model", ["late", "trees"])
def test_predictions_on_the_labels_are_those_of_the_trainings_test_rows_bit_for_bit(
    trained: Path, tmp_path: Path, model: str
) -> None:
    with Store.open(trained) as store:
        found = store.model(model)
        table = scored(store, model, trained / "labels.parquet", AtLabelTimes("at"))
        dataset = FeatureDataset(
            store,
            labels=trained / "labels.parquet",
            features=found.lineage["features"],
            time="at",
            target="late",
            columns=["distance"],
            batch_size=256,
            cache_dir=tmp_path,
        )
        split = TrainConfig.load(trained / "late.toml").split
        test = dataset.between(split.test_from, None)
        runner = open_runner(found, Loading(compile=False))

        def run(x: Any, mask: Any, se: Any) -> Any:
            return torch.from_numpy(runner.run(Arrays(x.numpy(), mask.numpy(), se.numpy())))

        _, expected, times = predictions(run, test)
    is_test = table["at"].cast(pa.int64()).to_numpy() >= split.test_from.timestamp() * 1e6
    assert table.column_names == COLUMNS
    assert table["at"].cast(pa.int64()).to_numpy()[is_test].tolist() == times.tolist()
    assert table["prediction"].to_numpy()[is_test].tolist() == expected.tolist()
    assert len(set(expected.tolist())) > 100
    assert table["version"].unique().to_pylist() == [1]


def test_a_prediction_does_not_depend_on_the_rows_around_it(trained: Path, tmp_path: Path) -> None:
    with Store.open(trained) as store:
        whole = scored(store, "late", trained / "labels.parquet", AtLabelTimes("at"))["prediction"].to_pylist()
        one = pq.read_table(trained / "labels.parquet").slice(1234, 1)
        pq.write_table(one, tmp_path / "one.parquet")
        assert scored(store, "late", tmp_path / "one.parquet", AtLabelTimes("at"))["prediction"].to_pylist() == [
            whole[1234]
        ]
        for batch in (64, 1000):
            again = scored(store, "late", trained / "labels.parquet", AtLabelTimes("at"), batch)
            assert again["prediction"].to_pylist() == whole


def test_the_newest_values_are_those_that_are_served(trained: Path, tmp_path: Path) -> None:
    given: dict[str, list[Any]] = {"dest": [*DESTS, "???"], "distance": [100.0, 500.0, 900.0, 500.0]}
    csv.write_csv(pa.table(given), tmp_path / "keys.csv")
    with Store.open(trained) as store:
        table = scored(store, "trees", tmp_path / "keys.csv", AtOnce(99 * DAY), kept=("dest",))
        served = OpenedModel.open(store, "trees").predict(given)
        assert table.column_names == ["dest", "prediction", "version", "epoch", "statuses"]
        assert table["prediction"].to_pylist() == served.values.tolist()
        assert table["statuses"].to_pylist() == ["OK", "OK", "OK", "1 NOT_FOUND"]
        assert table["epoch"].unique().to_pylist() == [store.blocks.require().epoch]


def test_columns_may_have_any_name_but_those_that_are_added(trained: Path, tmp_path: Path) -> None:
    labels = pq.read_table(trained / "labels.parquet").slice(0, 500)
    other = labels.rename_columns(["to", "traffic@v1__flights", "everywhere@v1__flights", "distance", "dest", "delay"])
    pq.write_table(other, tmp_path / "other.parquet")
    with Store.open(trained) as store:
        usual = scored(store, "late", trained / "labels.parquet", AtLabelTimes("at"))
        moment = AtLabelTimes("traffic@v1__flights")
        table = scored(store, "late", tmp_path / "other.parquet", moment, rename={"dest": "to"})
        assert table.column_names[:6] == other.column_names
        assert table.select(other.column_names).equals(other)
        assert table["prediction"].to_pylist() == usual["prediction"].to_pylist()[:500]
        pq.write_table(labels.append_column("epoch", labels["late"]), tmp_path / "taken.parquet")
        with pytest.raises(ScoreColumnTaken, match="the file has a column 'epoch', and the output gets one"):
            scored(store, "late", tmp_path / "taken.parquet", AtLabelTimes("at"))
        kept = scored(store, "late", tmp_path / "taken.parquet", AtLabelTimes("at"), kept=("dest",))
        assert kept["prediction"].to_pylist() == usual["prediction"].to_pylist()[:500]


def test_a_row_without_a_time_has_no_prediction_and_one_before_all_releases_no_values(
    trained: Path, tmp_path: Path
) -> None:
    times = pa.array([None, -DAY, 30 * DAY], pa.timestamp("us", "UTC"))
    rows = pa.table({"dest": ["ATL"] * 3, "at": times, "distance": [1.0, None, 3.0]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    with Store.open(trained) as store:
        table = scored(store, "late", tmp_path / "rows.parquet", AtLabelTimes("at"))
    assert [one is None for one in table["prediction"].to_pylist()] == [True, False, False]
    assert table["statuses"].to_pylist() == ["no time", "2 NOT_FOUND", "OK"]


def test_a_constant_key_comes_from_the_lineage_and_an_infinite_column_is_named_with_its_row(
    trained: Path, tmp_path: Path
) -> None:
    at = pa.array([30 * DAY] * 3, pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"at": at, "distance": [1.0, 2.0, float("inf")]}), tmp_path / "rows.parquet")
    with Store.open(trained) as store:
        with pytest.raises(ColumnMissing, match="need one column 'dest'"):
            scored(store, "late", tmp_path / "rows.parquet", AtLabelTimes("at"))
        with pytest.raises(PlainTooLarge, match="'distance' of label row 2 is infinite"):
            scored(store, "late", tmp_path / "rows.parquet", AtLabelTimes("at"), constants={"dest": "ATL"})
        with pytest.raises(BadReference, match="'area' is no join key of this model; it needs: dest"):
            scored(store, "late", tmp_path / "rows.parquet", AtLabelTimes("at"), rename={"area": "at"})


@pytest.mark.parametrize("features", [1, 3, 140])
def test_rows_with_the_same_counts_of_statuses_have_one_number_and_others_another(features: int) -> None:
    rng = np.random.default_rng(features)
    codes = list(rng.choice(10, (features, 300), p=[0.55] + [0.05] * 9).astype(np.uint8))
    numbers = score_module._combinations(codes).tolist()
    counts = [tuple(np.bincount(row, minlength=10)) for row in np.array(codes).T]
    assert len(set(zip(numbers, counts, strict=True))) == len(set(numbers)) == len(set(counts))


class Counting:
    """A `Runner` that keeps the number of rows of its batches."""

    how = "test"

    def __init__(self) -> None:
        self.rows: list[int] = []

    def run(self, arrays: Arrays) -> Floats32:
        self.rows.append(len(arrays.x))
        return np.zeros(len(arrays.x), np.float32)

    def close(self) -> None:
        pass


def test_the_model_always_gets_batches_of_one_size(trained: Path) -> None:
    runner = Counting()
    with Store.open(trained) as store:
        rows = RowsToScore(trained / "labels.parquet", AtLabelTimes("at"), ("distance",), kept=())
        result = score(store, store.model("late"), runner, rows, batch=1000)
        assert pa.Table.from_batches(result.batches, schema=result.schema).num_rows == 3000
    assert runner.rows == [1024, 1024, 1024]


class TestCommand:
    def test_it_writes_the_file_and_does_not_replace_one_without_force(
        self, covey: Covey, trained: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "scored.parquet"
        words = ["predict", "late", "--labels", trained / "labels.parquet", "--store", trained, "--out", out]
        code, shown, err = covey(*words, "--time", "at")
        assert (code, shown) == (0, ""), err
        assert f"3,000 rows written to {out}" in err
        assert pq.read_table(out).column_names == COLUMNS
        code, _, err = covey(*words, "--newest", "--keep", "dest")
        assert code == 2
        assert f"{out} exists; --force replaces it" in err
        code, shown, err = covey(*words, "--newest", "--keep", "dest", "--force", "--json")
        assert code == 0, err
        assert json.loads(shown) == {"model": "late@v1", "rows": 3000, "path": str(out)}
        assert pq.read_table(out).column_names == ["dest", *COLUMNS[6:]]

    @pytest.mark.parametrize(
        ("options", "code", "says"),
        [
            ([], 2, "--labels needs --out FILE"),
            (["--out", "x.parquet"], 2, "needs either --time COLUMN"),
            (["--out", "x.parquet", "--time", "at", "--newest"], 2, "needs either --time COLUMN"),
            (["--out", "x.parquet", "--time", "nothing"], 2, "need one column 'nothing' (time)"),
            (["--out", "x.parquet", "--time", "dest"], 2, "must hold timestamps or dates"),
            (["--out", "x.parquet", "--newest", "--keep", "nothing"], 2, "need one column 'nothing' (kept column)"),
            (["--out", "x.txt", "--newest"], 2, "rows are written as .parquet or .csv"),
            (["--out", "x.csv", "--newest", "dest=ATL"], 2, "leave out k=v"),
            (["--out", "x.csv", "--newest", "--rename", "at=nothing"], 2, "'nothing' is no join key of this model"),
        ],
    )
    def test_what_cannot_be_is_one_line_and_writes_nothing(
        self,
        covey: Covey,
        trained: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        options: list[str],
        code: int,
        says: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        words = ["predict", "late", *options, "--labels", trained / "labels.parquet", "--store", trained]
        got, out, err = covey(*words)
        assert (got, out) == (code, "")
        assert says in err.strip().splitlines()[-1]
        assert list(tmp_path.iterdir()) == []

    def test_a_file_option_needs_a_file(self, covey: Covey, trained: Path) -> None:
        code, _, err = covey("predict", "late", "dest=ATL,distance=1", "--newest", "--store", trained)
        assert code == 2
        assert "need --labels FILE" in err

    def test_a_failure_in_the_middle_leaves_no_file(self, covey: Covey, trained: Path, tmp_path: Path) -> None:
        labels = pq.read_table(trained / "labels.parquet")
        distance = labels["distance"].to_pylist()
        distance[-1] = float("inf")
        at = labels.column_names.index("distance")
        pq.write_table(labels.set_column(at, "distance", pa.array(distance)), tmp_path / "labels.parquet")
        words = ["predict", "late", "--labels", tmp_path / "labels.parquet", "--store", trained, "--time", "at"]
        code, _, err = covey(*words, "--out", tmp_path / "out.parquet")
        assert code == 2
        assert "label row 2,999 is infinite" in err
        assert [one.name for one in tmp_path.iterdir()] == ["labels.parquet"]
