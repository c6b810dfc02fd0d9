"""Releases and voids, the only things that are published: the noised sums of a pane, or the decision that it has none."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from featurestore.errors import StoreCorrupt

from .accounting import Moves
from .encoding import is_split
from .layout import Group
from .mechanism import GaussianMechanism, LaplaceMechanism
from .privacy import NOISER_CHOICES, Noisers

BUDGET_SPENT: Final = "BUDGET_SPENT"
"""The reason of a void whose client-day had no budget left. The row before it stays the served one, with STALE_BUDGET."""
DECIDED: Final = "DECIDED"
"""The reason of a void by an operator's decision, as `DECIDED: why`."""
GIVEN_UP: Final = "GIVEN_UP"
"""The reason of a void of a pane that was due for longer than the project waits."""
RETRACTED: Final = "RETRACTED"
"""The reason of a tombstone, alone or as `RETRACTED: why`. A tombstone is a void of an opened pane: from its `released_at` on
the pane counts as not opened."""

Clock = Literal["replay", "live"]
"""`live`: the release time is the time of publication. `replay` (old events): it is when a live collection would have published."""
PaneState = Literal["opened", "void", "retracted"]
"""What became of a published pane."""


@dataclass(frozen=True)
class GroupNoise:
    """The price and the noise of one noise group.

    Parties compare the integers. The floats follow from them and are for people.

    Attributes:
        mechanism: `gaussian` or `laplace`.
        delta1, delta2_sq: L1 sensitivity of a client-day, and its squared L2 sensitivity.
        micro_epsilon: for Laplace noise its pure ε, in millionths; else 0.
        micro_rho: its zCDP against an aggregator, in millionths, which a ledger charges.
        scale: σ (Gaussian) or b (Laplace) of one aggregator's noise; 0 with noise off.
        standard_error: the standard error of an opened sum due to both aggregators' noise; 0 with noise off.
    """

    feature: str
    kind: str
    mechanism: str
    delta1: int
    delta2_sq: int
    micro_epsilon: int
    micro_rho: int
    scale: float
    standard_error: float

    @classmethod
    def of(cls, group: Group, *, noisy: bool) -> GroupNoise:
        """The noise of a group of the layout; `noisy` is false with noise off."""
        mechanism = group.mechanism
        return cls(
            group.feature,
            group.kind,
            mechanism.name,
            group.delta1,
            group.delta2_sq,
            mechanism.micro_epsilon if isinstance(mechanism, LaplaceMechanism) else 0,
            mechanism.micro_rho,
            mechanism.scale if noisy else 0.0,
            math.sqrt(group.opened_variance) if noisy else 0.0,
        )

    @property
    def moves(self) -> Moves | None:
        """How far the worst client-day moves the group's sums; None for Laplace noise.

        Raises:
            StoreCorrupt: no view has such sensitivities.
        """
        if self.mechanism != GaussianMechanism.name:
            return None
        impossible = StoreCorrupt(f"the manifest of a release has impossible sensitivities of {self.feature!r}")
        if min(self.delta1, self.delta2_sq, self.micro_rho) < 1 or self.delta2_sq % self.delta1:
            raise impossible
        per_cell = self.delta2_sq // self.delta1
        try:
            sigma_sq = GaussianMechanism(self.delta2_sq, self.micro_rho).sigma_sq
        except OverflowError:
            raise impossible from None
        return Moves(sigma_sq, per_cell, self.delta1 // per_cell, is_split(self.kind, per_cell))


@dataclass(frozen=True)
class CountedSites:
    """Which sites of the plan's roster are in a pane's sums, with reports or with the answer that they have none.

    Both aggregators sign the counted sites. The roster is declared, so nothing here is a count of events.

    Attributes:
        counted, enrolled: the number of counted sites, and of all sites of the roster.
        missing: the ids of the sites that are not counted, in order.
        clients, enrolled_clients: the enrolled clients of the counted sites, and of all.

    Raises:
        ValueError: the numbers contradict each other.
    """

    counted: int
    enrolled: int
    missing: tuple[str, ...]
    clients: int
    enrolled_clients: int

    def __post_init__(self) -> None:
        fits = 0 <= self.counted <= self.enrolled and 0 <= self.clients <= self.enrolled_clients
        if not fits or len(self.missing) != self.enrolled - self.counted:
            raise ValueError(f"the counted sites contradict each other: {self}")
        if list(self.missing) != sorted(set(self.missing)):
            raise ValueError("the missing sites are not in order")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CountedSites:
        """The inverse of `asdict`, also after JSON. Raises ValueError, TypeError or KeyError: the data are of something else."""
        numbers = [data[name] for name in ("counted", "enrolled", "clients", "enrolled_clients")]
        if {*map(type, numbers)} != {int} or not {*map(type, data["missing"])} <= {str}:
            raise TypeError("the counted sites have fields of other types")
        return cls(**{**data, "missing": tuple(data["missing"])})

    @property
    def millionths(self) -> int:
        """The share of enrolled clients whose sites are counted, in millionths, rounded down."""
        return self.clients * MILLION // self.enrolled_clients if self.enrolled_clients else 0


MILLION: Final = 10**6
_USUAL: Final = (
    ("noise_split", "each"),
    ("leak_micro_rho", 0),
    ("k_checked_by", "both"),
    ("finish", "open"),
    ("report_per", "client"),
    ("opened", ()),
    ("sites", None),
)


@dataclass(frozen=True)
class Manifest:
    """The terms under which the panes of one plan were opened. All releases of the plan share it.

    Attributes:
        noise: `discrete-gaussian` or `discrete-laplace`; `none` in tests and labs.
        noise_source: the samplers of leader and helper (`he`: of the key holder): `cks20-hkdf-chacha20`, or `cks20-seeded` in
            simulations.
        noisers: the number of independent noises in each sum (2; 0 with noise off).
        noise_factor: √noisers, the standard error of an opened sum ÷ that of one aggregator's noise.
        noise_split: `each`: each aggregator adds the whole noise that the view's price needs, so the price holds if either one is
            honest, and outsiders learn less. `shared`: each adds half of the variance. The view's price then holds against
            outsiders if both are honest; against one of them, and against everybody if one cheats, `micro_rho` does.
        micro_rho: zCDP of a client-day against an aggregator, in millionths: the sum over the groups, plus `leak_micro_rho`.
        micro_epsilon: its pure ε, in millionths; None for a Gaussian view.
        outside_claim: what the release reveals beyond differential privacy.
        trust: the assumption of the claim. `one-honest-noiser`: the leader or the helper added its noise, and keeps the noise
            and its share secret. `two-honest-noisers`: both did; if one did not, the larger ε against an aggregator holds.
            `honest-leader`: under `he`, the leader follows the protocol. `honest-leader-and-key-holder`: under `he`, both do;
            if only the leader does, the larger ε holds. `in-process`: one process saw everything.
        commitments: hex SHA-256 of the opening statements that leader and helper signed; empty in one process.
        leak_micro_rho: under `he`, what the key holder additionally learns from the openings of a client-day's panes; 0 under
            shares.
        k_checked_by: `both` aggregators, or under `he` only the `leader`.
        finish: `open`: all sums were opened. `mpc`: nobody opened the cells below the view's `suppress_below`; their sums in
            a release are zeros without a meaning.
        opened: hex SHA-256 of the opened values that leader and helper (under `he` the key holder) signed; empty in one process.
        report_per: `client`: a report is of one client, and k counts reports. `site`: a report is the sum of a site's
            clients, and k counts the clients that the sites declare.
        sites: the counted sites. None: no aggregator counted sites, because one process played every site, or because the pane
            is void by a decision.
    """

    view: str
    view_version: int
    definition_hash: str
    plan_hash: str
    protection: str
    validity: str
    noise: str
    noise_source: str
    noisers: int
    noise_factor: float
    groups: tuple[GroupNoise, ...]
    micro_rho: int
    micro_epsilon: int | None
    delta: float
    min_clients: int
    participation: str
    outside_claim: tuple[str, ...]
    trust: str
    commitments: tuple[str, str]
    noise_split: Noisers = "each"
    leak_micro_rho: int = 0
    k_checked_by: Literal["both", "leader"] = "both"
    finish: Literal["open", "mpc"] = "open"
    report_per: Literal["client", "site"] = "client"
    opened: tuple[str, ...] = ()
    sites: CountedSites | None = None

    @property
    def site_share(self) -> int:
        """The share of enrolled clients whose sites are in the sums, in millionths."""
        return MILLION if self.sites is None else self.sites.millionths

    @property
    def noisy(self) -> bool:
        """Whether its sums have noise."""
        return self.noise != "none"

    @property
    def suppressed(self) -> bool:
        """Whether the cells below `suppress_below` were not opened."""
        return self.finish != "open"

    @property
    def of_sites(self) -> bool:
        """Whether a report is the sum of a site's clients."""
        return self.report_per != "client"

    @property
    def encrypted(self) -> bool:
        """Whether reports were encrypted for a key holder."""
        return self.protection == "he"

    def to_dict(self) -> dict[str, Any]:
        """All terms, for JSON, except those that have their default."""
        return {name: value for name, value in asdict(self).items() if (name, value) not in _USUAL}

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The inverse of `to_json`. Raises StoreCorrupt: the text is not a manifest."""
        try:
            data: dict[str, Any] = json.loads(text)
            data["groups"] = tuple(GroupNoise(**group) for group in data["groups"])
            data["outside_claim"] = tuple(data["outside_claim"])
            leader, helper = data["commitments"]
            data["commitments"] = (leader, helper)
            data["opened"] = tuple(data.get("opened", ()))
            if data.get("noise_split", "each") not in NOISER_CHOICES:
                raise ValueError(f"noise_split is {str(data['noise_split'])[:80]!r}, not {' or '.join(NOISER_CHOICES)}")
            if (sites := data.get("sites")) is not None:
                data["sites"] = CountedSites.from_dict(sites)
            return cls(**data)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreCorrupt(f"the manifest of a release cannot be read: {error}") from None


@dataclass(frozen=True, eq=False)
class _Pane:
    manifest: Manifest
    pane_start: int
    pane_end: int
    released_at: int
    published_at: int
    clock: Clock

    @property
    def release_id(self) -> bytes:
        """First 16 bytes of SHA-256(definition hash ‖ pane_start as i64 BE): each (view version, pane) has one id."""
        return release_id(bytes.fromhex(self.manifest.definition_hash), self.pane_start)

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that the collector signs: SHA-256(manifest) ‖ release id ‖ four times (i64 BE) ‖ clock ‖ content hash.

        The manifest has the hashes of plan and definition, so a signature is valid for one pane of one view under one plan.
        """
        times = (self.pane_start, self.pane_end, self.released_at, self.published_at)
        return b"".join(
            (
                hashlib.sha256(self.manifest.to_json().encode()).digest(),
                self.release_id,
                *(moment.to_bytes(8, "big", signed=True) for moment in times),
                b"\x01" if self.clock == "live" else b"\x00",
                self.content_hash,
            )
        )

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of the published slots or reason: 32 bytes."""
        raise TypeError("a pane is a Release or a Void")


@dataclass(frozen=True, eq=False)
class Release(_Pane):
    """The opened sums of one pane.

    Attributes:
        pane_start, pane_end, released_at, published_at: µs since the epoch, UTC.
        slots: int64[keys, slots_per_key], after the noise basis, centred (may be negative).
        signature: the collector's, over `signed_bytes`; empty after a run in one process.
    """

    slots: npt.NDArray[np.int64]
    signature: bytes = b""

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of `release ‖ slots`, slots as little-endian int64."""
        return content_of(self.slots)


@dataclass(frozen=True, eq=False)
class Void(_Pane):
    """A pane that has no values, and the reason: a code such as BUDGET_SPENT."""

    reason: str
    signature: bytes = b""

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of `void ‖ reason`."""
        return hashlib.sha256(b"void" + self.reason.encode()).digest()


def content_of(slots: npt.NDArray[np.int64]) -> bytes:
    """The content hash of a release with these slots: 32 bytes."""
    return hashlib.sha256(b"release" + np.ascontiguousarray(slots).astype("<i8").tobytes()).digest()


def release_id(definition_hash: bytes, pane_start: int) -> bytes:
    """The 16-byte id of the release or void of one pane of one view version."""
    return hashlib.sha256(definition_hash + pane_start.to_bytes(8, "big", signed=True)).digest()[:16]


def is_unattempted(reason: str) -> bool:
    """Whether a void with this reason is a decision for which no aggregator has signed anything."""
    return reason in (BUDGET_SPENT, GIVEN_UP) or reason.startswith(f"{DECIDED}: ")


def is_retraction(reason: str | None) -> bool:
    """Whether a void with this reason is a tombstone."""
    return reason is not None and (reason == RETRACTED or reason.startswith(f"{RETRACTED}: "))
