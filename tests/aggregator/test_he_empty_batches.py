"""Under `he` the leader alone counts sites: an empty batch is sealed to it, with no part for anybody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from federation.batch.batch import BatchHeader
from federation.batch.empty import seal_empty
from federation.batch.sealing import seal_contents
from federation.commitment import Outcome
from federation.errors import BatchMalformed
from federation.statement import verify_statement
from tests.aggregator.he_world import LeaderAndKeyHolder, Site, draft, with_keys
from tests.aggregator.world import KEYS
from tests.federation.wire import HELPER, LEADER, live


def test_the_leader_counts_a_site_without_a_report(tmp_path: Path) -> None:
    two = LeaderAndKeyHolder(tmp_path)
    plan, keys = two.plan()
    storage = two.leader.files.storage
    (stored,) = storage.plans()
    two.submit(Site(plan, keys).batch([0, 1]))
    empty = seal_empty(plan, "b", bytes(16), KEYS["b"].sign)
    assert empty.helper == b""
    for _ in range(2):
        assert two.submit(empty) == b""
    assert storage.reports.counted_sites(stored.number) == ("a", "b")
    for share, key in zip(two.shares(plan), (LEADER, HELPER), strict=True):  # the key holder repeats the leader's word
        assert verify_statement(share[0].statement, key.sign.public).sites == ("a", "b")
    two.close()


def test_the_leader_opens_no_pane_of_a_view_that_needs_more_sites(tmp_path: Path) -> None:
    two = LeaderAndKeyHolder(tmp_path)
    made = draft(panes=1)
    made = live(replace(made, views=(replace(made.views[0], min_sites=2),)))
    plan, keys = with_keys(made, two.holder.prepare)
    two.open(plan, keys)
    two.submit(Site(plan, keys).batch([0, 0]))
    for share, key in zip(two.shares(plan), (LEADER, HELPER), strict=True):
        assert verify_statement(share[0].statement, key.sign.public).outcomes == bytes([Outcome.TOO_FEW_SITES])
    two.close()


def test_an_empty_batch_with_a_part_for_the_helper_or_with_content_is_refused(tmp_path: Path) -> None:
    two = LeaderAndKeyHolder(tmp_path)
    plan, _ = two.plan()
    header = seal_empty(plan, "b", bytes(16), KEYS["b"].sign).signed.header
    assert isinstance(header, BatchHeader)
    for contents in ((b"", b""), (b"x", None)):
        with pytest.raises(BatchMalformed):
            two.submit(seal_contents(plan, header, contents, KEYS["b"].sign))
    (stored,) = two.leader.files.storage.plans()
    assert two.leader.files.storage.reports.counted_sites(stored.number) == ()
    two.close()
