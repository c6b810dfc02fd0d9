"""For every change of a release, its plan or its statements, the check that finds it has a name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from featurestore.define.release import CountedSites, Manifest, Release, Void, content_of
from federation.commitment import Commitment
from federation.errors import VerificationFailed
from federation.former_keys import FormerKey
from federation.keys import RoleKeys
from federation.manifest import manifest_of, trust_of
from federation.opened_values import OpenedValues, sign_values
from federation.parties import Aggregator, PinnedCollector
from federation.plan import Plan
from federation.release_check import find_plan, verify_opening
from federation.release_signing import sign_release
from federation.signed_plan import sign_plan
from federation.statement import sign_statement
from federation.terms import Encrypted

from .wire import COLLECTOR, COORDINATOR, DAY, HELPER, LEADER, PLAN, SITE, plan, view

SETS = Commitment((9,) * 6, tuple(bytes([number]) * 32 for number in range(6)), ("b",))
OUTCOMES = bytes([0, 1, 2])
VIEW = 1
NOW = 100 * DAY
PINNED: dict[str, Any] = {
    "coordinator": COORDINATOR.pinned, "collector": PinnedCollector(COLLECTOR.public.collector),
    "leader": LEADER.pinned, "helper": HELPER.pinned,
}  # fmt: skip


def statement(
    role: Aggregator,
    of: Plan = PLAN,
    index: int = VIEW,
    outcomes: bytes = OUTCOMES,
    sets: Commitment = SETS,
    key: RoleKeys | None = None,
) -> bytes:
    keys = key or (LEADER if role == "leader" else HELPER)
    return sign_statement(of, index, role, outcomes, sets, f"{role}'s sealed share".encode(), keys.sign)


SIGNED = sign_plan(PLAN, COORDINATOR.sign)
STATEMENTS = statement("leader"), statement("helper")


def named(statements: tuple[bytes, bytes]) -> tuple[str, str]:
    leader, helper = (hashlib.sha256(one).hexdigest() for one in statements)
    return leader, helper


SLOTS = np.arange(3, dtype=np.int64).reshape(3, 1)


def values(role: Aggregator, slots: np.ndarray = SLOTS, index: int = VIEW, key: RoleKeys | None = None) -> bytes:
    keys = key or (LEADER if role == "leader" else HELPER)
    return sign_values(PLAN, index, role, slots[np.newaxis], keys.sign)


KEYS = {"leader": LEADER, "helper": HELPER}
VALUES = values("leader"), values("helper")
MANIFEST = manifest_of(
    PLAN,
    PLAN.views[VIEW],
    noise_source="a, b",
    trust="one-honest-noiser",
    commitments=named(STATEMENTS),
    opened=named(VALUES),
    sites=CountedSites(counted=1, enrolled=2, missing=("a",), clients=300, enrolled_clients=400),
)
DELAY = PLAN.views[VIEW].view.release_delay_us


def release(manifest: Manifest = MANIFEST, pane: int = 0, **changed: Any) -> Release:
    made = Release(manifest, pane * DAY, (pane + 1) * DAY, (pane + 1) * DAY + DELAY, NOW, "replay", SLOTS)
    return sign_release(replace(made, **changed), COLLECTOR.sign)


def void(reason: str, pane: int, manifest: Manifest = MANIFEST, **changed: Any) -> Void:
    made = Void(manifest, pane * DAY, (pane + 1) * DAY, (pane + 1) * DAY + DELAY, NOW, "replay", reason)
    return sign_release(replace(made, **changed), COLLECTOR.sign)


def check_of(
    item: Release | Void, signed: bytes = SIGNED, statements: Any = STATEMENTS, values: Any = VALUES, **keys: Any
) -> str:
    """The name of the failing check."""
    with pytest.raises(VerificationFailed) as failed:
        verify_opening(item, signed, statements, values, **(PINNED | keys))
    return failed.value.check


NOTHING = manifest_of(PLAN, PLAN.views[VIEW], noise_source="x", trust="one-honest-noiser", commitments=("", ""))


@pytest.mark.parametrize("pinned", [PINNED, {}])
def test_what_was_opened_and_what_was_not_is_verified(pinned: dict[str, Any]) -> None:
    for item in (
        release(),
        void("BATCH_TOO_SMALL", 1),
        void("BATCH_MISMATCH", 2),
        void("RETRACTED: a faulty source", 0, released_at=NOW, clock="live"),
        release(released_at=NOW, clock="live"),
    ):
        assert verify_opening(item, SIGNED, STATEMENTS, VALUES, **pinned).hash == PLAN.hash
    assert verify_opening(void("BUDGET_SPENT", 0, NOTHING), SIGNED, None, **pinned).hash == PLAN.hash


def test_a_key_that_is_lost_signs_no_tombstones_and_its_old_releases_verify() -> None:
    new = RoleKeys.generate("collector", lambda size: bytes([9]) * size)
    mine, seal = COLLECTOR.public.collector, COLLECTOR.public.collector.seal
    replaced = FormerKey("collector", mine.sign, PLAN.deadline_us, seal)
    gone, old = void("RETRACTED: a faulty source", 0, released_at=NOW, clock="live"), release()
    for lost in (False, True):
        collector = PinnedCollector(new.public.collector, (replace(replaced, lost=lost),))
        pinned: dict[str, Any] = PINNED | {"collector": collector}
        assert verify_opening(old, SIGNED, STATEMENTS, VALUES, **pinned).hash == PLAN.hash
        verify_opening(sign_release(gone, new.sign), SIGNED, STATEMENTS, VALUES, **pinned)
        if not lost:
            verify_opening(gone, SIGNED, STATEMENTS, VALUES, **pinned)
            continue
        with pytest.raises(VerificationFailed, match="is lost or stolen: anybody may have signed this tombstone"):
            verify_opening(gone, SIGNED, STATEMENTS, VALUES, **pinned)


def other_value(value: Any) -> Any:
    match value:
        case str():
            return value[:-1] + ("0" if value[-1:] != "0" else "1")
        case float():
            return value * 2
        case int():
            return value + 1
        case None:
            return 1
        case CountedSites():
            return replace(value, clients=value.clients - 1)
        case tuple():
            return value[1:]
    raise TypeError(type(value))


@pytest.mark.parametrize("term", [one.name for one in fields(Manifest)])
def test_every_term_of_the_manifest_is_bound(term: str) -> None:
    changed = replace(MANIFEST, **{term: other_value(getattr(MANIFEST, term))})
    honest = release()
    assert check_of(replace(honest, manifest=changed)) in {
        "plan", "view", "manifest", "commitments", "sites", "values", "signature",
    }  # fmt: skip
    if term not in ("view_version", "noise_source"):  # these are the collector's own statements, which it signs
        assert check_of(release(changed)) in {"plan", "view", "manifest", "commitments", "sites", "values"}


@pytest.mark.parametrize(
    "sites",
    [
        None,
        CountedSites(counted=2, enrolled=2, missing=(), clients=400, enrolled_clients=400),
        CountedSites(counted=1, enrolled=2, missing=("b",), clients=100, enrolled_clients=400),
        CountedSites(counted=1, enrolled=1, missing=(), clients=300, enrolled_clients=300),
    ],
)
def test_a_release_counts_the_sites_that_both_signed_of_the_roster_of_its_plan(sites: CountedSites | None) -> None:
    for item in (release(replace(MANIFEST, sites=sites)), void("BATCH_TOO_SMALL", 1, replace(MANIFEST, sites=sites))):
        assert check_of(item) == "sites"


def test_a_void_by_decision_counts_no_site() -> None:
    assert check_of(void("BUDGET_SPENT", 0, replace(NOTHING, sites=MANIFEST.sites)), statements=None) == "sites"


def test_the_trust_in_two_honest_noisers_follows_from_the_view_and_is_verified() -> None:
    privacy = replace(PLAN.views[0].view.privacy, noisers="shared")
    shared = replace(PLAN.views[0], view=replace(PLAN.views[0].view, privacy=privacy))
    encrypted = replace(PLAN, terms=Encrypted(), max_clients=5)
    assert [trust_of(PLAN, one) for one in (PLAN.views[0], shared)] == ["one-honest-noiser", "two-honest-noisers"]
    assert [trust_of(encrypted, one) for one in (PLAN.views[0], shared)] == [
        "honest-leader",
        "honest-leader-and-key-holder",
    ]
    for trust in ("two-honest-noisers", "honest-leader", "in-process"):
        assert check_of(release(replace(MANIFEST, trust=trust))) == "manifest"


@pytest.mark.parametrize("group", [one.name for one in fields(MANIFEST.groups[0])])
def test_every_term_of_a_group_is_bound(group: str) -> None:
    first = MANIFEST.groups[0]
    changed = replace(first, **{group: other_value(getattr(first, group))})
    assert check_of(release(replace(MANIFEST, groups=(changed,)))) == "manifest"


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"pane_start": DAY // 2}, "pane"),
        ({"pane_start": 3 * DAY, "pane_end": 4 * DAY, "released_at": 4 * DAY + DELAY}, "pane"),  # not in the plan
        ({"pane_end": 2 * DAY}, "pane"),
        ({"released_at": DAY + DELAY - 1}, "pane"),
        ({"clock": "live"}, "pane"),
        ({"slots": SLOTS.T}, "pane"),
        ({"pane_start": DAY, "pane_end": 2 * DAY, "released_at": 2 * DAY + DELAY}, "outcome"),  # the pane of a void
        ({"slots": SLOTS + 1}, "values"),
        ({"published_at": NOW + 1}, "signature"),
        ({"signature": bytes(64)}, "signature"),
    ],
)
def test_every_field_of_a_release_is_bound(changed: dict[str, Any], check: str) -> None:
    assert check_of(replace(release(), **changed)) == check
    if check != "signature":  # these changes stay found even if the collector signs them
        assert check_of(sign_release(replace(release(), **changed), COLLECTOR.sign)) == check


@pytest.mark.parametrize(
    ("item", "check"),
    [
        (void("BATCH_TOO_SMALL", 0), "outcome"),  # the pane was opened and is withheld
        (void("BATCH_MISMATCH", 1), "outcome"),
        (void("OPENED", 0), "outcome"),
        (void("RETRACTED", 1), "outcome"),  # nothing was released that can be retracted
        (void("BUDGET_SPENT", 0), "commitments"),
        (void("BATCH_TOO_SMALL", 1, NOTHING), "commitments"),
        (replace(void("BATCH_TOO_SMALL", 1), reason="BATCH_MISMATCH"), "outcome"),
        (replace(void("RETRACTED", 0), reason="RETRACTED: why"), "signature"),
    ],
)
def test_a_void_says_what_both_aggregators_signed(item: Void, check: str) -> None:
    assert check_of(item) == check


def test_a_void_for_want_of_budget_has_no_statements() -> None:
    assert check_of(void("BUDGET_SPENT", 0, NOTHING)) == "commitments"
    assert check_of(void("BUDGET_SPENT", 0), statements=None) == "commitments"
    assert check_of(release(), statements=None) == "commitments"


@pytest.mark.parametrize("role", ["leader", "helper"])
@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda role: statement(role, key=SITE), "statement"),
        (lambda role: statement("helper" if role == "leader" else "leader", key=LEADER), "statement"),
        (lambda role: statement(role, of=plan(7)), "statement"),
        (lambda role: statement(role, index=0), "statement"),
        (lambda role: statement(role, outcomes=OUTCOMES[:2]), "statement"),
        (lambda role: statement(role)[:-1], "statement"),
        (lambda role: b"", "statement"),
        (lambda role: statement(role, outcomes=bytes([0, 2, 1])), "agreement"),
        (lambda role: statement(role, sets=replace(SETS, digests=(bytes(32),) * 6)), "agreement"),
    ],
)
def test_every_part_of_a_statement_is_bound(role: str, change: Callable[[Any], bytes], check: str) -> None:
    changed = (change(role), STATEMENTS[1]) if role == "leader" else (STATEMENTS[0], change(role))
    assert check_of(release(), statements=changed) == "commitments"  # the manifest names the unchanged ones
    assert check_of(release(replace(MANIFEST, commitments=named(changed))), statements=changed) == check


def test_statements_in_the_wrong_order_are_not_those_of_the_manifest() -> None:
    assert check_of(release(), statements=STATEMENTS[::-1]) == "commitments"


@pytest.mark.parametrize("role", ["leader", "helper"])
@pytest.mark.parametrize(
    "change",
    [
        lambda role: values(role, SLOTS + 1),
        lambda role: values(role, key=SITE),
        lambda role: values("helper" if role == "leader" else "leader", key=LEADER if role == "leader" else HELPER),
        lambda role: values(role, index=0),
        lambda role: OpenedValues(role, bytes(32), VIEW, (content_of(SLOTS),)).sign(KEYS[role].sign),
        lambda role: OpenedValues(role, PLAN.hash, VIEW, (content_of(SLOTS),) * 2).sign(KEYS[role].sign),
        lambda role: values(role)[:-1],
        lambda role: b"",
    ],
)
def test_every_part_of_the_opened_values_is_bound(role: str, change: Callable[[Any], bytes]) -> None:
    changed = (change(role), VALUES[1]) if role == "leader" else (VALUES[0], change(role))
    assert check_of(release(), values=changed) == "values"  # the manifest names the unchanged ones
    assert check_of(release(replace(MANIFEST, opened=named(changed))), values=changed) == "values"


def test_a_release_whose_values_nobody_signed_is_found() -> None:
    unsigned = replace(MANIFEST, opened=())
    assert check_of(release(unsigned), values=()) == "values"
    assert check_of(release(replace(MANIFEST, opened=named(VALUES)[:1])), values=VALUES[:1]) == "values"
    assert verify_opening(void("BATCH_TOO_SMALL", 1, unsigned), SIGNED, STATEMENTS, **PINNED).hash == PLAN.hash


@pytest.mark.parametrize("at", range(0, len(SIGNED), 97))
def test_every_byte_of_the_plan_is_bound(at: int) -> None:
    changed = bytearray(SIGNED)
    changed[at] ^= 1
    assert check_of(release(), bytes(changed)) == "plan"


def test_a_plan_of_another_coordinator_or_another_plan_is_found() -> None:
    assert check_of(release(), sign_plan(PLAN, COLLECTOR.sign)) == "plan"
    assert check_of(release(), sign_plan(plan(7), COORDINATOR.sign)) == "plan"
    for nonsense in (b"", b"\xff" * 9):
        assert check_of(release(), nonsense) == "plan"
        with pytest.raises(VerificationFailed):
            verify_opening(release(), nonsense, STATEMENTS)


@pytest.mark.parametrize("role", ["collector", "leader", "helper"])
def test_a_party_that_is_not_the_pinned_one_is_found(role: str) -> None:
    assert check_of(release(), **{role: SITE.pinned}) == "parties"


def test_a_run_in_one_process_has_nothing_to_verify() -> None:
    from federation import plan_pb2
    from federation.plan import plan_to_bytes

    alone = plan(0, None)
    manifest = manifest_of(alone, alone.views[VIEW], noise_source="a", trust="in-process", commitments=("", ""))
    framed = plan_pb2.SignedPlan(plan=plan_to_bytes(alone)).SerializeToString()
    with pytest.raises(VerificationFailed, match="parties: the plan names no parties"):
        verify_opening(release(manifest), framed, None)


def test_a_view_that_the_plan_has_not_is_found() -> None:
    other = replace(PLAN.views[0], view=view("elsewhere", 2))
    manifest = replace(
        manifest_of(PLAN, other, noise_source="x", trust="y", commitments=named(STATEMENTS)), plan_hash=PLAN.hash.hex()
    )
    assert check_of(release(manifest)) == "view"


def test_the_plan_is_found_among_the_evidence() -> None:
    others = [b"", b"\xff", *STATEMENTS, sign_plan(plan(7), COORDINATOR.sign)]
    assert find_plan([*others, SIGNED], PLAN.hash) == SIGNED
    assert find_plan(others, PLAN.hash) is None
