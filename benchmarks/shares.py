"""The cost of additive shares: bytes, client time, leader and helper against the machine's limits, and SecAgg+.

    python -m benchmarks.shares

Times are CPU time of one thread. On a busy machine wall time includes uneven waiting for a core (the helper's ratio was 5.9; an
idle machine gives 3.7). Every figure is a median; compared work takes turns. Other load still uses memory bandwidth and cache:
`load_average` shows how busy the machine was.

* `leader_over_npadd`: numpy's `m.sum(axis=0)` over the bytes of a batch, against parsing, range-checking and adding
  them; for 400 reports (32 MB: memory) and for 50 (4 MB, a wire batch: cache). The worse of the two is reported.
* `helper_over_xof`: pycryptodome squeezing the same streams, against expanding and adding them.
* `client_us_per_value`: `shard` of a site's 64 reports. `secaggplus_client_us_per_value`: Flower's masking of a vector
  of the same length, by its own functions in its client's order: the private mask, one mask for each neighbour, the
  final mod (2^32). Its quantisation and key agreements are left out, which makes it faster.
"""

from __future__ import annotations

import os

import numpy as np
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from rich.console import Console
from rich.table import Table

from crypto.sharing import Accumulator, HelperSeeds, LeaderShares, SparseRows, shard, share_xof
from simulations.measuring import medians, print_figures

SLOTS = 10_000
SITE_REPORTS = 64
NEIGHBOURS = 10  # a small number favours SecAgg+, whose time is linear in it
FLOWER_MODULUS = 2**32  # Flower's default `modulus_range`
PLAN = bytes(range(32))


def reports(count: int, slots: int, filled: int) -> SparseRows:
    """`count` reports with `filled` of their `slots` in use: a client's cells, not a dense gradient."""
    rng = np.random.default_rng(7)
    columns = rng.integers(0, slots, count * filled).astype(np.int32)
    return SparseRows(
        np.arange(count + 1, dtype=np.int64) * filled, columns, rng.integers(0, 1000, columns.size), slots
    )


def seeds_for(count: int) -> HelperSeeds:
    """Seeds from the operating system."""
    return HelperSeeds.from_bytes(os.urandom(32 * count), count)


def leader(count: int, slots: int) -> tuple[float, float]:
    """Seconds of (numpy's column sum, the leader) over one batch's bytes, all for one collection."""
    collections, rows = np.zeros(count, np.uint32), np.zeros(count, np.int64)
    data = shard(reports(count, slots, 30), seeds_for(count), collections, PLAN).to_bytes()
    words = np.frombuffer(data, np.uint64).reshape(count, slots)
    accumulator = Accumulator(1, slots)
    by_numpy, ours = medians(lambda: words.sum(axis=0), lambda: accumulator.add_leader(data, rows))
    return by_numpy, ours


def helper(count: int, slots: int, collection_count: int = 1) -> tuple[float, float]:
    """Seconds of (pycryptodome squeezing, the helper) for one batch, its reports in no order of collection."""
    rows = np.random.default_rng(1).integers(0, collection_count, count)
    collections, seeds = rows.astype(np.uint32), seeds_for(count)
    accumulator, xof = Accumulator(collection_count, slots), share_xof(PLAN)

    def squeeze() -> None:
        for seed, collection in zip(seeds.seeds, collections, strict=True):
            xof.one(seed.tobytes(), int(collection)).next(8 * slots)

    by_pycryptodome, ours = medians(squeeze, lambda: accumulator.add_helper(seeds, collections, rows, PLAN))
    return by_pycryptodome, ours


def client() -> tuple[float, float, float]:
    """Seconds a value of (our client in a site of 64, our client alone, Flower's SecAgg+ client)."""
    many, alone = reports(SITE_REPORTS, SLOTS, 30), reports(1, SLOTS, 30)
    seeds, seed = seeds_for(SITE_REPORTS), seeds_for(1)
    collections = np.zeros(SITE_REPORTS, np.uint32)
    dense = np.zeros(SLOTS, np.int64)
    np.add.at(dense, alone.columns, alone.values)
    mask_seeds = [os.urandom(32) for _ in range(1 + NEIGHBOURS)]

    def secaggplus() -> None:
        parameters = [dense]
        shapes: list[tuple[int, ...]] = [dense.shape]
        parameters = parameters_addition(parameters, pseudo_rand_gen(mask_seeds[0], FLOWER_MODULUS, shapes))
        for i, mask_seed in enumerate(mask_seeds[1:]):
            mask = pseudo_rand_gen(mask_seed, FLOWER_MODULUS, shapes)
            parameters = (parameters_addition if i % 2 else parameters_subtraction)(parameters, mask)
        parameters_mod(parameters, FLOWER_MODULUS)

    site, single, flower = medians(
        lambda: shard(many, seeds, collections, PLAN), lambda: shard(alone, seed, collections[:1], PLAN), secaggplus
    )
    return site / SITE_REPORTS / SLOTS, single / SLOTS, flower / SLOTS


def upload_over_plaintext() -> float:
    """Bytes of a report (leader's share and helper's seed) over those of its plaintext as int64, at SLOTS slots."""
    seed = seeds_for(1)
    share: LeaderShares = shard(reports(1, SLOTS, 30), seed, np.zeros(1, np.uint32), PLAN)
    return (len(share.to_bytes()) + len(seed.to_bytes())) / (8 * SLOTS)


def main() -> None:
    """Print the table and, last, one JSON object."""
    table = Table("figure", "ours", "compared with", "ratio", title="Additive shares in Field64, one thread")
    upload = upload_over_plaintext()
    table.add_row(
        f"upload, {SLOTS:,} slots", f"{8 * SLOTS + 32:,} B", f"plaintext int64 {8 * SLOTS:,} B", f"{upload:.4f}"
    )

    leader_ratios, leader_gbs = [], []
    for count in (400, 50):
        theirs, ours = leader(count, SLOTS)
        gigabytes = 8 * count * SLOTS / 1e9
        leader_ratios.append(theirs / ours)
        leader_gbs.append(gigabytes / ours)
        name = f"leader adds {count} x {SLOTS:,}"
        table.add_row(
            name, f"{gigabytes / ours:.1f} GB/s", f"np.sum {gigabytes / theirs:.1f} GB/s", f"{theirs / ours:.2f}"
        )

    helper_ratios = {}
    for count, slots, collection_count in ((64, SLOTS, 1), (1_000, 1_000, 4), (10_000, 32, 365), (20_000, 2, 8_760)):
        theirs, ours = helper(count, slots, collection_count)
        helper_ratios[slots] = theirs / ours
        name = f"helper adds {count:,} x {slots:,}, {collection_count:,} collections"
        per = 1e9 / count / slots
        table.add_row(name, f"{ours * per:.2f} ns/value", f"pycryptodome {theirs * per:.2f}", f"{theirs / ours:.1f}")

    site, single, flower = client()
    peer = f"SecAgg+, {NEIGHBOURS} neighbours {flower * 1e6:.4f}"
    table.add_row(
        f"client, {SITE_REPORTS} reports x {SLOTS:,}", f"{site * 1e6:.4f} us/value", peer, f"{flower / site:.0f}"
    )
    table.add_row(f"client, 1 report x {SLOTS:,}", f"{single * 1e6:.4f} us/value", peer, f"{flower / single:.0f}")
    Console(width=120).print(table)
    print_figures(
        {
            "upload_over_plaintext": round(upload, 4),
            "leader_over_npadd": round(min(leader_ratios), 3),
            "leader_gb_per_s": round(min(leader_gbs), 2),
            "helper_over_xof": round(helper_ratios[SLOTS], 3),
            "helper_over_xof_by_slots": {str(slots): round(r, 2) for slots, r in helper_ratios.items()},
            "client_us_per_value": round(site * 1e6, 5),
            "client_alone_us_per_value": round(single * 1e6, 5),
            "secaggplus_client_us_per_value": round(flower * 1e6, 5),
            "secaggplus_neighbours": NEIGHBOURS,
            "secaggplus_over_client": round(flower / site, 1),
        }
    )


if __name__ == "__main__":
    main()
