"""The error tree of leader, helper, key holder, provider and collector. An expected refusal carries its numbers."""

from __future__ import annotations

from typing import assert_never

from base.errors import CoveyError, PeerAway, PeerError, PeerSilent, PeerSlow, TlsError
from base.times import utc_text


class AggregatorError(CoveyError):
    """The root of the errors of aggregators and collector."""


class MessageMalformed(AggregatorError):
    """A malformed message between aggregators or from the collector."""


class PlanUnknown(AggregatorError):
    """This aggregator does not know the plan."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(f"plan {plan_hash.hex()[:16]}… was not opened here")


class PlanDeleted(AggregatorError):
    """A plan that was opened here, and that is not stored any more."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(
            f"plan {plan_hash.hex()[:16]}… was opened here and then deleted, as 31 days after its deadline every opened plan is: "
            "nothing of it is sent again. If it was never published, give it up: its panes are due again, and their days are paid "
            "for again"
        )


class PlanTooLarge(AggregatorError):
    """The plan has more collections than aggregators can compare in one message."""

    def __init__(self, have: int, most: int) -> None:
        self.have, self.most = have, most
        super().__init__(f"the plan has {have:,} collections; a plan may have at most {most:,}. Make several plans")


class AlreadyCollected(AggregatorError):
    """Reports for a closed plan: the collector has requested its sums."""

    code = "COLLECTED"

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(f"plan {plan_hash.hex()[:16]}… accepts no more reports: it was collected")


class AfterDeadline(AggregatorError):
    """A plan or a report arrived after the plan's deadline."""

    def __init__(self, deadline_us: int) -> None:
        self.deadline_us = deadline_us
        super().__init__(f"the plan's deadline, {utc_text(deadline_us)}, has passed")


class StateBehindLedger(AggregatorError):
    """The storage of an aggregator is older than its ledger. It would draw fresh noise for a plan that it has opened."""

    code = "LEDGER_BROKEN"

    def __init__(self, path: str, plan_hash: bytes) -> None:
        self.path, self.plan_hash = path, plan_hash
        super().__init__(
            f"{path} is older than the ledger: the ledger says that plan {plan_hash.hex()[:16]}… was opened. Put the newest "
            "copy of the file back; without it, this plan is never opened again"
        )


class PlanBeforeRebuild(AggregatorError):
    """A plan from before the loss of an aggregator's ledger, which may have been opened here."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(
            f"plan {plan_hash.hex()[:16]}… is older than the last rebuild of this aggregator's ledger, which may have lost the "
            "entry of its opening. It is neither opened nor freed here, and its panes count as taken"
        )


class SettingsRefused(AggregatorError):
    """An edit of an aggregator's settings that cannot be taken up. The settings before it stay in force."""

    def __init__(self, role: str, why: str) -> None:
        self.role, self.why = role, why
        super().__init__(
            f"the {role} refuses the edit of its settings: {why}. Those before it stay in force for running plans, and no new plan "
            "begins until the edit is mended"
        )


class ProofsRequired(AggregatorError):
    """The plan has no proofs, but this aggregator's setting demands them."""

    def __init__(self, role: str) -> None:
        self.role = role
        super().__init__(
            f"the plan has no proofs, but the {role}'s setting demands them. Announce a plan with validity prio3"
        )


class PeerUnknown(AggregatorError):
    """The other aggregator's keys are not pinned. A plan with proofs needs them to agree on the verification key."""

    def __init__(self, role: str) -> None:
        self.role = role
        super().__init__(
            f"the {role}'s keys are not pinned here; without them, leader and helper agree on no verification key"
        )


class VerificationKeyMissing(AggregatorError):
    """The verification key of a plan with proofs is not kept here."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"the verification key of plan id {plan_id.hex()} is not kept here: it was never prepared, the plan names "
            "another key, or its plan did not follow within a day. Announce a new plan"
        )


class VerificationKeyConflict(AggregatorError):
    """The plan id has another verification key here. Keys are never replaced."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"plan id {plan_id.hex()} has another verification key here; keys are never replaced. Announce the plan under a new id"
        )


class DraftConflict(AggregatorError):
    """The plan id has a live secret here for another draft. A plan id has one draft."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"plan id {plan_id.hex()} has a live secret here for another draft. Announce the plan under a new id"
        )


class LiveSecretLost(AggregatorError):
    """The live secret of a plan is not in `live/`: it was erased on time, was lost, or was not restored."""

    def __init__(self, role: str, folder: str, plan_id: bytes) -> None:
        self.role, self.folder, self.plan_id = role, folder, plan_id
        super().__init__(
            f"the {role} has no live secret of plan id {plan_id.hex()} in {folder}: it was erased on time, or lost, "
            "and no backup holds it. If its disk was mounted late, put the folder back. Otherwise give the plan up: its panes stay "
            "closed and its days stay charged. Other plans are not affected"
        )


class SealKeyErased(AggregatorError):
    """A batch waited for the helper until the plan's seal seed was erased. None of its reports count."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"the seal seed of plan id {plan_id.hex()} is erased. A batch that waited so long cannot be opened, and none of "
            "its reports count"
        )


class JobConflict(AggregatorError):
    """A known id of a job or batch came with other bytes."""

    def __init__(self, job_id: bytes) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id.hex()} was received before with other bytes")


class CommitmentConflict(AggregatorError):
    """The other aggregator signed another commitment before."""


class NotCommitted(AggregatorError):
    """The plan is not ready to be collected here: the leader has not opened it with this party yet."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(
            f"plan {plan_hash.hex()[:16]}… is not opened with the leader yet. Collect from the leader first"
        )


class FreeRefused(AggregatorError):
    """A plan that is noised here cannot be freed: its stored bytes are its result."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(
            f"plan {plan_hash.hex()[:16]}… is noised here, so it cannot be freed. Collect it again: its stored bytes are its result"
        )


class HelperUnavailable(AggregatorError):
    """The helper does not answer. Batches without an answer are kept."""

    def __init__(self, pending: int, why: str = "") -> None:
        self.pending, self.why = pending, why
        super().__init__(f"{why or 'the helper does not answer'}; {pending} batch(es) of the plan wait for it")


class KeyHolderUnavailable(AggregatorError):
    """The key holder does not answer. It alone can open the sums. The reports are kept."""

    def __init__(self, why: str = "") -> None:
        self.why = why
        text = why or "the key holder does not answer"
        super().__init__(f"{text}; the reports are kept. Collect again when it is back")


class KeyHolderUnknown(AggregatorError):
    """A plan has encrypted reports, but this leader has no address of a key holder."""

    def __init__(self) -> None:
        super().__init__("this leader has no key holder. Start it with the address of one")


class EncryptionKeysMissing(AggregatorError):
    """The secret keys of a plan are not held here."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"the secret keys of plan id {plan_id.hex()} are not held here: they were never made, were made for "
            "other terms, or are erased. Announce a new plan"
        )


class ProviderUnavailable(AggregatorError):
    """The provider of triples does not answer. The finish needs it. The noised shares are kept."""

    def __init__(self) -> None:
        super().__init__("the provider does not answer; the noised shares are kept. Collect again when it is back")


class ProviderUnknown(AggregatorError):
    """A plan has the finish mpc, but this leader has no address of a provider of triples."""

    def __init__(self) -> None:
        super().__init__("this leader has no provider. Start it with the address of one")


class PeerRefused(AggregatorError):
    """The helper, the key holder or the provider refuses the leader's request. Its own reason is passed on."""

    def __init__(self, refused: RemoteRefusal) -> None:
        self.refused = refused
        super().__init__(f"the {refused.role} refuses ({refused.reason}): {refused.text}")


class Stopping(AggregatorError):
    """An aggregator is stopping. Nothing was opened; collect again when it is back."""


class NoSpaceLeft(AggregatorError):
    """The disk of an aggregator is full. Nothing of the request was kept, and the same request may be sent again."""

    def __init__(self) -> None:
        super().__init__("the disk of this service is full; its operator frees some space, and nothing is lost")


class StorageUnusable(AggregatorError):
    """A file cannot be opened, or is not the storage of this role."""


class AddressUnusable(AggregatorError):
    """A service cannot listen on this host and port."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(f"cannot listen on {address}: {why}")


class RemoteRefusal(AggregatorError):
    """A refusal by the other side, with its stable reason and numbers."""

    code = "REFUSED"

    def __init__(self, role: str, reason: str, text: str, numbers: dict[str, int], view: str = "") -> None:
        self.role, self.reason, self.text, self.numbers, self.view = role, reason, text, numbers, view
        super().__init__(f"{role}: {text} ({reason})")


class MpcFailed(AggregatorError):
    """The MPC finish failed. Nothing was opened."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the MPC finish failed: {why}. Nothing was opened; run it again")


class ProcessLost(MpcFailed):
    """The process of a role ended early.

    Attributes:
        of_itself: False if it ended because another role's process had ended.
        limit_s: the longest time that a process may take.
    """

    def __init__(self, role: str, of_itself: bool, limit_s: float) -> None:
        self.role, self.of_itself, self.limit_s = role, of_itself, float(limit_s)
        ended = f"ended early, or was killed after {limit_s:g} seconds"
        super().__init__(
            f"the process of the {role} has {ended if of_itself else 'ended because the process of another role did'}"
        )


class SuperLinkUnusable(AggregatorError):
    """Flower's SuperLink does not listen for this coordinator, belongs to another user, or stopped."""


class RunLost(SuperLinkUnusable):
    """The SuperLink ended a run of this coordinator before its time."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(
            f"the SuperLink has ended this run, because it restarted or received no heartbeat for a minute ({why})"
        )


class Unreachable(AggregatorError):
    """An aggregator did not answer in time, or no connection to it can be made.

    Attributes:
        why: the reason, if it is known.
    """

    def __init__(self, role: str, address: str, why: TlsError | PeerError | None = None) -> None:
        self.role, self.address, self.why = role, address, why
        match why:
            case None:
                text = f"the {role} at {address} does not answer"
            case PeerError():
                text = str(why)
            case TlsError():
                text = f"the {role} at {address} does not answer: {why}"
            case other:
                assert_never(other)
        super().__init__(text)
        self.__cause__ = why

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later without a change by an operator."""
        return self.why is None or isinstance(self.why, PeerAway | PeerSilent | PeerSlow)


class CallerNotAllowed(AggregatorError):
    """A party with a valid certificate made a call that is not its role's."""

    def __init__(self, caller: str, role: str, call: str) -> None:
        self.caller, self.role, self.call = caller, role, call
        super().__init__(f"the {caller} may not call {call} of the {role}")
