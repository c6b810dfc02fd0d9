"""The errors of leader, helper, key holder, provider and collector, in one tree. An expected refusal carries its numbers."""

from __future__ import annotations

from base.errors import CoveyError


class AggregatorError(CoveyError):
    """Anything that an aggregator or the collector refuses."""


class MessageMalformed(AggregatorError):
    """Bytes between aggregators or from the collector that are not what they should be."""


class PlanUnknown(AggregatorError):
    """A plan that was not opened here."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(f"plan {plan_hash.hex()[:16]}… was not opened here")


class PlanTooLarge(AggregatorError):
    """A plan with more collections than the aggregators can compare in one message."""

    def __init__(self, have: int, most: int) -> None:
        self.have, self.most = have, most
        super().__init__(f"a plan of {have:,} collections; at most {most:,}: make several plans")


class AlreadyCollected(AggregatorError):
    """Reports of a plan that is closed: the collector has asked for its sums."""

    code = "COLLECTED"

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(f"plan {plan_hash.hex()[:16]}… takes no more reports: it was collected")


class AfterDeadline(AggregatorError):
    """A plan or reports that came after the plan's deadline."""

    def __init__(self, deadline_us: int) -> None:
        self.deadline_us = deadline_us
        super().__init__(f"the plan's deadline, {deadline_us} µs since the epoch, has passed")


class StateBehindLedger(AggregatorError):
    """An aggregator whose working state is older than its ledger: it would draw fresh noise for what it has opened."""

    code = "LEDGER_BROKEN"

    def __init__(self, path: str, plan_hash: bytes) -> None:
        self.path, self.plan_hash = path, plan_hash
        super().__init__(
            f"{path} is older than the ledger, which says that plan {plan_hash.hex()[:16]}… was opened. Put the newest copy "
            "of the file back; without it this plan is not opened again"
        )


class ProofsRequired(AggregatorError):
    """A plan without proofs, and this aggregator's own setting demands them."""

    def __init__(self, role: str) -> None:
        self.role = role
        super().__init__(f"the plan has no proofs, and the {role}'s own setting demands them (validity prio3)")


class PeerUnknown(AggregatorError):
    """A plan with proofs needs the other aggregator's keys pinned here: the verification key is for nobody else."""

    def __init__(self, role: str) -> None:
        self.role = role
        super().__init__(f"the {role}'s keys are not pinned here; without them no verification key can be agreed on")


class VerificationKeyMissing(AggregatorError):
    """A plan with proofs whose verification key is not kept here: never prepared, another one, or left for a day."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"the verification key of plan id {plan_id.hex()} is not kept here: it was never prepared here, "
            "is another one, or was left for a day without its plan. Announce a new plan"
        )


class VerificationKeyConflict(AggregatorError):
    """Another verification key for a plan id than the one that is held here. Keys are never replaced."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(f"plan id {plan_id.hex()} has another verification key here already")


class DraftConflict(AggregatorError):
    """Another draft under a plan id that has a live secret here already. A plan id has one draft."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"plan id {plan_id.hex()} has a live secret here for another draft: announce the plan under a new id"
        )


class LiveSecretLost(AggregatorError):
    """A plan whose live secret is not in `live/` any more: erased in its time, lost, or left out of what was restored."""

    def __init__(self, role: str, folder: str, plan_id: bytes) -> None:
        self.role, self.folder, self.plan_id = role, folder, plan_id
        super().__init__(
            f"the {role} has no live secret of plan id {plan_id.hex()} in {folder}: it was erased when it was due, or "
            "lost, and no backup holds it. If the disk was mounted late, put the folder back. Otherwise give the plan up: its "
            "panes stay closed and its days charged. Other plans go on"
        )


class SealKeyErased(AggregatorError):
    """A batch that waited for the helper until the plan's seal seed was erased here. It counts for nothing."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"the seal seed of plan id {plan_id.hex()} is erased; a batch that waited so long counts for nothing"
        )


class JobConflict(AggregatorError):
    """Other bytes under the id of a job or batch that is known."""

    def __init__(self, job_id: bytes) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id.hex()} was given with other bytes before")


class CommitmentConflict(AggregatorError):
    """The leader commits to another set of reports than it did before."""


class NotCommitted(AggregatorError):
    """A collect from the helper before the leader has closed the plan with it, and knows of its opening."""

    def __init__(self, plan_hash: bytes) -> None:
        self.plan_hash = plan_hash
        super().__init__(f"plan {plan_hash.hex()[:16]}… is not closed with the leader: collect from the leader first")


class HelperUnavailable(AggregatorError):
    """The helper does not answer. What it has not answered is kept."""

    def __init__(self, pending: int) -> None:
        self.pending = pending
        super().__init__(f"the helper does not answer; {pending} batch(es) of the plan wait for it")


class KeyHolderUnavailable(AggregatorError):
    """The key holder does not answer, and it alone can open the sums. The reports are kept."""

    def __init__(self) -> None:
        super().__init__("the key holder does not answer; the reports are kept: ask again when it is back")


class KeyHolderUnknown(AggregatorError):
    """A plan with encrypted reports, and this leader was not told where the key holder listens."""

    def __init__(self) -> None:
        super().__init__("this leader has no key holder: start it with the address of one")


class EncryptionKeysMissing(AggregatorError):
    """A plan whose secret keys are not held here: never made, made for other terms, or erased."""

    def __init__(self, plan_id: bytes) -> None:
        self.plan_id = plan_id
        super().__init__(
            f"the secret keys of plan id {plan_id.hex()} are not held here: never made here, made for other terms, or "
            "erased. Announce a new plan"
        )


class ProviderUnavailable(AggregatorError):
    """The provider of triples does not answer, and without it nothing is finished. The noised shares are kept."""

    def __init__(self) -> None:
        super().__init__("the provider does not answer; the noised shares are kept: ask again when it is back")


class ProviderUnknown(AggregatorError):
    """A plan with the finish mpc, and this leader was not told where the provider of triples listens."""

    def __init__(self) -> None:
        super().__init__("this leader has no provider: start it with the address of one")


class PeerRefused(AggregatorError):
    """The helper, the key holder or the provider refuses what the leader asks, by its own reason, which is passed on."""

    def __init__(self, refused: RemoteRefusal) -> None:
        self.refused = refused
        super().__init__(f"the {refused.role} refuses ({refused.reason}): {refused.text}")


class Stopping(AggregatorError):
    """An aggregator that was told to stop while it drew noise. Nothing was opened; ask again when it is back."""


class StorageUnusable(AggregatorError):
    """A file that cannot be opened, or is not the storage of this role."""


class AddressUnusable(AggregatorError):
    """A host and port that a service cannot listen on."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(f"cannot listen on {address}: {why}")


class RemoteRefusal(AggregatorError):
    """What the other side answered: a refusal by its stable reason, with its numbers."""

    code = "REFUSED"

    def __init__(self, role: str, reason: str, text: str, numbers: dict[str, int], view: str = "") -> None:
        self.role, self.reason, self.text, self.numbers, self.view = role, reason, text, numbers, view
        super().__init__(f"{role}: {text} ({reason})")


class MpcFailed(AggregatorError):
    """The MPC finish did not come to its end. Nothing was opened."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the MPC finish failed: {why}. Nothing was opened; run it again")


class ProcessLost(MpcFailed):
    """The process of a role ended early.

    Attributes:
        of_itself: it did not end because another role's process had gone.
        limit_s: how long a process may take.
    """

    def __init__(self, role: str, of_itself: bool, limit_s: float) -> None:
        self.role, self.of_itself, self.limit_s = role, of_itself, float(limit_s)
        ended = f"ended early, by itself or after {limit_s:g} seconds"
        super().__init__(f"the process of the {role} has {ended if of_itself else 'lost another one'}")


class SuperLinkUnusable(AggregatorError):
    """Flower's SuperLink does not listen for this coordinator, belongs to another user, or stopped; names the mend."""


class Unreachable(AggregatorError):
    """An aggregator that did not answer in time."""

    def __init__(self, role: str, address: str) -> None:
        self.role, self.address = role, address
        super().__init__(f"the {role} at {address} does not answer")
