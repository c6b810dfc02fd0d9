"""The first read of each publication is a span below it; later reads have none, and a damaged note costs a parent only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from base.trace_export import ToFile
from base.traces import span, tracing_as
from featurestore.online.release_traces import FILE, publication_of
from featurestore.server.first_reads import FirstReads
from featurestore.store import Store
from tests.featurestore.making import a_view, fill

VIEW = a_view()


def read(store: Store, first: FirstReads) -> None:
    with first.of(store.blocks.snapshot.versions()):
        store.get(["delays:flights"], {"dest": ["LAX"]})


def spans(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "spans.jsonl").read_text().splitlines()]


def test_the_first_read_of_each_publication_is_below_it_and_later_reads_have_no_span(tmp_path: Path) -> None:
    with tracing_as("server", ToFile(tmp_path / "spans.jsonl")):
        with span("publication"):
            fill(tmp_path, VIEW, 1)
        with Store.open(tmp_path) as store:
            first = FirstReads(store.root)
            for _ in range(3):
                read(store, first)
            with span("publication"):
                fill(tmp_path, VIEW, 2)
            store.blocks.refresh()
            for _ in range(3):
                read(store, first)
    old, first_read, new, second_read = spans(tmp_path)
    assert [one["name"] for one in (old, first_read, new, second_read)] == ["publication", "read"] * 2
    for published, reading in ((old, first_read), (new, second_read)):
        assert reading["parent_id"] == published["context"]["span_id"]
        assert reading["attributes"] == {"covey.view": "delays"}


def test_without_traces_nothing_is_noted_and_nothing_is_kept(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    with Store.open(tmp_path) as store:
        assert not (store.root / FILE).exists()
        read(store, FirstReads(store.root))


@pytest.mark.parametrize(
    "damage",
    ["", "[", "[]", "{}", '{"delays@v1": 7}', '{"delays@v1": [1]}', '{"delays@v1": [1, "x"]}', '{"delays@v1": ["1", "x"]}',
     '{"delays@v1": [2, "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01"]}', "[" * 100_000, "\udcff"],
)  # fmt: skip
def test_a_damaged_note_or_one_of_another_publication_costs_a_parent_only(tmp_path: Path, damage: str) -> None:
    fill(tmp_path, VIEW, 1)
    with Store.open(tmp_path) as store, tracing_as("server", ToFile(tmp_path / "spans.jsonl")):
        (store.root / FILE).write_bytes(damage.encode(errors="surrogateescape"))
        assert publication_of(store.root, "delays", 1, 1) is None
        read(store, FirstReads(store.root))
    (one,) = spans(tmp_path)
    assert (one["name"], one["parent_id"]) == ("read", None)
