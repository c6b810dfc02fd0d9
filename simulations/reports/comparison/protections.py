"""One pane under each protection, every party's real part played in one process: what `covey lab compare` measures.

    client                reports ──protect──► Sent: the bytes that leave the site
    server                Sent ──add──► running sums           the leader, and the helper where there is one
    server, key holder    running sums ──open──► the sums      noise is off, so that they can be compared

`Sent` is what `federation.batch.batch` seals,
without header and seal, which cost the same under every protection. Plaintext and CKKS
are no protections of this store; they stand here to be compared with.
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
from federation.basis import to_noise_basis
from federation.batch.reports import HelperHalf, Indices, LeaderHalf, ProvenHalf, ReportIds, Reports
from federation.circuit.circuit import prio3_of
from federation.circuit.validity import VerificationKey, report_elements
from federation.he.view import encode_report, he_parameters
from federation.plan import Plan
from federation.protocol import Aggregating, open_shares, shard, shard_proven, verify
from federation.terms import Validity

Ints: TypeAlias = npt.NDArray[np.int64]
Sums: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]

NVFLARE_DEGREE: Final = 8192
NVFLARE_CHAIN: Final = (60, 40, 40)
NVFLARE_SCALE: Final = 2**40
_CKKS_SLOTS: Final = NVFLARE_DEGREE // 2
_CKKS_PRIMES: Final = len(NVFLARE_CHAIN) - 1  # the last takes part in making keys only


@dataclass(frozen=True, eq=False)
class Sent:
    """A batch as it leaves the site. **Secret** as reports are: plaintext is among these.

    Attributes:
        parts: with shares what leader and helper get, else one report each.
        collection, report_ids: of the batch's header, with shares.
    """

    parts: tuple[bytes, ...] = field(repr=False)
    collection: Indices | None = None
    report_ids: ReportIds | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.parts))


class ProtectedPane(Protocol):
    """One pane under one protection. What is made once a plan, keys and tables, is made when it is made."""

    def protect(self, reports: Reports) -> Sent:
        """Run by the site."""

    def add(self, sent: Sent) -> None:
        """Run by the server, or by leader and helper: parse, check, add."""

    def open(self) -> Sums:
        """The sums, [K·S] in the noise basis."""


@dataclass(frozen=True)
class ComparedProtection:
    """A protection and what has to be believed.

    Attributes:
        make: (plan of one pane without noise, how many clients there are) → a `ProtectedPane`.
        elements: how many 64-bit numbers one report becomes.
        libraries: of the extra `he`, that it needs.
    """

    name: str
    privacy_holds_if: str
    bad_input: str
    make: Callable[[Plan, int], ProtectedPane] = field(repr=False)
    elements: Callable[[Layout, int], int] = field(repr=False)
    libraries: tuple[str, ...] = ()


class Plaintext:
    """Nothing is hidden: an int64 a slot."""

    def __init__(self, plan: Plan, _clients: int) -> None:
        self._layout = plan.views[0].layout
        self._sum = np.zeros(self._layout.length, np.int64)

    def protect(self, reports: Reports) -> Sent:
        """Write the vectors out."""
        return Sent(tuple(row.tobytes() for row in dense(reports.slots)))

    def add(self, sent: Sent) -> None:
        """Add them."""
        for part in sent.parts:
            self._sum += np.frombuffer(part, np.int64)

    def open(self) -> Ints:
        """The sums as they are."""
        return in_noise_basis(self._layout, self._sum)


class UnprovenShares:
    """Additive shares, without proofs."""

    validity = Validity.NONE

    def __init__(self, plan: Plan, _clients: int) -> None:
        self._plan = replace(plan, terms=terms.Shares(self.validity))
        self._layout = plan.views[0].layout
        self._leader, self._helper = (Aggregating.start(role, self._plan) for role in ("leader", "helper"))

    def protect(self, reports: Reports) -> Sent:
        """Split."""
        leader, helper = shard(self._plan, reports, os.urandom)
        return Sent((leader.shares.to_bytes(), helper.seeds.to_bytes()), leader.collection, leader.report_ids)

    def add(self, sent: Sent) -> None:
        """Both aggregators, one after the other."""
        header = _header(sent)
        count = len(header[1])
        shares = LeaderShares.from_bytes(sent.parts[0], count, self._layout.length)
        self._leader = self._leader.add(LeaderHalf(*header, shares))
        self._helper = self._helper.add(HelperHalf(*header, HelperSeeds.from_bytes(sent.parts[1], count)))

    def open(self) -> Ints:
        """Both close, and the collector adds what they hand out."""
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
        """Split and prove."""
        leader, helper = shard_proven(self._plan, reports, os.urandom)
        public = self._prio3.encode_public_shares(leader.public_shares).tobytes()
        parts = tuple(
            public + self._prio3.encode_input_shares(half.input_shares).tobytes() for half in (leader, helper)
        )
        return Sent(parts, leader.collection, leader.report_ids)

    def add(self, sent: Sent) -> None:
        """The round of both aggregators, then each adds what was accepted."""
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
    """BFV: the leader only adds, the key holder opens the one sum."""

    def __init__(self, plan: Plan, clients: int) -> None:
        self._layout = plan.views[0].layout
        self._secret = SecretKey.generate(parameters_of(self._layout, clients))
        self._parameters = self._secret.public.parameters
        self._key = PublicKey.from_bytes(self._parameters, self._secret.public.to_bytes())
        self._zeros = np.zeros(self._layout.length, np.int64)
        self._key.encrypt(self._zeros)  # the library's context is made at the first use
        self._sum = CiphertextSum(self._parameters, self._key.key_id)

    def protect(self, reports: Reports) -> Sent:
        """Encrypt, in the noise basis: nobody can combine slots later."""
        rows = encode_report(self._layout, reports.slots)
        return Sent(tuple(self._key.encrypt(row).to_bytes() for row in rows))

    def add(self, sent: Sent) -> None:
        """Check every coefficient, and add."""
        for part in sent.parts:
            self._sum.add(part)

    def open(self) -> Ints:
        """The leader's fresh encryption and its flooding, then the key holder."""
        finished = finish(self._key, self._sum, self._zeros, SeededNoise(1, "flood")).to_bytes()
        return self._secret.open_sum(Ciphertexts.from_bytes(self._parameters, self._key.key_id, finished))


class Ckks:
    """CKKS as NVFlare's `HEBuilder` ships it: symmetric, every client has the secret key, the server adds.

    Everybody's bytes are parsed by the library itself, as it is there.
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
        """Encrypt the same numbers as under `he`, as floats."""
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
        """A client decrypts."""
        back = [self._tenseal.ckks_vector_from(self._at_client, vector.serialize()) for vector in self._sum]
        return np.concatenate([np.array(vector.decrypt(), np.float64) for vector in back])


_SHARES_TRUST: Final = "leader or helper is honest"
PROTECTIONS: Final[dict[str, ComparedProtection]] = {
    protection.name: protection
    for protection in (
        ComparedProtection(
            "plaintext",
            "the server is honest",
            "the server sees it",
            Plaintext,
            lambda layout, _: layout.length,
        ),
        ComparedProtection(
            "shares",
            _SHARES_TRUST,
            "not bounded",
            UnprovenShares,
            lambda layout, _: report_elements(layout, Validity.NONE),
        ),
        ComparedProtection(
            "shares + prio3",
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
            "the server colludes with no client: each has the secret key",
            "not bounded",
            Ckks,
            lambda layout, _: 2 * ckks_ciphertexts(layout) * _CKKS_PRIMES * NVFLARE_DEGREE,
            ("tenseal",),
        ),
    )
}
"""By name, in the order in which they are shown."""


def in_noise_basis(layout: Layout, sums: Ints) -> Ints:
    """The mapped sums: int64[K·S] → int64[K·S]."""
    mapped: Ints = field64.decode_centred(to_noise_basis(layout, field64.encode(sums[None])))[0]
    return mapped


def dense(slots: SparseRows) -> Ints:
    """int64[R, K·S]."""
    rows = np.zeros((len(slots), slots.length), np.int64)
    np.add.at(rows, (np.repeat(np.arange(len(slots)), np.diff(slots.indptr)), slots.columns), slots.values)
    return rows


def parameters_of(layout: Layout, clients: int) -> BfvParameters:
    """Those of a plan of this view for so many clients, with noise: what would be released is what is measured.

    Raises:
        HeImpossible: there are none.
    """
    return he_parameters(layout.view, clients, True)


def ckks_ciphertexts(layout: Layout) -> int:
    """How many ciphertexts a report is."""
    return -(-layout.length // _CKKS_SLOTS)


def _bfv_elements(parameters: BfvParameters) -> int:
    return 2 * parameters.ciphertexts * len(parameters.data_moduli) * parameters.degree


def _header(sent: Sent) -> tuple[int, Indices, ReportIds]:
    if sent.collection is None or sent.report_ids is None:
        raise TypeError("shares come with the ids of their reports")
    return 0, sent.collection, sent.report_ids
