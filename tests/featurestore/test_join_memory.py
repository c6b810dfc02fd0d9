"""Joins of more data than memory holds: the same answer, within the limit, and no file left on disk."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Histogram
from featurestore.define.privacy import Bounds
from featurestore.define.records import RegisteredView
from featurestore.define.references import resolve
from featurestore.errors import BadReference, MemoryLimitTooSmall, MemoryLimitUnreadable, SpillFailed, StoreCorrupt
from featurestore.join.labels import CSV_BLOCK, JOIN_BATCH
from featurestore.join.memory import Memory, size_in_bytes
from featurestore.join.view_history import StoredRows, record_dtype
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, fill, limited_to

TINY = Memory(rows=300, batch=20_000)
REFS = ["delays:flights", "delays:late_3h", "area:flights_3h"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Two views of two days each, hourly."""
    directory = tmp_path_factory.mktemp("store")
    fill(directory, a_view(), 48)
    fill(directory, a_view("area", entity=Entity("area", value="NYC"), ttl="2h"), 40)
    with Store.open(directory) as opened:
        yield opened


@pytest.fixture
def spill_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files in this test."""
    folder = tmp_path / "spill"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def labels_of(count: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "row": np.arange(count),
            "dest": np.array(["ATL", "LAX", "XXX"])[random.integers(0, 3, count)],
            "t": pa.array(random.integers(-DAY, 3 * DAY, count), pa.timestamp("us", "UTC")),
        }
    )


def joined(store: Store, labels: pa.Table | pa.RecordBatchReader | Path, memory: Memory | None = None) -> pa.Table:
    if memory is None:
        return store.join(labels, REFS, "t", full_names=True).read_all()
    with limited_to(memory):
        return store.join(labels, REFS, "t", full_names=True).read_all()


@pytest.mark.parametrize("memory", [Memory(rows=1, batch=1), TINY, Memory(rows=4_000, batch=10**6)], ids=str)
def test_by_way_of_the_disk_the_answer_is_the_same(store: Store, memory: Memory) -> None:
    labels = labels_of(1_000)
    table = joined(store, labels)
    assert len(set(table["delays__flights"].to_pylist())) > 40
    assert joined(store, labels, memory).equals(table)
    assert table.select(labels.column_names).equals(labels)


def test_labels_of_any_form_go_by_way_of_the_disk(store: Store, tmp_path: Path) -> None:
    labels = labels_of(300)
    table = joined(store, labels)
    pq.write_table(labels, tmp_path / "labels.parquet", row_group_size=70)
    assert joined(store, tmp_path / "labels.parquet", TINY).equals(table)
    assert joined(store, labels.to_reader(max_chunksize=7), TINY).equals(table)
    csv.write_csv(labels, tmp_path / "labels.csv")
    of_csv = joined(store, tmp_path / "labels.csv", TINY)
    assert of_csv.select(table.column_names[3:]).equals(table.select(table.column_names[3:]))
    assert joined(store, labels.slice(0, 0), TINY).equals(table.slice(0, 0))


def test_columns_that_are_not_keys_come_back_as_they_were(store: Store) -> None:
    first = pa.DictionaryArray.from_arrays(pa.array([0, None, 1]), pa.array(["x", "y"]))
    second = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["z", "y", "x"]))
    labels = labels_of(6).append_column("kind", pa.chunked_array([first, second]))
    labels = labels.append_column("list", pa.array([[1], None, [], [2, 3], [4], [5]], pa.list_(pa.int16())))
    assert joined(store, labels, Memory(rows=100, batch=1)).select(labels.column_names).equals(labels)


def test_a_batch_of_a_reader_is_joined_in_parts(store: Store) -> None:
    labels = labels_of(JOIN_BATCH + 1).combine_chunks()
    reader = pa.RecordBatchReader.from_batches(labels.schema, labels.to_batches())
    sizes = [batch.num_rows for batch in store.join(reader, REFS, "t", full_names=True)]
    assert sizes == [JOIN_BATCH, 1]


def test_a_view_without_rows_has_no_chunks(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(a_view())
    with Store.open(tmp_path) as empty, limited_to(Memory(rows=-1, batch=1)):
        table = empty.join(labels_of(3), ["delays:flights"], "t").read_all()
    assert table["flights__status"].to_pylist() == ["NOT_FOUND"] * 3


def test_a_store_that_is_closed_has_been_read(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 3)
    with Store.open(tmp_path) as opened, limited_to(TINY):
        reader = opened.join(labels_of(200), ["delays:flights"], "t")
    assert reader.read_all().num_rows == 200


def test_files_that_are_replaced_meanwhile_are_read_again_as_one_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = a_view(min_coverage=0)
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        for i in range(23):
            publisher.publish([a_release(view, i * HOUR, i + 1)])
    labels = labels_of(400)
    read, calls = StoredRows.chunks, []

    def complete_the_day_first(stored: StoredRows, *given: object) -> object:
        calls.append(len(stored.files))
        if len(calls) == 1:
            with Publisher(tmp_path, lambda: 0) as publisher:
                publisher.publish([a_release(view, 23 * HOUR, 24)])
        return read(stored, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(StoredRows, "chunks", complete_the_day_first)
    with Store.open(tmp_path) as opened:
        with limited_to(TINY):
            table = opened.join(labels, ["delays:flights", "delays:flights_3h"], "t").read_all()
        assert calls[0] > 1
        assert calls[1:] == [1]  # a complete day is one file
        assert table.equals(opened.join(labels, ["delays:flights", "delays:flights_3h"], "t").read_all())
    assert 24 in table["flights"].to_pylist()


def test_a_file_with_other_rows_than_registered_is_corrupt(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 3)
    (file,) = (tmp_path / "store" / "offline").glob("**/*.parquet")
    rows = pq.read_table(file)
    for wrong in (rows.slice(2), pa.concat_tables([rows, rows])):
        pq.write_table(wrong, file)
        with Store.open(tmp_path) as opened:
            for memory in (TINY, Memory(rows=10**6, batch=10**6)):
                with limited_to(memory), pytest.raises(StoreCorrupt, match="the registry says"):
                    opened.join(labels_of(9), ["delays:flights"], "t").read_all()


def open_files() -> set[str]:
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(file.readlink()))
        except FileNotFoundError:
            continue
    return found


def test_no_temporary_file_is_left(store: Store, spill_folder: Path) -> None:
    def spilled() -> set[str]:
        return {file for file in open_files() if file.startswith(str(spill_folder))}

    def interrupted() -> Iterator[pa.RecordBatch]:
        yield labels_of(2).to_batches()[0]
        raise KeyboardInterrupt

    with limited_to(TINY):
        reader = store.join(labels_of(500), REFS, "t", full_names=True)
        assert spilled()
        assert list(spill_folder.iterdir()) == []  # temporary files have no names
        reader.read_all()
        del reader
        assert not spilled()
        unread = store.join(labels_of(500), REFS, "t", full_names=True)
        del unread
        assert not spilled()
        broken = pa.RecordBatchReader.from_batches(labels_of(0).schema, interrupted())
        with pytest.raises(KeyboardInterrupt):
            store.join(broken, REFS, "t", full_names=True)
        assert not spilled()


def test_a_folder_that_takes_no_files_is_named(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with limited_to(TINY), pytest.raises(SpillFailed, match=r"none \(No such file.*TMPDIR"):
        store.join(labels_of(10), REFS, "t", full_names=True)


def test_a_full_disk_is_named(store: Store, spill_folder: Path) -> None:
    """RLIMIT_FSIZE takes the place of a full disk: writes beyond it fail in the same way, with another reason."""
    code = (
        "import resource, signal, sys\n"
        "from featurestore.errors import SpillFailed\n"
        "from tests.featurestore.making import limited_to\n"
        "from tests.featurestore.test_join_memory import REFS, TINY, Store, labels_of\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "with Store.open(sys.argv[1]) as store, limited_to(TINY):\n"
        "    try:\n"
        "        store.join(labels_of(2_000), REFS, 't', full_names=True)\n"
        "    except SpillFailed as error:\n"
        "        print(error)\n"
    )
    root = store._history.offline.root.parent.parent
    done = subprocess.run([sys.executable, "-c", code, str(root), "4000"], capture_output=True, text=True, check=True)
    assert "(File too large); remove that cause, set TMPDIR" in done.stdout, done.stderr


def test_csv_labels_are_read_in_blocks_and_a_bad_line_is_named(store: Store, tmp_path: Path) -> None:
    count = CSV_BLOCK // 20
    labels = labels_of(count)
    csv.write_csv(labels, tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").stat().st_size > CSV_BLOCK
    table = joined(store, tmp_path / "labels.csv")
    assert table.select(["row", *table.column_names[3:]]).equals(
        joined(store, labels).select(["row", *table.column_names[3:]])
    )
    with (tmp_path / "labels.csv").open("a") as file:
        file.write('x,"ATL","1970-01-02 00:00:00Z"\n')
    for memory in (None, TINY):
        with pytest.raises(BadReference, match=r"conversion error to int64.*Parquet"):
            joined(store, tmp_path / "labels.csv", memory)


def test_sizes_are_read_as_people_write_them() -> None:
    sizes = {"1GiB": 2**30, "1 gib": 2**30, "800MB": 800 * 10**6, "1.5g": 15 * 10**8, "64Ki": 2**16, "17": 17, 5: 5}
    assert [size_in_bytes(size) for size in sizes] == list(sizes.values())
    for wrong in ("", "GiB", "-1", "1e9", "1 GiBB", "half", "٣", "nan", 0, -1, True, 1.5):
        with pytest.raises(MemoryLimitUnreadable, match="1GiB"):
            size_in_bytes(wrong)  # type: ignore[arg-type]


def test_a_limit_that_is_too_small_tells_what_would_do(store: Store) -> None:
    with pytest.raises(MemoryLimitTooSmall) as refused:
        store.join(labels_of(9), REFS, "t", full_names=True, memory_limit="1MiB")
    assert refused.value.limit == 2**20
    assert f"{-(-refused.value.need // 2**20)}MiB" in str(refused.value)
    enough = refused.value.need + 2**25  # room for other memory of this process
    assert store.join(labels_of(9), REFS, "t", full_names=True, memory_limit=enough).read_all().num_rows == 9
    with pytest.raises(MemoryLimitUnreadable):
        store.join(labels_of(9), REFS, "t", full_names=True, memory_limit="much")


LABELS, KEYS, PANES, LIMIT = 3_000_000, 10_000, 240, 420 * 2**20
PEAK = """
import sys
from covey.cli import main
try:
    main()
except SystemExit as done:
    code = done.code
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(code, int(peak.split()[1]) * 1024)
"""


def test_labels_and_history_larger_than_the_limit_are_joined_within_it(tmp_path: Path) -> None:
    """The peak is that of the process itself (VmHWM). ru_maxrss of a child starts with the memory of its parent."""
    view = FeatureView(
        "v",
        entity=Entity("k", domain=range(KEYS)),
        features=[Histogram("x", edges=range(9))],
        pane="1h",
        bounds=Bounds(max_cells=1),
        privacy=a_view().privacy,
        release_delay="0s",
    )
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        for first in range(0, PANES, 24):
            publisher.publish([a_release(view, i * HOUR, i) for i in range(first, first + 24)])
    random = np.random.default_rng(0)
    times, keys = random.integers(0, PANES * HOUR, LABELS), random.integers(0, KEYS + 10, LABELS)
    labels = pa.table({"row": np.arange(LABELS), "k": keys, "t": pa.array(times, pa.timestamp("us", "UTC"))})
    pq.write_table(labels, tmp_path / "labels.parquet")

    references = resolve(["v:x_hist"], lambda *_: RegisteredView(1, 1, view, 1), full_names=False, intervals=False)
    assert KEYS * PANES * record_dtype(references).itemsize > 200 * 2**20
    words = [
        "join",
        "labels.parquet",
        "-f",
        "v:x_hist",
        "--time",
        "t",
        "--store",
        ".",
        "--out",
        "out.parquet",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words, "--memory-limit", str(LIMIT)], cwd=tmp_path, capture_output=True, text=True
    )
    code, peak = done.stdout.split()[-2:] if done.stdout else ("", "0")
    assert (code, done.stderr) == ("0", ""), done.stdout
    assert int(peak) <= 1.05 * LIMIT
    assert int(peak) > LIMIT / 2

    rows = 0
    for batch in pq.ParquetFile(tmp_path / "out.parquet").iter_batches():
        here = slice(rows, rows + batch.num_rows)
        rows += batch.num_rows
        assert np.array_equal(batch["row"], np.arange(here.start, here.stop))
        pane = np.where(keys[here] < KEYS, times[here] // HOUR - 1, -1)
        seen = np.repeat(pane[pane >= 0], 10)
        assert np.array_equal(batch["x_hist"].flatten(), seen)
    assert rows == LABELS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.parquet", "out.parquet", "store"]
