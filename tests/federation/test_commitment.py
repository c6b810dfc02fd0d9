from __future__ import annotations

import hashlib

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation import commitment
from federation.commitment import ReceivedReports, commit, with_batch
from federation.errors import DuplicateReport
from federation.plan import Plan, PlannedView
from tests.federation.words import plan_in_words

DAY = 86_400 * 10**6


def three_panes() -> Plan:
    view = FeatureView(
        "v",
        entity=Entity("k", domain=range(3)),
        features=[Count("n")],
        pane="1d",
        bounds=Bounds(2, 1),
        privacy=Privacy(rho=0.5, min_clients=2),
    )
    return plan_in_words(bytes(16), (PlannedView(view, np.arange(3, dtype=np.int64) * DAY, 2),), "none")


@pytest.mark.parametrize("sorted_ids", [1, 7, 40, 2**17])
@pytest.mark.parametrize("batch", [1, 3, 50])
def test_digests_are_over_the_sorted_ids_however_many_are_sorted_at_a_time(
    monkeypatch: pytest.MonkeyPatch, sorted_ids: int, batch: int
) -> None:
    monkeypatch.setattr(commitment, "SORTED_IDS", sorted_ids)
    rng, plan = np.random.default_rng(3), three_panes()
    collection = rng.integers(0, 2, 200).astype(np.uint32)  # the third pane has no report
    ids = rng.integers(0, 256, (200, 16)).astype(np.uint8)
    ids[:100, 0] = 255  # many in one part of the range
    received: tuple[ReceivedReports, ...] = ()
    for first in range(0, 200, batch):
        rows = slice(first, first + batch)
        received = with_batch(received, ReceivedReports(collection[rows], ids[rows], None))
    expected = [hashlib.sha256(b"".join(sorted(map(bytes, ids[collection == pane])))).digest() for pane in range(3)]
    made = commit(plan, received)
    assert list(made.digests) == expected
    assert made.counts == tuple(np.bincount(collection, minlength=3).tolist())
    assert sum(len(part.collection) for part in received) == 200
    if batch == 1 and sorted_ids == 2**17:
        assert len(received) <= 8  # and not 200
    twice = ReceivedReports(np.zeros(1, np.uint32), ids[150:151], None)
    with pytest.raises(DuplicateReport):
        commit(plan, (*received, twice))


def test_the_digest_is_over_counts_of_eight_bytes_the_digests_and_the_counted_sites() -> None:
    made = commitment.Commitment((3, 2**40), (bytes(32), bytes([1] * 32)), ("a", "bc"))
    counts = (3).to_bytes(8, "big") + (2**40).to_bytes(8, "big")
    assert made.digest == hashlib.sha256(counts + bytes(32) + bytes([1] * 32) + b"\x01a\x02bc").digest()
