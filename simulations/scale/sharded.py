"""The real protocol over S shards of each aggregator: batches go to shards by their id, sums and ids are merged at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from federation.batch.reports import Addable
from federation.plan import Plan
from federation.protocol import Aggregating


def shard_of(batch_id: bytes, shards: int) -> int:
    """Which of `shards` takes a batch. Both aggregators say the same, so shard i of one only talks with shard i of the other.

    The id is hashed: a site chooses its batch ids, but then cannot aim at a shard for less than a search.
    """
    return int.from_bytes(hashlib.sha256(b"covey shard of a batch" + batch_id).digest()[:8], "big") % shards


@dataclass(frozen=True)
class ShardedBatch:
    """Both aggregators' halves of one batch, as they enter the sums."""

    batch_id: bytes
    leader: Addable
    helper: Addable


def take(
    plan: Plan, batches: Iterable[ShardedBatch], shards: int, order: Sequence[int] | None = None
) -> tuple[Aggregating, Aggregating]:
    """Every batch to its shard, then the shards merged: leader's and helper's states, ready to be closed.

    Args:
        order: in which the shards are merged; default: as they are numbered.

    Raises:
        ReportRefused: as `Aggregating.add`.
    """
    leaders = [Aggregating.start("leader", plan) for _ in range(shards)]
    helpers = [Aggregating.start("helper", plan) for _ in range(shards)]
    for batch in batches:
        at = shard_of(batch.batch_id, shards)
        leaders[at], helpers[at] = leaders[at].add(batch.leader), helpers[at].add(batch.helper)
    leader, helper = Aggregating.start("leader", plan), Aggregating.start("helper", plan)
    for at in range(shards) if order is None else order:
        leader, helper = leader.merge(leaders[at]), helper.merge(helpers[at])
    return leader, helper
