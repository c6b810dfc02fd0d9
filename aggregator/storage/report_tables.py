"""The accepted reports of a plan: report ids, counted sites, clients by site, and the share of each collection's sum."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from federation.batch.reports import REPORT_ID_BYTES

from .records import ReportTable
from .role_file import RoleFile

_IDS_A_QUERY: Final = 1_000


class ReportTables:
    """The tables `reports`, `rejected`, `rejections`, `sites`, `counted` and `sums` of a role's file (schema.py)."""

    def __init__(self, file: RoleFile) -> None:
        self._file = file

    def known(
        self, plan: int, report_ids: npt.NDArray[np.uint8], table: ReportTable = "reports"
    ) -> npt.NDArray[np.bool_]:
        """bool[R]: which of these ids (uint8[R, 16]) are in `table` already, in any collection of the plan."""
        ids = _split(report_ids)
        found: set[bytes] = set()
        for at in range(0, len(ids), _IDS_A_QUERY):
            some = ids[at : at + _IDS_A_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT report FROM {table} WHERE plan = ? AND report IN ({marks})"
            found.update(report for (report,) in self._file.rows(query, plan, *some))
        return np.fromiter((one in found for one in ids), np.bool_, len(ids))

    def add_reports(
        self,
        plan: int,
        collection: npt.NDArray[np.uint32],
        report_ids: npt.NDArray[np.uint8],
        clients: npt.NDArray[np.uint32] | None = None,
    ) -> None:
        """Accept these ids. `clients` is the number of clients of each report; None: one each."""
        counts = np.ones(len(collection), np.uint32) if clients is None else clients
        rows = zip(_split(report_ids), collection.tolist(), counts.tolist(), strict=True)
        ordered = sorted(rows)  # faster to insert into the B-tree
        self._file.run_many("INSERT INTO reports VALUES (?, ?, ?, ?)", ((plan, *row) for row in ordered))

    def add_rejected(self, plan: int, collection: npt.NDArray[np.uint32], report_ids: npt.NDArray[np.uint8]) -> None:
        """Reject these ids."""
        ordered = sorted(zip(_split(report_ids), collection.tolist(), strict=True))
        self._file.run_many("INSERT INTO rejected VALUES (?, ?, ?)", ((plan, *row) for row in ordered))

    def drop_reports(self, plan: int, report_ids: npt.NDArray[np.uint8]) -> None:
        """Remove these ids: the other aggregator did not accept them."""
        self._file.run_many(
            "DELETE FROM reports WHERE plan = ? AND report = ?", ((plan, one) for one in _split(report_ids))
        )

    def in_order(self, plan: int) -> Iterator[tuple[int, bytes, int]]:
        """(collection, report id, clients) of all reports, by collection, then id."""
        query = "SELECT collection, report, clients FROM reports WHERE plan = ? ORDER BY collection, report"
        return self._file.stream(query, plan)

    def most_reports(self, plan: int) -> int:
        """The most reports in one collection. The number of clients that they declare does not matter."""
        query = "SELECT max(reports) FROM (SELECT count(*) AS reports FROM reports WHERE plan = ? GROUP BY collection)"
        (most,) = self._file.one(query, plan) or (None,)
        return most or 0

    def rejected(self, plan: int, collections: int) -> npt.NDArray[np.int64]:
        """int64[collections]: number of rejected reports of each collection."""
        counts = np.zeros(collections, np.int64)
        query = (
            "SELECT collection, count(*) FROM rejected WHERE plan = ? GROUP BY collection "
            "UNION ALL SELECT collection, reports FROM rejections WHERE plan = ?"
        )
        for collection, count in self._file.rows(query, plan, plan):
            counts[collection] = count
        return counts

    def site_counts(
        self, plan: int, site: str, touched: npt.NDArray[np.uint32], collections: int
    ) -> npt.NDArray[np.int64]:
        """int64[collections]: number of clients of a site in each collection of `touched`, zero elsewhere."""
        counts = np.zeros(collections, np.int64)
        query = (
            "SELECT collection, clients FROM sites "
            "WHERE plan = ? AND site = ? AND collection IN (SELECT value FROM json_each(?))"
        )
        found = self._file.rows(query, plan, site, json.dumps(np.unique(touched).tolist()))
        if found:
            table = np.array(found, np.int64)
            counts[table[:, 0]] = table[:, 1]
        return counts

    def set_site_counts(
        self, plan: int, site: str, collections: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64]
    ) -> None:
        """Store the number of clients of a site in each of some collections."""
        self._file.run_many(
            "INSERT INTO sites VALUES (?, ?, ?, ?) "
            "ON CONFLICT (plan, site, collection) DO UPDATE SET clients = excluded.clients",
            ((plan, site, of, count) for of, count in zip(collections.tolist(), counts.tolist(), strict=True)),
        )

    def add_site(self, plan: int, site: str) -> None:
        """Count a site. A repeat changes nothing."""
        self._file.run("INSERT INTO counted VALUES (?, ?) ON CONFLICT DO NOTHING", plan, site)

    def counted_sites(self, plan: int) -> tuple[str, ...]:
        """The counted sites of a plan, sorted."""
        return tuple(site for (site,) in self._file.rows("SELECT site FROM counted WHERE plan = ? ORDER BY site", plan))

    def sums(self, plan: int, collections: npt.NDArray[np.uint32], length: int) -> npt.NDArray[np.uint64]:
        """uint64[T, length]: the totals of some collections (increasing); zeros for a collection without a total."""
        totals = np.zeros((len(collections), length), np.uint64)
        query = "SELECT collection, total FROM sums WHERE plan = ? AND collection IN (SELECT value FROM json_each(?))"
        found = self._file.rows(query, plan, json.dumps(collections.tolist()))
        at = np.searchsorted(collections, np.array([of for of, _ in found], np.uint32))
        for row, (_, total) in zip(at.tolist(), found, strict=True):
            totals[row] = field64.from_bytes(total)
        return totals

    def set_sums(self, plan: int, collections: npt.NDArray[np.uint32], totals: npt.NDArray[np.uint64]) -> None:
        """Store the totals of some collections."""
        self._file.run_many(
            "INSERT INTO sums (plan, collection, total) VALUES (?, ?, ?) "
            "ON CONFLICT (plan, collection) DO UPDATE SET total = excluded.total",
            ((plan, of, field64.to_bytes(total)) for of, total in zip(collections.tolist(), totals, strict=True)),
        )

    def reports_in(self, plan: int, collections: Sequence[int]) -> dict[int, int]:
        """Number of clients in each of these collections, over all sites."""
        query = (
            "SELECT collection, sum(clients) FROM sites "
            "WHERE plan = ? AND collection IN (SELECT value FROM json_each(?)) GROUP BY collection"
        )
        return {**dict.fromkeys(collections, 0), **dict(self._file.rows(query, plan, json.dumps(list(collections))))}


def _split(report_ids: npt.NDArray[np.uint8]) -> list[bytes]:
    data = report_ids.tobytes()
    return [data[at : at + REPORT_ID_BYTES] for at in range(0, len(data), REPORT_ID_BYTES)]
