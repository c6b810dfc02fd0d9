"""The keys, the deadline and the roster of a plan whose parties are separate processes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from crypto.errors import CryptoError
from crypto.seal import SealPublicKey
from crypto.signing import VerifyKey

from . import plan_pb2 as pb
from .errors import PartyInvalid, PlanInvalid
from .live_keys import MOST_AFTER_DEADLINE_US, LiveKeys
from .parties import MAX_SITES, Aggregator, CollectorKeys, EnrolledSite

KEY_HASH_BYTES: Final = 32


@dataclass(frozen=True)
class WireTerms:
    """The keys and the deadline of a plan whose parties are separate processes.

    Attributes:
        leader, helper: their signing keys. Under `he`, `helper` is the key holder: another role of the helper's operator.
        deadline_us: µs since the epoch, wall clock; the aggregators refuse reports from then on.
        verify_key_hash: commits both aggregators to the key with which they verify proofs (circuit/validity.py), 32 bytes;
            empty with validity none, and in a draft.
        encryption_keys_hash: commits all parties to the keys that encrypt reports (he/keys.py), 32 bytes; empty under
            shares, and in a draft.
        leader_live, helper_live: the signed live keys of both aggregators for this plan (live_keys.py); None in a draft.
        roster: the sites that may report, in order of their ids. Releases compare the counted sites with it.
    """

    leader: VerifyKey
    helper: VerifyKey
    collector: CollectorKeys
    deadline_us: int
    verify_key_hash: bytes = b""
    encryption_keys_hash: bytes = b""
    leader_live: LiveKeys | None = None
    helper_live: LiveKeys | None = None
    roster: tuple[EnrolledSite, ...] = ()

    def __post_init__(self) -> None:
        same_seal = self.leader_live and self.helper_live and self.leader_live.seal == self.helper_live.seal
        if self.leader == self.helper or same_seal:
            raise PlanInvalid("leader and helper have the same key, so one operator could open every report")
        if not -(2**63) <= self.deadline_us < 2**63:
            raise PlanInvalid(f"the deadline {self.deadline_us} µs does not fit into 64 bits")
        for what, key_hash in (
            ("verification key", self.verify_key_hash),
            ("encryption keys", self.encryption_keys_hash),
        ):
            if len(key_hash) not in (0, KEY_HASH_BYTES):
                raise PlanInvalid(f"the hash of the {what} has {len(key_hash)} bytes, need {KEY_HASH_BYTES}")
        if any(one.site >= other.site for one, other in pairwise(self.roster)):
            raise PlanInvalid("the roster must name each site once, in the order of the ids")

    def sign_key(self, role: Aggregator) -> VerifyKey:
        """The signing key of an aggregator."""
        return self.leader if role == "leader" else self.helper

    def live(self, role: Aggregator) -> LiveKeys:
        """An aggregator's live keys. Raises PlanInvalid: the plan is a draft."""
        live = self.leader_live if role == "leader" else self.helper_live
        if live is None:
            raise PlanInvalid(
                f"the plan is a draft: it has no live keys of the {role}, so nothing can be sealed to the {role}"
            )
        return live

    @property
    def ends_us(self) -> int:
        """µs since the epoch: from then on, no live key of the plan opens anything. For a draft, the latest possible time."""
        ends = [live.not_after_us for live in (self.leader_live, self.helper_live) if live is not None]
        return max(ends) if ends else self.deadline_us + MOST_AFTER_DEADLINE_US

    def to_message(self) -> pb.WireTerms:
        """The protobuf message of a plan."""
        return pb.WireTerms(
            leader=_aggregator_to_pb(self.leader, self.leader_live),
            helper=_aggregator_to_pb(self.helper, self.helper_live),
            collector=pb.CollectorKeys(sign=self.collector.sign.data, seal=self.collector.seal.data),
            deadline_us=self.deadline_us,
            verify_key_hash=self.verify_key_hash,
            encryption_keys_hash=self.encryption_keys_hash,
            roster=[pb.EnrolledSite(site=one.site, max_clients=one.max_clients) for one in self.roster],
        )

    @classmethod
    def from_message(cls, message: pb.WireTerms) -> Self:
        """The inverse of `to_message`. Raises PlanInvalid."""
        try:
            leader, helper = (VerifyKey(keys.sign) for keys in (message.leader, message.helper))
            leader_live, helper_live = (
                LiveKeys.from_message(keys.live) if keys.HasField("live") else None
                for keys in (message.leader, message.helper)
            )
            collector = CollectorKeys(VerifyKey(message.collector.sign), SealPublicKey(message.collector.seal))
        except CryptoError as error:
            raise PlanInvalid(f"the keys of a party are not valid: {error}") from None
        if len(message.roster) > MAX_SITES:
            raise PlanInvalid(f"the roster has {len(message.roster):,} sites; at most {MAX_SITES:,} are possible")
        try:
            roster = tuple(EnrolledSite(one.site, one.max_clients) for one in message.roster)
        except PartyInvalid as error:
            raise PlanInvalid(f"the roster: {error}") from None
        return cls(
            leader,
            helper,
            collector,
            message.deadline_us,
            message.verify_key_hash,
            message.encryption_keys_hash,
            leader_live,
            helper_live,
            roster,
        )


def _aggregator_to_pb(sign: VerifyKey, live: LiveKeys | None) -> pb.AggregatorKeys:
    return pb.AggregatorKeys(sign=sign.data, live=None if live is None else live.to_message())
