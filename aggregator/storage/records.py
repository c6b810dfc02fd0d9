"""The records of a role's file: plans, waiting batches, secret keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

ReportTable = Literal["reports", "rejected"]
MessageTable = Literal["ciphertexts", "finished"]
REPORT_TABLES: Final[tuple[ReportTable, ReportTable]] = ("reports", "rejected")


class PlanState(StrEnum):
    """The state of a plan, as the table `plans` spells it."""

    OPEN = "open"
    """The plan accepts reports."""
    CLOSED = "closed"
    """The plan is charged, and its set of reports is committed."""
    NOISED = "noised"
    """Its noised shares are stored."""
    WITNESSED = "witnessed"
    """The other aggregator knows of the opening, so the shares may be sent."""
    FREED = "freed"
    """It holds nothing of the plan any more, and never opens it."""
    DISOWNED = "disowned"
    """The other aggregator knows that the plan is freed, so "never opened" may be signed."""
    BURNT = "burnt"
    """Only at a key holder: the keys are erased, because honest reports cannot give one of the sums."""


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it is stored.

    Attributes:
        own, other: the commitments of this and the other aggregator, as bytes. At a key holder `other` is the leader's
            statements.
        encryption_keys: the key holder's signed public keys; empty under shares.
    """

    number: int
    hash: bytes
    signed: bytes = field(repr=False)
    deadline_us: int
    state: PlanState
    own: bytes | None = field(repr=False)
    other: bytes | None = field(repr=False)
    encryption_keys: bytes = field(repr=False)

    @property
    def accepts_reports(self) -> bool:
        """Whether the plan is not closed yet."""
        return self.state is PlanState.OPEN

    @property
    def unopened(self) -> bool:
        """Whether no noise was drawn for the plan yet. False for a burnt and for a freed plan."""
        return self.state in (PlanState.OPEN, PlanState.CLOSED)

    @property
    def freed(self) -> bool:
        """Whether the plan is freed here."""
        return self.state in (PlanState.FREED, PlanState.DISOWNED)


@dataclass(frozen=True)
class Pending:
    """A batch that the leader has checked and counted, and that the helper has not answered yet.

    Attributes:
        site_key: the key that signed it, from the roster of that time. A later roster does not undo the count.
    """

    plan: int
    job: bytes
    digest: bytes
    site_key: bytes
    verdicts: bytes = field(repr=False)
    batch: bytes = field(repr=False)


@dataclass(frozen=True)
class SecretKeys:
    """The keys of a plan's views at its key holder. **Secret**.

    Attributes:
        draft: SHA-256 of the draft for which they were made.
        public: the result of `federation.he.keys.sign_keys`.
        secret: `SecretKey.to_bytes` of each view, one after another.
    """

    draft: bytes
    public: bytes = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class PlanStatus:
    """The state of a plan at one aggregator. It does not reveal how many reports were accepted.

    Attributes:
        state: the value of a `PlanState`.
        rejected: for each view of a plan with proofs, the number of reports that either aggregator has rejected. Empty
            without proofs. A client within its bounds is rejected once in 2^56 reports, so the number reveals nothing of it.
    """

    plan_hash: bytes
    state: str
    deadline_us: int
    pending: int
    rejected: tuple[int, ...] = ()
