"""Refusals as data: a stable reason, a text and numbers. An expected error is sent as one; any other is `INTERNAL`."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from aggregator import errors as own
from aggregator.errors import AggregatorError
from aggregator.services import aggregator_pb2 as pb
from base import errors as base
from base.disk import is_full
from base.errors import CoveyError, ExtraMissing
from crypto import errors as crypto
from crypto.errors import CryptoError
from federation import errors as federation
from federation.errors import FederationError

_REFUSALS: Final[tuple[type[CoveyError], ...]] = (
    # of a plan
    federation.PlanInvalid,
    federation.ReportTooLong,
    federation.NoiseRefused,
    federation.KeyNotInForce,
    own.PlanUnknown,
    own.PlanDeleted,
    own.PlanTooLarge,
    own.ProofsRequired,
    own.SettingsRefused,
    own.PeerUnknown,
    own.DraftConflict,
    own.LiveSecretLost,
    own.SealKeyErased,
    own.VerificationKeyMissing,
    own.VerificationKeyConflict,
    federation.HeImpossible,
    federation.EncryptionKeysInvalid,
    own.EncryptionKeysMissing,
    own.KeyHolderUnknown,
    own.ProviderUnknown,
    crypto.ConversionUnsafe,
    # of a ledger
    federation.PaneTaken,
    federation.PaneBeforeRebuild,
    federation.PlanOpenedBefore,
    federation.PlanFreed,
    federation.AttemptsSpent,
    federation.ViewOverlap,
    federation.DayBudgetSpent,
    federation.ClockWentBack,
    federation.AggregatorBehind,
    federation.LedgerBroken,
    own.StateBehindLedger,
    own.PlanBeforeRebuild,
    # of a batch
    federation.BatchMalformed,
    federation.BatchTooLarge,
    federation.BatchOfAnotherPlan,
    federation.DigestMismatch,
    federation.PartyInvalid,
    federation.UnknownSite,
    federation.RosterExceeded,
    federation.ReportedTwice,
    federation.TooManyDeclared,
    federation.ReportRefused,
    federation.DuplicateReport,
    crypto.SealBroken,
    crypto.FieldElementOutOfRange,
    crypto.WrongLength,
    crypto.KeyMismatch,
    crypto.CoefficientOutOfRange,
    crypto.TooManyReports,
    own.AfterDeadline,
    own.AlreadyCollected,
    # of any message
    crypto.SignatureInvalid,
    own.MessageMalformed,
    own.JobConflict,
    own.CommitmentConflict,
    own.NotCommitted,
    own.FreeRefused,
    own.HelperUnavailable,
    # of encrypted sums
    crypto.SumOutOfRange,
    federation.KeyBurnt,
    federation.StatementMalformed,
    ExtraMissing,
    crypto.CrypTenMissing,
    own.KeyHolderUnavailable,
    # of the finish mpc
    own.MpcFailed,
    federation.FinishRefused,
    own.ProviderUnavailable,
    own.Stopping,
    own.NoSpaceLeft,
    # of a caller
    own.CallerNotAllowed,
    base.CertificateExpired,
    base.CertificateNotYetValid,
    base.CertificateUntrusted,
    base.CertificateOfAnotherRole,
    base.TlsVersionRefused,
)
REASONS: Final[dict[type[Exception], str]] = {kind: kind.code for kind in _REFUSALS}
"""The errors that are sent by name."""
INTERNAL: Final = "INTERNAL"
OF_THE_SERVICE: Final = (own.NoSpaceLeft.code, own.Stopping.code)
"""Refusals that do not depend on the request: the same one may be accepted later."""
LOST: Final = ("SUM_OUT_OF_RANGE", "KEY_BURNT", "LIVE_SECRET_LOST", "PLAN_BEFORE_REBUILD", "PLAN_DELETED")
"""Permanent refusals: the plan never gives a release any more."""

MAX_TEXT: Final = 2_000
"""The most characters of a refusal's text."""
MAX_NAME: Final = 255
"""The most characters of its reason, of its view and of a number's name."""
MAX_NUMBERS: Final = 32

Expected = (AggregatorError, FederationError, CryptoError, ExtraMissing)
"""The errors that may be refused by name. No text or number of these trees comes from a client's data."""


@dataclass(frozen=True)
class Refusal:
    """The reason why a request was refused.

    Attributes:
        view: the name of the view that the reason concerns, if it concerns one.
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
        """From protobuf. A peer wrote it, and it gets into logs and storage, so what is too long is cut off."""
        numbers = {number.name[:MAX_NAME]: number.value for number in message.numbers[:MAX_NUMBERS]}
        return cls(message.reason[:MAX_NAME], message.text[:MAX_TEXT], numbers, message.view[:MAX_NAME])


def refusal_of(error: Exception) -> Refusal:
    """The refusal for an error. The refusal for an unexpected error reveals nothing about it, except that a disk is full."""
    if isinstance(error, OSError | sqlite3.Error) and is_full(error):
        error = own.NoSpaceLeft()
    if isinstance(error, own.PeerRefused):
        error = error.refused
    if isinstance(error, own.RemoteRefusal):  # a refusal of the other aggregator is passed on
        return Refusal(error.reason, f"the {error.role} refuses: {error.text}", error.numbers, error.view)
    for kind in type(error).__mro__:
        if kind in REASONS:
            numbers = {name: value for name, value in vars(error).items() if type(value) is int}
            return Refusal(REASONS[kind], str(error), numbers, getattr(error, "view", ""))
    return Refusal(INTERNAL, "an internal error; the log of the service has it", {})
