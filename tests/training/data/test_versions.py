"""Trainers, tables and models over two versions of a view: a pin keeps its rows, and the plain name moves on without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from featurestore.define.entities import Entity  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY, HOUR, a_release, a_view  # noqa: E402
from tests.featurestore.server.test_remote import opened, serving  # noqa: E402
from tests.featurestore.test_versions_served import BOTH, MIDNIGHT, NOW, begin, hand_over  # noqa: E402
from training.data.dataset import FeatureDataset  # noqa: E402
from training.data.store_state import store_state_of  # noqa: E402
from training.data.table import FeatureTable  # noqa: E402

REFS = ["delays@v1:flights", "delays@v2:flights", "delays:flights", "delays@v2:late_3h"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    begin(tmp_path)
    return tmp_path


@pytest.fixture
def store(directory: Path) -> Iterator[Store]:
    with Store.open(directory, clock=lambda: MIDNIGHT + 6 * HOUR) as opened_store:
        yield opened_store


def rows(table: FeatureTable, *dests: str) -> list[list[float]]:
    found: list[list[float]] = table(torch.from_numpy(table.index_of({"dest": list(dests)}))).tolist()
    return found


def labels_of(times: list[int]) -> pa.Table:
    at = pa.array(times, pa.timestamp("us", "UTC"))
    return pa.table({"dest": ["LAX"] * len(times), "at": at, "y": np.zeros(len(times))})


def test_a_table_has_the_rows_of_each_version_and_follows_the_name(store: Store, directory: Path) -> None:
    table = FeatureTable(store, REFS)
    assert table.names == tuple(REFS)
    assert rows(table, "LAX")[0][:3] == [93, 93, 93]
    hand_over(directory)
    assert table.refresh()
    assert rows(table, "LAX")[0][:3] == [93, 504, 504]


def test_a_table_has_the_keys_of_the_versions_that_it_names(tmp_path: Path) -> None:
    wider = a_view(entity=Entity("dest", domain=["ATL", "LAX", "SFO"]))
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(a_view())
        publisher.publish([a_release(a_view(), 9 * DAY, 7)])
        publisher.apply([wider])
        publisher.publish([a_release(wider, MIDNIGHT, 9, view_version=2)])
    with Store.open(tmp_path, clock=lambda: MIDNIGHT + 6 * HOUR) as store:
        assert FeatureTable(store, ["delays@v1:flights"]).v.shape[1] == 3  # two keys and the row of unknown ones
        assert rows(FeatureTable(store, ["delays:flights", "delays@v1:flights"]), "SFO", "ATL") == [[9, 0], [9, 7]]


def dataset(store: Any, cache: Path, refs: list[str], times: list[int]) -> FeatureDataset:
    return FeatureDataset(
        store, labels=labels_of(times), features=refs, time="at", target="y", cache_dir=cache, max_missing=1.0
    )


def test_an_epoch_has_the_values_of_each_version_at_each_time(store: Store, directory: Path, tmp_path: Path) -> None:
    hand_over(directory)
    times = [10 * DAY + i * HOUR for i in range(30)]
    with serving(directory) as running, opened(running.grpc) as remote:
        for source in (store, remote):
            given = dataset(source, tmp_path / f"cache {type(source).__name__}", BOTH[:2], times)
            assert list(given.feature_names) == BOTH[:2]
            x = torch.cat([batch["x"] for batch in given])[:30].tolist()  # the last batch is filled up
            joined = store.join(labels_of(times), BOTH[:2], "at", full_names=True).read_all()
            assert x == list(
                map(list, zip(*(joined[ref.replace(":", "__")].to_pylist() for ref in BOTH[:2]), strict=True))
            )
    assert x[0][0] == x[0][1]
    assert x[-1] == [93, 503]


def test_a_release_of_one_version_is_a_new_state_for_that_version_only(store: Store, directory: Path) -> None:
    def states() -> list[str]:
        return [store_state_of(store, [f"{name}:flights"]).digest for name in ("delays@v1", "delays@v2", "delays")]

    before = states()
    assert states() == before
    hand_over(directory)
    after = states()
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]
    assert [one.name for one in store_state_of(store, BOTH).views] == ["delays@v1", "delays@v2"]


def test_an_iteration_that_has_begun_is_not_changed_by_a_new_version(
    store: Store, directory: Path, tmp_path: Path
) -> None:
    times = [10 * DAY + i * HOUR for i in range(30)]
    given = FeatureDataset(
        store,
        labels=labels_of(times),
        features=["delays:flights"],
        time="at",
        target="y",
        cache_dir=tmp_path / "cache",
        batch_size=4,
        max_missing=1.0,
    )
    batches = iter(given)
    first = [next(batches)["x"]]
    hand_over(directory)
    x = torch.cat([*first, *(batch["x"] for batch in batches)])[:30, 0].tolist()
    assert x[-1] == 93  # as it was joined before the hand-over
    assert dataset(store, tmp_path / "cache", ["delays:flights"], times).report.rows == 30
    newer = dataset(store, tmp_path / "cache", ["delays:flights"], times)
    assert torch.cat([batch["x"] for batch in newer])[29, 0] == 503
