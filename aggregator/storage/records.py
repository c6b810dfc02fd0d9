"""What a role's file gives back: plans, batches that wait, secret keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

ReportTable = Literal["reports", "rejected"]
MessageTable = Literal["ciphertexts", "finished"]
REPORT_TABLES: Final[tuple[ReportTable, ReportTable]] = ("reports", "rejected")


class PlanState(StrEnum):
    """How far a plan is, as the table `plans` spells it."""

    OPEN = "open"
    """It takes reports."""
    CLOSED = "closed"
    """It is charged and committed."""
    NOISED = "noised"
    """Its shares are stored."""
    WITNESSED = "witnessed"
    """Its shares may be sent."""
    BURNT = "burnt"
    """A key holder's plan whose keys are erased, because honest reports cannot give one of its sums."""


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it is stored. `own` and `other` are the bytes of commitments, or of statements at a key holder.

    Attributes:
        encryption_keys: the key holder's signed public keys; none under shares.
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
    def takes_reports(self) -> bool:
        """Whether it is not closed yet."""
        return self.state is PlanState.OPEN

    @property
    def unopened(self) -> bool:
        """Whether no noise was drawn for it yet; a burnt plan is not among them."""
        return self.state in (PlanState.OPEN, PlanState.CLOSED)


@dataclass(frozen=True)
class Pending:
    """A batch that the leader has checked and counted, and the helper has not answered.

    Attributes:
        site_key: the key that signed it, as the roster had it then: a later roster does not undo what was taken.
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
        draft: SHA-256 of the plan that they were made for, when it had no keys yet.
        public: as `he_keys.sign_keys` gave them.
        secret: `SecretKey.to_bytes` of each view, one after another.
    """

    draft: bytes
    public: bytes = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class PlanStatus:
    """How far a plan is at one aggregator. It says nothing of how many reports were taken.

    Attributes:
        state: a `PlanState`, as it is spelled.
        rejected: of each view of a plan with proofs, reports that this aggregator has rejected or saw rejected; none
            without proofs. A client within its bounds is among them once in 2^56 reports, so nothing is told of any.
    """

    plan_hash: bytes
    state: str
    deadline_us: int
    pending: int
    rejected: tuple[int, ...] = ()
