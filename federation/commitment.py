"""Commitments: each aggregator's counts and digests of the reports that it received, and what the two of them open.

Leader and helper exchange commitments before either adds noise. A collection is opened only if both have the same set of
reports of the same sites, and the set has at least k clients.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from federation.batch.reports import REPORT_ID_BYTES, Indices, ReportIds

from .counted_sites import sites_to_bytes
from .errors import DuplicateReport
from .plan import Plan, PlannedView

SORTED_IDS: Final = 2**18
"""Report ids that are sorted at a time: 4 MiB."""


class Outcome(IntEnum):
    """The outcome of a collection."""

    OPENED = 0
    """Its noised sum was opened."""
    BATCH_TOO_SMALL = 1
    """Fewer than `min_clients` clients reported; nothing was opened."""
    BATCH_MISMATCH = 2
    """Leader and helper do not hold the same reports, or do not count the same sites; nothing was opened."""
    TOO_FEW_SITES = 3
    """Fewer sites are counted than the plan's `min_sites` of the view; nothing was opened."""


@dataclass(frozen=True)
class Commitment:
    """An aggregator's commitment to its reports, which it sends to the other aggregator before anything is opened.

    Attributes:
        counts: the number of clients of each collection: its reports, or the clients that sites declare.
        digests: SHA-256 over the sorted report ids of each collection.
        sites: the counted sites of the plan, sorted (counted_sites.py); none in memory, where no site signs anything.
    """

    counts: tuple[int, ...]
    digests: tuple[bytes, ...]
    sites: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over all counts (u64 BE), digests and counted sites."""
        counts = np.array(self.counts, ">u8").tobytes()
        return hashlib.sha256(counts + b"".join(self.digests) + sites_to_bytes(self.sites)).digest()

    def part(self, span: slice) -> Commitment:
        """The commitment to some of the collections."""
        return Commitment(self.counts[span], self.digests[span], self.sites)


class ReceivedReports(NamedTuple):
    """The identity of received reports: of one batch, or of several that were joined.

    Attributes:
        collection: uint32[R], collection indices of the plan.
        report_ids: uint8[R, 16].
        clients: uint32[R], the clients that the site declares for each report; None if each is one client's.
    """

    collection: Indices
    report_ids: ReportIds
    clients: Indices | None


def with_batch(received: tuple[ReceivedReports, ...], batch: ReceivedReports) -> tuple[ReceivedReports, ...]:
    """Append a batch. Small parts of similar size are joined, so that a million batches are a few parts: each report is
    copied once for each doubling.
    """
    while received and len(received[-1].collection) <= len(batch.collection) < SORTED_IDS:
        batch, received = _joined(received[-1], batch), received[:-1]
    return (*received, batch)


def commit(plan: Plan, received: tuple[ReceivedReports, ...]) -> Commitment:
    """The counts and digests of every collection, from the ids in order of arrival.

    Ids are sorted in parts of their range, so that the memory for sorting does not grow with their number.

    Raises:
        DuplicateReport: an id was received twice.
    """
    clients = np.zeros(plan.offsets[-1], np.int64)
    for batch in received:
        np.add.at(clients, batch.collection, 1 if batch.clients is None else batch.clients)
    digests = [hashlib.sha256() for _ in range(plan.offsets[-1])]
    parts = min(256, -(-sum(len(batch.collection) for batch in received) // SORTED_IDS))
    for part in range(parts):
        collection, ids = _in_part(received, part, parts)
        words = ids.view(">u8")
        order = np.lexsort((words[:, 1], words[:, 0]))
        if duplicates := _duplicates(words[order]):
            raise DuplicateReport(duplicates)
        order = order[np.argsort(collection[order], kind="stable")]
        data, found = ids[order].reshape(-1).data, np.bincount(collection, minlength=len(digests))
        ends = np.cumsum(found) * REPORT_ID_BYTES
        for index in np.flatnonzero(found).tolist():
            digests[index].update(data[ends[index] - found[index] * REPORT_ID_BYTES : ends[index]])
    return Commitment(tuple(clients.tolist()), tuple(digest.digest() for digest in digests))


def most_reports(plan: Plan, received: tuple[ReceivedReports, ...]) -> int:
    """The number of reports of the largest collection."""
    counts = np.zeros(plan.offsets[-1], np.int64)
    for batch in received:
        np.add.at(counts, batch.collection, 1)
    return int(counts.max(initial=0))


def decide(planned: PlannedView, mine: Commitment, other: Commitment) -> npt.NDArray[np.uint8]:
    """uint8[C] of `Outcome`: opened if both aggregators have the same reports and the same sites, and enough of each."""
    same = np.array(mine.digests) == np.array(other.digests)
    same &= np.array(mine.counts) == np.array(other.counts)
    same &= mine.sites == other.sites
    return np.where(same, decide_alone(planned, mine), np.uint8(Outcome.BATCH_MISMATCH))


def decide_alone(planned: PlannedView, mine: Commitment) -> npt.NDArray[np.uint8]:
    """uint8[C] of `Outcome`, by one commitment: opened if enough sites are counted, and at least k clients reported."""
    if len(mine.sites) < planned.min_sites:
        return np.full(len(mine.counts), Outcome.TOO_FEW_SITES, np.uint8)
    small = np.array(mine.counts) < planned.min_clients
    return np.where(small, Outcome.BATCH_TOO_SMALL, Outcome.OPENED).astype(np.uint8)


def _joined(one: ReceivedReports, other: ReceivedReports) -> ReceivedReports:
    # Either all reports of a plan declare clients, or none.
    clients = None if one.clients is None or other.clients is None else np.concatenate((one.clients, other.clients))
    return ReceivedReports(
        np.concatenate((one.collection, other.collection)), np.concatenate((one.report_ids, other.report_ids)), clients
    )


def _in_part(received: tuple[ReceivedReports, ...], part: int, parts: int) -> tuple[Indices, ReportIds]:
    """The reports whose ids are in one part of the range, by their first byte."""
    first, last = part * 256 // parts, (part + 1) * 256 // parts - 1
    inside = [(batch.report_ids[:, 0] >= first) & (batch.report_ids[:, 0] <= last) for batch in received]
    collection = np.concatenate([batch.collection[rows] for batch, rows in zip(received, inside, strict=True)])
    return collection, np.concatenate([batch.report_ids[rows] for batch, rows in zip(received, inside, strict=True)])


def _duplicates(words: npt.NDArray[np.uint64]) -> int:
    """How many of these sorted ids, two words each, equal the id before them."""
    return int(np.count_nonzero((words[1:] == words[:-1]).all(axis=1)))
