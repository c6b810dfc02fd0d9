"""Every byte that each role receives in a collection, and what the role can compute from it (DESIGN §1).

Sites compute real events and seal real batches. The real leader, helper and coordinator run in this process. A role's
transcript is what it receives, and what it opens with its own keys. Each check also runs on a collection with a leak, where
it must fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from crypto import field as field64
from crypto.errors import SealBroken
from crypto.seal import open_sealed
from crypto.sharing import HelperSeeds
from crypto.signing import SIGNATURE_BYTES
from edge_client.compute import compute
from federation.basis import to_noise_basis
from federation.batch.batch import SealedBatch
from federation.batch.reports import Reports
from federation.batch.sealing import _info, open_half
from federation.circuit.validity import VerificationKey
from federation.commitment import Outcome
from federation.plan import plan_to_bytes
from federation.sharding import shard
from federation.statement import Statement
from tests.aggregator.world import KEYS
from tests.audit.files import Facts, differences, facts
from tests.federation.wire import COLLECTOR, COORDINATOR, DAY, HELPER, HELPER_SEAL, LEADER, LEADER_SEAL, LIVE
from tests.transcripts import (
    ROSTER,
    VIEW,
    Run,
    found_in,
    key_bytes,
    run,
    spelled,
)


@pytest.fixture(scope="module")
def noised(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("noised"), {"a": [211, 187], "b": [211, 187]})


@pytest.fixture(scope="module")
def exact_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("exact"), {"a": [31, 17], "b": [13, 29]}, "none")


@pytest.fixture(scope="module")
def proven_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("proven"), {"a": [31, 17], "b": [13, 29]}, "none", validity="prio3")


# secrets


PRIVATE = {
    keys.role: key_bytes(keys.sign.secret_bytes()) for keys in (COORDINATOR, COLLECTOR, LEADER, HELPER, *KEYS.values())
}
SEALS = {"leader": LEADER_SEAL, "helper": HELPER_SEAL, "collector": COLLECTOR.seal}
for of, seal in SEALS.items():
    PRIVATE[of] |= key_bytes(seal.secret_bytes())
for of, secret in LIVE.items():
    PRIVATE[of] |= key_bytes(secret.secret_bytes())
OWN = {"coordinator": ("coordinator", "collector"), "leader": ("leader",), "helper": ("helper",)}


def forbidden(run: Run, role: str) -> set[bytes]:
    """Values that the role must never receive: foreign private keys, the other role's shares, clients and their events."""
    secrets = set().union(*(found for of, found in PRIVATE.items() if of not in OWN[role]))
    for key in run.verification_keys:  # it crosses between leader and helper sealed
        secrets |= key_bytes(key)
    if role != "helper":
        secrets |= {seed.tobytes() for site in run.events for seed in run.seeds(site)}
    if role != "leader":
        secrets |= {
            row[at : at + 2].tobytes() for site in run.events for row in run.shares(site) for at in range(len(row) - 1)
        }
    for site, events in run.events.items():
        for who in events.identities.to_pylist():
            secrets |= {who.encode(), who.encode("utf-16-le"), who.split("-")[2].encode() + b"-of-" + site.encode()}
        for value in set(events.table["amount"].to_pylist()):
            secrets |= spelled(value)
        for time in set(events.table["t"].cast(pa.int64()).to_pylist()):
            secrets |= spelled(time)
        for value in compute(VIEW, events).slots.values.tolist():
            if value > 2**16:  # smaller numbers are in every plan
                secrets |= spelled(value)
    return secrets


@pytest.mark.parametrize("role", ["coordinator", "leader", "helper"])
@pytest.mark.parametrize("kind", ["exact_run", "proven_run"])
def test_no_key_no_client_and_no_value_reaches_a_role(kind: str, role: str, request: pytest.FixtureRequest) -> None:
    of: Run = request.getfixturevalue(kind)
    data = of.transcript(role)
    assert len(data) > 5_000
    assert found_in(data, forbidden(of, role)) == []


def test_the_verification_key_is_one_and_its_hash_is_all_that_a_plan_tells(proven_run: Run) -> None:
    (key,) = proven_run.verification_keys
    assert proven_run.plan.wire is not None
    assert VerificationKey(key).hash_for(proven_run.plan.plan_id) == proven_run.plan.wire.verify_key_hash
    everything = b"".join(data for received in proven_run.recorded.received.values() for data in received)
    assert proven_run.plan.wire.verify_key_hash in everything
    assert found_in(everything + plan_to_bytes(proven_run.plan), key_bytes(key)) == []
    assert found_in(everything + key, key_bytes(key))


def test_the_search_finds_what_does_leak(exact_run: Run) -> None:
    for role in ("coordinator", "leader", "helper"):
        secrets = forbidden(exact_run, role)
        assert len(secrets) > 500
        for one in list(secrets)[:: len(secrets) // 40]:
            assert one in found_in(exact_run.recorded.received[role][0] + one + b"..", secrets)
    plain = exact_run.events["a"].table["amount"].to_numpy().astype(np.int64)
    assert found_in(plain.tobytes(), forbidden(exact_run, "leader"))
    assert found_in(exact_run.transcript("leader"), {row[:2].tobytes() for row in exact_run.shares("a")})
    assert found_in(exact_run.transcript("helper"), {seed.tobytes() for seed in exact_run.seeds("a")})


# ciphertexts


def test_nobody_opens_what_is_sealed_to_another(exact_run: Run) -> None:
    plan = exact_run.plan
    assert plan.wire is not None
    sealed = [batch for site in exact_run.events for batch in exact_run.batches(site)]
    assert sealed
    for batch in sealed:
        header = batch.signed.header_bytes
        for role, ciphertext in (("leader", batch.leader), ("helper", batch.helper)):
            owner = plan.wire.live(role).seal  # type: ignore[arg-type]
            for seal in SEALS.values():
                infos = [_info(as_role, key, header) for as_role in ("leader", "helper") for key in (owner.id, seal.public.id)]  # type: ignore[arg-type]  # fmt: skip
                if seal.public == owner:
                    assert open_sealed(seal, ciphertext, _info(role, owner.id, header))  # type: ignore[arg-type]
                    continue
                for info in infos:
                    with pytest.raises(SealBroken):
                        open_sealed(seal, ciphertext, info)
                with pytest.raises(SealBroken):
                    open_half(role, plan, seal, ROSTER, batch.half(role))  # type: ignore[call-overload]


def test_an_aggregator_does_not_open_the_others_noised_share(noised: Run) -> None:
    for role in ("leader", "helper"):
        share = noised.recorded.sealed[role][0]
        share.open(noised.plan, 0, role, COLLECTOR.seal)  # type: ignore[arg-type]
        for wrong in (LEADER_SEAL, HELPER_SEAL):
            with pytest.raises(SealBroken):
                share.open(noised.plan, 0, role, wrong)  # type: ignore[arg-type]


# shares


def bits_of(data: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """float64[reports, bits]."""
    rows = np.ascontiguousarray(data).view(np.uint8).reshape(len(data), -1)
    return np.unpackbits(rows, axis=1).astype(np.float64)


def unfairness(data: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """The largest |z| of these comparisons.

    All bits against ½; each bit position against ½; two sets of reports against each other; each bit against the next bit
    (dependence in a report) and against the same bit of the next report.
    """
    found = []
    for bits in (bits_of(data), bits_of(other)):
        reports, width = bits.shape
        found.append(abs(bits.mean() - 0.5) * 2 * np.sqrt(reports * width))
        found.append(np.abs(bits.mean(axis=0) - 0.5).max() * 2 * np.sqrt(reports))
        for axis in (0, 1):
            same = np.diff(bits, axis=axis) == 0
            found.append(abs(same.mean() - 0.5) * 2 * np.sqrt(same.size))
    first, second = bits_of(data), bits_of(other)
    scale = np.sqrt(0.25 / len(first) + 0.25 / len(second))
    found.append(np.abs(first.mean(axis=0) - second.mean(axis=0)).max() / scale)
    return float(max(found))


LIMIT = 6.0
"""Standard deviations: one of 3,000 positions exceeds it once in 10⁵ runs, and the bits of these tests are fixed."""


def test_shares_of_very_different_vectors_are_alike(noised: Run) -> None:
    plain = {site: vectors(noised, site) for site in noised.events}
    assert (plain["a"].mean(axis=0) != plain["b"].mean(axis=0)).sum() > 10  # the vectors are not alike
    assert len(noised.shares("a")) == len(noised.shares("b")) == 398
    assert unfairness(noised.shares("a"), noised.shares("b")) < LIMIT
    assert unfairness(noised.seeds("a"), noised.seeds("b")) < LIMIT


def vectors(run: Run, site: str) -> npt.NDArray[np.uint64]:
    """uint64[R, d]: the plain reports as field elements, which a leader without protection would receive."""
    slots = compute(VIEW, run.events[site]).slots
    dense = np.zeros((len(slots), slots.length), np.int64)
    rows = np.repeat(np.arange(len(slots)), np.diff(slots.indptr))
    np.add.at(dense, (rows, slots.columns), slots.values)
    return field64.encode(dense)


def test_the_statistic_sees_plaintext_and_broken_sharing(noised: Run) -> None:
    plain = {site: vectors(noised, site) for site in noised.events}
    good = noised.shares("a")
    # no protection; one pad for all reports; plain vectors beside good shares; shares with a fixed bit or a smaller range
    assert unfairness(plain["a"], plain["b"]) > 10 * LIMIT
    pad = good[0]
    assert unfairness(field64.add(plain["a"], pad), field64.add(plain["b"], pad)) > LIMIT
    assert unfairness(plain["a"], good) > LIMIT
    assert unfairness(good & np.uint64(2**63 - 1), noised.shares("b")) > LIMIT  # one bit of 64 is fixed
    assert unfairness(good % np.uint64(2**62), noised.shares("b")) > LIMIT
    # seeds that are a counter, that are plaintext, or one seed for all
    seeds = noised.seeds("a")
    counter = np.zeros_like(seeds)
    counter[:, :8] = np.arange(len(seeds), dtype=np.uint64).view(np.uint8).reshape(-1, 8)
    plain_seeds = np.ascontiguousarray(plain["a"][:, :4]).view(np.uint8)
    for wrong in (counter, plain_seeds, np.repeat(seeds[:1], len(seeds), axis=0)):
        assert unfairness(wrong, noised.seeds("b")) > LIMIT


def test_one_seed_for_all_reports_is_seen_in_the_leaders_shares(noised: Run) -> None:
    """The real `shard` with randomness that repeats: the statistic must detect it in the leader's shares."""
    slots = compute(VIEW, noised.events["a"]).slots
    reports = Reports(0, np.zeros(len(slots), np.uint32), slots)
    half, _ = shard(noised.plan, reports, lambda size: (b"\x5a" * 32 * (size // 32 + 1))[:size])
    assert unfairness(half.shares.elements, noised.shares("b")) > LIMIT
    fresh, seeds = shard(noised.plan, reports, np.random.default_rng(3).bytes)
    assert unfairness(fresh.shares.elements, noised.shares("b")) < LIMIT
    assert isinstance(seeds.seeds, HelperSeeds)


# counts


def numbers(value: Any) -> Iterator[int]:
    """Every whole number in a release except its sums and signature."""
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            if one.name not in ("slots", "signature"):
                yield from numbers(getattr(value, one.name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one)
    elif isinstance(value, int):
        yield value
    elif isinstance(value, str) and not re.fullmatch(r"[0-9a-f]{32,}", value):  # hashes apart
        yield from map(int, re.findall(r"\d+", value))


def test_no_count_of_reports_reaches_what_the_coordinator_publishes_or_is_told(tmp_path: Path) -> None:
    """Two runs of one plan that differ in the number of reporting clients only. All messages are equal byte for byte."""
    clients = ({"a": [23, 3, 41], "b": [19, 1, 37]}, {"a": [29, 2, 47], "b": [31, 4, 43]})
    runs = [run(tmp_path / str(i), some, k=40, panes=3) for i, some in enumerate(clients)]
    for one, some in zip(runs, clients, strict=True):
        counts = {*some["a"], *some["b"], *(a + b for a, b in zip(some["a"], some["b"], strict=True))}
        assert [Outcome(of).name for of in one.opened[0].outcomes] == ["OPENED", "BATCH_TOO_SMALL", "OPENED"]
        assert {type(item).__name__ for item in one.released} == {"Release", "Void"}
        of_protocol = {0, 1, 2, 3, 4}  # versions, panes, noisers: equal in both runs, as the next lines check
        for item in one.released:
            assert not (counts - of_protocol) & set(numbers(item))
    first, second = runs
    assert [public(item) for item in first.released] == [public(item) for item in second.released]
    told = [[message for message in one.recorded.told if not is_submit_reply(message, one)] for one in runs]
    assert told[0] == told[1]
    assert len(told[0]) >= 5
    for role in ("leader", "helper"):
        assert stated(first, role) == stated(second, role)
    for role in ("leader", "helper"):  # sealed shares are as long as their panes, not as their reports
        assert [len(one.sealed) for one in first.recorded.sealed[role]] == [
            len(one.sealed) for one in second.recorded.sealed[role]
        ]


@pytest.mark.parametrize(
    "terms", [{}, {"report_per": "site", "max_clients": 32}, {"validity": "prio3"}], ids=["client", "site", "proofs"]
)
def test_under_all_a_client_day_more_changes_the_size_of_no_message_and_of_no_file(
    tmp_path: Path, terms: dict[str, Any]
) -> None:
    """No received, kept or published value becomes longer or another number. k counts enrolled clients."""
    one, other = neighbours(tmp_path, participation="all", enrolled=32, k=64, **terms)
    assert {Outcome(of) for run in (one, other) for of in run.opened[0].outcomes} == {Outcome.OPENED}
    assert received_sizes(one) == received_sizes(other)
    assert differences(*(kept(tmp_path / world) for world in ("0", "1"))) == []
    assert [public(item) for item in one.released] == [public(item) for item in other.released]
    assert {item.manifest.outside_claim for item in one.released} == {()}


def test_under_active_what_a_client_day_more_changes_is_named(tmp_path: Path) -> None:
    one, other = neighbours(tmp_path, k=20)
    assert received_sizes(one) != received_sizes(other)
    assert differences(*(kept(tmp_path / world) for world in ("0", "1"))) != []
    assert {item.manifest.outside_claim for item in (*one.released, *other.released)} == {("activity", "counted_sites")}


def neighbours(path: Path, **terms: Any) -> tuple[Run, Run]:
    """Two collections. In the second, one more client of site a has events on the first day."""
    clients = ({"a": [23, 17], "b": [9, 11]}, {"a": [24, 17], "b": [9, 11]})
    one, other = (run(path / str(world), some, **terms) for world, some in enumerate(clients))
    return one, other


def received_sizes(of: Run) -> dict[str, list[int]]:
    return {role: [len(data) for data in messages] for role, messages in of.recorded.received.items()}


def kept(path: Path) -> Facts:
    """The contents of both aggregators' files. A site's own files are visible to the site only."""
    return {where: value for where, value in facts(path).items() if where.startswith(("leader", "helper"))}


def is_submit_reply(message: bytes, of: Run) -> bool:
    """Whether a message is the reply to a batch: one zero verdict for each report of the batch that was just carried."""
    return any(
        message.endswith(bytes(len(SealedBatch.from_bytes(batch).signed.header)))
        and len(message) < len(SealedBatch.from_bytes(batch).signed.header) + 8
        for batch in of.recorded.batches
    )


def public(item: Any) -> Any:
    """A release or void without its sums, its signature, and the hashes of plan, statements and opened values."""
    hashes = (item.manifest.plan_hash, *item.manifest.commitments, *item.manifest.opened)
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes)
    found = {one.name: getattr(item, one.name) for one in fields(item) if one.name not in ("slots", "signature")}
    return found | {"manifest": replace(item.manifest, plan_hash="", commitments=("", ""), opened=())}


def stated(run: Run, role: str) -> Statement:
    """An aggregator's signed statement without the digests of its share and of random ids."""
    (share,) = run.recorded.sealed[role]
    statement = Statement.from_bytes(share.statement[:-SIGNATURE_BYTES])
    assert {len(statement.sets), len(statement.share)} == {32}
    return replace(statement, sets=b"", share=b"")


def test_the_search_for_counts_finds_one(noised: Run) -> None:
    item = noised.released[0]
    assert 422 not in set(numbers(item))
    assert 422 in set(numbers(replace(item, manifest=replace(item.manifest, trust="of 422 reports"))))
    assert 422 in set(numbers(replace(item, manifest=replace(item.manifest, noisers=422))))


# sums


def collector_opens(run: Run, role: str) -> npt.NDArray[np.uint64]:
    return run.recorded.sealed[role][0].open(run.plan, 0, role, COLLECTOR.seal)[1]


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_no_sum_without_noise_leaves_an_aggregator(noised: Run, exact_run: Run, role: str) -> None:
    layout = noised.plan.views[0].layout
    noise = field64.decode_centred(
        field64.subtract(collector_opens(noised, role), to_noise_basis(layout, noised.exact[role]))
    ).reshape(-1, layout.keys, layout.slots_per_key)
    parts = [noise[:, :, list(group.slots)].ravel() / float(group.mechanism.sigma_sq) ** 0.5 for group in layout.groups]
    for of_group in parts:
        assert (of_group != 0).any()
        assert np.abs(of_group).max() < 10
    scaled = np.concatenate(parts)  # each aggregator alone adds noise of the full scale: 30 samples of N(0, 1)
    assert len(scaled) == 30
    assert 0.4 < scaled.std() < 1.9  # outside once in 10^7 runs
    # with noise off the comparison gives the exact shares, so it compares the right values
    np.testing.assert_array_equal(collector_opens(exact_run, role), to_noise_basis(layout, exact_run.exact[role]))


def test_the_noises_of_leader_and_helper_are_not_the_same(noised: Run) -> None:
    layout = noised.plan.views[0].layout
    leader, helper = (
        field64.subtract(collector_opens(noised, role), to_noise_basis(layout, noised.exact[role]))
        for role in ("leader", "helper")
    )
    assert not np.array_equal(leader, helper)
    assert (field64.add(leader, helper) != 0).mean() > 0.5


def test_with_noise_off_the_opened_sums_are_the_plain_ones(exact_run: Run) -> None:
    """This shows that the transcript belongs to a collection that works."""
    layout = exact_run.plan.views[0].layout
    total = np.zeros((2, layout.length), np.int64)
    for site, events in exact_run.events.items():
        made = compute(VIEW, events)
        plain = field64.decode_centred(vectors(exact_run, site))
        np.add.at(total, made.pane_start // DAY, plain)
    expected = total.reshape(2, layout.keys, layout.slots_per_key) @ layout.basis.T
    np.testing.assert_array_equal(exact_run.opened[0].sums, expected)
