from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from featurestore.define.definitions import FeatureView  # noqa: E402
from featurestore.define.entities import Entity  # noqa: E402
from featurestore.define.kinds import Histogram  # noqa: E402
from featurestore.define.on_demand import Feature, OnDemandView, on_demand  # noqa: E402
from featurestore.define.services import FeatureService  # noqa: E402
from featurestore.errors import BadReference, UnknownFeature, UnknownView  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.read.vectors import Reader, Vectors  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void, fill  # noqa: E402
from tests.featurestore.server import test_remote  # noqa: E402
from training.data import table as table_module  # noqa: E402
from training.data.table import FeatureTable  # noqa: E402
from training.errors import TableBusy, TableInvalid  # noqa: E402

REFS = ["delays:flights", "delays:late", "delays:flights_3h"]


def publish(directory: Path, view: FeatureView, *panes: Any) -> None:
    with Publisher(directory, lambda: 100 * DAY) as publisher:
        publisher.publish(panes)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def view() -> FeatureView:
    return a_view()


@pytest.fixture
def store(tmp_path: Path, view: FeatureView) -> Iterator[Store]:
    fill(tmp_path, view, 4)
    with Store.open(tmp_path) as opened:
        yield opened


def row(table: FeatureTable, *dests: str | None) -> list[list[float]]:
    return table(torch.from_numpy(table.index_of({"dest": list(dests)}))).tolist()


class TestRows:
    def test_they_are_what_get_returns(self, store: Store) -> None:
        table = FeatureTable(store, REFS, mask=True, se=True)
        got = store.get(REFS, {"dest": ["LAX", "ATL"]}, full_names=True)
        expected = np.column_stack([
            *(got[ref.replace(":", "__")].to_numpy() for ref in REFS),
            *(np.ones(2) for _ in REFS),
            *(got[ref.replace(":", "__") + "__se"].to_numpy() for ref in REFS),
        ]).astype(np.float32)  # fmt: skip
        assert table.names == tuple(f"{ref}{suffix}" for suffix in ("", "__mask", "__se") for ref in REFS)
        assert row(table, "LAX", "ATL") == expected.tolist()
        assert table.v.shape == (2, 3, 9)
        assert not list(table.parameters())

    def test_an_unknown_key_and_a_null_are_row_k(self, store: Store) -> None:
        table = FeatureTable(store, REFS, mask=True)
        assert table.index_of({"dest": ["ATL", "SFO", None]}).tolist() == [0, 2, 2]
        assert row(table, "SFO", None) == [[0.0] * 6] * 2
        assert table(torch.tensor([-1, 3, 5, 2])).tolist() == [[0.0] * 6] * 4

    def test_a_value_that_is_not_there_is_zero_and_its_mask_says_so(self, tmp_path: Path) -> None:
        view = a_view(min_coverage=0.5)
        with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
            publisher.register(view)
            publisher.publish([a_release(view, 0), a_release(view, HOUR), a_void(view, 2 * HOUR)])
        with Store.open(tmp_path) as store:
            assert row(FeatureTable(store, REFS, mask=True), "ATL") == [[0.0, 0.0, 20.0, 0.0, 0.0, 1.0]]

    def test_the_cells_of_a_histogram_are_columns(self, tmp_path: Path) -> None:
        fill(tmp_path, a_view("h", features=[Histogram("delay", edges=[0, 15])], windows=[]), 2)
        with Store.open(tmp_path) as store:
            table = FeatureTable(store, ["h:delay_hist"], se=True)
            assert table.names == (
                *(f"h:delay_hist[{i}]" for i in range(3)),
                *(f"h:delay_hist[{i}]__se" for i in range(3)),
            )
            assert row(table, "ATL") == [[2.0, 2.0, 2.0, 0.0, 0.0, 0.0]]

    def test_views_of_one_entity_share_a_table_and_a_constant_one_is_in_every_row(self, tmp_path: Path) -> None:
        fill(tmp_path, a_view("a", entity=Entity("dest", domain=["ATL", "LAX"])), 2)
        fill(tmp_path, a_view("b", entity=Entity("dest", domain=["LAX", "SFO"])), 3)
        fill(tmp_path, a_view("all", entity=Entity("area", value="NYC")), 5)
        with Store.open(tmp_path) as store:
            table = FeatureTable(store, ["a:flights", "all:flights", "b:flights"])
            assert row(table, "ATL", "LAX", "SFO", "?") == [[2, 5, 0], [2, 5, 3], [0, 5, 3], [0, 5, 0]]
            constant = FeatureTable(store, FeatureService("m", ["all:flights"]))
            assert constant.keys == ()
            assert constant(torch.from_numpy(constant.index_of())).tolist() == [[5.0]]

    def test_composite_keys(self, tmp_path: Path) -> None:
        entity = Entity(["dest", "hour"], domain=[("ATL", 6), ("ATL", 7), ("LAX", 6)])
        fill(tmp_path, a_view("c", entity=entity), 1)
        with Store.open(tmp_path) as store:
            table = FeatureTable(store, ["c:flights"])
            keys = {"dest": ["LAX", "LAX", "ATL"], "hour": [6, 7, 7]}
            assert table.index_of(keys).tolist() == [2, 3, 1]
            assert table.index_of(pa.table(keys)).tolist() == [2, 3, 1]

    def test_before_the_first_release_there_is_nothing(self, tmp_path: Path, view: FeatureView) -> None:
        fill(tmp_path, view, 0)
        with Store.open(tmp_path) as store:
            assert row(FeatureTable(store, REFS, mask=True), "ATL") == [[0.0] * 6]

    def test_a_large_domain_is_read_in_parts_of_one_epoch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        view = a_view("n", entity=Entity("k", domain=range(25)))
        fill(tmp_path, view, 1)
        monkeypatch.setattr(table_module, "MAX_ROWS", 10)
        with Store.open(tmp_path) as store:
            real, calls = Reader.read, list[int]()

            def read(self: Reader, keys: Any = None) -> Vectors:
                vectors = real(self, keys)
                calls.append(len(vectors.values))
                if calls.count(10) == 1 and calls[-1] == 10:
                    publish(tmp_path, view, a_release(view, HOUR, 2))
                return vectors

            monkeypatch.setattr(Reader, "read", read)
            table = FeatureTable(store, ["n:flights"])
            assert table.v[0, :25].unique().tolist() == [2.0]
            assert calls.count(6) == 2

    def test_behind_a_server_it_is_the_same(self, tmp_path: Path) -> None:
        test_remote.fill(tmp_path)
        refs = ["delays:delay_hist", "area:flights", "delays:late_3h"]
        with test_remote.serving(tmp_path) as served:
            local = FeatureTable(served.local, refs, mask=True, se=True)
            for url in served.urls():
                with Store.open(url) as remote:
                    table = FeatureTable(remote, refs, mask=True, se=True)
                    assert table.names == local.names
                    assert torch.equal(table.v, local.v)
                    assert table.index_of({"dest": ["LÄX", "?"], "hour": [0, 0]}).tolist() == [2, 3]
                    assert not table.refresh()
                    with pytest.raises(TableInvalid, match="on demand"):
                        FeatureTable(remote, ["scaled:x"])

    @pytest.mark.parametrize(
        ("refs", "error"),
        [
            (["delays:flights", "other:flights"], TableInvalid),
            (["risk:risk"], TableInvalid),
            (["nothing:flights"], UnknownView),
            (["delays:nothing"], UnknownFeature),
            ([], BadReference),
        ],
    )
    def test_what_cannot_be_a_table_is_named(self, tmp_path: Path, refs: list[str], error: type[Exception]) -> None:
        fill(tmp_path, a_view(), 1)
        fill(tmp_path, a_view("other", entity=Entity("carrier", domain=["AA"])), 1)
        with Store.open(tmp_path, on_demand=[_risk()]) as store, pytest.raises(error):
            FeatureTable(store, refs)

    def test_keys_of_another_type_are_named(self, store: Store) -> None:
        table = FeatureTable(store, REFS)
        for keys in ({"dest": [5]}, {"carrier": ["AA"]}, None, {"dest": "ATL"}):
            with pytest.raises(BadReference):
                table.index_of(keys)


def _risk() -> OnDemandView:
    @on_demand(outputs=["risk"])
    def risk(late: Annotated[np.ndarray, Feature("delays:late")]) -> np.ndarray:
        return late * 2

    return risk


class TestRefresh:
    def test_it_takes_up_a_release_and_says_whether_there_was_one(
        self, tmp_path: Path, store: Store, view: FeatureView
    ) -> None:
        table = FeatureTable(store, REFS)
        halves = table.v.data_ptr()
        assert not table.refresh()
        for value in (50, 60, 70):
            publish(tmp_path, view, a_release(view, value * HOUR, value))
            assert table.refresh()
            assert row(table, "ATL")[0][0] == value
            assert row(table, "SFO")[0] == [0.0, 0.0, 0.0]
        assert not table.refresh()
        assert table.v.data_ptr() == halves
        assert table.epoch == store.blocks.snapshot.epoch

    def test_rows_become_null_when_they_are_too_old(self, tmp_path: Path) -> None:
        now = [2 * HOUR]
        fill(tmp_path, a_view("short", ttl="1h"), 2)
        fill(tmp_path, a_view("long"), 2)
        with Store.open(tmp_path, clock=lambda: now[0]) as store:
            table = FeatureTable(store, ["short:flights", "long:flights"], mask=True)
            assert row(table, "ATL") == [[2.0, 2.0, 1.0, 1.0]]
            now[0] = 3 * HOUR + 1
            assert row(table, "ATL") == [[2.0, 2.0, 1.0, 1.0]]
            assert table.refresh()
            assert row(table, "ATL") == [[0.0, 2.0, 0.0, 1.0]]
            assert not table.refresh()

    def test_follow_does_it_by_itself_until_close(self, tmp_path: Path, store: Store, view: FeatureView) -> None:
        table = FeatureTable(store, REFS)
        table.follow(0.01)
        publish(tmp_path, view, a_release(view, 50 * HOUR, 50))
        eventually(lambda: row(table, "ATL")[0][0] == 50)
        table.close()
        assert not [one for one in threading.enumerate() if one.name == "covey-table"]
        publish(tmp_path, view, a_release(view, 60 * HOUR, 60))
        assert row(table, "ATL")[0][0] == 50
        with pytest.raises(TableInvalid, match="a copy or a closed table"):
            table.refresh()
        with pytest.raises(TableInvalid, match="a copy or a closed table"):
            table.follow()

    def test_follow_ends_with_the_table(self, store: Store) -> None:
        FeatureTable(store, REFS).follow(0.01)
        eventually(lambda: not [one for one in threading.enumerate() if one.name == "covey-table"])

    def test_follow_goes_on_after_trouble(
        self, tmp_path: Path, store: Store, view: FeatureView, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = FeatureTable(store, REFS)
        held = table.active
        monkeypatch.setattr(table_module, "PATIENCE_S", 0.05)
        table.follow(0.01)
        publish(tmp_path, view, a_release(view, 50 * HOUR, 50))
        eventually(lambda: row(table, "ATL")[0][0] == 50)
        publish(tmp_path, view, a_release(view, 60 * HOUR, 60))
        eventually(lambda: table.problem is not None)
        assert "export a copy" in str(table.problem)
        assert row(table, "ATL")[0][0] == 50
        del held
        eventually(lambda: row(table, "ATL")[0][0] == 60)
        eventually(lambda: table.problem is None)
        table.close()

    def test_follow_goes_on_after_trouble_of_the_device(
        self, tmp_path: Path, store: Store, view: FeatureView, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table, real, failed = FeatureTable(store, REFS), FeatureTable._filled, threading.Event()

        def filled(self: FeatureTable, *given: Any) -> torch.Tensor:
            if not failed.is_set():
                failed.set()
                raise torch.OutOfMemoryError("no memory left on the device")
            return real(self, *given)

        monkeypatch.setattr(FeatureTable, "_filled", filled)
        table.follow(0.01)
        publish(tmp_path, view, a_release(view, 50 * HOUR, 50))
        eventually(lambda: row(table, "ATL")[0][0] == 50)
        assert failed.is_set()
        table.close()

    def test_a_half_that_is_read_is_not_written(
        self, tmp_path: Path, store: Store, view: FeatureView, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = FeatureTable(store, REFS)
        monkeypatch.setattr(table_module, "PATIENCE_S", 0.05)
        reading = table.active
        for value, busy in ((50, False), (60, True)):
            publish(tmp_path, view, a_release(view, value * HOUR, value))
            if busy:
                with pytest.raises(TableBusy):
                    table.refresh()
            else:
                assert table.refresh()
        assert table.v[int(reading), 0, 0] == 4

    def test_a_forward_is_of_one_epoch_whatever_is_published_meanwhile(self, store: Store) -> None:
        table, index = FeatureTable(store, ["delays:flights"]), torch.randint(0, 3, (200_000,))
        racing(table, lambda: table(index))


def racing(table: FeatureTable, forward: Callable[[], torch.Tensor]) -> None:
    """Forwards beside refreshes at full speed. Every row of epoch i holds i, so a torn read would show two values."""
    feed, number, seen = table._feed, iter(range(2, 10**9)), type(table._seen)
    assert feed is not None
    rows = feed.read()[0]

    def read() -> Any:
        epoch = next(number)
        return np.full_like(rows, epoch), seen(epoch, b"")

    feed.look = lambda: seen(next(number), b"")  # type: ignore[method-assign]
    feed.read = read  # type: ignore[method-assign]
    table.refresh()
    stop, refreshed = threading.Event(), []
    thread = threading.Thread(target=lambda: refreshed.extend(table.refresh() for _ in iter(stop.is_set, True)))
    thread.start()
    seen_epochs, forwards, deadline = set[float](), 0, time.monotonic() + 120
    try:
        while forwards < 300 or len(seen_epochs) < 20:
            low, high = torch.aminmax(forward())
            assert low == high
            seen_epochs.add(low.item())
            forwards += 1
            assert time.monotonic() < deadline
    finally:
        stop.set()
        thread.join()
    assert len(refreshed) >= 20


class TestPrograms:
    def test_it_compiles_as_one_graph_and_sees_refreshes(self, tmp_path: Path, store: Store, view: FeatureView) -> None:
        script = f"""
import torch
from pathlib import Path
from featurestore.store import Store
from training.errors import TableBusy, TableInvalid  # noqa: E402
from training.data.table import FeatureTable
from tests.featurestore.making import HOUR, a_release, a_view
from tests.training.data.test_table import publish, racing
with Store.open(Path({str(tmp_path)!r})) as store:
    table = FeatureTable(store, {REFS!r})
    compiled = torch.compile(table, fullgraph=True)
    index = torch.tensor([0, 2, 1, -1])
    for value in (4, 50, 60, 70):
        if value > 4:
            publish(Path({str(tmp_path)!r}), a_view(), a_release(a_view(), value * HOUR, value))
            assert table.refresh()
        with torch.compiler.set_stance("default" if value == 4 else "fail_on_recompile"):
            rows = compiled(index)
        assert torch.equal(rows, table(index)), value
        assert rows[:, 0].tolist() == [value, 0, value, 0], rows
    racing(table, lambda: compiled(index))
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def test_an_exported_copy_keeps_its_release(self, tmp_path: Path, store: Store, view: FeatureView) -> None:
        table = FeatureTable(store, REFS)
        model = torch.nn.Sequential(table, torch.nn.Linear(3, 1))
        index = torch.tensor([0, 1, 2])
        expected = model(index)
        rows = torch.export.Dim("rows")
        program = torch.export.export(copy.deepcopy(model), (index,), dynamic_shapes=({0: rows},))
        torch.export.save(program, tmp_path / "m.pt2")
        for value in (50, 60, 70):
            publish(tmp_path, view, a_release(view, value * HOUR, value))
            assert table.refresh()
        loaded = torch.export.load(tmp_path / "m.pt2").module()
        assert torch.equal(loaded(index), expected)
        assert torch.equal(program.module()(index[:2]), expected[:2])
        assert not torch.equal(model(index), expected)

    def test_a_copy_stays_and_a_state_dict_is_the_rows(self, tmp_path: Path, store: Store, view: FeatureView) -> None:
        table = FeatureTable(store, REFS)
        before = row(table, "ATL", "SFO")
        other, state = pickle.loads(pickle.dumps(table)), copy.deepcopy(table.state_dict())
        publish(tmp_path, view, a_release(view, 50 * HOUR, 50))
        assert table.refresh()
        assert row(table, "ATL", "SFO") != before
        assert row(other, "ATL", "SFO") == before
        with pytest.raises(TableInvalid, match="a copy or a closed table"):
            other.refresh()
        assert list(state) == ["v", "active"]
        table.load_state_dict(state)
        assert row(table, "ATL", "SFO") == before
        assert table.refresh(), "rows that were loaded are no reason to miss the store's"
        assert row(table, "ATL")[0][0] == 50
        assert not table.refresh()

    def test_memory_that_a_stream_may_still_read_is_kept(self, tmp_path: Path, store: Store, view: FeatureView) -> None:
        table = FeatureTable(store, REFS)
        before = table.active.data_ptr()
        publish(tmp_path, view, a_release(view, 50 * HOUR, 50))
        assert table.refresh()
        assert table._lent is not None
        assert (table._lent.data_ptr(), table._retired and table._retired()) == (before, None)

    def test_on_a_gpu_refreshes_and_lookups_are_the_same(self, tmp_path: Path, store: Store, view: FeatureView) -> None:
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device on this machine: the pinned, non-blocking copies are not run here")
        table, on_cpu = FeatureTable(store, REFS, "cuda", se=True), FeatureTable(store, REFS, se=True)
        index = torch.tensor([0, 2, 1, -1])
        for value in (50, 60, 70):
            publish(tmp_path, view, a_release(view, value * HOUR, value))
            assert table.refresh()
            assert on_cpu.refresh()
            assert torch.equal(table(index.cuda()).cpu(), on_cpu(index))
