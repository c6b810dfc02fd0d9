"""Estimate a collection of 10⁶ to 10⁹ clients: the tables of docs/scale.md, its picture, and one JSON line.

    python -m benchmarks.scale [--slots 100 1000 10000] [--picture docs/scale.png] [--folder DIR] [--quick]
        [--rtt-ms 10] [--link-gbit 10] [--vcpu-hour 0.04] [--egress-gb 0.09]

This run measures costs with the real site, leader and helper, and with storage: medians of CPU time of the process. The rest
comes from `simulations.scale.model`, under the assumptions of the first table. The last table simulates some regimes in virtual
time. `--folder` is the folder of the measured storage: its disk decides how long a commit waits.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from deployment.printing.console import progress_bars
from federation.terms import Validity
from simulations.measuring import print_figures
from simulations.scale.closing import Effort
from simulations.scale.costs import Costs, Linear
from simulations.scale.measured_costs import measure
from simulations.scale.model import GB, SHARDED, WHOLE, Assumptions, Estimate, Regime, estimate, stations_of
from simulations.scale.pair import BITS
from simulations.scale.queueing import AnswerWindow, flow
from simulations.scale.shards_simulation import Crashes, play

from .scale_plot import draw

CLIENTS: Final = (10**6, 10**7, 10**8, 10**9)
REFERENCE: Final = 10**8
FLEETS: Final = {"phones": 1, "cross-silo": 500}
VALIDITIES: Final = tuple(Validity)
DETAIL_SLOTS: Final = 1_000
GATHERED: Final = (1, 10, 100)
PLAYED_BATCHES: Final = 40_000
QUICK: Final = Effort(turns=1, ids=2_000, noise=50, slots=1_000, batch=20)
QUICK_BATCHES: Final = 1_000
PLAYED_SHARDS: Final = 4
PLAYED_WINDOW: Final = AnswerWindow(median_s=120, tail=0.5, deadline_s=600)


def main() -> None:
    """Measure, print the tables as they stand in docs/scale.md, draw the picture, and print one JSON line."""
    options = arguments().parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="covey-bench-", dir=options.folder) as scratch,
        progress_bars(Console(stderr=True)) as progress,
    ):
        said = partial(progress, "scale")
        costs = measure(options.slots, VALIDITIES, Path(scratch), QUICK if options.quick else Effort(), said)
    assumed = Assumptions(
        rtt_s=options.rtt_ms / 1e3,
        link=options.link_gbit / 8e-9,
        vcpu_hour=options.vcpu_hour,
        egress_gb=options.egress_gb,
    )
    estimates = {
        (fleet, one.regime.slots, one.regime.validity, one.regime.clients): one
        for fleet, one in _estimates(costs, options.slots, assumed)
    }
    detail = DETAIL_SLOTS if DETAIL_SLOTS in options.slots else options.slots[0]
    played = _played(costs, detail, assumed, QUICK_BATCHES if options.quick else PLAYED_BATCHES)
    for lines in (
        _assumptions(assumed),
        _reports(costs),
        _steps(costs, detail),
        _closing(costs),
        _sizes(estimates, detail),
        _saturates(estimates),
        _loads(estimates, detail),
        _gathered(costs, detail, assumed),
        _played_table(played),
    ):
        print("\n".join(lines), end="\n\n")
    if options.picture is not None:
        draw(options.picture, {key: one for key, one in estimates.items() if key[1] == detail})
    print_figures(_figures(costs, estimates, played))


def arguments() -> argparse.ArgumentParser:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--slots", type=int, nargs="+", default=[100, 1_000, 10_000], help="lengths of a report")
    parser.add_argument("--picture", type=Path, help="PNG to draw; default: none")
    parser.add_argument(
        "--folder", type=Path, help="folder on the measured disk; default: the system's temporary folder"
    )
    parser.add_argument(
        "--rtt-ms", type=float, default=1e3 * Assumptions.rtt_s, help="round-trip time of leader and helper"
    )
    parser.add_argument("--link-gbit", type=float, default=8e-9 * Assumptions.link, help="link of a machine, each way")
    parser.add_argument("--vcpu-hour", type=float, default=Assumptions.vcpu_hour, help="dollars")
    parser.add_argument("--egress-gb", type=float, default=Assumptions.egress_gb, help="dollars")
    parser.add_argument("--quick", action="store_true", help="small samples, for a test run")
    return parser


def _estimates(costs: Costs, slots: Sequence[int], assumed: Assumptions) -> Iterable[tuple[str, Estimate]]:
    for fleet, batch in FLEETS.items():
        for length in slots:
            for validity in VALIDITIES:
                for clients in CLIENTS:
                    yield fleet, estimate(costs, Regime(clients, batch, length, validity), assumed)


def _played(costs: Costs, slots: int, assumed: Assumptions, most: int) -> list[dict[str, Any]]:
    """Regimes in virtual time, at the loads that decide: (model, simulation) of latency and utilisation."""
    rows = []
    for fleet, batch in FLEETS.items():
        for validity in VALIDITIES:
            report = costs.reports[slots, validity]
            size = min(batch, report.largest_batch)
            stations = stations_of(costs, report, size, assumed.rtt_s)
            for peak in (0.4, 0.7, 1.5):
                per_shard = peak / (PLAYED_WINDOW.busiest * stations.slowest)
                shards = max(1, min(PLAYED_SHARDS, int(most / per_shard)))
                batches = min(most, int(per_shard * shards))
                found = play(batches, shards, stations, assumed.rtt_s, PLAYED_WINDOW)
                expected = flow(PLAYED_WINDOW, batches / shards, stations.slowest)
                line = flow(PLAYED_WINDOW, batches / shards, stations.line)
                crashed = play(
                    batches, shards, stations, assumed.rtt_s, PLAYED_WINDOW, crashes=Crashes(an_hour=60, restart_s=5)
                )
                once = crashed.leader == crashed.helper and set(crashed.leader.values()) == {1}
                rows.append(
                    {
                        "fleet": fleet,
                        "validity": validity,
                        "peak": peak,
                        "shards": shards,
                        "batches": batches,
                        "latency_model_s": expected.wait_s + stations.through,
                        "latency_played_s": float(found.latency_s.mean()),
                        "line_model": line.load,
                        "line_played": found.line_load,
                        "crashes": crashed.crashes,
                        "asked_again": crashed.asked_again + crashed.resubmitted,
                        "once": once and len(crashed.leader) + crashed.late == batches,
                    }
                )
    return rows


# tables


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(headers)} |",
        "|" + "---|" * len(headers),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _assumptions(assumed: Assumptions) -> list[str]:
    window = assumed.window
    return _table(
        ("assumed", "value"),
        [
            ("sites answer", f"log-normal, median {window.median_s:,.0f} s, σ {window.tail:g}"),
            ("deadline", f"{window.deadline_s:,.0f} s after the announcement"),
            ("round trip, leader to helper", _time(assumed.rtt_s)),
            ("a machine's link, each way", f"{8 * assumed.link / 1e9:g} Gbit/s"),
            ("a machine's memory", f"{assumed.memory / 2**30:g} GiB"),
            ("load that is planned for", f"{assumed.full:.0%} at the busiest moment"),
            ("time for merging and opening", f"{assumed.close_s:,.0f} s"),
            ("a vCPU", f"${assumed.vcpu_hour:g} an hour"),
            ("what leaves coordinator and leader", f"${assumed.egress_gb:g} a GB"),
        ],
    )


def _reports(costs: Costs) -> list[str]:
    rows = [
        (
            f"{one.slots:,}",
            one.validity,
            f"{reports:,}",
            *(_bytes(each.of(reports)) for each in (one.upload, one.to_helper)),
            *(_time(each.of(reports)) for each in (one.site_s, one.leader_s, one.helper_s)),
            *(_time(each.of(reports)) for each in (one.leader_disk_s, one.helper_disk_s)),
        )
        for one in costs.reports.values()
        for reports in (1, min(FLEETS["cross-silo"], one.largest_batch))
    ]
    headers = ("slots", "validity", "reports", "upload", "to the helper", "site", "leader", "helper")
    return _table((*headers, "leader's disk", "helper's disk"), rows)


def _steps(costs: Costs, slots: int) -> list[str]:
    """The pieces of a batch, of both validities."""
    of = {validity: costs.reports[slots, validity] for validity in VALIDITIES}
    sizes = {validity: sorted({size for _, size in one.steps}) for validity, one in of.items()}
    columns = [(validity, size) for validity in VALIDITIES for size in sizes[validity]]
    names = list(dict.fromkeys(name for one in of.values() for name, _ in one.steps))
    rows = []
    for name in names:
        found = (of[validity].steps.get((name, size)) for validity, size in columns)
        rows.append((name, *("–" if seconds is None else _time(seconds) for seconds in found)))
    return _table((f"{slots:,} slots", *(f"{validity}, {size:,} reports" for validity, size in columns)), rows)


def _closing(costs: Costs) -> list[str]:
    one = costs.closing
    million = one.commit_s * 1e6
    return _table(
        ("measured", "value"),
        [
            ("merge of a shard's sums", f"{_time(one.merge_s)} a slot"),
            ("counts and digests of 10⁶ ids in one process", _time(million)),
            ("the same, of today's services (ids read back from SQLite)", _time(one.service_close_s * 1e6)),
            ("an aggregator's noise", f"{_time(one.noise_s)} a slot"),
            ("basis and opening", f"{_time(one.open_s)} a slot"),
            ("memory of an id while sets are committed to", _bytes(one.id_bytes)),
            ("an id in SQLite", _bytes(one.stored_id_bytes)),
            (f"taking an id, with {one.stored_ids:,} there", _time(one.stored_report_s)),
            ("a site in a roster", _bytes(one.roster_bytes)),
            ("a gRPC call, both ends", f"{_time(one.rpc_s)} and {_time(one.rpc_byte_s * 1e6)} a MB"),
        ],
    )


Key = tuple[str, int, Validity, int]


def _sizes(estimates: dict[Key, Estimate], slots: int) -> list[str]:
    rows = []
    for (fleet, length, validity, clients), one in estimates.items():
        if length == slots:
            rows.append(
                (
                    fleet,
                    validity,
                    f"{clients:.0e}".replace("1e+0", "10^"),
                    f"{one.shards:,}",
                    _bytes(one.upload),
                    f"{one.cpu_s['sites'] / one.regime.clients * 1e3:.2f} ms",
                    f"{(one.cpu_s['leader'] + one.cpu_s['helper']) / 3_600:,.1f} h",
                    _time(one.latency_s),
                    _time(one.after_deadline_s),
                    f"${one.dollars:,.2f}" if one.dollars < 100 else f"${one.dollars:,.0f}",
                )
            )
    headers = ("fleet", "validity", "clients", "shards", "upload", "CPU a client", "aggregators' CPU")
    return _table((*headers, "a batch's latency", "after the deadline", "cost"), rows)


def _saturates(estimates: dict[Key, Estimate]) -> list[str]:
    """Of each resource the number of clients at which it is as full as is planned for: loads are proportional to them."""
    rows = []
    for (fleet, slots, validity, clients), one in estimates.items():
        if clients != REFERENCE:
            continue
        alone = {name: load * (one.shards if name in SHARDED else 1) for name, load in one.loads.items()}
        ranked = sorted(alone, key=lambda name: -alone[name])
        full = {
            name: f"{name} {_count(clients * Assumptions.full / alone[name])}" for name in ranked if name != "noise"
        }
        shared = [full[name] for name in ranked if name in SHARDED]
        whole = [full[name] for name in ranked if name in WHOLE and name in full]
        rows.append((fleet, f"{slots:,}", validity, *shared[:2], ", ".join(whole[:4])))
    return _table(("fleet", "slots", "validity", "first, with one shard", "next", "what shards do not share"), rows)


def _count(clients: float) -> str:
    return f"{clients:.1e}".replace("e+0", "·10^").replace("e+", "·10^")


def _loads(estimates: dict[Key, Estimate], slots: int) -> list[str]:
    """All loads at 10⁸ clients."""
    chosen = {key: one for key, one in estimates.items() if key[1] == slots and key[3] == REFERENCE}
    headers = (
        "10^8 clients",
        *(f"{fleet}, {validity}, {one.shards:,} shards" for (fleet, _, validity, _), one in chosen.items()),
    )
    return _table(
        headers,
        [(name, *(f"{one.loads[name]:,.3f}" for one in chosen.values())) for name in (*SHARDED, *WHOLE)],
    )


def _gathered(costs: Costs, slots: int, assumed: Assumptions) -> list[str]:
    """What is not built: one round and one commit at each aggregator for many batches of phones."""
    rows = []
    for validity in VALIDITIES:
        for batches in GATHERED:
            report = costs.reports[slots, validity]
            disks = (Linear(one.batch / batches, one.report) for one in (report.leader_disk_s, report.helper_disk_s))
            leader_disk_s, helper_disk_s = disks
            shared = replace(report, leader_disk_s=leader_disk_s, helper_disk_s=helper_disk_s)
            one = estimate(
                replace(costs, reports={(slots, validity): shared}),
                Regime(REFERENCE, 1, slots, validity),
                replace(assumed, rtt_s=assumed.rtt_s / batches),
            )
            rows.append((validity, f"{batches:,}", f"{one.shards:,}", f"${one.dollars:,.0f}", one.first))
    return _table(("10^8 phones", "batches a round and commit", "shards", "cost", "then saturates first"), rows)


def _played_table(played: Iterable[dict[str, Any]]) -> list[str]:
    headers = (
        "fleet",
        "validity",
        "peak load",
        "shards",
        "batches",
        "latency: model",
        "played",
        "line's load: model",
        "played",
    )
    return _table(
        (*headers, "crashes", "sent again", "each counted once by both"),
        [
            (
                one["fleet"],
                one["validity"],
                f"{one['peak']:g}",
                str(one["shards"]),
                f"{one['batches']:,}",
                _time(one["latency_model_s"]),
                _time(one["latency_played_s"]),
                f"{one['line_model']:.3f}",
                f"{one['line_played']:.3f}",
                str(one["crashes"]),
                str(one["asked_again"]),
                "yes" if one["once"] else "NO",
            )
            for one in played
        ],
    )


def _time(seconds: float) -> str:
    for limit, unit, factor in ((1e-6, "ns", 1e9), (1e-3, "µs", 1e6), (1.0, "ms", 1e3), (600.0, "s", 1.0)):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 60:,.0f} min" if seconds < 36_000 else f"{seconds / 3_600:,.0f} h"


def _bytes(count: float) -> str:
    for limit, unit, factor in ((1e3, "B", 1.0), (1e6, "kB", 1e3), (GB, "MB", 1e6), (1e12, "GB", GB)):
        if count < limit:
            return f"{count / factor:,.1f} {unit}" if factor > 1 else f"{count:,.0f} {unit}"
    return f"{count / 1e12:,.1f} TB"


def _figures(costs: Costs, estimates: dict[Key, Estimate], played: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything, with four digits."""
    return {
        "bits": BITS,
        "closing": {name: _short(value) for name, value in asdict(costs.closing).items()},
        "reports": {
            f"{slots} {validity}": {
                name: [_short(part) for part in value.values()] if isinstance(value, dict) else value
                for name, value in asdict(one).items()
                if name != "steps"
            }
            for (slots, validity), one in costs.reports.items()
        },
        "estimates": {
            f"{fleet} {slots} {validity} {clients:.0e}": {
                "shards": one.shards,
                "upload_bytes": _short(one.upload),
                "aggregators_cpu_s": _short(one.cpu_s["leader"] + one.cpu_s["helper"]),
                "dollars": _short(one.dollars),
                "latency_s": _short(one.latency_s),
                "after_deadline_s": _short(one.after_deadline_s),
                "first": one.first,
                "then": one.then,
            }
            for (fleet, slots, validity, clients), one in estimates.items()
        },
        "played": [{name: _short(value) for name, value in one.items()} for one in played],
    }


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
