"""docs/training.md works as written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.define.entities import Entity
from tests.featurestore.making import DAY, HOUR, a_view, fill
from training.data.build_cache import default_cache_dir

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python(?: (\w+))?\n(.*?)```", PAGE, flags=re.S)
ROWS = 300


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the page's store and labels."""
    fill(tmp_path / "store", a_view("dest_delay", pane="1d", windows=["7d"], min_coverage=0.0), 4)
    fill(tmp_path / "store", a_view("area_delay", entity=Entity("area", value="NYC")), 96)
    random = np.random.default_rng(0)
    times = np.sort(random.integers(DAY + 2 * HOUR, 4 * DAY, ROWS))
    labels = {
        "destination": random.choice(["ATL", "LAX"], ROWS),
        "sched_dep": pa.array(times, pa.timestamp("us", "UTC")),
        "arrived_at": pa.array(times + HOUR, pa.timestamp("us", "UTC")),
        "late": random.integers(0, 2, ROWS),
        "distance": random.uniform(100, 2_000, ROWS),
    }
    pq.write_table(pa.table(labels), tmp_path / "flights.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def run(blocks: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "training.md", "exec"), names)
    return names


def test_the_loop_and_the_resumption_work_as_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    names = run([block.replace("datetime(2013, 9, 1)", "datetime(1970, 1, 4)") for of, block in BLOCKS[:4]])
    train, model = names["train"], names["model"]
    assert 0 < train.rows < ROWS
    batches = [batch for batch in train if batch["weight"].sum()]
    counted = [batch["mask"] & (batch["weight"] > 0)[:, None] for batch in batches]
    scaled = [model[0](batch).detach() for batch in batches]
    for at, name in enumerate(train.feature_names):
        values = np.concatenate([x[known[:, at], at] for x, known in zip(scaled, counted, strict=True)])
        assert abs(values.mean()) < 1e-4, name
        if name == "distance":  # the store's features are the same in every row
            assert abs(values.std() - 1) < 1e-3
    assert {"0.mean", "0.scale"} < set(model.state_dict())
    assert f"{ROWS} rows" in capsys.readouterr().out
    assert names["dataset"].feature_names == (
        "dest_delay:late_7d", "dest_delay:flights", "area_delay:flights_3h", "distance",
    )  # fmt: skip
    assert len(list(default_cache_dir().iterdir())) == 1


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*`IterableDataset` has `__len__` defined")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_lightning_works_as_written(place: Path) -> None:
    pytest.importorskip("lightning", reason="lightning is not installed")
    block = next(block for _, block in BLOCKS if "import lightning" in block)
    for moment, day in (
        ("2013, 9, 1", "1970, 1, 3"),
        ("2013, 11, 1", "1970, 1, 4"),
    ):  # the publication of the small store
        block = block.replace(f"datetime({moment})", f"datetime({day})")
    module = next(block for _, block in BLOCKS if "class Standardised" in block)
    names = run([module, block])
    parts = [names["data"].train_dataloader(), names["data"].val_dataloader(), names["data"].test_dataloader()]
    assert all(loader.dataset.rows for loader in parts)
    assert sum(loader.dataset.rows for loader in parts) < ROWS  # some outcomes become known after the end of their part


@pytest.mark.parametrize("library", ["pandas", "polars", "datasets"])
def test_other_libraries_read_a_join_in_a_line(place: Path, library: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    names = run([block for of, block in BLOCKS if "store = Store.open" in block or of == library])
    assert len(names["frame"]) == ROWS
    assert np.asarray(names["frame"]["flights_3h"]).sum() > 0
    names["store"].close()


def test_every_library_of_the_page_has_its_line() -> None:
    assert [of for of, _ in BLOCKS if of] == ["pandas", "polars", "datasets"]
