"""The keys of the parties of a simulated collection. One secret of 32 bytes, new for each run, determines all keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from crypto.prio3_batch import VERIFY_KEY_SIZE
from crypto.seal import SealKey
from crypto.signing import SigningKey
from federation.circuit.validity import VerificationKey
from federation.draft import with_live
from federation.live_keys import LiveSecret
from federation.parties import CollectorKeys
from federation.plan import Plan
from federation.wire_terms import WireTerms


@dataclass(frozen=True)
class FleetKeys:
    """The keys of all parties. **Secret**; in a simulation one process plays every party."""

    secret: bytes = field(repr=False)

    def seal_key(self, role: str) -> SealKey:
        """Return the key that opens batches sealed to a role."""
        return SealKey(self._derived("seal", role))

    def with_live_keys(self, plan: Plan) -> Plan:
        """Return the plan with the live keys of both aggregators."""
        leader, helper = (
            (SigningKey(self.signing_seed(role)), LiveSecret(self.seal_key(role), self._derived("noise", role)))
            for role in ("leader", "helper")
        )
        return with_live(plan, leader, helper)

    def signing_seed(self, who: str) -> bytes:
        """Return the seed of the signing key of a role, or of a site (`site-…`)."""
        return self._derived("sign", who)

    @property
    def verification_key(self) -> VerificationKey:
        """Return the verification key of the aggregators, for plans with proofs."""
        return VerificationKey(self._derived("verify", "proofs")[:VERIFY_KEY_SIZE])

    def wire(self, deadline_us: int) -> WireTerms:
        """Return the public keys and the deadline as in a plan."""
        leader, helper, collector = (
            SigningKey(self.signing_seed(role)).public for role in ("leader", "helper", "collector")
        )
        return WireTerms(leader, helper, CollectorKeys(collector, self.seal_key("collector").public), deadline_us)

    def _derived(self, what: str, who: str) -> bytes:
        return hashlib.sha256(b"covey simulated " + f"{what} {who} ".encode() + self.secret).digest()
