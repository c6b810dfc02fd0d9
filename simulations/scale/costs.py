"""Measured costs of a collection, as `measuring.py` finds them and `model.py` uses them. Seconds are of one core."""

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
        """Through two measured (R, cost); no part of it is below 0."""
        (r0, c0), (r1, c1) = few, many
        report = max(0.0, (c1 - c0) / (r1 - r0)) if r1 > r0 else 0.0
        return cls(max(0.0, c0 - report * r0), report)

    def of(self, reports: float) -> float:
        """The cost of a batch of so many reports."""
        return self.batch + self.report * reports


@dataclass(frozen=True)
class ReportCosts:
    """What reports of one length cost on their way into both aggregators' sums.

    Attributes:
        slots: d, of a count of `BITS` bits at each of d join keys.
        largest_batch: reports that fit into a sealed batch.
        site_s, leader_s, helper_s: CPU seconds: share or prove, seal and sign; and the whole service of each aggregator.
        leader_disk_s, helper_disk_s: seconds that the commits of a batch wait for the disk: two at the leader, who keeps
            the batch and later settles it, one at the helper.
        upload, to_helper: bytes of a sealed batch as it leaves the site; of a job to the helper and its answer.
        steps: of (what, reports in the batch) CPU seconds of a batch, for people: parts of the three above.
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
    """What is done once a plan takes no more reports, and what is kept until then.

    Attributes:
        merge_s: CPU seconds to add one slot of a shard's sum to another's.
        commit_s: CPU seconds of one id's part in counts and digests: of `federation.protocol.commit`, which sorts a bounded
            number of ids at a time, so that it is linear.
        noise_s, open_s: CPU seconds a slot: of one aggregator's noise; of the basis and of the opening.
        service_close_s: CPU seconds an id of a whole Collect of today's services, which read the ids back from SQLite.
        id_bytes: memory of an id while `commit` runs, at its most.
        stored_id_bytes: of an id in the SQLite file.
        roster_bytes: memory of a site in a roster.
        rpc_s, rpc_byte_s: CPU seconds of a gRPC call, both ends together: of the call, and of each byte in it.
        stored_report_s: CPU seconds of one report id in a transaction, with `stored_ids` ids there before.
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
    """All that one run of the measurement has found."""

    reports: dict[tuple[int, Validity], ReportCosts]
    closing: ClosingCosts
