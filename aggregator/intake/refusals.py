"""Refusals as data: a stable reason, a text and numbers. What is expected crosses the wire so; all else is `INTERNAL`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aggregator import errors as own
from aggregator.errors import AggregatorError
from aggregator.services import aggregator_pb2 as pb
from crypto import errors as crypto
from crypto.errors import CryptoError
from federation import errors as federation
from federation.errors import FederationError
from federation.refusal_codes import RefusalCode

REASONS: Final[dict[type[Exception], str]] = {
    # of a plan
    federation.PlanInvalid: "PLAN_INVALID",
    federation.ReportTooLong: "REPORT_TOO_LONG",
    federation.NoiseRefused: "NOISE_REFUSED",
    own.PlanUnknown: "PLAN_UNKNOWN",
    own.PlanTooLarge: "PLAN_TOO_LARGE",
    own.ProofsRequired: RefusalCode.PROOFS_REQUIRED.value,
    own.PeerUnknown: "PEER_UNKNOWN",
    own.DraftConflict: "DRAFT_CONFLICT",
    own.LiveSecretLost: "LIVE_SECRET_LOST",
    own.SealKeyErased: "SEAL_KEY_ERASED",
    own.VerificationKeyMissing: "VERIFICATION_KEY_MISSING",
    own.VerificationKeyConflict: "VERIFICATION_KEY_CONFLICT",
    federation.HeImpossible: "HE_IMPOSSIBLE",
    federation.EncryptionKeysInvalid: "ENCRYPTION_KEYS_INVALID",
    own.EncryptionKeysMissing: "ENCRYPTION_KEYS_MISSING",
    own.KeyHolderUnknown: "KEY_HOLDER_UNKNOWN",
    own.ProviderUnknown: "PROVIDER_UNKNOWN",
    crypto.ConversionUnsafe: "CONVERSION_UNSAFE",
    # of a ledger, in its own words
    federation.PaneTaken: RefusalCode.PANE_ALREADY_REPORTED.value,
    federation.AlreadyDone: RefusalCode.PANE_ALREADY_REPORTED.value,
    federation.ViewOverlap: RefusalCode.VIEW_OVERLAP.value,
    federation.DayBudgetSpent: RefusalCode.DAY_BUDGET_SPENT.value,
    federation.ClockWentBack: RefusalCode.CLOCK_SKEW.value,
    federation.AggregatorBehind: RefusalCode.AGGREGATOR_BEHIND.value,
    federation.LedgerBroken: RefusalCode.LEDGER_BROKEN.value,
    own.StateBehindLedger: RefusalCode.LEDGER_BROKEN.value,
    # of a batch
    federation.BatchMalformed: "BATCH_MALFORMED",
    federation.BatchTooLarge: "BATCH_TOO_LARGE",
    federation.BatchOfAnotherPlan: "BATCH_OF_ANOTHER_PLAN",
    federation.DigestMismatch: "DIGEST_MISMATCH",
    federation.PartyInvalid: "PARTY_INVALID",
    federation.UnknownSite: "UNKNOWN_SITE",
    federation.RosterExceeded: "ROSTER_EXCEEDED",
    federation.ReportedTwice: "REPORTED_TWICE",
    federation.TooManyDeclared: "TOO_MANY_DECLARED",
    federation.ReportRefused: "REPORT_REFUSED",
    federation.DuplicateReport: "DUPLICATE_REPORT",
    crypto.SealBroken: "SEAL_BROKEN",
    crypto.FieldElementOutOfRange: "FIELD_ELEMENT_OUT_OF_RANGE",
    crypto.WrongLength: "WRONG_LENGTH",
    crypto.KeyMismatch: "KEY_MISMATCH",
    crypto.CoefficientOutOfRange: "COEFFICIENT_OUT_OF_RANGE",
    crypto.TooManyReports: "TOO_MANY_REPORTS",
    own.AfterDeadline: "AFTER_DEADLINE",
    own.AlreadyCollected: "COLLECTED",
    # of any message
    crypto.SignatureInvalid: "SIGNATURE_INVALID",
    own.MessageMalformed: "MESSAGE_MALFORMED",
    own.JobConflict: "JOB_CONFLICT",
    own.CommitmentConflict: "COMMITMENT_CONFLICT",
    own.NotCommitted: "NOT_COMMITTED",
    own.HelperUnavailable: "HELPER_UNAVAILABLE",
    # of encrypted sums
    crypto.SumOutOfRange: "SUM_OUT_OF_RANGE",
    federation.KeyBurnt: "KEY_BURNT",
    federation.StatementMalformed: "STATEMENT_MALFORMED",
    crypto.ExtraMissing: "EXTRA_MISSING",
    crypto.CrypTenMissing: "EXTRA_MISSING",
    own.KeyHolderUnavailable: "KEY_HOLDER_UNAVAILABLE",
    # of the finish mpc
    own.MpcFailed: "MPC_FAILED",
    federation.FinishRefused: "FINISH_REFUSED",
    own.ProviderUnavailable: "PROVIDER_UNAVAILABLE",
    own.Stopping: "STOPPING",
}
INTERNAL: Final = "INTERNAL"
LOST: Final = ("SUM_OUT_OF_RANGE", "KEY_BURNT", "LIVE_SECRET_LOST")
"""What nobody can mend: no pane of the plan is ever opened."""

Expected = (AggregatorError, FederationError, CryptoError)
"""What may be refused by name; no text or number of these trees is a client's."""


@dataclass(frozen=True)
class Refusal:
    """Why something was not done.

    Attributes:
        view: the name of a view, where the reason is that view's.
    """

    reason: str
    text: str
    numbers: dict[str, int]
    view: str = ""

    def to_message(self) -> pb.Refusal:
        """As protobuf."""
        numbers = [pb.Number(name=name, value=value) for name, value in sorted(self.numbers.items())]
        return pb.Refusal(reason=self.reason, text=self.text, numbers=numbers, view=self.view)

    @classmethod
    def from_message(cls, message: pb.Refusal) -> Refusal:
        """From protobuf."""
        numbers = {number.name: number.value for number in message.numbers}
        return cls(message.reason, message.text, numbers, message.view)


def refusal_of(error: Exception) -> Refusal:
    """The refusal that an error stands for. An unexpected one tells nothing about itself."""
    if isinstance(error, own.PeerRefused):
        error = error.refused
    if isinstance(error, own.Refused):  # the other aggregator's, passed on
        return Refusal(error.reason, f"the {error.role} refuses: {error.text}", error.numbers, error.view)
    for kind in type(error).__mro__:
        if kind in REASONS:
            numbers = {name: value for name, value in vars(error).items() if type(value) is int}
            return Refusal(REASONS[kind], str(error), numbers, getattr(error, "view", ""))
    return Refusal(INTERNAL, "an internal error; the log of the service has it", {})
