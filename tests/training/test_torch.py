from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from torch.utils.data import DataLoader, get_worker_info  # noqa: E402

import training.data.dataset as dataset_module  # noqa: E402
from covey import FeatureService, Store  # noqa: E402
from covey.torch import Batch, FeatureDataset, FeatureLoader  # noqa: E402
from featurestore.errors import UnknownFeature, UnknownFeatureService, UnknownVersion, UnknownView  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from tests.training.data.training import (  # noqa: E402
    FEATURES,
    WIDTH,
    dataset_arguments,
    expected,
    make_labels,
    make_store,
    publish_more,
)
from training.errors import CacheGone, LoaderWorkerDied, NoLabels, StateRefused, TrainingArgument  # noqa: E402

ROWS = 203
MANY_WORKERS = "ignore:This DataLoader will create 3 worker processes"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def make(store: Path, tmp_path: Path) -> Callable[..., FeatureDataset]:
    def made(**more: Any) -> FeatureDataset:
        return FeatureDataset(store, **dataset_arguments(tmp_path, more.pop("labels", make_labels(ROWS)), **more))

    return made


def numbers_of(batches: Any) -> list[list[int]]:
    """For each batch, the label numbers of its rows with weight 1."""
    return [batch["meta"]["row"][batch["weight"] == 1].tolist() for batch in batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


def as_worker(dataset: FeatureDataset, worker: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The rows that a DataLoader's worker reads."""
    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "get_worker_info", lambda: SimpleNamespace(id=worker, num_workers=workers))
        return list(dataset)


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_hold_what_the_join_gives(make: Callable[..., FeatureDataset], store: Path, shuffle: bool) -> None:
    labels = make_labels(ROWS)
    x, se, mask = expected(store, labels)
    assert not mask.all()
    dataset = make(shuffle=shuffle)
    assert (len(dataset), dataset.rows, len(dataset.feature_names)) == (13, ROWS, WIDTH)
    assert dataset.feature_names[1:4] == ("spread:delay_hist[0]", "spread:delay_hist[1]", "spread:delay_hist[2]")
    for batch in DataLoader(dataset, batch_size=None):
        assert (batch["x"].dtype, batch["se"].dtype, batch["mask"].dtype) == (torch.float32, torch.float32, torch.bool)
        assert batch["x"].shape == batch["se"].shape == batch["mask"].shape == (16, WIDTH)
        assert batch["y"].dtype == batch["weight"].dtype == torch.float32
        real = batch["weight"] == 1
        rows = batch["meta"]["row"][real].numpy()
        np.testing.assert_array_equal(batch["x"][real], x[rows])
        np.testing.assert_array_equal(batch["se"][real], se[rows])
        np.testing.assert_array_equal(batch["mask"][real], mask[rows])
        np.testing.assert_array_equal(batch["y"][real], np.asarray(labels["late"])[rows])
        np.testing.assert_array_equal(batch["meta"]["time"][real], np.asarray(labels["at"].cast(pa.int64()))[rows])
        for name in ("x", "se", "mask", "y", "weight"):
            assert not batch[name][~real].any()
        assert (batch["meta"]["row"][~real] == -1).all()


def test_without_shuffle_the_rows_come_in_the_order_of_the_labels(make: Callable[..., FeatureDataset]) -> None:
    assert flat(numbers_of(make())) == list(range(ROWS))


@pytest.mark.parametrize("rows", [ROWS, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_row_is_read_once_an_epoch_by_ranks_and_workers_of_any_number(
    make: Callable[..., FeatureDataset], monkeypatch: pytest.MonkeyPatch, shuffle: bool, rows: int
) -> None:
    labels = make_labels(rows)
    for ranks, workers in product([1, 2, 3, 4], repeat=2):
        lengths, read = set(), list[int]()
        for rank in range(ranks):
            dataset = make(labels=labels, rank=rank, world_size=ranks, shuffle=shuffle, shuffle_mb=0.01)
            dataset.set_epoch(ranks)
            batches = [as_worker(dataset, worker, workers, monkeypatch) for worker in range(workers)]
            lengths |= {len(dataset), sum(map(len, batches))}
            of_rank = [numbers_of(of_worker) for of_worker in batches]
            read += [row for of_worker in of_rank for batch in of_worker for row in batch]
            # batches do not depend on the number of workers
            in_turn = [of_rank[i % workers][i // workers] for i in range(len(dataset))]
            assert in_turn == numbers_of(dataset)
        assert sorted(read) == list(range(rows)), (ranks, workers)
        assert len(lengths) == 1, (ranks, workers)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_a_loader_read_the_same_batches(make: Callable[..., FeatureDataset], context: str) -> None:
    dataset = make(shuffle=True)
    wanted = numbers_of(dataset)
    assert numbers_of(DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=context)) == wanted


def test_workers_that_live_on_hear_of_a_new_epoch(make: Callable[..., FeatureDataset]) -> None:
    dataset = make(shuffle=True)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    first, again = numbers_of(loader), numbers_of(loader)
    dataset.set_epoch(1)
    second = numbers_of(loader)
    assert first == again != second == numbers_of(dataset)


@pytest.mark.filterwarnings(MANY_WORKERS)
def test_more_workers_than_batches_is_no_harm(make: Callable[..., FeatureDataset]) -> None:
    dataset = make(labels=make_labels(3))
    assert numbers_of(DataLoader(dataset, batch_size=None, num_workers=3)) == [[0, 1, 2]]


def test_a_batch_can_be_kept_and_written_to(make: Callable[..., FeatureDataset]) -> None:
    dataset = make()
    kept = [batch["x"] for batch in dataset]
    for x in kept:
        x.add_(1)
    again = [batch["x"] for batch in dataset]
    for x, y in zip(kept, again, strict=True):
        assert torch.equal(x, y + 1)


def test_memory_is_used_again_only_when_nobody_holds_it(make: Callable[..., FeatureDataset]) -> None:
    dataset = make(batch_size=1)
    dataset_module._AHEAD_BYTES, before = 1, dataset_module._AHEAD_BYTES
    try:
        held = {i: batch for i, batch in enumerate(dataset) if i % 3 == 0}
    finally:
        dataset_module._AHEAD_BYTES = before
    for i, batch in held.items():
        assert batch["meta"]["row"].tolist() == [i]


def test_readings_at_the_same_time_are_whole(make: Callable[..., FeatureDataset]) -> None:
    dataset = make(shuffle=True)
    wanted = numbers_of(dataset)
    pairs = list(zip(dataset, dataset, strict=True))
    assert numbers_of(one for one, _ in pairs) == numbers_of(other for _, other in pairs) == wanted


class TestResume:
    @pytest.mark.parametrize("shuffle", [False, True])
    def test_it_goes_on_exactly_at_every_batch(self, make: Callable[..., FeatureDataset], shuffle: bool) -> None:
        whole = make(shuffle=shuffle)
        whole.set_epoch(2)
        wanted = numbers_of(whole)
        for stop in range(len(wanted) + 1):
            first = make(shuffle=shuffle)
            first.set_epoch(2)
            reading = iter(first)
            read = numbers_of([next(reading) for _ in range(stop)])
            second = make(shuffle=shuffle)
            second.load_state_dict(first.state_dict())
            assert second.state_dict() == first.state_dict()
            second.set_epoch(2)
            assert read + numbers_of(second) == wanted
            assert numbers_of(second) == wanted, "the epoch after a resumed one is whole"

    def test_another_epoch_begins_at_its_first_batch(self, make: Callable[..., FeatureDataset]) -> None:
        dataset = make(shuffle=True)
        reading = iter(dataset)
        next(reading)
        dataset.load_state_dict(dataset.state_dict())
        dataset.set_epoch(1)
        assert len(numbers_of(dataset)) == len(dataset)

    @pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # torchdata calls it
    @pytest.mark.parametrize("workers", [0, 2])
    def test_torchdatas_loader_goes_on_exactly(self, make: Callable[..., FeatureDataset], workers: int) -> None:
        stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

        def loader() -> Any:
            return stateful.StatefulDataLoader(make(shuffle=True), batch_size=None, num_workers=workers)

        wanted = numbers_of(make(shuffle=True))
        for stop in range(len(wanted) + 1) if workers == 0 else (1, 6, len(wanted)):
            first, second = loader(), loader()
            reading = iter(first)
            read = numbers_of([next(reading) for _ in range(stop)])
            second.load_state_dict(first.state_dict())
            del reading
            assert read + numbers_of(second) == wanted
            assert numbers_of(second) == wanted

    @pytest.mark.filterwarnings(MANY_WORKERS)
    @pytest.mark.parametrize("workers", [(0, 2), (2, 0), (2, 3)])
    def test_our_loader_goes_on_with_another_number_of_workers(
        self, make: Callable[..., FeatureDataset], workers: tuple[int, int]
    ) -> None:
        wanted = numbers_of(make(shuffle=True))
        first, second = (FeatureLoader(make(shuffle=True), num_workers=number) for number in workers)
        reading = iter(first)
        read = numbers_of([next(reading) for _ in range(5)])
        second.load_state_dict(first.state_dict())
        del reading
        assert read + numbers_of(second) == wanted
        assert numbers_of(second) == wanted

    def test_workers_that_nobody_counts_for_do_not_go_on(self, make: Callable[..., FeatureDataset]) -> None:
        dataset = make()
        next(iter(dataset))
        dataset.load_state_dict(dataset.state_dict())
        with pytest.raises(TrainingArgument, match=r"covey\.torch\.FeatureLoader"):
            list(DataLoader(dataset, batch_size=None, num_workers=1))
        assert len(numbers_of(FeatureLoader(dataset, num_workers=1))) == len(dataset) - 1

    @pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # torchdata calls it
    def test_a_state_that_a_worker_refuses_is_told_as_it_is(self, make: Callable[..., FeatureDataset]) -> None:
        stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")
        first, second = (
            stateful.StatefulDataLoader(make(batch_size=size), batch_size=None, num_workers=1) for size in (16, 8)
        )
        next(iter(first))
        second.load_state_dict(first.state_dict())
        with pytest.raises(StateRefused, match="batch_size is 16, not 8"):
            next(iter(second))

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"batch_size": 8}, "batch_size is 16, not 8"),
            ({"shuffle": False}, "shuffle is True, not False"),
            ({"seed": 1}, "seed is 0, not 1"),
            ({"shuffle_mb": 1}, "shuffle_mb is 64, not 1"),
            ({"rank": 1, "world_size": 2}, "rank is 0, not 1; world_size is 1, not 2"),
            ({"labels": make_labels(ROWS + 1)}, "key is "),
        ],
    )
    def test_a_state_of_another_reading_is_refused(
        self, make: Callable[..., FeatureDataset], changes: dict[str, Any], says: str
    ) -> None:
        state = make(shuffle=True).state_dict()
        with pytest.raises(StateRefused, match=says):
            make(**({"shuffle": True} | changes)).load_state_dict(state)


def test_a_state_of_another_part_or_of_nothing_is_refused(make: Callable[..., FeatureDataset]) -> None:
    dataset, middle = make(), make_labels(ROWS)["at"][100].as_py()
    with pytest.raises(StateRefused, match="between is "):
        dataset.between(middle, None).load_state_dict(dataset.between(None, middle).state_dict())
    with pytest.raises(StateRefused, match="key is None, not "):
        dataset.load_state_dict({})
    with pytest.raises(StateRefused, match="no position in an epoch"):
        dataset.load_state_dict({**dataset.state_dict(), "first": -1})


def test_parts_are_split_by_time_and_an_outcome_known_too_late_is_left_out(make: Callable[..., FeatureDataset]) -> None:
    labels = make_labels(ROWS)
    times = np.asarray(labels["at"].cast(pa.int64()))
    outcome = pa.array(times + 3_600_000_000, pa.timestamp("us", "UTC"))
    moment = labels["at"][100].as_py()
    dataset = make(labels=labels.append_column("known", outcome), outcome_time="known", shuffle=True)
    before, after = dataset.between(None, moment), dataset.between(moment, None, shuffle=False)
    assert sorted(flat(numbers_of(before))) == [i for i in range(ROWS) if times[i] + 3_600_000_000 < times[100]]
    assert flat(numbers_of(after)) == [i for i in range(ROWS) if times[i] >= times[100]]
    never = labels.append_column("known", pa.nulls(ROWS, outcome.type))
    with pytest.raises(NoLabels):
        make(labels=never, outcome_time="known").between(None, moment)
    with pytest.raises(TrainingArgument, match="not '1970-01-02'"):
        dataset.between("1970-01-02", None)  # type: ignore[arg-type]
    backwards = make(labels=labels.take(list(range(ROWS))[::-1])).between(None, moment)
    assert flat(numbers_of(backwards.between(labels["at"][50].as_py(), None))) == [
        ROWS - 1 - i for i in range(ROWS - 1, -1, -1) if times[50] <= times[i] < times[100]
    ]


class TestSources:
    """The allowed stores and features."""

    def test_an_open_store_a_service_and_its_name(self, store: Path, tmp_path: Path) -> None:
        with Publisher(store, lambda: 0) as publisher:
            publisher.register_services([FeatureService("vector", FEATURES)], [])
        wanted = numbers_of(FeatureDataset(str(store), **dataset_arguments(tmp_path, make_labels(ROWS))))
        for features in ("vector", FeatureService("vector", FEATURES)):
            with Store.open(store) as opened:
                dataset = FeatureDataset(opened, **dataset_arguments(tmp_path, make_labels(ROWS), features=features))
            assert numbers_of(dataset) == wanted
        assert len(list((tmp_path / "cache").iterdir())) == 1  # one join serves all of them

    @pytest.mark.parametrize(
        ("features", "error"),
        [
            (["nothing:late"], UnknownView),
            (["delays@v7:late"], UnknownVersion),
            (["delays:nothing"], UnknownFeature),
            ("nothing", UnknownFeatureService),
        ],
    )
    def test_what_the_store_does_not_have_is_named(
        self, make: Callable[..., FeatureDataset], features: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=r"nothing|v7"):
            make(features=features)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"batch_size": 0}, "batch_size must be 1 or above, not 0"),
        ({"batch_size": 8.5}, "not 8.5"),
        ({"seed": -1}, "seed"),
        ({"shuffle_mb": 0}, "shuffle_mb"),
        ({"shuffle_mb": float("inf")}, "shuffle_mb"),
        ({"max_missing": 1.5}, "max_missing"),
        ({"rank": 1}, "need each other"),
        ({"rank": 2, "world_size": 2}, "rank must be from 0 to 1, not 2"),
        ({"columns": "distance"}, "columns must be a list"),
    ],
)
def test_arguments_that_cannot_be_are_named(
    make: Callable[..., FeatureDataset], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(TrainingArgument, match=says):
        make(**changes)


def test_a_store_that_is_updated_while_it_is_read_changes_no_batch(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    labels = make_labels(ROWS)
    dataset = FeatureDataset(store, **dataset_arguments(tmp_path, labels))
    wanted = [batch["x"] for batch in dataset]
    reading = iter(dataset)
    read = [next(reading)["x"]]
    publish_more(store)
    read += [batch["x"] for batch in reading]
    assert all(torch.equal(a, b) for a, b in zip(read, wanted, strict=True))
    newer = FeatureDataset(store, **dataset_arguments(tmp_path, labels))
    assert newer.state_dict()["key"] != dataset.state_dict()["key"]


def test_a_cache_that_is_deleted_while_it_is_read_stays_readable_and_is_missed_by_new_processes(
    make: Callable[..., FeatureDataset], tmp_path: Path
) -> None:
    dataset = make()
    wanted = numbers_of(dataset)
    reading = iter(dataset)
    first = next(reading)
    shutil.rmtree(tmp_path / "cache")
    assert numbers_of([first, *reading]) == wanted
    assert numbers_of(dataset) == wanted
    with pytest.raises(CacheGone, match="make the dataset again"):
        pickle.loads(pickle.dumps(dataset))
    assert numbers_of(make()) == wanted  # made again


class Dying(FeatureDataset):
    """Its worker processes end in the middle of their third batch."""

    def count(self) -> None:
        super().count()
        if get_worker_info() is not None and self.state_dict()["first"] == 3:
            time.sleep(0.3)  # until every process waits for it: torch raises in a signal handler at any place
            os._exit(1)


class Failing(FeatureDataset):
    """Its worker processes raise an error of their own."""

    def count(self) -> None:
        raise FileNotFoundError("something of the worker's own")


def test_an_error_inside_a_worker_stays_what_it_is(store: Path, tmp_path: Path) -> None:
    dataset = Failing(store, **dataset_arguments(tmp_path, make_labels(ROWS)))
    with pytest.raises(FileNotFoundError, match="of the worker's own"):
        list(FeatureLoader(dataset, num_workers=1))


def test_a_worker_that_dies_is_an_error_with_a_name(store: Path, tmp_path: Path) -> None:
    loader = FeatureLoader(Dying(store, **dataset_arguments(tmp_path, make_labels(ROWS))), num_workers=1)
    with pytest.raises(LoaderWorkerDied, match="num_workers=0"):
        list(loader)


DDP = """
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from covey.torch import FeatureDataset
from tests.training.data.training import dataset_arguments, make_labels
from pathlib import Path

rank, store, scratch, workers = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
dist.init_process_group("gloo", init_method=f"file://{scratch}/meeting", rank=rank, world_size=2)
torch.manual_seed(0)
dataset = FeatureDataset(store, **dataset_arguments(scratch, make_labels(33), shuffle=True))
model = DistributedDataParallel(torch.nn.Linear(len(dataset.feature_names), 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
seen = []
for epoch in range(2):
    dataset.set_epoch(epoch)
    for batch in DataLoader(dataset, batch_size=None, num_workers=workers):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch["x"])[:, 0], batch["y"], reduction="none")
        loss = (batch["weight"] * loss).sum() / batch["weight"].sum().clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += batch["meta"]["row"][batch["weight"] == 1].tolist()
(scratch / f"seen{rank}").write_text(",".join(map(str, seen)))
(scratch / f"weights{rank}").write_text(str(model.module.weight.tolist()))
dist.destroy_process_group()
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_two_processes_with_uneven_rows_train_to_the_end(store: Path, tmp_path: Path, workers: int) -> None:
    (tmp_path / "ddp.py").write_text(DDP)
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "ddp.py"), str(rank), str(store), str(tmp_path), str(workers)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [one.communicate(timeout=240)[1] for one in ranks]
    assert [one.returncode for one in ranks] == [0, 0], errors
    seen = [[int(row) for row in (tmp_path / f"seen{rank}").read_text().split(",")] for rank in range(2)]
    assert sorted(map(len, seen)) == [32, 34]  # 33 rows, 16 and 17 an epoch
    assert sorted(seen[0] + seen[1]) == sorted([*range(33)] * 2)
    assert (tmp_path / "weights0").read_text() == (tmp_path / "weights1").read_text()


def test_torch_is_not_imported_by_covey_nor_by_the_store() -> None:
    code = (
        "import sys, covey, covey.cli, featurestore.store, featurestore.server.app, training.data, "
        "training.data.build_cache; covey.Store; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
