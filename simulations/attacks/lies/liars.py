"""Clients that lie when a site protects its reports: lies replace some reports, the others stay honest.

Without proofs the lie is shared unchanged. With proofs the liar sends the best proof that it can make (`forging`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from crypto.prio3_messages import HelperInputShares, InputShares, LeaderInputShares, PublicShares
from crypto.sharing import HelperSeeds, LeaderShares, SparseRows
from federation.batch.reports import HelperHalf, LeaderHalf, ProvenHalf, Randomness, ReportIds, Reports
from federation.circuit.validity import prove
from federation.plan import Plan
from federation.sharding import Halves, protect, shard
from federation.terms import Validity

from .forging import forge
from .kinds import COPIED
from .vectors import vector_of

Indices = npt.NDArray[np.int64]


class Liars:
    """Replace the first reports of each collection by lies, report i by `kinds[i]`. The other reports stay honest.

    If a batch has no other report to copy, the report stays honest and the next report of the collection copies instead.
    Reports of a collection are counted over batches, so one object protects all batches of a site's answer.
    """

    def __init__(self, kinds: Sequence[str], keys: Mapping[str, int] | None = None) -> None:
        """`keys`: index of the join key of the lies, by view; default: the first key."""
        self._kinds, self._keys = tuple(kinds), dict(keys or {})
        self._seen: dict[bytes, Indices] = {}

    def protect(
        self, plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: ReportIds | None = None
    ) -> Halves:
        """Protect as `federation.sharding.protect` does. Raises LieInapplicable: the lie does not apply to the view."""
        halves = protect(plan, reports, randomness, report_ids=report_ids)
        number = self._numbers(plan, reports.collection)
        lying = np.flatnonzero(number < len(self._kinds))
        told = {kind: lying[[self._kinds[i] == kind for i in number[lying]]] for kind in dict.fromkeys(self._kinds)}
        copied = told.pop(COPIED, np.empty(0, np.int64))
        honest = halves
        for kind, rows in told.items():
            if len(rows):
                lies = self._lies(plan, reports, kind, rows, honest[0].report_ids[rows], randomness)
                halves = _with_rows(halves, rows, lies, np.arange(len(rows)))
        if len(copied):
            others = _neighbours(reports.collection, copied)
            halves = _with_rows(halves, copied, honest, others)
            alone = reports.collection[copied[others == copied]]  # the collection's next report copies instead
            self._seen[plan.hash][alone] -= 1
        return halves

    def _numbers(self, plan: Plan, collection: npt.NDArray[np.uint32]) -> Indices:
        """Return int64[R]: the number of each report in its collection, with earlier batches."""
        seen = self._seen.setdefault(plan.hash, np.zeros(plan.offsets[-1], np.int64))
        order = np.argsort(collection, kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - np.searchsorted(collection[order], collection[order])
        number = seen[collection] + rank
        seen += np.bincount(collection, minlength=len(seen))
        return number

    def _lies(
        self, plan: Plan, reports: Reports, kind: str, rows: Indices, ids: ReportIds, randomness: Randomness
    ) -> Halves:
        """Make the halves of lies that replace these rows."""
        planned, collection = plan.views[reports.view], reports.collection[rows]
        vector = vector_of(kind, planned.layout, self._keys.get(planned.view.name, 0))
        if plan.terms.validity is Validity.PRIO3:
            measurements = np.repeat(forge(planned.layout, vector)[None], len(rows), axis=0)
            return prove(plan, reports.view, collection, measurements, ids, randomness)
        zeros = SparseRows(np.zeros(len(rows) + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), len(vector))
        leader, helper = shard(plan, Reports(reports.view, collection, zeros), randomness, report_ids=ids)
        return replace(leader, shares=LeaderShares(field64.add(leader.shares.elements, vector))), helper


def _neighbours(collection: npt.NDArray[np.uint32], rows: Indices) -> Indices:
    """Return for each row the next row of its collection, or the row itself if the collection has no other."""
    found = rows.copy()
    for i, row in enumerate(rows.tolist()):
        same = np.flatnonzero(collection == collection[row])
        found[i] = same[(np.searchsorted(same, row) + 1) % len(same)]
    return found


def _with_rows(halves: Halves, rows: Indices, others: Halves, which: Indices) -> Halves:
    """Replace row `rows[i]` of the halves by row `which[i]` of the others. The report ids stay."""
    match halves, others:
        case (LeaderHalf() as leader, HelperHalf() as helper), (LeaderHalf() as its, HelperHalf() as and_its):
            elements = _put(leader.shares.elements, rows, its.shares.elements[which])
            seeds = _put(helper.seeds.seeds, rows, and_its.seeds.seeds[which])
            return replace(leader, shares=LeaderShares(elements)), replace(helper, seeds=HelperSeeds(seeds))
        case (ProvenHalf() as one, ProvenHalf() as two), (ProvenHalf() as its, ProvenHalf() as and_its):
            return _proven(one, rows, its, which), _proven(two, rows, and_its, which)
    raise TypeError("one half has proofs and the other has none")


def _proven(half: ProvenHalf, rows: Indices, other: ProvenHalf, which: Indices) -> ProvenHalf:
    parts = _put(half.public_shares.joint_rand_parts, rows, other.public_shares.joint_rand_parts[which])
    shares: InputShares
    match half.input_shares, other.input_shares:
        case LeaderInputShares() as mine, LeaderInputShares() as its:
            shares = LeaderInputShares(
                _put(mine.meas_share, rows, its.meas_share[which]),
                _put(mine.proofs_share, rows, its.proofs_share[which]),
                _put(mine.blinds, rows, its.blinds[which]),
            )
        case HelperInputShares() as mine, HelperInputShares() as its:
            shares = HelperInputShares(
                _put(mine.seeds, rows, its.seeds[which]), _put(mine.blinds, rows, its.blinds[which])
            )
        case _:
            raise TypeError("the halves are of different aggregators")
    return replace(half, public_shares=PublicShares(parts), input_shares=shares)


_T = TypeVar("_T", bound=np.generic)


def _put(array: npt.NDArray[_T], rows: Indices, values: npt.NDArray[_T]) -> npt.NDArray[_T]:
    changed = array.copy()
    changed[rows] = values
    return changed
