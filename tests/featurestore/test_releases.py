"""Releases, voids, tombstones and evidence are read back as they were published."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.times import from_us
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.release import Release, Void
from featurestore.errors import NotFoundError, StoreCorrupt, UnknownEvidence, UnknownRelease
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, a_void, fill, manifest_of

VIEW = a_view(
    entity=Entity(["dest", "hub"], [("ATL", True), ("LAX", False), ("é", True)]),
    features=[Mean("delay", clip=(-60, 180)), Histogram("delay", edges=[0, 15]), ClientCount("planes")],
)


def noised(start: int, seed: int, signature: bytes = b"sixty-four bytes") -> Release:
    layout = layout_of(VIEW)
    slots = np.random.default_rng(seed).integers(-(2**62), 2**62, size=(layout.keys, layout.slots_per_key))
    terms = manifest_of(VIEW, "discrete-gaussian")
    return Release(terms, start, start + HOUR, start + 2 * HOUR, start + DAY, "live", slots, signature)


def test_every_item_comes_back_with_what_was_signed(tmp_path: Path) -> None:
    items: list[Release | Void] = [noised(0, 1), noised(HOUR, 2), replace(a_void(VIEW, 2 * HOUR), signature=b"void")]
    items += [noised(26 * HOUR, 3), replace(a_void(VIEW, 27 * HOUR, "BUDGET_SPENT"), signature=b"spent")]
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.publish(items[2:])
        publisher.publish(items[:2])
        with Store.open(tmp_path) as store:
            for item in items:
                back = store.release(item.release_id)
                assert type(back) is type(item)
                assert back.signed_bytes == item.signed_bytes
                assert back.signature == item.signature
                assert back.manifest == item.manifest
                assert store.tombstone(item.release_id) is None
            first = store.release(items[0].release_id)
    assert isinstance(first, Release)
    assert first.slots.tolist() == noised(0, 1).slots.tolist()


def test_an_id_that_is_not_there_is_named(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 1)
    with Store.open(tmp_path) as store:
        for call in (store.release, store.tombstone):
            with pytest.raises(UnknownRelease, match="ab" * 16) as raised:
                call(b"\xab" * 16)
            assert isinstance(raised.value, NotFoundError)
        with pytest.raises(UnknownEvidence, match="cd" * 32) as missing:
            store.evidence(b"\xcd" * 32)
        assert isinstance(missing.value, NotFoundError)


def test_slots_that_were_changed_in_the_file_are_found(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 2)
    files = tmp_path / "store" / "offline" / "delays" / "v1"
    (path,) = files.iterdir()
    other = tmp_path / "other"
    with Publisher(other, lambda: 0) as publisher:
        publisher.register(a_view())
        publisher.publish([a_release(a_view(), 0, 1), a_release(a_view(), HOUR, 3)])
    (changed,) = (other / "store" / "offline" / "delays" / "v1").iterdir()
    path.write_bytes(changed.read_bytes())
    with Store.open(tmp_path) as store:
        assert store.release(a_release(a_view(), 0).release_id).signature == b""
        with pytest.raises(StoreCorrupt, match="slots differ from the published ones"):
            store.release(a_release(a_view(), HOUR).release_id)


def test_the_list_tells_states_reasons_times_and_terms(tmp_path: Path) -> None:
    view = a_view()
    grave = Void(manifest_of(view), 0, HOUR, 9 * DAY, 9 * DAY, "live", "RETRACTED", b"s")
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0), a_void(view, HOUR), a_void(view, 2 * HOUR, "BUDGET_SPENT")])
        publisher.publish([a_release(view, 3 * HOUR), grave])
    with Store.open(tmp_path) as store:
        rows = store.releases("delays").to_pylist()
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("retracted", "RETRACTED"),
        ("void", "BATCH_TOO_SMALL"),
        ("void", "BUDGET_SPENT"),
        ("opened", None),
    ]
    assert [row["retracted_at"] for row in rows] == [from_us(9 * DAY), None, None, None]
    assert rows[0]["released_at"] == from_us(HOUR + HOUR // 2)
    assert (rows[0]["participation"], rows[0]["protection"], rows[0]["noise"]) == ("active", "shares", "none")


class TestEvidence:
    PLAN, STATEMENT = b"a signed plan", b"an opening statement \x00" * 1_000

    def hashes(self, *blobs: bytes) -> list[bytes]:
        return [hashlib.sha256(blob).digest() for blob in blobs]

    def test_it_is_kept_by_its_hash_whoever_sends_it_again(self, tmp_path: Path) -> None:
        view = a_view()
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(view)
            publisher.publish([a_release(view, 0)], [self.PLAN, self.STATEMENT, self.PLAN])
            publisher.publish([a_release(view, HOUR)], iter([self.PLAN]))
            publisher.publish([a_release(view, 0)], [b"came later"])  # a repeated publication adds the missing evidence
        with Store.open(tmp_path) as store:
            for blob in (self.PLAN, self.STATEMENT, b"came later"):
                assert store.evidence(*self.hashes(blob)) == blob

    def test_it_stands_or_falls_with_its_publication(self, tmp_path: Path) -> None:
        class Fails(Exception):
            pass

        view = a_view()
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(view)

            def fails(*_: Any) -> None:
                raise Fails

            publisher._registry.publications.record = fails  # type: ignore[method-assign]
            with pytest.raises(Fails):
                publisher.publish([a_release(view, 0)], [self.PLAN])
        with Store.open(tmp_path) as store, pytest.raises(UnknownEvidence):
            store.evidence(*self.hashes(self.PLAN))

    def test_bytes_that_were_changed_are_found(self, tmp_path: Path) -> None:
        view = a_view()
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(view)
            publisher.publish([a_release(view, 0)], [self.PLAN])
        database = sqlite3.connect(tmp_path / "store" / "registry.db")
        database.execute("UPDATE evidence SET data = ?", (b"another plan",))
        database.commit()
        database.close()
        with Store.open(tmp_path) as store, pytest.raises(StoreCorrupt, match="was changed"):
            store.evidence(*self.hashes(self.PLAN))
