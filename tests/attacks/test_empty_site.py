"""Attack: learn from the traffic's shape, or from a release, which site had no active client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcripts import Run, run


def messages(of: Run) -> dict[str, list[int]]:
    """How many messages each role received, and how many batches each site sent."""
    counts = {role: [len(received)] for role, received in of.recorded.received.items()}
    return counts | {site: [len(of.batches(site))] for site in of.events}


@pytest.mark.parametrize("validity", ["none", "prio3"])
def test_a_site_without_an_active_client_causes_the_same_messages_as_any_other(tmp_path: Path, validity: str) -> None:
    busy = run(tmp_path / "busy", {"a": [8, 8], "b": [6, 6]}, "none", validity=validity)
    empty = run(tmp_path / "empty", {"a": [8, 8], "b": [0, 0]}, "none", validity=validity)
    assert messages(empty) == messages(busy)
    (batch,) = empty.batches("b")
    assert len(batch.signed.header) == 0
    assert len(batch.leader) > 0
    assert len(batch.helper) > 0
