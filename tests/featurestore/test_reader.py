from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.define.decoded import Status
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.release import Release
from featurestore.errors import BadReference, NameCollision, UnknownFeature, UnknownVersion, UnknownView
from featurestore.online.blocks import open_blocks
from featurestore.online.settings import OnlineSettings
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, fill, manifest_of
from .test_blocks import Crash, CrashBeforeBlocks

FEATURES = [
    Count("flights"),
    ClientCount("planes"),
    Mean("delay", clip=(-60, 180)),
    Histogram("delay", edges=[0, 15], nulls=True),
    Rate("late", where="delay >= 15"),
]
VIEW = a_view(entity=Entity(["dest", "hour"], product(["ATL", "LAX"], [0, 1])), features=FEATURES)
AREA = a_view("area", entity=Entity("area", value="NYC"), features=FEATURES)
REFS = [
    "delays:late_3h", "delays:delay_hist", "area:flights", "delays:flights", "area:delay_hist_3h", "delays:delay_mean",
]  # fmt: skip


def publish(directory: Path, panes: int) -> None:
    """The same random sums in both views, of so few events that some ratios drown."""
    random = np.random.default_rng(5)
    with Publisher(directory, lambda: 0) as publisher:
        for view in (VIEW, AREA):
            publisher.register(view)
            layout = layout_of(view)
            for i in range(panes):
                slots = random.integers(-9, 60, size=(layout.keys, layout.slots_per_key))
                manifest = manifest_of(view, "discrete-gaussian")
                times = (i * HOUR, (i + 1) * HOUR, (i + 2) * HOUR, 0)
                publisher.publish([Release(manifest, *times, "live", slots)])


def spread(table: pa.Table, suffix: str = "") -> list[list[Any]]:
    """Columns of `Store.get` in the order of REFS, with one column for each cell of a list."""
    columns: list[list[Any]] = []
    for ref in REFS:
        column = table.column(ref.replace(":", "__") + suffix)
        if pa.types.is_fixed_size_list(column.type):
            cells = column.type.list_size
            columns += [[None if row is None else row[cell] for row in column.to_pylist()] for cell in range(cells)]
        else:
            width = table.column(ref.replace(":", "__")).type
            columns += [column.to_pylist()] * (width.list_size if pa.types.is_fixed_size_list(width) else 1)
    return columns


def nullable(block: Any) -> list[list[Any]]:
    return [[None if np.isnan(value) else value for value in column] for column in block.T.tolist()]


def test_a_vector_is_what_get_answers(store_dir: Path) -> None:
    publish(store_dir, 4)
    keys = {"dest": ["LAX", None, "ATL", "XXX", "LAX", "ATL"], "hour": [1, 1, 0, 0, 1, None]}
    with Store.open(store_dir) as store:
        vectors = store.reader(REFS, intervals=True).read(keys)
        assert store.reader(REFS).read(keys).intervals is None
        table = store.get(REFS, keys, full_names=True)
    assert vectors.names[:5] == ("delays__late_3h", *(f"delays__delay_hist[{cell}]" for cell in range(4)))
    assert nullable(vectors.values) == spread(table)
    assert nullable(vectors.se) == spread(table, "__se")
    assert vectors.intervals is not None
    for end, values in zip(("__lo", "__hi"), vectors.intervals, strict=True):
        assert nullable(values) == spread(table, end)
    low, high = vectors.intervals
    assert ((low < vectors.values) & (vectors.values < high))[vectors.mask].all()
    status = [[Status(code).name for code in column] for column in vectors.status.T.tolist()]
    assert status == spread(table, "__status")
    assert {name for column in status for name in column} >= {"OK", "NOT_FOUND", "ROUGH_SE"}
    assert (vectors.mask == ~np.isnan(vectors.values)).all()


def test_the_next_epoch_is_read_at_once_and_by_every_column(store_dir: Path) -> None:
    view, other = a_view(), a_view("others")
    with Publisher(store_dir, lambda: 0) as publisher, Store.open(store_dir) as store:
        publisher.register(view)
        publisher.register(other)
        reader = store.reader(["delays:flights", "others:flights"])
        assert reader.read({"dest": ["ATL"]}).status.tolist() == [[Status.NOT_FOUND] * 2]
        epochs = []
        for i in range(5):
            publisher.publish([a_release(view, i * HOUR, i), a_release(other, i * HOUR, i)])
            vectors = reader.read({"dest": ["ATL"]})
            assert vectors.values.tolist() == [[i, i]]
            epochs.append(vectors.epoch)
        assert epochs == sorted(set(epochs))


def test_a_row_beyond_its_ttl_has_no_value(store_dir: Path) -> None:
    view = a_view(ttl="2h")
    with Publisher(store_dir, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 5)])
    for now, status in ((3 * HOUR, Status.OK), (3 * HOUR + 1, Status.OUTSIDE_MAX_AGE)):
        with Store.open(store_dir, clock=lambda now=now: now) as store:  # type: ignore[misc]
            vectors = store.reader(["delays:flights"]).read({"dest": ["ATL", "XXX"]})
        assert vectors.status.tolist() == [[status], [Status.NOT_FOUND]]
        assert vectors.mask.tolist() == [[status == Status.OK], [False]]
        assert np.isnan(vectors.values[1, 0])
        assert np.isnan(vectors.se).all() == (status != Status.OK)


def test_a_constant_entity_needs_no_key(store_dir: Path) -> None:
    publish(store_dir, 1)
    with Store.open(store_dir) as store:
        reader = store.reader(["area:flights"])
        known = reader.read().values
        assert known.shape == (1, 1)
        assert reader.read({"area": ["NYC", "BOS"]}).mask.tolist() == [[True], [False]]
        assert reader.read({"other": [1, 2, 3]}).values.tolist() == known.tolist() * 3


def test_keys_are_lists_arrays_or_arrow_and_wrong_ones_are_refused(store_dir: Path) -> None:
    publish(store_dir, 1)
    with Store.open(store_dir) as store:
        reader = store.reader(["delays:flights"])
        first = reader.read({"dest": ["ATL", "LAX"], "hour": [0, 1]}).values.tolist()
        assert reader.read({"dest": np.array(["ATL", "LAX"]), "hour": np.array([0, 1])}).values.tolist() == first
        assert reader.read({"dest": pa.array(["ATL", "LAX"]), "hour": (0, 1)}).values.tolist() == first
        assert reader.read({"dest": ["ATL"], "hour": [2**80]}).status.tolist() == [[Status.NOT_FOUND]]
        for keys, message in (
            ({"dest": ["ATL"]}, "needs the join key.s. hour; given: dest"),
            ({"dest": ["ATL"], "hour": [0, 1]}, "'hour' has 2 values"),
            ({"dest": "ATL", "hour": [0]}, "'dest' takes a list"),
            ({"dest": ["ATL"], "hour": [1.0]}, "'hour' is int64, but the request holds float"),
            (None, "dest, hour; given: none"),
        ):
            with pytest.raises(BadReference, match=message):
                reader.read(keys)  # type: ignore[arg-type]


def test_references_that_name_nothing_are_refused_before_a_read(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 1)
    with Store.open(tmp_path) as store:
        for refs, error in (
            (["nothing:flights"], UnknownView),
            (["delays@v2:flights"], UnknownVersion),
            (["delays:nothing"], UnknownFeature),
            (["delays:late__se"], BadReference),
            (["delays:flights", "delays:flights"], NameCollision),
            (["flights"], BadReference),
            ("delays:flights", BadReference),
            ([], BadReference),
        ):
            with pytest.raises(error):
                store.reader(refs)


def test_a_view_above_the_budget_is_read_from_the_online_store_and_others_are_not(tmp_path: Path) -> None:
    large = a_view("large", entity=Entity("dest", domain=[f"k{i}" for i in range(40_000)]))
    with Publisher(tmp_path, lambda: 2 * DAY, OnlineSettings(block_mib=1)) as publisher:
        for view in (large, a_view()):
            publisher.register(view)
            publisher.publish([a_release(view, 0, 7)])
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "store" / "blocks").iterdir()}
    assert sizes["large-v1-00000001.arrow"] < 20_000
    with Store.open(tmp_path) as store:
        vectors = store.reader(["large:flights", "delays:flights"]).read({"dest": ["k39999", "ATL"]})
    assert vectors.mask.tolist() == [[True, False], [False, True]]


def test_rows_that_are_ahead_of_their_epoch_are_not_read(tmp_path: Path) -> None:
    """A publisher dies between the online rows and CURRENT.json. Old readers stay on the last epoch; new readers wait."""
    view = a_view()
    (tmp_path / "covey.toml").write_text("[online]\nblock_mib = 0\n")
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 1)])
    with Store.open(tmp_path) as store:
        reader = store.reader(["delays:flights"])
        assert reader.read({"dest": ["ATL"]}).values.tolist() == [[1]]
        with pytest.raises(Crash), CrashBeforeBlocks(tmp_path, lambda: DAY) as publisher:
            publisher.publish([a_release(view, HOUR, 2)])
        assert reader.read({"dest": ["ATL"]}).values.tolist() == [[1]]
        fresh = open_blocks(tmp_path)
        assert (fresh.snapshot.epoch, fresh.problem is None) == (0, False)
        Publisher(tmp_path, lambda: DAY).close()
        assert reader.read({"dest": ["ATL"]}).values.tolist() == [[2]]
    assert fresh.refresh()
    assert fresh.snapshot.find("delays").rows({"dest": ["ATL"]}, 1).numbers[0, 0] == 2
