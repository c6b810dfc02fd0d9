"""The MPC finish of a collection, experimental: noised shares → CrypTen → sums of the cells that are not suppressed.

Leader and helper have each added their noise to their shares. Instead of sending the shares to a collector, they compare
each cell's noised ClientCount with `suppress_below` and multiply the cell by the result, under MPC. Only the products and the
results are opened. They are a function of the noised sums, so the claim of the noised sums holds. No party sees the values of
suppressed cells.

    leader  NoisedShares ──► process of the leader's party ─┐
                                 provider of triples ──────►├──► OpenedView, the same at both
    helper  NoisedShares ──► process of the helper's party ─┘

Here (`mpc_parties`) all three processes start and end with this one. As services, leader, helper and provider each start
their own: seat.py. docs/mpc.md says which parties must be trusted.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from aggregator.errors import MpcFailed
from aggregator.mpc.party import MAX_BLOCK, PEER_LOST, ROLE, ROLES, SHARES, TERMS, Role, block
from base.ports import free_port
from crypto.errors import CrypTenMissing
from crypto.mpc_shares import require_convertible
from federation.aggregation import NoisedShares, OpenedView
from federation.errors import FinishRefused
from federation.largest_sum import largest_sum
from federation.plan import Plan, PlannedView
from federation.terms import Finish, Noise

PROCESS: Final = "aggregator.mpc.party"
START_S: Final = 180
"""Seconds that the three processes may take before the first answer: they import PyTorch and connect to each other."""
ANSWER_S: Final = 120
"""Seconds that an answer to at most `MAX_BLOCK` bytes of shares may take."""
_GRACE_S: Final = 2
_WORD_BYTES: Final = 8


class MpcFinish(Protocol):
    """Opens the shares of a plan; `mpc_parties` makes one."""

    def __call__(self, plan: Plan, leader: NoisedShares, helper: NoisedShares, clients: int) -> tuple[OpenedView, ...]:
        """Open each view. `clients` is the most clients that the reports of a collection can include."""
        ...


def require_installed() -> None:
    """Raise CrypTenMissing unless CrypTen and PyTorch are installed."""
    if any(importlib.util.find_spec(name) is None for name in ("crypten", "torch")):
        raise CrypTenMissing


def require_exact(views: Sequence[PlannedView], clients: int) -> None:
    """Raise ConversionUnsafe if the conversion into MPC could change a sum of the views, with up to `clients` clients."""
    values = sum(len(planned.pane_starts) * planned.layout.length for planned in views)
    require_convertible(values, max((largest_sum(planned.layout, clients) for planned in views), default=0))


@contextmanager
def mpc_parties() -> Iterator[MpcFinish]:
    """Start both parties and the provider. Gives an `MpcFinish` for one caller. The processes end with the block.

    The `MpcFinish` raises:
        FinishRefused: the plan has another finish, or the shares are not its noised shares. ConversionUnsafe. MpcFailed: a
        process has ended or does not answer, or the parties disagree; then nothing is opened.

    Raises:
        CrypTenMissing.
    """
    require_installed()
    threads = ThreadPoolExecutor(len(ROLES))
    children: list[MpcProcess] = []
    try:
        port = free_port()
        children += (MpcProcess(role, rank, port) for rank, role in enumerate(ROLES))
        yield _Parties(children, threads).finish
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.reap()  # a thread that waits for the child ends, too
        threads.shutdown()


class _Parties:
    """The three processes."""

    def __init__(self, children: list[MpcProcess], threads: ThreadPoolExecutor) -> None:
        *self._parties, self._provider = children
        self._threads = threads
        self._provider_ended = threads.submit(self._provider.read, 1)
        self._limit = START_S + ANSWER_S

    def finish(self, plan: Plan, leader: NoisedShares, helper: NoisedShares, clients: int) -> tuple[OpenedView, ...]:
        """An `MpcFinish`."""
        _require_noised(plan, leader, helper)
        require_exact(plan.views, clients)
        return tuple(
            open_view(planned, leader.outcomes[view], (leader.shares[view], helper.shares[view]), self._ask)
            for view, planned in enumerate(plan.views)
        )

    def _ask(self, blocks: tuple[bytes, ...], size: int) -> bytes:
        answers = [self._threads.submit(party.ask, one, size) for party, one in zip(self._parties, blocks, strict=True)]
        mine, other = self._answers(answers, size)
        if mine != other:
            raise MpcFailed("leader and helper opened different values")
        return mine

    def _answers(self, answers: list[Future[bytes]], size: int) -> list[bytes]:
        """Both answers. Raises MpcFailed as soon as one of the three processes has ended, or after the time limit."""
        pending = {self._provider_ended, *answers}
        while not all(answer.done() for answer in answers):
            done, pending = wait(pending, self._limit, FIRST_COMPLETED)
            if not done:
                raise MpcFailed(f"no answer within {self._limit} seconds")
            if any(len(answer.result()) != size for answer in done):
                wait(pending, _GRACE_S)  # the others end, too
                raise MpcFailed(self._who_ended())
        self._limit = ANSWER_S
        return [answer.result() for answer in answers]

    def _who_ended(self) -> str:
        """The process that ended first. The others end because of it, with the code `PEER_LOST`."""
        codes = {child.role: child.poll() for child in (*self._parties, self._provider)}
        ended = [role for role, code in codes.items() if code not in (None, PEER_LOST)]
        ended += [role for role, code in codes.items() if code == PEER_LOST]
        return f"the process of the {ended[0] if ended else 'parties'} has ended early"


Ask = Callable[[tuple[bytes, ...], int], bytes]
"""(blocks for the process of each local party, length of the answer) → the answer. Raises MpcFailed."""


def open_view(
    planned: PlannedView, outcomes: npt.NDArray[np.uint8], shares: tuple[npt.NDArray[np.uint64], ...], ask: Ask
) -> OpenedView:
    """Open a view, some cells at a time.

    Args:
        shares: uint64[opened, K·S] of each local party.

    Raises:
        MpcFailed: also if the answer is malformed.
    """
    layout, least = planned.layout, planned.view.privacy.suppress_below
    slots = layout.slots_per_key
    terms = block(TERMS, json.dumps({"slots": slots, "counts": layout.client_counts, "least": least}).encode())
    of_cells = [words.reshape(-1, slots).astype("<u8") for words in shares]
    sums = np.zeros(of_cells[0].shape, np.int64)
    suppressed = np.zeros(len(sums), np.bool_)
    step = MAX_BLOCK // (slots * _WORD_BYTES)
    for first in range(0, len(sums), step):
        cells = slice(first, first + step)
        words = sums[cells].nbytes
        blocks = tuple(terms + block(SHARES, share[cells].tobytes()) for share in of_cells)
        answer = ask(blocks, words + len(sums[cells]))
        sums[cells] = np.frombuffer(answer[:words], np.int64).reshape(-1, slots)
        small = np.frombuffer(answer[words:], np.uint8)
        if small.max() > 1 or sums[cells][small == 1].any():
            raise MpcFailed("the answer is malformed: a flag is not 0 or 1, or a suppressed cell is not zero")
        suppressed[cells] = small == 1
    panes = len(shares[0])
    return OpenedView(
        planned, outcomes, sums.reshape(panes, layout.keys, slots), suppressed=suppressed.reshape(panes, layout.keys)
    )


def _require_noised(plan: Plan, leader: NoisedShares, helper: NoisedShares) -> None:
    """Raise FinishRefused unless both are noised shares of this plan.

    Only noised shares enter CrypTen, because its randomness is too weak to protect others.
    """
    for shares in (leader, helper):
        require_noised(plan, shares)
    if (leader.role, helper.role) != ("leader", "helper"):
        raise FinishRefused("the MPC finish needs the leader's shares first, then the helper's")
    for planned, mine, other in zip(plan.views, leader.outcomes, helper.outcomes, strict=True):
        if not np.array_equal(mine, other):
            raise FinishRefused(f"view {planned.view.name!r}: leader and helper opened different panes")


def require_noised(plan: Plan, shares: NoisedShares) -> None:
    """Raise FinishRefused unless these are noised shares of a plan with this finish."""
    if plan.terms.finish is not Finish.MPC or plan.noise is Noise.NONE:
        raise FinishRefused(
            f"the plan has finish {plan.terms.finish.value!r} and noise {plan.noise.value!r}: mpc accepts only noised shares"
        )
    if not isinstance(shares, NoisedShares):
        raise FinishRefused("the MPC finish accepts only noised shares")


class MpcProcess:
    """One process of the MPC finish. `ask` serves one caller at a time."""

    def __init__(self, role: Role, rank: int, port: int) -> None:
        self.role = role
        self._process = subprocess.Popen(  # noqa: S603 - this program itself, without outside input
            [sys.executable, "-P", "-m", PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **_environment(rank, port)},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._write(block(ROLE, role.encode()))

    def ask(self, blocks: bytes, size: int) -> bytes:
        """Write blocks, and read `size` bytes of answer; fewer if the process has ended."""
        self._write(blocks)
        return self.read(size)

    def read(self, size: int) -> bytes:
        """Read `size` bytes; fewer if the process has ended."""
        try:
            return self._from.read(size)
        except ValueError:  # it was reaped
            return b""

    def poll(self) -> int | None:
        """The exit code; None while the process runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait for the end of the process; its exit code."""
        return self._process.wait()

    def kill(self) -> None:
        """Kill the process, whatever it does."""
        self._process.kill()

    def reap(self) -> None:
        """Wait for the end of the process, and close its pipes."""
        self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(BrokenPipeError):
                pipe.close()

    def _write(self, data: bytes) -> None:
        with suppress(BrokenPipeError, ValueError):  # the process has ended, so there will be no answer
            self._to.write(data)
            self._to.flush()


def _environment(rank: int, port: int) -> dict[str, str]:
    """The meeting point of the processes for CrypTen and gloo. Each uses one thread, because there are three processes."""
    return {
        "DISTRIBUTED_BACKEND": "gloo",
        "RENDEZVOUS": f"tcp://127.0.0.1:{port}",
        "WORLD_SIZE": str(len(ROLES) - 1),
        "RANK": str(rank),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
