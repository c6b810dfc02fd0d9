"""The parties of a simulated collection. All keys follow from one secret of 32 bytes, fresh for each run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from crypto.prio3_batch import VERIFY_KEY_SIZE
from crypto.seal import SealKey
from crypto.signing import SigningKey
from federation.parties import PublicKeys
from federation.plan import WireTerms
from federation.validity import VerificationKey


@dataclass(frozen=True)
class Parties:
    """Everybody's keys. **Secret**, but in a simulation one process plays every party."""

    secret: bytes = field(repr=False)

    def seal_key(self, role: str) -> SealKey:
        """What is sealed to a role is opened with this."""
        return SealKey(self._derived("seal", role))

    def signing_seed(self, who: str) -> bytes:
        """The seed of a role's, or of a site's signing key (`site-…`)."""
        return self._derived("sign", who)

    @property
    def verification_key(self) -> VerificationKey:
        """The aggregators' own, of plans with proofs."""
        return VerificationKey(self._derived("verify", "proofs")[:VERIFY_KEY_SIZE])

    def wire(self, deadline_us: int) -> WireTerms:
        """The public keys, as they stand in a plan."""
        leader, helper, collector = (self._public(role) for role in ("leader", "helper", "collector"))
        return WireTerms(leader, helper, collector, deadline_us)

    def _public(self, role: str) -> PublicKeys:
        return PublicKeys(SigningKey(self.signing_seed(role)).public, self.seal_key(role).public)

    def _derived(self, what: str, who: str) -> bytes:
        return hashlib.sha256(b"covey simulated " + f"{what} {who} ".encode() + self.secret).digest()
