"""Collections under homomorphic encryption: exact sums, both noises, and what each role holds and refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv import Ciphertexts
from crypto.bfv_seal import SealContext
from crypto.bfv_secret import SecretKey
from crypto.errors import KeyErased, KeyMismatch, SumOutOfRange, TooManyReports, ValueOutOfRange, WrongLength
from crypto.noise import SeededNoise
from federation.aggregation import OpenedView, draw_noise
from federation.commitment import Outcome
from federation.errors import (
    DuplicateReport,
    KeyBurnt,
    NoiseRefused,
    PaneOpenedBefore,
    ReportRefused,
    StatementMalformed,
)
from federation.he.key_holder import HeKeyHolder
from federation.he.leader import ClosedHeAggregation, EncryptedSums, HeAggregation
from federation.he.protocol import run_encrypted_collections
from federation.he.reports import EncryptedReports, encrypt_reports
from federation.noise_context import NoiseContext
from federation.plan import Plan
from federation.protocol import run_collections
from federation.sharding import shard
from tests.crypto.bfv_cases import chosen
from tests.examples import examples
from tests.federation.he_cases import plan, random_reports, reports_of, vectors, view, with_shares


def flood() -> SeededNoise:
    return SeededNoise(0, "flood")


@settings(deadline=None, max_examples=examples(28))
@given(seed=st.integers(0, 2**32), counts=st.lists(st.integers(0, 30), min_size=1, max_size=2))
def test_without_noise_he_and_shares_open_the_plain_sums(seed: int, counts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    the_plan = plan(*(view(f"v{i}", keys=i + 2) for i in range(len(counts))))
    made = [random_reports(the_plan, index, count, rng) for index, count in enumerate(counts)]
    batches = [part for reports, _ in made for part in reports.batches(2**18)]
    mine = run_encrypted_collections(the_plan, batches, rng.bytes, None, None, flood())
    theirs = run_collections(with_shares(the_plan), [reports for reports, _ in made], rng.bytes, None, None)
    for (reports, sums), one, other in zip(made, mine, theirs, strict=True):
        counted = np.bincount(reports.collection - the_plan.offsets[reports.view], minlength=3)
        assert (one.outcomes == np.where(counted >= 2, Outcome.OPENED, Outcome.BATCH_TOO_SMALL)).all()
        assert np.array_equal(one.sums, sums[counted >= 2])
        assert np.array_equal(one.sums, other.sums)
        assert np.array_equal(one.outcomes, other.outcomes)


def test_as_many_clients_as_the_plan_has_room_for_are_exact_and_one_more_is_refused() -> None:
    the_plan = plan(view(keys=2), panes=1, max_clients=40)
    dense = np.repeat(vectors(2, 1, np.random.default_rng(1)), 41, axis=0)  # all values are at an end of their range
    reports = reports_of(the_plan, 0, np.zeros(41, np.int64), dense)
    full = reports_of(the_plan, 0, np.zeros(40, np.int64), dense[:40])
    (opened,) = run_encrypted_collections(the_plan, [full], np.random.default_rng(2).bytes, None, None, flood())
    layout = the_plan.views[0].layout
    assert np.array_equal(opened.sums[0], 40 * dense[0].reshape(2, -1) @ layout.basis.T)
    keys = HeKeyHolder(the_plan).public_keys
    leader = HeAggregation.start(the_plan, keys)
    with pytest.raises(TooManyReports):
        leader.add(encrypt_reports(the_plan, keys, reports, np.random.default_rng(3).bytes))
    assert not leader.sums  # a batch counts completely or not at all


def test_the_error_is_that_of_two_noises_of_the_full_scale_in_every_group() -> None:
    the_plan = plan(view(keys=400), panes=10, noise="full")
    rng = np.random.default_rng(5)
    reports, sums = random_reports(the_plan, 0, 60, rng)
    sources = SeededNoise(7, "leader"), SeededNoise(7, "key holder")
    (result,) = run_encrypted_collections(the_plan, [reports], rng.bytes, *sources, flood())
    error = result.sums - sums[result.outcomes == Outcome.OPENED]
    assert len(error) >= 9
    for group in result.planned.layout.groups:
        of_group = error[:, :, list(group.slots)]
        assert of_group.var() == pytest.approx(group.opened_variance, rel=0.1)
        assert abs(of_group.mean()) < 5 * (group.opened_variance / of_group.size) ** 0.5


# What each role receives


class Recorded(HeKeyHolder):
    """A key holder that records its inputs and outputs."""

    def __init__(self, of: Plan) -> None:
        super().__init__(of)
        self.received: list[EncryptedSums] = []
        self.told: list[OpenedView] = []

    def open(self, sums: EncryptedSums, source: Any) -> OpenedView:
        self.received.append(sums)
        self.told.append(super().open(sums, source))
        return self.told[-1]


@pytest.fixture(scope="module")
def collected() -> tuple[Plan, list[EncryptedReports], ClosedHeAggregation, Recorded, np.ndarray]:
    """A collection by hand: (plan, what the leader received, the leader, the key holder, the plain sums)."""
    the_plan = plan(noise="full", panes=2)
    rng = np.random.default_rng(8)
    reports, sums = random_reports(the_plan, 0, 20, rng)
    key_holder = Recorded(the_plan)
    leader = HeAggregation.start(the_plan, key_holder.public_keys)
    batches = [encrypt_reports(the_plan, key_holder.public_keys, part, rng.bytes) for part in reports.batches(2**19)]
    assert len(batches) > 2
    for batch in batches:
        leader = leader.add(batch)
    closed = leader.close()
    for one in closed.noise(SeededNoise(1, "leader"), flood()):
        key_holder.open(one, SeededNoise(1, "key holder"))
    return the_plan, batches, closed, key_holder, sums


def parts_of(value: object, seen: set[int]) -> Iterator[object]:
    """Everything inside an object, at any depth."""
    if id(value) in seen or isinstance(value, ModuleType | type):
        return
    seen.add(id(value))
    yield value
    if isinstance(value, dict):
        inner: list[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set):
        inner = list(value)
    else:
        inner = list(getattr(value, "__dict__", {}).values())
    for one in inner:
        yield from parts_of(one, seen)


def test_the_leader_holds_no_secret_key(collected: Any) -> None:
    _, batches, closed, key_holder, _ = collected
    for held in (closed, batches, key_holder.received):
        parts = list(parts_of(held, set()))
        assert not [one for one in parts if isinstance(one, SecretKey | HeKeyHolder)]
        for context in (one for one in parts if isinstance(one, SealContext)):
            assert not context._context.is_private()
    assert [
        one for one in parts_of(key_holder, set()) if isinstance(one, SecretKey)
    ]  # the search finds the key holder's key


def test_the_key_holder_receives_one_sum_a_pane_and_no_report(collected: Any) -> None:
    the_plan, batches, _, key_holder, _ = collected
    (received,) = key_holder.received
    assert len(received.messages) == len(the_plan.views[0].pane_starts)
    single = {message for batch in batches for message in batch.messages}
    assert not single.intersection(received.messages)
    ids = {bytes(one) for batch in batches for one in batch.report_ids}
    everything = b"".join(received.messages) + received.statement.to_bytes()
    assert len(ids) == 20
    assert not any(one in everything for one in ids)


CONTEXT = NoiseContext(bytes(32), "leader", 0, (), b"", b"")  # a seeded source ignores it


def test_what_the_key_holder_tells_has_both_noises(collected: Any) -> None:
    the_plan, _, _, key_holder, sums = collected
    layout = the_plan.views[0].layout
    (told,) = key_holder.told
    leader = SeededNoise(1, "leader")  # it draws pane by pane
    noises = [
        np.concatenate([draw_noise(layout, 1, leader, CONTEXT) for _ in sums]),
        draw_noise(layout, len(sums), SeededNoise(1, "key holder"), CONTEXT),
    ]
    assert np.array_equal(told.sums, sums + noises[0] + noises[1])
    for noise in noises:
        assert np.count_nonzero(noise) > noise.size // 2
    (kept,) = key_holder.statements
    assert kept == key_holder.received[0].statement
    assert kept.share == hashlib.sha256(b"".join(key_holder.received[0].messages)).digest()


def test_the_ciphertexts_that_leave_the_leader_are_no_function_of_the_reports(collected: Any) -> None:
    """The same sum with the same noise, finished twice, differs in every polynomial: encryption and flooding are fresh."""
    _, _, closed, key_holder, _ = collected
    (one,), (other,) = (list(closed.noise(SeededNoise(1, "leader"), SeededNoise(i, "flood"))) for i in (1, 2))
    key = key_holder.public_keys[0]
    for a, b in zip(one.messages, other.messages, strict=True):
        mine, theirs = (Ciphertexts.from_bytes(key.parameters, key.key_id, data).polynomials for data in (a, b))
        assert (mine != theirs).mean(axis=-1).min() > 0.99
    assert one.statement.sets == other.statement.sets


# What each role refuses


@pytest.fixture
def both() -> tuple[Plan, HeKeyHolder, EncryptedSums]:
    """A plan of one view and two panes, its key holder, and honest sums."""
    the_plan = plan(panes=2)
    rng = np.random.default_rng(9)
    reports, _ = random_reports(the_plan, 0, 12, rng)
    key_holder = HeKeyHolder(the_plan)
    keys = key_holder.public_keys
    closed = HeAggregation.start(the_plan, keys).add(encrypt_reports(the_plan, keys, reports, rng.bytes)).close()
    (sums,) = closed.noise(None, flood())
    return the_plan, key_holder, sums


def forged(sums: EncryptedSums, *messages: bytes) -> EncryptedSums:
    """Other sums under a matching statement."""
    return EncryptedSums(replace(sums.statement, share=hashlib.sha256(b"".join(messages)).digest()), messages)


def test_a_pane_is_opened_once(both: Any) -> None:
    _, key_holder, sums = both
    key_holder.open(sums, None)
    with pytest.raises(PaneOpenedBefore):
        key_holder.open(sums, None)
    outcomes = bytes([Outcome.BATCH_TOO_SMALL, Outcome.OPENED])
    alone = forged(sums, sums.messages[1])
    with pytest.raises(PaneOpenedBefore):
        key_holder.open(replace(alone, statement=replace(alone.statement, outcomes=outcomes)), None)


@pytest.mark.parametrize("factor", [1, 2**20])
def test_a_chosen_ciphertext_burns_the_keys_of_the_plan(both: Any, factor: int) -> None:
    """(0, q/t) and (0, 2^20 q/t) open to multiples of the secret key. The attack by two openings ends at the first one."""
    _, key_holder, sums = both
    key = key_holder.public_keys[0]
    attack = chosen(key.parameters, key.key_id, factor).to_bytes()
    with pytest.raises(SumOutOfRange):
        key_holder.open(forged(sums, sums.messages[0], attack), None)
    for again in (sums, forged(sums, sums.messages[0], attack)):
        with pytest.raises(KeyBurnt):
            key_holder.open(again, None)
    with pytest.raises(KeyErased):
        key_holder._keys[0].to_bytes()
    assert len(key_holder.statements) == 1  # the evidence stays


def test_one_client_that_encrypts_the_attack_burns_the_keys_too(both: Any) -> None:
    the_plan, key_holder, _ = both
    rng = np.random.default_rng(3)
    keys = key_holder.public_keys
    reports, _ = random_reports(the_plan, 0, 8, rng)
    batch = encrypt_reports(the_plan, keys, reports, rng.bytes)
    lie = chosen(keys[0].parameters, keys[0].key_id, 1).to_bytes()
    closed = HeAggregation.start(the_plan, keys).add(replace(batch, messages=(lie, *batch.messages[1:]))).close()
    (sums,) = closed.noise(None, flood())
    with pytest.raises(SumOutOfRange):
        key_holder.open(sums, None)


def test_statements_and_messages_that_do_not_fit_are_refused_before_anything_is_opened(both: Any) -> None:
    _, key_holder, sums = both
    other = HeKeyHolder(plan(panes=2))
    first, second = sums.messages
    cases: list[tuple[type[Exception], EncryptedSums]] = [
        (StatementMalformed, replace(sums, messages=(second, first))),
        (StatementMalformed, replace(sums, messages=(first,))),
        (StatementMalformed, replace(sums, statement=replace(sums.statement, view=1))),
        (StatementMalformed, replace(sums, statement=replace(sums.statement, role="helper"))),
        (StatementMalformed, replace(sums, statement=replace(sums.statement, plan_hash=bytes(32)))),
        (WrongLength, forged(sums, first, second[:-1])),
        (KeyMismatch, forged(sums, first, other.public_keys[0].key_id + second[32:])),
    ]
    for error, wrong in cases:
        with pytest.raises(error):
            key_holder.open(wrong, None)
    with pytest.raises(NoiseRefused):
        key_holder.open(sums, SeededNoise(1, "key holder"))
    assert np.array_equal(key_holder.open(sums, None).outcomes, [Outcome.OPENED, Outcome.OPENED])


def test_the_leader_takes_a_batch_whole_or_not_at_all(both: Any) -> None:
    the_plan, key_holder, _ = both
    rng = np.random.default_rng(4)
    keys = key_holder.public_keys
    reports, sums = random_reports(the_plan, 0, 8, rng)
    batch = encrypt_reports(the_plan, keys, reports, rng.bytes)
    leader = HeAggregation.start(the_plan, keys)
    *good, last = batch.messages
    for error, messages in (
        (WrongLength, (*good, last + b"\0")),
        (ReportRefused, tuple(good)),
        (KeyMismatch, (*good, bytes(32) + last[32:])),
    ):
        with pytest.raises(error):
            leader.add(replace(batch, messages=messages))
        assert not leader.sums
    with pytest.raises(ReportRefused, match="collection index"):
        leader.add(replace(batch, collection=batch.collection + np.uint32(2)))
    closed = leader.add(batch).close()
    with pytest.raises(NoiseRefused):
        next(closed.noise(SeededNoise(1, "leader"), flood()))
    (opened,) = (key_holder.open(one, None) for one in closed.noise(None, flood()))
    assert np.array_equal(opened.sums, sums)


def test_a_report_that_comes_twice_opens_nothing(both: Any) -> None:
    the_plan, key_holder, _ = both
    rng = np.random.default_rng(4)
    reports, _ = random_reports(the_plan, 0, 3, rng)
    batch = encrypt_reports(the_plan, key_holder.public_keys, reports, rng.bytes)
    leader = HeAggregation.start(the_plan, key_holder.public_keys).add(batch).add(batch)
    with pytest.raises(DuplicateReport):
        leader.close()


def test_protections_and_keys_are_not_mixed_up(both: Any) -> None:
    the_plan, key_holder, _ = both
    rng = np.random.default_rng(4)
    reports, _ = random_reports(the_plan, 0, 3, rng)
    with pytest.raises(ReportRefused, match="takes no shares"):
        shard(the_plan, reports, rng.bytes)
    with pytest.raises(ReportRefused, match="protection 'shares': its reports are not encrypted"):
        encrypt_reports(with_shares(the_plan), key_holder.public_keys, reports, rng.bytes)
    with pytest.raises(ReportRefused, match="needs no key holder"):
        HeKeyHolder(with_shares(the_plan))
    other = HeKeyHolder(plan(max_clients=61)).public_keys
    for keys in (other, ()):
        with pytest.raises(ReportRefused, match="follow from the plan"):
            encrypt_reports(the_plan, keys, reports, rng.bytes)


def test_nothing_of_a_batch_with_an_impossible_vector_is_encrypted(both: Any) -> None:
    the_plan, key_holder, _ = both
    dense = vectors(3, 4, np.random.default_rng(1))
    dense[3, 0] = 3

    def never(*_: Any) -> list[bytes]:
        raise AssertionError

    reports = reports_of(the_plan, 0, np.zeros(4, np.int64), dense)
    with pytest.raises(ValueOutOfRange):
        encrypt_reports(the_plan, key_holder.public_keys, reports, np.random.default_rng(1).bytes, encrypt=never)
