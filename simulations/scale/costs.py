"""Measured costs of a collection: `measured_costs.py` measures them, `model.py` uses them. Seconds are of one core."""

from __future__ import annotations

from dataclasses import dataclass, field

from federation.terms import Validity


@dataclass(frozen=True)
class Linear:
    """A cost of a batch of R reports: `batch + report · R`."""

    batch: float
    report: float

    @classmethod
    def through(cls, few: tuple[int, float], many: tuple[int, float]) -> Linear:
        """Fit two measured (R, cost); neither part is below 0."""
        (r0, c0), (r1, c1) = few, many
        report = max(0.0, (c1 - c0) / (r1 - r0)) if r1 > r0 else 0.0
        return cls(max(0.0, c0 - report * r0), report)

    def of(self, reports: float) -> float:
        """Return the cost of a batch of `reports` reports."""
        return self.batch + self.report * reports


@dataclass(frozen=True)
class ReportCosts:
    """Costs of reports of one length until they are in the sums of both aggregators.

    Attributes:
        slots: d; the view counts `BITS` bits at each of d join keys.
        largest_batch: reports that fit into a sealed batch.
        site_s: CPU seconds to share or prove, seal and sign.
        leader_s, helper_s: CPU seconds of the whole service of the aggregator.
        leader_disk_s, helper_disk_s: seconds that the commits of a batch wait for the disk. The leader commits twice, to keep
            and to settle the batch; the helper commits once.
        upload: bytes of a sealed batch.
        to_helper: bytes of a job to the helper and of its answer.
        steps: CPU seconds of the parts of a batch, by (step, reports in the batch); for display.
    """

    slots: int
    validity: Validity
    largest_batch: int
    site_s: Linear
    leader_s: Linear
    helper_s: Linear
    leader_disk_s: Linear
    helper_disk_s: Linear
    upload: Linear
    to_helper: Linear
    steps: dict[tuple[str, int], float] = field(default_factory=dict)


@dataclass(frozen=True)
class ClosingCosts:
    """Costs after the deadline of a plan, and of the state until then.

    Attributes:
        merge_s: CPU seconds to merge one slot of two shards.
        commit_s: CPU seconds an id of `federation.commitment.commit`, for counts and digests. It is linear, because `commit`
            sorts a bounded number of ids at a time.
        noise_s, open_s: CPU seconds a slot, of the noise of one aggregator, and of basis and opening.
        service_close_s: CPU seconds an id of a whole Collect of the services, which read the ids from SQLite.
        id_bytes: peak memory of an id while `commit` runs.
        stored_id_bytes: bytes of an id in the SQLite file.
        roster_bytes: memory of a site in a roster.
        rpc_s, rpc_byte_s: CPU seconds of a gRPC call and of each byte in it, both ends together.
        stored_report_s: CPU seconds a report id in a transaction, if the storage has `stored_ids` ids.
    """

    merge_s: float
    commit_s: float
    noise_s: float
    open_s: float
    service_close_s: float
    id_bytes: float
    stored_id_bytes: float
    roster_bytes: float
    rpc_s: float
    rpc_byte_s: float
    stored_report_s: float
    stored_ids: int


@dataclass(frozen=True)
class Costs:
    """All measured costs of one run."""

    reports: dict[tuple[int, Validity], ReportCosts]
    closing: ClosingCosts
