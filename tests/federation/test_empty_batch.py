"""Empty batches: a site says under its signature that it has no report, and nothing else fits into one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto.errors import SealBroken, SignatureInvalid
from federation.batch.batch import SealedBatch, SealedHalf
from federation.batch.empty import open_empty, seal_empty
from federation.batch.sealing import open_half
from federation.errors import BatchMalformed, BatchOfAnotherPlan, DigestMismatch, UnknownSite
from federation.parties import Roster
from tests.aggregator.world import Site, make_plan, roster
from tests.federation.wire import HELPER_SEAL, LEADER_SEAL, OTHER_SITE, SITE

PLAN = make_plan()
SEALS = {"leader": LEADER_SEAL, "helper": HELPER_SEAL}


def empty(**other: object) -> SealedBatch:
    given = {"plan": PLAN, "site": "a", "batch_id": bytes(16), "key": SITE.sign} | other
    return SealedBatch.from_bytes(seal_empty(**given).to_bytes())  # type: ignore[arg-type]


def opened(role: str, batch: SealedBatch, half: SealedHalf | None = None) -> None:
    open_empty(role, PLAN, SEALS[role], roster(), half or batch.half(role))  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_both_aggregators_open_it_and_take_it_for_no_reports(role: str) -> None:
    batch = empty()
    opened(role, batch)
    opened(role, batch, SealedHalf.from_bytes(batch.half(role).to_bytes()))  # type: ignore[arg-type]
    with pytest.raises(BatchMalformed, match="it is an empty batch"):
        open_half(role, PLAN, SEALS[role], roster(), batch.half(role))  # type: ignore[call-overload]


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_a_batch_with_reports_is_no_empty_batch(role: str) -> None:
    with pytest.raises(BatchMalformed, match="this one has 2"):
        opened(role, Site(PLAN).batch([0, 1]))


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_only_a_site_of_the_roster_can_send_one_and_only_for_its_plan(role: str) -> None:
    with pytest.raises(SignatureInvalid):
        opened(role, empty(key=OTHER_SITE.sign))
    with pytest.raises(UnknownSite):
        open_empty(role, PLAN, SEALS[role], Roster([]), empty().half(role))  # type: ignore[arg-type]
    with pytest.raises(BatchOfAnotherPlan):
        opened(role, empty(plan=make_plan(number=1)))
    half = empty().half(role)  # type: ignore[arg-type]
    other = empty(batch_id=bytes([1]) * 16).half(role)  # type: ignore[arg-type]
    with pytest.raises(DigestMismatch):
        opened(role, empty(), SealedHalf(half.signed, other.ciphertext))


def test_its_halves_are_sealed_to_their_aggregators_and_hold_nothing() -> None:
    with pytest.raises(SealBroken):
        open_empty("leader", PLAN, HELPER_SEAL, roster(), empty().half("leader"))
    header = Site(PLAN).batch([0]).signed.header
    with pytest.raises(BatchMalformed, match="report ids"):
        replace(header, collection=header.collection[:0])
