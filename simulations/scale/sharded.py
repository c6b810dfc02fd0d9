"""The real protocol over S shards of each aggregator. Batch ids choose the shard; sums and ids are merged at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from federation.aggregation import Aggregation
from federation.batch.reports import Addable
from federation.plan import Plan


def shard_of(batch_id: bytes, shards: int) -> int:
    """Return the shard of a batch. Both aggregators compute the same, so shard i calls only shard i of the other.

    The id is hashed, because sites choose batch ids: a site needs a search to aim at a shard.
    """
    return int.from_bytes(hashlib.sha256(b"covey shard of a batch" + batch_id).digest()[:8], "big") % shards


@dataclass(frozen=True)
class ShardedBatch:
    """The halves of both aggregators of one batch."""

    batch_id: bytes
    leader: Addable
    helper: Addable


def take(
    plan: Plan, batches: Iterable[ShardedBatch], shards: int, order: Sequence[int] | None = None
) -> tuple[Aggregation, Aggregation]:
    """Add every batch to its shard and merge the shards. Return the states of leader and helper, ready to be closed.

    Args:
        order: order in which the shards are merged; default: by number.

    Raises:
        ReportRefused: see `Aggregation.add`.
    """
    leaders = [Aggregation.start("leader", plan) for _ in range(shards)]
    helpers = [Aggregation.start("helper", plan) for _ in range(shards)]
    for batch in batches:
        at = shard_of(batch.batch_id, shards)
        leaders[at], helpers[at] = leaders[at].add(batch.leader), helpers[at].add(batch.helper)
    leader, helper = Aggregation.start("leader", plan), Aggregation.start("helper", plan)
    for at in range(shards) if order is None else order:
        leader, helper = leader.merge(leaders[at]), helper.merge(helpers[at])
    return leader, helper
