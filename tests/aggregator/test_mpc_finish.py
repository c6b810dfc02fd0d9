"""The MPC finish equals the plaintext rule on the same noised cells, opens nothing else, and reports failures by name."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.errors import MpcFailed
from aggregator.mpc import finish as module
from aggregator.mpc.finish import MpcFinish, mpc_parties, require_exact
from crypto import field
from crypto.errors import ConversionUnsafe
from crypto.mpc_shares import MOST_WRONG, wrong_chance
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Mean
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import Aggregation, NoisedShares, open_shares
from federation.commitment import Outcome
from federation.errors import FinishRefused, PlanInvalid
from federation.largest_sum import largest_sum
from federation.plan import Plan, PlannedView
from tests.aggregator.mpc_transcript import read
from tests.federation.words import plan_in_words, with_words

if importlib.util.find_spec("crypten") is None or importlib.util.find_spec("torch") is None:
    pytest.skip("CrypTen is not installed (extra `mpc`, then pip install --no-deps crypten)", allow_module_level=True)


DAY = 86_400 * 10**6
ROLES = ("leader", "helper", "provider")


def view(name: str = "v", keys: int = 5, below: int | None = 9, more: tuple[Any, ...] = ()) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=range(keys)),
        features=[Count("n"), ClientCount("c"), Mean("x", clip=(0, 11), resolution=1), *more],
        pane="1d",
        bounds=Bounds(2, 1),
        privacy=Privacy(rho=0.5, min_clients=2, suppress_below=below),
    )


def plan(*views: FeatureView, panes: int = 3, finish: str = "mpc", noise: str = "full") -> Plan:
    planned = tuple(PlannedView(v, np.arange(panes, dtype=np.int64) * DAY, 2) for v in (views or (view(),)))
    return plan_in_words(bytes(16), planned, noise, finish=finish)  # type: ignore[arg-type]


def shares_of(*sums: np.ndarray, seed: int = 0, void: int = 0) -> tuple[NoisedShares, NoisedShares]:
    """Both aggregators' shares of noised sums int64[opened, K, S], and of `more` panes that were not opened."""
    rng = np.random.default_rng(seed)
    flat = [one.reshape(len(one), one.shape[1] * one.shape[2]) for one in sums]
    mine = [rng.integers(0, field.P, one.shape, dtype=np.uint64) for one in flat]
    other = [field.subtract(field.encode(one), share) for one, share in zip(flat, mine, strict=True)]
    outcomes = tuple(np.array([Outcome.BATCH_TOO_SMALL] * void + [Outcome.OPENED] * len(one), np.uint8) for one in sums)
    return NoisedShares("leader", outcomes, tuple(mine)), NoisedShares("helper", outcomes, tuple(other))


def random_sums(planned: PlannedView, rng: np.random.Generator, panes: int) -> np.ndarray:
    """Sums, some of them negative. Their client counts are around the limit, at it, and just below it."""
    layout = planned.layout
    sums = rng.integers(-(2**20), 2**20, (panes, layout.keys, layout.slots_per_key))
    limit = planned.view.privacy.suppress_below
    for slot in layout.client_counts:
        sums[:, :, slot] = rng.choice([-(2**19), -3, 0, limit - 1, limit, limit + 1, 2**19], sums.shape[:2])
    return sums


@pytest.fixture(scope="module")
def finish() -> Iterator[MpcFinish]:
    with mpc_parties() as started:
        yield started


@pytest.mark.parametrize("seed", range(4))
def test_what_is_opened_is_the_plaintext_rule_on_the_same_noised_cells(finish: MpcFinish, seed: int) -> None:
    rng = np.random.default_rng(seed)
    the_plan = plan(view("one", keys=40), view("two", keys=20, below=1, more=(ClientCount("d"),)), panes=6)
    sums = [random_sums(planned, rng, 5) for planned in the_plan.views]
    shares = shares_of(*sums, seed=seed, void=1)
    (one, two), as_open = finish(the_plan, *shares, clients=1000), with_words(the_plan, finish="open")
    for result, expected in zip((one, two), open_shares(as_open, *shares), strict=True):
        slots = result.planned.layout.client_counts
        small = expected.sums[:, :, slots].min(axis=2) < result.planned.view.privacy.suppress_below
        assert result.suppressed is not None
        assert (result.suppressed == small).all()
        assert small.any()
        assert not small.all()
        assert (result.sums == np.where(small[:, :, None], 0, expected.sums)).all()
        assert (result.outcomes == expected.outcomes).all()
    assert len(two.planned.layout.client_counts) == 2


def test_cells_at_the_limit_are_shown_and_one_below_are_not(finish: MpcFinish) -> None:
    the_plan = plan(view(keys=4, below=9), panes=1)
    (slot,) = the_plan.views[0].layout.client_counts
    sums = np.full((1, 4, the_plan.views[0].layout.slots_per_key), 5)
    sums[0, :, slot] = [8, 9, -9, 10]
    (result,) = finish(the_plan, *shares_of(sums), clients=10)
    assert result.suppressed is not None
    assert result.suppressed.tolist() == [[True, False, True, False]]
    assert result.sums[0, :, slot].tolist() == [0, 9, 0, 10]


def test_many_cells_go_in_parts_and_none_at_all_goes_too(finish: MpcFinish, monkeypatch: pytest.MonkeyPatch) -> None:
    the_plan = plan(view(keys=11), panes=3)
    (planned,) = the_plan.views
    monkeypatch.setattr(module, "MAX_BLOCK", 4 * planned.layout.slots_per_key * 8 + 7)  # four cells, not dividing 33
    sums = random_sums(planned, np.random.default_rng(3), 3)
    (whole,) = finish(the_plan, *shares_of(sums), clients=10)
    small = sums[:, :, planned.layout.client_counts].min(axis=2) < 9
    assert (whole.sums == np.where(small[:, :, None], 0, sums)).all()
    (nothing,) = finish(the_plan, *shares_of(sums[:0], void=3), clients=10)
    assert nothing.sums.shape == (0, 11, planned.layout.slots_per_key)


def test_shares_without_noise_never_enter(finish: MpcFinish) -> None:
    with pytest.raises(PlanInvalid, match="only noised shares may enter MPC"):
        plan(noise="none")
    the_plan, sums = plan(), np.zeros((3, 5, 4), np.int64)
    leader, helper = shares_of(sums)
    closed = Aggregation.start("leader", the_plan).close()
    for wrong in ((closed, helper), (leader, sums), (helper, leader), (leader, leader)):
        with pytest.raises(FinishRefused):
            finish(the_plan, *wrong, clients=10)
    without = with_words(the_plan, finish="open", noise="none")
    object.__setattr__(without, "terms", the_plan.terms)  # a combination that no plan can state
    with pytest.raises(FinishRefused, match="noise 'none'"):
        finish(without, leader, helper, clients=10)
    with pytest.raises(FinishRefused, match="finish 'open'"):
        finish(plan(finish="open"), leader, helper, clients=10)
    with pytest.raises(FinishRefused, match="must not add"):
        open_shares(the_plan, leader, helper)


def test_shares_of_different_panes_are_refused(finish: MpcFinish) -> None:
    leader, _ = shares_of(np.zeros((2, 5, 4), np.int64), void=1)
    _, helper = shares_of(np.zeros((3, 5, 4), np.int64))
    with pytest.raises(FinishRefused, match="different panes"):
        finish(plan(), leader, helper, clients=10)


def test_more_values_than_can_be_converted_are_refused(finish: MpcFinish) -> None:
    (planned,) = plan(panes=3).views
    clients = next(2**n for n in range(60) if _refused(plan(), 2**n))
    most = largest_sum(planned.layout, clients)
    values = 3 * planned.layout.length
    assert values * wrong_chance(most) > MOST_WRONG / 2
    assert values * wrong_chance(largest_sum(planned.layout, clients // 2)) <= MOST_WRONG
    with pytest.raises(ConversionUnsafe, match="fewer panes"):
        finish(plan(), *shares_of(np.zeros((3, 5, 4), np.int64)), clients=clients)


def test_the_values_of_all_views_of_a_plan_count_together() -> None:
    many = tuple(view(f"v{number}") for number in range(5))
    clients = next(2**n for n in range(60) if _refused(plan(*many), 2**n))
    assert not any(_refused(plan(one), clients) for one in many)


def _refused(the_plan: Plan, clients: int) -> bool:
    try:
        require_exact(the_plan.views, clients)
    except ConversionUnsafe:
        return True
    return False


def test_nothing_of_a_suppressed_cell_is_opened_or_received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_MPC_TRANSCRIPT", str(tmp_path))
    monkeypatch.setattr(module, "PROCESS", "tests.aggregator.mpc_recorded")
    the_plan = plan(view(keys=30), panes=2)
    (planned,) = the_plan.views
    (slot,) = planned.layout.client_counts
    rng = np.random.default_rng(8)
    sums = rng.integers(2**17, 2**19, (2, 30, planned.layout.slots_per_key))  # no sum equals a bit or another sum
    small = rng.random((2, 30)) < 0.5
    sums[small, slot] *= -1
    shares = shares_of(sums, seed=1)
    with mpc_parties() as finish:
        for _ in range(2):
            (result,) = finish(the_plan, *shares, clients=10**6)
    assert result.suppressed is not None
    assert (result.suppressed == small).all()
    hidden, shown = sums[small], sums[~small]
    secret = [*hidden.ravel().tolist(), *(hidden[:, slot] - 9).tolist()]
    opened = [*shown.ravel().tolist()]
    for rank, role in enumerate(ROLES):
        entries = list(read(tmp_path / str(rank)))
        seen = b"\0".join(_received(entry) for entry in entries)
        assert not [value for value in secret if _word(value) in seen], role
        assert all(_word(value) in seen for value in opened) == (role != "provider")  # the search finds known words
        others = [part for part in shares if part.role != role]
        for part in others:
            assert not [word for word in words_of(part) if _word(word) in seen], (role, part.role)
        if role == "provider":
            continue
        last = [entry for entry in entries if len(entry.after) == result.sums.nbytes + small.size * 8][-1]
        opened_cells = last.words[1].reshape(small.size, -1)  # the last values: the opened ones
        assert (opened_cells[:, :-1] == result.sums.reshape(small.size, -1)).all()
        assert (opened_cells[:, -1] == ~small.ravel()).all()
        masked = [word for entry in entries if entry.dtype == "torch.int64" for word in _masked(entry)]
        assert len(masked) > 1000
        fresh = set(masked) - set(opened)
        assert len(fresh) > 0.99 * len([word for word in masked if word not in opened])  # no mask is used twice


def words_of(part: NoisedShares) -> list[int]:
    """The words of a party's input, in Field64 and mod 2^64."""
    words = part.shares[0].ravel()
    moved = words + np.uint64(2**64 - field.P)
    return [*words.view(np.int64).tolist(), *moved.view(np.int64).tolist()]


def _word(value: int) -> bytes:
    return value.to_bytes(8, "little", signed=True)


def _received(entry: Any) -> bytes:
    """The received tensors. Where the own share is included, the other party's part is the difference by + and by xor."""
    if entry.dtype != "torch.int64":
        return bytes(entry.after)
    before, after = entry.words
    return b"\0".join((entry.after, (after - before).tobytes(), (after ^ before).tobytes()))


def _masked(entry: Any) -> list[int]:
    return [word for word in entry.words[1].tolist() if word not in (0, 1)]


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that a test starts."""
    started: list[Any] = []
    make = module.MpcProcess

    def remembered(*args: Any) -> Any:
        started.append(make(*args))
        return started[-1]

    monkeypatch.setattr(module, "MpcProcess", remembered)
    return started


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    "victim", ["helper", *(pytest.param(role, marks=pytest.mark.long) for role in ("leader", "provider"))]
)
def test_a_process_that_is_killed_in_the_middle_is_named_and_nothing_is_left(children: list[Any], victim: str) -> None:
    the_plan, shares = plan(), shares_of(np.ones((3, 5, 4), np.int64))
    with ThreadPoolExecutor(1) as thread, mpc_parties() as finish:
        finish(the_plan, *shares, clients=10)
        by_role = {child.role: child._process.pid for child in children}
        os.kill(by_role["helper"], signal.SIGSTOP)  # the others now wait in the middle of the finish
        asked = thread.submit(finish, the_plan, *shares, clients=10)
        time.sleep(0.5)
        os.kill(by_role[victim], signal.SIGKILL)
        with pytest.raises(MpcFailed, match=f"of the {victim} has ended early. Nothing was opened"):
            asked.result()
        with pytest.raises(MpcFailed):
            finish(the_plan, *shares, clients=10)
    assert len(by_role) == 3
    assert all(map(_gone, by_role.values()))


@pytest.mark.parametrize("victim", ROLES)
def test_a_process_that_never_comes_up_is_named(children: list[Any], victim: str) -> None:
    with mpc_parties() as finish:
        (pid,) = (child._process.pid for child in children if child.role == victim)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(MpcFailed, match=f"of the {victim}"):
            finish(plan(), *shares_of(np.ones((3, 5, 4), np.int64)), clients=10)
    assert all(_gone(child._process.pid) for child in children)


def test_a_process_that_does_not_answer_is_not_waited_for(children: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_S", 0.1)
    monkeypatch.setattr(module, "ANSWER_S", 0.1)
    with mpc_parties() as finish:
        os.kill(children[1]._process.pid, signal.SIGSTOP)
        with pytest.raises(MpcFailed, match=r"no answer within 0\.2 seconds"):
            finish(plan(), *shares_of(np.ones((3, 5, 4), np.int64)), clients=10)
    assert all(_gone(child._process.pid) for child in children)


def test_parties_that_disagree_open_nothing(finish: MpcFinish, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Callable[..., list[bytes]] = module._Parties._answers

    def altered(*args: Any) -> list[bytes]:
        mine, other = answers(*args)
        return [mine, bytes([other[0] ^ 1]) + other[1:]]

    monkeypatch.setattr(module._Parties, "_answers", altered)
    with pytest.raises(MpcFailed, match="different values"):
        finish(plan(), *shares_of(np.ones((3, 5, 4), np.int64)), clients=10)


_STARTER = """
import time
from aggregator.mpc import finish
from aggregator.mpc.finish import MpcProcess, mpc_parties
made, make = [], MpcProcess
def remembered(*args):
    made.append(make(*args))
    return made[-1]
finish.MpcProcess = remembered
with mpc_parties():
    print(*(child._process.pid for child in made), flush=True)
    time.sleep(600)
"""


def test_the_processes_end_when_the_one_that_started_them_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", _STARTER], stdout=subprocess.PIPE, env=environment, text=True
    ) as starter:
        assert starter.stdout is not None
        pids = [int(pid) for pid in starter.stdout.readline().split()]
        starter.kill()
    assert len(pids) == 3
    for pid in pids:
        for _ in range(600):
            if _ended(pid):
                break
            time.sleep(0.1)
        assert _ended(pid)


def _ended(pid: int) -> bool:
    """Whether a process has ended, or is a zombie that nobody waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
