"""What is published: a release (the noised sums of one pane) or a void (a pane that was not opened); nothing else."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from featurestore.errors import StoreCorrupt

from .layout import Group
from .mechanism import LaplaceMechanism

BUDGET_SPENT: Final = "BUDGET_SPENT"
"""The reason of a void whose client-day had no budget left: the last row goes on being served, as STALE_BUDGET."""
RETRACTED: Final = "RETRACTED"
"""The reason of a tombstone, alone or as `RETRACTED: why`: a void of a pane that was opened; from its `released_at` on the
pane counts as not opened."""

Clock = Literal["replay", "live"]
"""`live`: released when published. `replay`: old events, released (virtually) at the pane's end + `release_delay`."""


@dataclass(frozen=True)
class GroupNoise:
    """What one noise group cost and how much noise it got.

    Parties compare the integers; the floats follow from them, for people.

    Attributes:
        mechanism: `gaussian` or `laplace`.
        delta1, delta2_sq: L1 sensitivity of a client-day, and its squared L2 sensitivity.
        micro_epsilon: pure ε in millionths, of Laplace noise; else 0.
        micro_rho: zCDP in millionths: what a ledger charges.
        scale: of one aggregator's noise: σ (Gaussian) or b (Laplace); 0 with noise off.
        standard_error: of the opened sum, of both aggregators' noise; 0 with noise off.
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


_USUAL: Final = (
    ("leak_micro_rho", 0),
    ("k_checked_by", "both"),
    ("finish", "open"),
    ("report_per", "client"),
    ("opened", ()),
)


@dataclass(frozen=True)
class Manifest:
    """Under which terms the panes of one plan were opened. Shared by all of its releases.

    Attributes:
        noise: `discrete-gaussian`, `discrete-laplace`, or `none` in tests and labs.
        noise_source: who sampled, leader then helper (`he`: key holder): `cks20-hkdf-chacha20`; `cks20-seeded` in simulations.
        noisers: how many independent noises of the full scale are in each sum (2; 0 with noise off).
        noise_factor: standard error of an opened sum ÷ that of one aggregator's noise: √noisers. With two it is √2, the
            price of a claim that holds if either aggregator is honest: each adds the whole noise that the claim needs.
        micro_rho: zCDP of a client-day, in millionths: the sum over the groups, and `leak_micro_rho`.
        micro_epsilon: its pure ε, likewise; None of a Gaussian view.
        outside_claim: what others see beyond the differential privacy claim.
        trust: what has to hold for the claim. `one-honest-noiser`: leader or helper added its noise and keeps it and its
            share to itself. `in-process`: one process saw everything.
        commitments: hex SHA-256 of the opening statements that leader and helper signed; empty in one process.
        leak_micro_rho: under `he`, what the openings of a client-day's panes tell the key holder besides; 0 under shares.
        k_checked_by: `both` aggregators, or under `he` the `leader` alone.
        finish: `open`: all sums were opened. `mpc`: cells below the view's `suppress_below` were not, by anybody; their sums
            in a release are zeros that stand for nothing.
        opened: hex SHA-256 of the opened values that leader and helper (under `he` the key holder) signed; empty in one process.
        report_per: `client`: k counts reports, each of one client. `site`: a report is the sum of a site's clients, and k
            counts those that the sites declare.
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
    leak_micro_rho: int = 0
    k_checked_by: Literal["both", "leader"] = "both"
    finish: Literal["open", "mpc"] = "open"
    report_per: Literal["client", "site"] = "client"
    opened: tuple[str, ...] = ()

    @property
    def noisy(self) -> bool:
        """Whether there is noise in its sums."""
        return self.noise != "none"

    @property
    def suppressed(self) -> bool:
        """Whether not all sums were opened: cells below `suppress_below` were not."""
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
        """All terms, for JSON; those with a default only where they differ from it."""
        return {name: value for name, value in asdict(self).items() if (name, value) not in _USUAL}

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The inverse of `to_json`. Raises StoreCorrupt: it is no manifest."""
        try:
            data: dict[str, Any] = json.loads(text)
            data["groups"] = tuple(GroupNoise(**group) for group in data["groups"])
            data["outside_claim"] = tuple(data["outside_claim"])
            leader, helper = data["commitments"]
            data["commitments"] = (leader, helper)
            data["opened"] = tuple(data.get("opened", ()))
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
        """First 16 bytes of SHA-256(definition hash ‖ pane_start as i64 BE): one id for one (view version, pane)."""
        return release_id(bytes.fromhex(self.manifest.definition_hash), self.pane_start)

    @property
    def signed_bytes(self) -> bytes:
        """What the collector signs: SHA-256 of the manifest ‖ release id ‖ four times (i64 BE) ‖ clock ‖ content hash.

        The manifest names plan and definition by their hashes, so a signature fits one pane of one view under one plan.
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
        """SHA-256 of what was published: 32 bytes."""
        raise TypeError("a pane is a Release or a Void")


@dataclass(frozen=True, eq=False)
class Release(_Pane):
    """The opened sums of one pane.

    Attributes:
        pane_start, pane_end, released_at, published_at: µs since the epoch, UTC.
        slots: int64[keys, slots_per_key], after the noise basis, centred (may be negative).
        signature: the collector's, over `signed_bytes`; none from a run in one process.
    """

    slots: npt.NDArray[np.int64]
    signature: bytes = b""

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of `release ‖ slots`, slots as little-endian int64."""
        return content_of(self.slots)


@dataclass(frozen=True, eq=False)
class Void(_Pane):
    """A pane that was not opened, and why: a reason code such as BATCH_TOO_SMALL, and no value."""

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


def is_retraction(reason: str | None) -> bool:
    """Whether a void with this reason is a tombstone."""
    return reason is not None and (reason == RETRACTED or reason.startswith(f"{RETRACTED}: "))
