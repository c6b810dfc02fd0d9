from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

try:
    import ray
    import ray.data
except ImportError as error:
    pytest.skip(f"Ray Data is not installed ({error})", allow_module_level=True)

from covey.ray import read_features
from deployment.errors import UsageError
from featurestore.define.on_demand import Feature, on_demand
from featurestore.errors import BadReference, UnknownFeatureService, UnknownView
from featurestore.join.mixed_clocks import MixedClocks
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, a_release
from tests.training.program import DAYS, make_labels, make_store, traffic
from training.errors import TrainingArgument

REFS = ["everywhere:flights", "traffic:flights"]
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own; one cluster


@on_demand(outputs=["half"])
def halved(flights: Annotated[np.ndarray, Feature("traffic:flights")]) -> np.ndarray:
    return flights / 2


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("RAY_OVERRIDE_RESOURCES")  # of the tests' fleets
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_labels(tmp_path, make_store(tmp_path), rows=500)
    return tmp_path


def numbered(project: Path) -> pa.Table:
    labels = pq.read_table(project / "labels.parquet")
    return labels.append_column("row", pa.array(range(labels.num_rows)))


def collected(dataset: ray.data.Dataset) -> pa.Table:
    tables = [ray.get(ref) for ref in dataset.to_arrow_refs()]
    return pa.concat_tables(table for table in tables if table.num_rows).sort_by("row")


def test_the_rows_are_those_of_a_join_and_blocks_are_neighbours(project: Path) -> None:
    labels = numbered(project)
    dataset = read_features(
        project, labels, [*REFS, "halved:half"], "at", on_demand=[halved], full_names=True, block_rows=90
    )
    with Store.open(project, on_demand=[halved]) as store:
        expected = store.join(labels, [*REFS, "halved:half"], "at", full_names=True).read_all()
    dataset = dataset.materialize()
    assert dataset.num_blocks() == 6
    assert collected(dataset).to_pylist() == expected.to_pylist()
    for block in (ray.get(ref) for ref in dataset.to_arrow_refs()):
        rows = block["row"].to_pylist()
        assert rows == list(range(rows[0], rows[0] + len(rows)))


def test_labels_may_be_a_file_and_features_a_service(project: Path) -> None:
    pq.write_table(numbered(project), project / "numbered.parquet")
    dataset = read_features(str(project), project / "numbered.parquet", "vector", "at", full_names=True)
    with Store.open(project) as store:
        expected = store.join(project / "numbered.parquet", REFS, "at", full_names=True).read_all()
    assert collected(dataset).to_pylist() == expected.to_pylist()


def test_a_back_fill_while_it_is_read_ends_it_and_a_later_release_does_not(project: Path) -> None:
    def publish(day: int) -> None:
        with Publisher(project, lambda: 100 * DAY) as publisher:
            publisher.publish([a_release(traffic(), day * DAY)])

    def read() -> ray.data.Dataset:
        return read_features(project, numbered(project), ["traffic:flights"], "at")

    dataset = read()
    publish(DAYS)
    assert collected(dataset).num_rows == 500
    dataset = read()
    publish(-1)
    with pytest.raises(Exception, match="got releases for these labels while it was read"):
        collected(dataset)
    assert collected(read()).num_rows == 500


def test_what_is_wrong_is_named_before_anything_runs(project: Path) -> None:
    labels = numbered(project)
    for features, time, error in (
        (["nothing:flights"], "at", UnknownView),
        (["traffic:flights"], "when", BadReference),
        (["traffic:flights"], "distance", BadReference),
        ("nothing", "at", UnknownFeatureService),
    ):
        with pytest.raises(error):
            read_features(project, labels, features, time)
    with pytest.raises(BadReference):
        read_features(project, labels.drop(["dest"]), ["traffic:flights"], "at")
    with pytest.raises(TrainingArgument):
        read_features(project, labels, REFS, "at", block_rows=0)


def test_without_ray_data_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['ray.data'] = None\n"
        "import covey.ray\n"
        "assert 'ray' not in sys.modules and 'torch' not in sys.modules\n"
        "try: covey.ray.read_features('s', 'l', ['a:b'], 't')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(UsageError.__name__)
    assert "covey[ray]" in done.stdout


def test_live_and_replayed_releases_are_warned_of_and_one_kind_can_be_read(project: Path) -> None:
    with Publisher(project, lambda: 100 * DAY) as publisher:
        publisher.publish([a_release(traffic(), DAYS * DAY, 7, released_at=(DAYS + 2) * DAY)])
    at = pa.array([(DAYS + 3) * DAY], pa.timestamp("us"))
    labels = pa.table({"dest": ["ATL"], "at": at, "row": [0]})
    with pytest.warns(MixedClocks, match=r"traffic mixes 1 live and 40 replayed pane\(s\)"):
        both = read_features(project, labels, ["traffic:flights"], "at")
    with warnings.catch_warnings():
        warnings.simplefilter("error", MixedClocks)
        live, replay = (
            read_features(project, labels, ["traffic:flights"], "at", clock=clock) for clock in ("live", "replay")
        )
    assert collected(both)["flights"].to_pylist() == collected(live)["flights"].to_pylist() == [7]
    assert collected(replay)["flights"].to_pylist() != [7]
