"""Every bad batch is refused by name over gRPC, and the sums of the other reports stay exact."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aggregator.services.rpc import MAX_MESSAGE_BYTES
from crypto.seal import seal
from federation.batch.batch import DOMAIN, BatchHeader, SealedBatch, SignedHeader
from federation.batch.sealing import _info
from federation.plan import Plan
from tests.aggregator.refusals import refused
from tests.aggregator.world import (
    DEADLINE,
    KEYS,
    SETTINGS,
    Site,
    World,
    add_sums,
    make_plan,
    open_at,
    require_exact,
    roster,
    running,
)
from tests.federation.wire import LEADER_SEAL


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


def reseal(
    plan: Plan,
    batch: SealedBatch,
    *,
    site: str = "a",
    header: BatchHeader | None = None,
    leader: bytes | None = None,
    helper: bytes | None = None,
    leader_plain: bytes | None = None,
) -> SealedBatch:
    """A batch that a malicious site changes and signs again."""
    data = (header or batch.signed.header).to_bytes()
    leader, helper = leader or batch.leader, helper or batch.helper
    if leader_plain is not None:
        leader = seal(LEADER_SEAL.public, leader_plain, _info("leader", LEADER_SEAL.public.id, data))
    digests = hashlib.sha256(leader).digest(), hashlib.sha256(helper).digest()
    signature = KEYS[site].sign.sign(DOMAIN, data + b"".join(digests))
    return SealedBatch(SignedHeader(data, *digests, signature), leader, helper)


def flipped(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def moved(batch: SealedBatch) -> BatchHeader:
    header = batch.signed.header
    return replace(header, collection=1 - header.collection)


def bad_batches(plan: Plan, site: Site) -> Iterator[tuple[str, bytes]]:
    """Each batch that the services refuse, with the reason of the refusal."""

    def make() -> SealedBatch:
        return site.batch([0, 0, 1], counted=False)

    length = plan.views[0].layout.length
    yield "BATCH_MALFORMED", reseal(plan, make(), leader_plain=bytes(3 * length * 8 - 8)).to_bytes()  # too short
    yield "BATCH_MALFORMED", reseal(plan, make(), leader_plain=bytes(3 * length * 8 + 8)).to_bytes()  # too long
    yield "FIELD_ELEMENT_OUT_OF_RANGE", reseal(plan, make(), leader_plain=b"\xff" * (3 * length * 8)).to_bytes()
    yield "BATCH_MALFORMED", make().to_bytes() + b"\x00"
    yield "BATCH_MALFORMED", make().to_bytes() + b"\x22\x00"  # an unknown field
    yield "BATCH_MALFORMED", os.urandom(500)
    yield "BATCH_MALFORMED", b""
    yield "BATCH_TOO_LARGE", bytes(5 * 2**20)
    data = make()
    yield "DIGEST_MISMATCH", data.to_bytes().replace(data.leader, flipped(data.leader))
    data = make()
    yield "DIGEST_MISMATCH", data.to_bytes().replace(data.helper, flipped(data.helper))
    data = make()
    yield "SEAL_BROKEN", reseal(plan, data, leader=flipped(data.leader)).to_bytes()
    data = make()
    yield "SEAL_BROKEN", reseal(plan, data, helper=flipped(data.helper)).to_bytes()  # the helper finds it
    data = make()
    yield (
        "SIGNATURE_INVALID",
        replace(data, signed=replace(data.signed, header_bytes=moved(data).to_bytes())).to_bytes(),
    )
    data = make()
    yield "SEAL_BROKEN", reseal(plan, data, header=moved(data)).to_bytes()  # signed by the site itself
    one, other = make(), make()
    yield "DIGEST_MISMATCH", one.to_bytes().replace(one.helper, other.helper)
    yield "SEAL_BROKEN", reseal(plan, one, helper=other.helper).to_bytes()
    yield "SIGNATURE_INVALID", replace(one, signed=replace(one.signed, signature=bytes(64))).to_bytes()
    yield (
        "SIGNATURE_INVALID",
        replace(one, signed=replace(one.signed, signature=flipped(one.signed.signature))).to_bytes(),
    )
    unknown = replace(one.signed.header, site="z")
    yield "UNKNOWN_SITE", reseal(plan, one, header=unknown).to_bytes()
    stolen = replace(one.signed.header, site="b")
    yield "SIGNATURE_INVALID", reseal(plan, one, header=stolen).to_bytes()
    yield "BATCH_MALFORMED", one.to_bytes().replace(one.signed.signature, one.signed.signature[:63])
    elsewhere = make_plan(number=9)
    yield "PLAN_UNKNOWN", Site(elsewhere).batch([0, 0]).to_bytes()
    for_this = replace(Site(elsewhere).batch([0, 0]).signed.header, plan_hash=plan.hash)
    yield "SEAL_BROKEN", reseal(plan, Site(elsewhere).batch([0, 0]), header=for_this).to_bytes()
    outside = replace(one.signed.header, collection=np.array([0, 0, 2**31], np.uint32))
    yield "REPORT_REFUSED", reseal(plan, one, header=outside).to_bytes()
    twice = one.signed.header.report_ids.copy()
    twice[1] = twice[0]
    yield "DUPLICATE_REPORT", reseal(plan, one, header=replace(one.signed.header, report_ids=twice)).to_bytes()


def test_every_bad_batch_is_refused_by_name_and_the_other_sums_stay_exact(world: World) -> None:
    plan = make_plan(panes=2)
    a, b = Site(plan, "a"), Site(plan, "b")
    open_at(world.client, plan)
    world.client.submit(a.batch([0, 1, 1]).to_bytes())
    seen = []
    for reason, batch in bad_batches(plan, a):
        error = refused(lambda batch=batch: world.client.submit(batch))
        seen.append((error.reason, reason))
        error_again = refused(lambda batch=batch: world.client.submit(batch))
        assert error_again.reason == error.reason
    assert [got for got, _ in seen] == [wanted for _, wanted in seen]
    world.client.submit(b.batch([0, 0, 1]).to_bytes())
    opened = world.collect(plan)
    assert opened[0].outcomes.tolist() == [0, 0]
    require_exact(plan, opened, add_sums(a, b))


def test_a_message_beyond_grpcs_limit_is_refused(world: World) -> None:
    assert refused(lambda: world.client.submit(bytes(MAX_MESSAGE_BYTES + 1))).reason == "RESOURCE_EXHAUSTED"


def test_more_clients_than_the_leaders_roster_says_are_refused_as_a_batch(tmp_path: Path) -> None:
    with running(tmp_path, leader_settings=replace(SETTINGS, roster=roster(3))) as world:
        plan = make_plan()
        site = Site(plan)
        open_at(world.client, plan)
        world.client.submit(site.batch([0, 0, 1]).to_bytes())
        error = refused(lambda: world.client.submit(site.batch([0, 0], counted=False).to_bytes()))
        assert (error.reason, error.numbers) == ("ROSTER_EXCEEDED", {"collection": 0, "have": 4, "most": 3})
        world.client.submit(site.batch([0, 1, 1]).to_bytes())
        require_exact(plan, world.collect(plan), site.sums)


def test_what_the_helpers_own_roster_refuses_the_leader_does_not_count_either(tmp_path: Path) -> None:
    mine, others = replace(SETTINGS, roster=roster(4)), replace(SETTINGS, roster=roster(3))
    with running(tmp_path, leader_settings=mine, helper_settings=others) as world:
        plan = make_plan()
        a, b = Site(plan, "a"), Site(plan, "b")
        open_at(world.client, plan)
        world.client.submit(a.batch([0, 0, 1]).to_bytes())
        too_many = a.batch([0, 0, 1], counted=False)
        for _ in range(2):
            error = refused(lambda: world.client.submit(too_many.to_bytes()))
            assert error.reason == "ROSTER_EXCEEDED"
            assert "the helper refuses" in error.text
        # the ids and the places on the roster are free again: the same clients may come in a smaller batch
        again = a.batch([0], ids=too_many.signed.header.report_ids[:1])
        assert world.client.submit(again.to_bytes()).verdicts == b"\x00"
        world.client.submit(b.batch([1, 1, 0]).to_bytes())
        opened = world.collect(plan)
        assert opened[0].outcomes.tolist() == [0, 0]
        require_exact(plan, opened, add_sums(a, b))


def test_reports_after_the_deadline_and_after_the_collect_are_refused(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    late = site.batch([0, 0], counted=False).to_bytes()
    world.clock.now = DEADLINE
    error = refused(lambda: world.client.submit(late))
    assert (error.reason, error.numbers) == ("AFTER_DEADLINE", {"deadline_us": DEADLINE})
    require_exact(plan, world.collect(plan), site.sums)
    assert refused(lambda: world.client.submit(late)).reason == "COLLECTED"
    assert refused(lambda: open_at(world.client, make_plan(first=50))).reason == "AFTER_DEADLINE"


def test_a_batch_id_with_other_bytes_is_an_error(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    first = site.batch([0, 0])
    world.client.submit(first.to_bytes())
    other = site.batch([0, 0], counted=False)
    plain = bytes(2 * plan.views[0].layout.length * 8)
    header = replace(other.signed.header, batch_id=first.signed.header.batch_id)
    forged = reseal(plan, other, header=header, leader_plain=plain)
    assert refused(lambda: world.client.submit(forged.to_bytes())).reason == "JOB_CONFLICT"
    require_exact(plan, world.collect(plan), site.sums)
