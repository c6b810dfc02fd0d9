"""The accepted reports of an aggregator: each id counts once, each site has a maximum, each collection a sum."""

from __future__ import annotations

import hashlib
from itertools import groupby

import numpy as np

from aggregator.identity import RoleIdentity
from aggregator.intake.aggregation_job import Verdict, Verdicts
from aggregator.storage.records import REPORT_TABLES
from aggregator.storage.report_tables import ReportTables
from crypto.sharing import Accumulator
from federation.aggregation import add_half
from federation.batch.batch import BatchHeader
from federation.batch.reports import Addable, declared
from federation.commitment import Commitment
from federation.errors import UnknownSite
from federation.plan import Plan


class ReportTally:
    """Counts, adds and commits to reports, over the tables of one aggregator."""

    def __init__(self, identity: RoleIdentity, reports: ReportTables) -> None:
        self._identity, self._reports = identity, reports

    def count(self, number: int, plan: Plan, header: BatchHeader, verdicts: Verdicts) -> None:
        """Record a batch's new ids, accepted or rejected, and check the site's roster entry; inside a transaction.

        Args:
            verdicts: uint8[R] of `Verdict`, changed in place. A known report id is a duplicate. An id that was rejected
                before stays rejected: its test point never changes, so a second attempt with one nonce is not allowed.

        Raises:
            UnknownSite: the site is not on the plan's roster.
            RosterExceeded: by accepted and rejected reports together, so a lying site has no more attempts than clients.
            ReportedTwice: likewise, under `report_per="site"`.
        """
        if header.site not in plan.sites:
            raise UnknownSite(header.site)
        reports = self._reports
        known, refused = (reports.known(number, header.report_ids, table) for table in REPORT_TABLES)
        verdicts[refused] = Verdict.REJECTED
        verdicts[known] = Verdict.DUPLICATE
        taken, rejected = verdicts == Verdict.TAKEN, (verdicts == Verdict.REJECTED) & ~refused
        if not (taken | rejected).any():
            return
        new, ids = taken | rejected, header.report_ids
        collection, clients = header.collection[new], declared(header.clients, new)
        before = reports.site_counts(number, header.site, collection, plan.offsets[-1])
        touched, counts = self._identity.settings.roster[header.site].count(before, collection, clients)
        reports.set_site_counts(number, header.site, touched, counts)
        reports.add_reports(number, header.collection[taken], ids[taken], declared(header.clients, taken))
        reports.add_rejected(number, header.collection[rejected], ids[rejected])

    def count_site(self, number: int, header: BatchHeader, verdicts: Verdicts) -> None:
        """Count a batch's site if the batch is empty or one of its reports is accepted; inside the same transaction.

        Args:
            verdicts: the final ones, on which both aggregators agree.
        """
        if not len(header) or (verdicts == Verdict.TAKEN).any():
            self._reports.add_site(number, header.site)

    def add(self, number: int, plan: Plan, half: Addable) -> None:
        """Add shares to the stored sums, inside the transaction that records their ids."""
        touched, rows = np.unique(half.collection, return_inverse=True)
        length = plan.views[half.view].layout.length
        sums = Accumulator.from_values(self._reports.sums(number, touched, length))
        add_half(plan, sums, half, rows.astype(np.int64, copy=False))
        self._reports.set_sums(number, touched, sums.values)

    def commitment(self, number: int, plan: Plan) -> Commitment:
        """Count and digest of every collection, over the sorted ids of the storage, and the counted sites."""
        collections = plan.offsets[-1]
        counts, digests = [0] * collections, [hashlib.sha256().digest()] * collections
        for collection, reports in groupby(self._reports.in_order(number), lambda row: row[0]):
            digest = hashlib.sha256()
            for _, report, clients in reports:
                digest.update(report)
                counts[collection] += clients
            digests[collection] = digest.digest()
        return Commitment(tuple(counts), tuple(digests), self._reports.counted_sites(number))
