"""One pane under each protection, as `covey lab compare` measures it. One process runs the real code of every party.

    client                reports ──protect──► Sent: the bytes that leave the site
    server                Sent ──add──► running sums           the leader, and the helper where there is one
    server, key holder    running sums ──open──► the sums      without noise, so that sums can be compared

`Sent` is what `federation.batch.sealing` seals, without header and seal: those cost the same under every protection. Plaintext
and CKKS are no protections of this store. They are measured for comparison only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from crypto.bfv import Ciphertexts, CiphertextSum, PublicKey, finish
from crypto.bfv_parameters import BfvParameters
from crypto.bfv_secret import SecretKey
from crypto.noise import SeededNoise
from crypto.prio3_batch import VERIFY_KEY_SIZE
from crypto.sharing import HelperSeeds, LeaderShares, SparseRows
from featurestore.define.layout import Layout
from federation import terms
from federation.aggregation import Aggregation, open_shares
from federation.basis import to_noise_basis
from federation.batch.reports import HelperHalf, Indices, LeaderHalf, ProvenHalf, ReportIds, Reports
from federation.circuit.circuit import prio3_of
from federation.circuit.validity import VerificationKey, report_elements
from federation.he.view import encode_report, he_parameters
from federation.plan import Plan
from federation.protocol import verify
from federation.sharding import shard, shard_proven
from federation.terms import Validity

Ints: TypeAlias = npt.NDArray[np.int64]
Sums: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]

NVFLARE_DEGREE: Final = 8192
NVFLARE_CHAIN: Final = (60, 40, 40)
NVFLARE_SCALE: Final = 2**40
_CKKS_SLOTS: Final = NVFLARE_DEGREE // 2
_CKKS_PRIMES: Final = len(NVFLARE_CHAIN) - 1  # the last prime is used only to make keys


@dataclass(frozen=True, eq=False)
class Sent:
    """A batch as it leaves the site. **Secret**, because one of the protections is plaintext.

    Attributes:
        parts: with shares, one part for leader and one for helper; otherwise one part a report.
        collection, report_ids: from the header of the batch; only with shares.
    """

    parts: tuple[bytes, ...] = field(repr=False)
    collection: Indices | None = None
    report_ids: ReportIds | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.parts))


class ProtectedPane(Protocol):
    """One pane under one protection. The constructor makes the keys and tables of a plan."""

    def protect(self, reports: Reports) -> Sent:
        """Protect the reports. Run by the site."""

    def add(self, sent: Sent) -> None:
        """Parse, check and add the reports. Run by the server, or by leader and helper."""

    def open(self) -> Sums:
        """Open the sums, [K·S] in the noise basis."""


@dataclass(frozen=True)
class ComparedProtection:
    """A protection, the trust that it needs, and how to run it.

    Attributes:
        make: (plan of one pane without noise, number of clients) → a `ProtectedPane`.
        elements: number of 64-bit numbers that encode one report.
        libraries: the libraries of the extra `he` that it needs.
    """

    name: str
    privacy_holds_if: str
    bad_input: str
    make: Callable[[Plan, int], ProtectedPane] = field(repr=False)
    elements: Callable[[Layout, int], int] = field(repr=False)
    libraries: tuple[str, ...] = ()


class Plaintext:
    """The server sees every report as int64[slots]."""

    def __init__(self, plan: Plan, _clients: int) -> None:
        self._layout = plan.views[0].layout
        self._sum = np.zeros(self._layout.length, np.int64)

    def protect(self, reports: Reports) -> Sent:
        """Write the plain vectors."""
        return Sent(tuple(row.tobytes() for row in dense(reports.slots)))

    def add(self, sent: Sent) -> None:
        """Add the plain vectors."""
        for part in sent.parts:
            self._sum += np.frombuffer(part, np.int64)

    def open(self) -> Ints:
        """Return the sums."""
        return in_noise_basis(self._layout, self._sum)


class UnprovenShares:
    """Additive shares, without proofs."""

    validity = Validity.NONE

    def __init__(self, plan: Plan, _clients: int) -> None:
        self._plan = replace(plan, terms=terms.Shares(self.validity))
        self._layout = plan.views[0].layout
        self._leader, self._helper = (Aggregation.start(role, self._plan) for role in ("leader", "helper"))

    def protect(self, reports: Reports) -> Sent:
        """Split each report into two shares."""
        leader, helper = shard(self._plan, reports, os.urandom)
        return Sent((leader.shares.to_bytes(), helper.seeds.to_bytes()), leader.collection, leader.report_ids)

    def add(self, sent: Sent) -> None:
        """Run both aggregators, one after the other."""
        header = _header(sent)
        count = len(header[1])
        shares = LeaderShares.from_bytes(sent.parts[0], count, self._layout.length)
        self._leader = self._leader.add(LeaderHalf(*header, shares))
        self._helper = self._helper.add(HelperHalf(*header, HelperSeeds.from_bytes(sent.parts[1], count)))

    def open(self) -> Ints:
        """Close the pane at both aggregators and add their shares, as the collector does."""
        leader, helper = self._leader.close(), self._helper.close()
        handed = leader.noise(helper.commitment, None), helper.noise(leader.commitment, None)
        (opened,) = open_shares(self._plan, *handed)
        return opened.sums.reshape(-1)


class ProvenShares(UnprovenShares):
    """Additive shares with a proof of each report."""

    validity = Validity.PRIO3

    def __init__(self, plan: Plan, clients: int) -> None:
        super().__init__(plan, clients)
        self._prio3 = prio3_of(self._layout)
        self._key = VerificationKey(os.urandom(VERIFY_KEY_SIZE))

    def protect(self, reports: Reports) -> Sent:
        """Split each report into two shares and prove it."""
        leader, helper = shard_proven(self._plan, reports, os.urandom)
        public = self._prio3.encode_public_shares(leader.public_shares).tobytes()
        parts = tuple(
            public + self._prio3.encode_input_shares(half.input_shares).tobytes() for half in (leader, helper)
        )
        return Sent(parts, leader.collection, leader.report_ids)

    def add(self, sent: Sent) -> None:
        """Verify the reports at both aggregators; each adds the accepted shares."""
        leader, helper = self._half("leader", sent), self._half("helper", sent)
        verified = verify(self._plan, self._key, leader, helper)
        self._leader, self._helper = self._leader.add(verified.leader), self._helper.add(verified.helper)

    def _half(self, role: Literal["leader", "helper"], sent: Sent) -> ProvenHalf:
        index, header = ("leader", "helper").index(role), _header(sent)
        count = len(header[1])
        octets = np.frombuffer(sent.parts[index], np.uint8)
        at = count * self._prio3.public_share_size
        public = self._prio3.decode_public_shares(octets[:at].reshape(count, -1))
        shares, good = self._prio3.decode_input_shares(index, octets[at:].reshape(count, -1))
        return ProvenHalf(*header, role, public, shares, good)


class BfvReports:
    """BFV: the leader only adds, and the key holder opens the sum."""

    def __init__(self, plan: Plan, clients: int) -> None:
        self._layout = plan.views[0].layout
        self._secret = SecretKey.generate(parameters_of(self._layout, clients))
        self._parameters = self._secret.public.parameters
        self._key = PublicKey.from_bytes(self._parameters, self._secret.public.to_bytes())
        self._zeros = np.zeros(self._layout.length, np.int64)
        self._key.encrypt(self._zeros)  # the library makes its context at the first use
        self._sum = CiphertextSum(self._parameters, self._key.key_id)

    def protect(self, reports: Reports) -> Sent:
        """Encrypt in the noise basis, because slots of a ciphertext cannot be combined later."""
        rows = encode_report(self._layout, reports.slots)
        return Sent(tuple(self._key.encrypt(row).to_bytes() for row in rows))

    def add(self, sent: Sent) -> None:
        """Check every coefficient and add."""
        for part in sent.parts:
            self._sum.add(part)

    def open(self) -> Ints:
        """Re-randomize and flood the sum as the leader does, and open it as the key holder does."""
        finished = finish(self._key, self._sum, self._zeros, SeededNoise(1, "flood")).to_bytes()
        return self._secret.open_sum(Ciphertexts.from_bytes(self._parameters, self._key.key_id, finished))


class Ckks:
    """CKKS as NVFlare's `HEBuilder` ships it: every client has the secret key, and the server adds.

    As in NVFlare, the library parses the bytes.
    """

    def __init__(self, plan: Plan, _clients: int) -> None:
        import tenseal

        self._layout = plan.views[0].layout
        self._tenseal = tenseal
        self._at_client = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS,
            NVFLARE_DEGREE,
            coeff_mod_bit_sizes=list(NVFLARE_CHAIN),
            encryption_type=tenseal.ENCRYPTION_TYPE.SYMMETRIC,
            n_threads=1,
        )
        self._at_client.global_scale = NVFLARE_SCALE
        without_keys = self._at_client.serialize(False, False, False, False)
        self._at_server = tenseal.context_from(without_keys, n_threads=1)
        self._sum: list[Any] = []

    def protect(self, reports: Reports) -> Sent:
        """Encrypt the same numbers as `he` does, as floats."""
        rows = encode_report(self._layout, reports.slots).astype(np.float64)
        chunks = range(0, self._layout.length, _CKKS_SLOTS)
        return Sent(
            tuple(
                self._tenseal.ckks_vector(self._at_client, row[at : at + _CKKS_SLOTS].tolist()).serialize()
                for row in rows
                for at in chunks
            )
        )

    def add(self, sent: Sent) -> None:
        """Parse and add."""
        vectors = [self._tenseal.ckks_vector_from(self._at_server, part) for part in sent.parts]
        chunks = ckks_ciphertexts(self._layout)
        if not self._sum:
            self._sum, vectors = vectors[:chunks], vectors[chunks:]
        for index, vector in enumerate(vectors):
            self._sum[index % chunks].add_(vector)

    def open(self) -> npt.NDArray[np.float64]:
        """Decrypt as a client does."""
        back = [self._tenseal.ckks_vector_from(self._at_client, vector.serialize()) for vector in self._sum]
        return np.concatenate([np.array(vector.decrypt(), np.float64) for vector in back])


UNPROVEN: Final = "shares"
PROVEN: Final = "shares + prio3"
_SHARES_TRUST: Final = "leader or helper is honest"
PROTECTIONS: Final[dict[str, ComparedProtection]] = {
    protection.name: protection
    for protection in (
        ComparedProtection(
            "plaintext",
            "the server is honest",
            "visible to the server",
            Plaintext,
            lambda layout, _: layout.length,
        ),
        ComparedProtection(
            UNPROVEN,
            _SHARES_TRUST,
            "not bounded",
            UnprovenShares,
            lambda layout, _: report_elements(layout, Validity.NONE),
        ),
        ComparedProtection(
            PROVEN,
            _SHARES_TRUST,
            "bounded by a proof",
            ProvenShares,
            lambda layout, _: report_elements(layout, Validity.PRIO3),
        ),
        ComparedProtection(
            "he",
            "the leader follows the protocol and does not collude with the key holder",
            "not bounded",
            BfvReports,
            lambda layout, clients: _bfv_elements(parameters_of(layout, clients)),
            ("tenseal", "zstandard"),
        ),
        ComparedProtection(
            "ckks (NVFlare)",
            "the server colludes with no client; each client has the secret key",
            "not bounded",
            Ckks,
            lambda layout, _: 2 * ckks_ciphertexts(layout) * _CKKS_PRIMES * NVFLARE_DEGREE,
            ("tenseal",),
        ),
    )
}
"""The protections by name, in the order in which they are shown."""


def in_noise_basis(layout: Layout, sums: Ints) -> Ints:
    """Map sums into the noise basis: int64[K·S] → int64[K·S]."""
    mapped: Ints = field64.decode_centred(to_noise_basis(layout, field64.encode(sums[None])))[0]
    return mapped


def dense(slots: SparseRows) -> Ints:
    """Return the reports as int64[R, K·S]."""
    rows = np.zeros((len(slots), slots.length), np.int64)
    np.add.at(rows, (np.repeat(np.arange(len(slots)), np.diff(slots.indptr)), slots.columns), slots.values)
    return rows


def parameters_of(layout: Layout, clients: int) -> BfvParameters:
    """Return the parameters of a noised plan of this view for so many clients, as a deployment chooses them.

    Raises:
        HeImpossible: no parameters fit the view.
    """
    return he_parameters(layout.view, clients, True)


def ckks_ciphertexts(layout: Layout) -> int:
    """Return the number of ciphertexts of a report."""
    return -(-layout.length // _CKKS_SLOTS)


def _bfv_elements(parameters: BfvParameters) -> int:
    return 2 * parameters.ciphertexts * len(parameters.data_moduli) * parameters.degree


def _header(sent: Sent) -> tuple[int, Indices, ReportIds]:
    if sent.collection is None or sent.report_ids is None:
        raise TypeError("shares need a collection and report ids")
    return 0, sent.collection, sent.report_ids
