"""The cost of a proof: client time, time of both aggregators, bytes; against a plain transcription and npm's Prio3.

    python -m benchmarks.prio3

Medians of the CPU time of one thread. On a busy machine wall time would include waiting for a core.

* `shard_ms`: one client alone, one report. `shard_batch_ms`: per report of a site that shards 100.
* `verify_ms`: leader and helper together, per report of a batch of 100, from the encoded input shares to the output
  shares: decoding, both verifier shares, the decision, the joint randomness.
* `report_bytes`: public share and both input shares.
* `…_over_xof`: the time over that of pycryptodome squeezing as many bytes as the step absorbs and squeezes.
* `speedup_…`: against the plain-integer transcription of the tests (null without the tests).
* `divviup_…_ratio`: against npm's `@divviup/prio3` (draft 08), installed into a temporary folder and run in the same
  benchmark; null without node or the registry.

The last table shows the share of each step in the time of a batch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from Crypto.Hash import TurboSHAKE128
from rich.console import Console
from rich.table import Table

from crypto import ntt_kernels, xof_lanes
from crypto.flp.circuit import best_chunk_length
from crypto.flp.soundness import soundness_bits
from crypto.ntt_field import Octets
from crypto.prio3 import Prio3, Prio3Count, Prio3Histogram, Prio3Sum, Prio3SumVec, Prio3SumVecWithMultiproof
from featurestore.define.layout import layout_of
from federation.circuit.circuit import FIELD64_X3, FIELD128_X1, ProofSystem, prio3_of
from simulations.datasets.flights import flight_views, load_flights
from simulations.measuring import medians, print_figures

BATCH = 100
TURNS = 7
KEY = bytes(range(32))
# As long as Covey's: `covey-1`, a plan's hash, a collection's index.
CONTEXT = b"covey-1" + bytes(36)
PEER = Path(__file__).with_name("prio3_peer.mjs")
PEER_PACKAGE = "@divviup/prio3@0.8"

LENGTH, BUCKETS, BUCKET_CHUNK = 1000, 1000, 33

# The step of each kernel; the rest is copies of numpy and Python.
STEPS = {
    "absorb": "XOF",
    "pair_wires": "wires",
    "sum_pair_products": "gadget polynomial (NTT)",
    "evaluate": "polynomials at the test point",
    "lagrange": "polynomials at the test point",
    "apply_forms": "linear forms",
    "subtract_elements": "shares and checks",
    "add_elements": "shares and checks",
    "check_rows": "shares and checks",
}


@dataclass(frozen=True)
class Case:
    """An instance, measurements for a batch, and its names in the transcription and in the tables."""

    key: str
    title: str
    vdaf: Prio3[Any, Any]
    measurements: Any  # int64[BATCH] or int64[BATCH, n]
    plain: tuple[str, dict[str, int]] | None = None


def cases() -> list[Case]:
    """All instances that are timed; the first one is the headline."""
    rng = np.random.default_rng(5)
    chunk16, chunk8 = best_chunk_length(16 * LENGTH), best_chunk_length(8 * LENGTH)
    vectors = rng.integers(0, 2**16, (BATCH, LENGTH))
    sizes = {"shares": 2, "length": LENGTH, "max_measurement": 2**16 - 1, "chunk_length": chunk16}
    return [
        Case(
            "sumvec16", "SumVec 1000 x 16 bit, Field128", Prio3SumVec(*sizes.values()), vectors, ("Prio3SumVec", sizes)
        ),
        Case("sumvec16_field64", "the same, Field64, 3 proofs", Prio3SumVecWithMultiproof(*sizes.values()), vectors),
        Case(
            "sumvec8",
            "SumVec 1000 x 8 bit, Field128",
            Prio3SumVec(2, LENGTH, 2**8 - 1, chunk8),
            rng.integers(0, 2**8, (BATCH, LENGTH)),
        ),
        Case(
            "hist1000",
            "Histogram 1000, chunk 33, Field128",
            Prio3Histogram(2, BUCKETS, BUCKET_CHUNK),
            rng.integers(0, BUCKETS, BATCH),
        ),
        view_case("view", FIELD64_X3),
        view_case("view_field128", FIELD128_X1),
        Case("sum32", "Sum 32 bit, Field64", Prio3Sum(2, 2**32 - 1), rng.integers(0, 2**32, BATCH)),
        Case("count", "Count, Field64", Prio3Count(2), rng.integers(0, 2, BATCH)),
    ]


def view_case(key: str, system: ProofSystem) -> Case:
    """The demo's `dest_delay` with reports of clients without events. The time of no step depends on events."""
    (view,) = (view for view in flight_views(load_flights()) if view.name == "dest_delay")
    layout = layout_of(view)
    title = f"view dest_delay, {system.field.name}, {system.proofs} proof{'s' * (system.proofs > 1)}"
    return Case(key, title, prio3_of(layout, system), np.zeros((BATCH, layout.length), np.int64))


def cpu_ms(work: Callable[[], object], turns: int = TURNS) -> float:
    """CPU milliseconds of a piece of work: the median, after one turn that does not count."""
    return 1000 * medians(work, turns=turns)[0]


@dataclass(frozen=True)
class Sharded:
    """A batch as it travels."""

    nonces: Octets
    public_shares: Octets
    input_shares: list[Octets]

    @property
    def report_bytes(self) -> int:
        """Bytes of one report."""
        parts = [self.public_shares, *self.input_shares]
        return sum(int(part.shape[1]) for part in parts)


def shard(case: Case) -> Callable[[], Sharded]:
    """The work of sharding a batch."""
    nonces, rand = (np.frombuffer(os.urandom(BATCH * n), np.uint8).reshape(BATCH, n) for n in (16, case.vdaf.rand_size))

    def work() -> Sharded:
        public_shares, input_shares = case.vdaf.shard_batch(CONTEXT, case.measurements, nonces, rand)
        encoded = [case.vdaf.encode_input_shares(shares) for shares in input_shares]
        return Sharded(nonces, case.vdaf.encode_public_shares(public_shares), encoded)

    return work


def verify(vdaf: Prio3[Any, Any], batch: Sharded) -> None:
    """Both aggregators on a batch, message by message; every report must pass."""
    states, sent = [], []
    accepted = np.ones(len(batch.nonces), np.bool_)
    for agg_id in range(2):
        public_shares = vdaf.decode_public_shares(batch.public_shares)
        input_shares, good = vdaf.decode_input_shares(agg_id, batch.input_shares[agg_id])
        state, verifier_shares = vdaf.verify_init_batch(KEY, CONTEXT, agg_id, batch.nonces, public_shares, input_shares)
        accepted &= good
        states.append(state)
        sent.append(vdaf.encode_verifier_shares(verifier_shares))
    received = []
    for octets in sent:
        verifier_shares, good = vdaf.decode_verifier_shares(octets)
        accepted &= good
        received.append(verifier_shares)
    messages, holds = vdaf.verifier_shares_to_message_batch(CONTEXT, received)
    accepted &= holds
    for state in states:
        accepted &= vdaf.verify_next_batch(state, messages)
    for state in states:
        vdaf.aggregate_batch(vdaf.agg_init(None), state.out_shares, accepted)
    if not accepted.all():
        raise RuntimeError("an honest report was rejected")


def xof_bytes(vdaf: Prio3[Any, Any]) -> tuple[int, int]:
    """Bytes of vectors that (sharding, both verifications) absorb and squeeze, for two aggregators."""
    circuit, joint = vdaf.circuit, vdaf.circuit.joint_rand_len > 0
    absorbed = 2 * circuit.meas_len if joint else 0  # either way: each aggregator's joint randomness part
    expanded = circuit.meas_len + vdaf.proofs_len  # either way: the helper's seed
    joint_rand, prove_rand, query_rand = (
        vdaf.proofs * n for n in (circuit.joint_rand_len, circuit.prove_rand_len, circuit.query_rand_len)
    )
    sharding = absorbed + expanded + joint_rand + prove_rand
    verifying = absorbed + expanded + 2 * (joint_rand + query_rand)
    return sharding * vdaf.field.encoded_size, verifying * vdaf.field.encoded_size


def squeeze_ms(size: int) -> float:
    """Milliseconds in which pycryptodome squeezes so many bytes."""
    return cpu_ms(lambda: TurboSHAKE128.new(domain=1, data=KEY).read(size))


@contextmanager
def counted_steps(spent: dict[str, float]) -> Iterator[None]:
    """Adds the CPU seconds of each step's kernels to `spent` while it is open."""
    places = [(xof_lanes if name == "absorb" else ntt_kernels, name) for name in STEPS]
    originals = [getattr(module, name) for module, name in places]

    def timed(kernel: Callable[..., None], step: str) -> Callable[..., None]:
        def work(*arguments: object) -> None:
            start = time.thread_time()
            kernel(*arguments)
            spent[step] = spent.get(step, 0.0) + time.thread_time() - start

        return work

    for (module, name), original in zip(places, originals, strict=True):
        setattr(module, name, timed(original, STEPS[name]))
    try:
        yield
    finally:
        for (module, name), original in zip(places, originals, strict=True):
            setattr(module, name, original)


def shares_of_steps(work: Callable[[], object]) -> dict[str, float]:
    """Each step's part of the time of a piece of work."""
    work()
    spent: dict[str, float] = {}
    with counted_steps(spent):
        start = time.thread_time()
        work()
        total = time.thread_time() - start
    spent["copies and Python"] = total - sum(spent.values())
    return {step: round(seconds / total, 3) for step, seconds in sorted(spent.items(), key=lambda item: -item[1])}


def measured(case: Case) -> dict[str, Any]:
    """All figures of an instance."""
    vdaf = case.vdaf
    nonce, rand = os.urandom(16), os.urandom(vdaf.rand_size)
    sharding = shard(case)
    batch = sharding()
    alone = cpu_ms(lambda: vdaf.shard(CONTEXT, case.measurements[0], nonce, rand), 3 * TURNS)
    verifying = cpu_ms(lambda: verify(vdaf, batch)) / BATCH
    to_shard, to_verify = (squeeze_ms(size) for size in xof_bytes(vdaf))
    return {
        "shard_ms": round(alone, 4),
        "shard_batch_ms": round(cpu_ms(sharding) / BATCH, 4),
        "verify_ms": round(verifying, 4),
        "report_bytes": batch.report_bytes,
        "shard_over_xof": round(alone / to_shard, 2),
        "verify_over_xof": round(verifying / to_verify, 2),
        "soundness_bits": round(soundness_bits(vdaf.circuit, vdaf.proofs), 1),
        "shard_steps": shares_of_steps(sharding),
        "verify_steps": shares_of_steps(lambda: verify(vdaf, batch)),
    }


def plain_ms(case: Case) -> tuple[float, float] | None:
    """Milliseconds of the transcription in `tests/` (shard, both verifications) for one report; None without tests."""
    if case.plain is None:
        return None
    try:
        from tests.vdaf.plain_instance import PLAIN
    except ImportError:
        return None
    plain = PLAIN.make(*case.plain)
    measurement = [int(value) for value in case.measurements[0]]
    nonce, rand = os.urandom(16), os.urandom(plain.rand_size)
    public_share, input_shares = plain.shard(CONTEXT, measurement, nonce, rand)

    def verification() -> None:
        begun = [
            plain.verify_init(KEY, CONTEXT, agg_id, nonce, public_share, share)
            for agg_id, share in enumerate(input_shares)
        ]
        message = plain.verifier_shares_to_message(CONTEXT, [share for _, share in begun])
        for state, _ in begun:
            plain.verify_next(CONTEXT, state, message)

    return cpu_ms(lambda: plain.shard(CONTEXT, measurement, nonce, rand), 1), cpu_ms(verification, 3)


def divviup() -> tuple[dict[str, Any] | None, str]:
    """npm's figures for SumVec 1000 x 16 and Histogram 1000, or None, and a word about where they come from."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None, "node or npm is not installed"
    with tempfile.TemporaryDirectory(prefix="prio3-peer-") as folder:
        (Path(folder) / "package.json").write_text('{"private": true}')
        try:
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--prefix", folder]
            install = [npm, "install", *options, PEER_PACKAGE]
            subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=120)
            run = [node, str(PEER), folder, "3"]
            printed = subprocess.run(run, check=True, capture_output=True, text=True, timeout=300).stdout
        except subprocess.TimeoutExpired as late:
            return None, f"{late.cmd[0]} did not end within {late.timeout:.0f} s"
        except subprocess.CalledProcessError as failed:
            return None, f"{failed.cmd[0]} failed with {failed.returncode}; check that the registry is reachable"
    figures: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return figures, f"{PEER_PACKAGE} on node"


def ratio(theirs: float | None, ours: float) -> float | None:
    """Return the ratio of the other time to ours."""
    return None if theirs is None else round(theirs / ours, 1)


def steps_row(steps: dict[str, float]) -> str:
    """Steps that take a hundredth or more, in words."""
    return ", ".join(f"{step} {share:.0%}" for step, share in steps.items() if share >= 0.01)


def main() -> None:
    """Print the tables and, last, one JSON object."""
    console = Console(width=140)
    table = Table(
        "instance", "shard ms", "in a batch", "verify ms", "bytes", "shard / XOF", "verify / XOF", "soundness",
        title="Prio3 with two aggregators, one thread",
    )  # fmt: skip
    figures: dict[str, dict[str, Any]] = {}
    all_cases = cases()
    for case in all_cases:
        f = figures[case.key] = measured(case)
        table.add_row(
            case.title, f"{f['shard_ms']:.3f}", f"{f['shard_batch_ms']:.3f}", f"{f['verify_ms']:.3f}",
            f"{f['report_bytes']:,}", f"{f['shard_over_xof']:.2f}", f"{f['verify_over_xof']:.2f}",
            f"2^-{f['soundness_bits']:.0f}",
        )  # fmt: skip
    console.print(table)

    steps = Table("instance", "step by step", title="Shares of a batch's time")
    for case in all_cases[:5]:
        steps.add_row(f"{case.title}: shard", steps_row(figures[case.key]["shard_steps"]))
        steps.add_row("verify", steps_row(figures[case.key]["verify_steps"]))
    console.print(steps)

    head, hist = figures["sumvec16"], figures["hist1000"]
    plain = plain_ms(all_cases[0])
    peer, source = divviup()
    peer_sumvec, peer_hist = (peer[key] if peer else {} for key in ("sumvec", "hist1000"))
    peers = Table("compared with", "shard ms", "verify ms", "ratios", title="SumVec 1000 x 16 bit elsewhere")
    plain_shard, plain_verify = plain if plain else (None, None)
    ratios = {
        "speedup_shard": ratio(plain_shard, head["shard_ms"]),
        "speedup_verify": ratio(plain_verify, head["verify_ms"]),
        "divviup_shard_ratio": ratio(peer_sumvec.get("shard_ms"), head["shard_ms"]),
        "divviup_verify_ratio": ratio(peer_sumvec.get("verify_ms"), head["verify_ms"]),
        "divviup_hist1000_shard_ratio": ratio(peer_hist.get("shard_ms"), hist["shard_ms"]),
        "divviup_hist1000_verify_ratio": ratio(peer_hist.get("verify_ms"), hist["verify_ms"]),
    }
    if plain:
        peers.add_row(
            "plain transcription in tests/", f"{plain[0]:,.0f}", f"{plain[1]:,.0f}",
            f"{ratios['speedup_shard']} / {ratios['speedup_verify']}",
        )  # fmt: skip
    else:
        peers.add_row("plain transcription", "", "", "tests/vdaf is not there")
    if peer:
        peers.add_row(
            source, f"{peer_sumvec['shard_ms']:,.0f}", f"{peer_sumvec['verify_ms']:,.0f}",
            f"{ratios['divviup_shard_ratio']} / {ratios['divviup_verify_ratio']}",
        )  # fmt: skip
    else:
        peers.add_row(PEER_PACKAGE, "", "", source)
    console.print(peers)
    others = {key: value for key, value in figures.items() if key != "sumvec16"}
    print_figures(head | ratios | others)


if __name__ == "__main__":
    main()
