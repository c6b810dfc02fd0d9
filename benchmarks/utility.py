"""The gain of a model from private aggregates: two tasks at several prices, with intervals.

    python -m benchmarks.utility [--task flights|baskets|all] [--seeds 5] [--ablation-seeds 3] [--plot PNG] [--write PAGE]

The share of the gain is (private − own) ÷ (exact − own), in AUC on the test months. `own` is the model without aggregates;
`exact` is the monotone model with windows of exact sums. Intervals come from 2,000 draws of days and noise seeds; days and not
rows, because rows of a day share the weather. The JSON line has the figures of the flights:

* `gain_share_eps1_windows`: plain windows at ε = 1 (δ = 1e-6) a client-day, `gain_share_eps1`: filtered features; both in
  models that are monotone in the rates. `gain_share_rho_0_1`, `gain_share_eps0_5`: filtered, at ρ = 0.1 and ε = 0.5.

`--write` replaces the marked tables of a page, and writes the plot next to it as a PNG of the same name.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from simulations.errors import DataMissing
from simulations.measuring import print_figures
from simulations.tasks.ablation import ENTRIES, Ablation, RunningAblation
from simulations.tasks.calibration import Calibration, calibration
from simulations.tasks.scores import DayPairs, Interval, Resamples, interval
from simulations.tasks.study import FILTERED, MOST_SEEDS, OWN, RHOS, TASKS, WINDOWS, Model, StudyScores, study, workers
from simulations.tasks.worlds import WorldNoise

KEYS: Final = {
    "gain_share_eps1_windows": ("ε = 1", WINDOWS),
    "gain_share_eps1": ("ε = 1", FILTERED),
    "gain_share_rho_0_1": ("ρ = 0.1", FILTERED),
    "gain_share_eps0_5": ("ε = 0.5", FILTERED),
}
COVERAGE_KEYS: Final = {"ε = 0.5": "coverage_eps0_5", "ε = 1": "coverage_eps1", "ρ = 0.1": "coverage_rho_0_1"}


@dataclass(frozen=True)
class Row:
    """One line of a task's table: AUC, and share of the gain; no share of the own features."""

    price: str
    model: str
    auc: Interval
    share: Interval | None


@dataclass(frozen=True)
class Report:
    """A task's figures."""

    scores: StudyScores
    rows: list[Row]
    shares: dict[tuple[str, Model], Interval]
    calibrations: dict[str, Calibration]


def main() -> None:
    """Print the tables, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=[*TASKS, "all"], default="all", help="which task (default: all)")
    parser.add_argument(
        "--seeds", type=int, default=5, help="noise seeds of each price (default: 5; baskets: at most 3)"
    )
    parser.add_argument(
        "--ablation-seeds", type=int, default=3, help="the first seeds, for the ablation; 0 leaves it out"
    )
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--write", type=Path, help="a page whose marked tables are replaced, such as docs/utility.md")
    given = parser.parse_args()
    if not 0 <= given.ablation_seeds <= given.seeds or given.seeds < 1:
        parser.error("--seeds must be at least 1, --ablation-seeds from 0 to --seeds")
    if given.write is not None:
        require_places(given.write, _titles(given.task, given.ablation_seeds))
    started = time.monotonic()
    reports, sections = _measure(given.task, given.seeds, given.ablation_seeds)
    console = Console()
    for title, text in sections.items():
        console.print(Markdown(f"### {title}\n\n{text}"))
    plot = given.write.with_suffix(".png") if given.plot is None and given.write is not None else given.plot
    if plot is not None:
        from benchmarks.utility_plot import draw

        draw(plot, {name: report.shares for name, report in reports.items()})
    if given.write is not None:
        write_into(given.write, sections)
    print_figures(_figures(reports, given.seeds, time.monotonic() - started))


def _titles(task: str, ablation_seeds: int) -> list[str]:
    """Of the sections that are going to be written."""
    tables = [f"{name}: {part}" for name in TASKS if task in (name, "all") for part in ("table", "choice")]
    if task == "baskets":
        return tables
    return [*tables, "flights: calibration", *(["flights: ablation"] if ablation_seeds else [])]


def _measure(task: str, seeds: int, ablation_seeds: int) -> tuple[dict[str, Report], dict[str, str]]:
    """The reports by task, and the sections of the page by title."""
    reports: dict[str, Report] = {}
    sections: dict[str, str] = {}
    for name in TASKS if task == "all" else [task]:
        try:
            with workers(name, _say) as pool:
                ablating = RunningAblation(pool, ablation_seeds, _say) if name == "flights" and ablation_seeds else None
                calibrated = _calibrating(pool) if name == "flights" else {}
                scores = study(pool, name, min(seeds, MOST_SEEDS.get(name, seeds)), _say)
                calibrations = {price: future.result() for price, future in calibrated.items()}
                ablation = None if ablating is None else ablating.result(scores)
        except DataMissing as missing:
            sections |= dict.fromkeys((f"{name}: table", f"{name}: choice"), f"Left out: {missing}")
            continue
        reports[name] = report = _report(scores, calibrations)
        sections[f"{name}: table"] = _table(report)
        sections[f"{name}: choice"] = _choice(scores)
        if calibrations:
            sections["flights: calibration"] = _calibration(calibrations)
        if ablation is not None:
            sections["flights: ablation"] = _ablation(ablation, scores.days)
    return reports, sections


def _calibrating(pool: ProcessPoolExecutor) -> dict[str, Future[Calibration]]:
    """Under way: how good the filtered forecasts are, in the first world of each price."""
    return {price: pool.submit(calibration, WorldNoise(rho, 0)) for price, rho in RHOS.items()}


def _calibration(calibrations: dict[str, Calibration]) -> str:
    lines = [
        "| a client-day | hours | within the 95 % interval | RMSE of `late_pred` | the exact hour before | the noisy hour |",
        "|---|---|---|---|---|---|",
    ]
    for price, one in calibrations.items():
        noisy = f"{one.noisy:.3f} ({one.noisy_hours:,} hours that are served)"
        lines.append(f"| {price} | {one.hours:,} | {one.covered:.3f} | {one.forecast:.3f} | {one.hour:.3f} | {noisy} |")
    return "\n".join(lines)


def _report(scores: StudyScores, calibrations: dict[str, Calibration]) -> Report:
    draws = Resamples.make(scores.days, _seeds(scores))
    own, best = draws.auc([scores.own]), draws.auc([scores.exact[WINDOWS]])
    rows, shares = [Row("", OWN, interval(own), None)], {}
    worlds: dict[str, dict[Model, list[DayPairs]]] = {"exact": {m: [pairs] for m, pairs in scores.exact.items()}}
    for price, models in (worlds | scores.private).items():
        for model, pairs in models.items():
            auc = draws.auc(pairs)
            share = interval((auc - own) / (best - own))
            rows.append(Row(price, model.title, interval(auc), share))
            shares[price, model] = share
    return Report(scores, rows, shares, calibrations)


def _seeds(scores: StudyScores) -> int:
    """Worlds of each price."""
    return max(len(pairs) for models in scores.private.values() for pairs in models.values())


def _table(report: Report) -> str:
    lines = ["| a client-day | model | AUC | share of the gain |", "|---|---|---|---|"]
    for row in report.rows:
        share = "" if row.share is None else _percent(row.share)
        price = f"{row.price} (ρ = {RHOS[row.price]:.4f})" if row.price.startswith("ε") else row.price
        lines.append(f"| {price} | {row.model} | {row.auc.value:.3f} | {share} |")
    days, seeds = report.scores.days, _seeds(report.scores)
    return "\n".join([*lines, "", f"{days} days of the test, {seeds} noise seeds of each price."])


def _choice(scores: StudyScores) -> str:
    lines = ["| candidate, at ε = 1 | AUC on July and August |", "|---|---|"]
    for candidate, aucs in sorted(scores.choice.items(), key=lambda one: -float(np.mean(one[1]))):
        lines.append(f"| {candidate} | {np.mean(aucs):.4f} |")
    return "\n".join(lines)


def _ablation(ablation: Ablation, days: int) -> str:
    seeds = len(ablation.forecasts)
    draws = Resamples.make(days, seeds)
    lines = ["| model | tool | AUC without | AUC with | change | it |", "|---|---|---|---|---|---|"]
    for entry in ENTRIES:
        without, with_tool = (draws.auc(ablation.pairs[name]) for name in (entry.base, entry.variant))
        change = interval(with_tool - without)
        verdict = "helps" if change.low > 0 else "hurts" if change.high < 0 else "makes no clear difference"
        lines.append(
            f"| {entry.model} | {entry.tool} | {without[0]:.4f} | {with_tool[0]:.4f} "
            f"| {change.value:+.4f} [{change.low:+.4f}, {change.high:+.4f}] | {verdict} |"
        )
    plain, own, typical = (
        np.mean([getattr(one, name) for one in ablation.forecasts]) for name in ("plain", "own", "typical")
    )
    return "\n".join(
        (
            *lines,
            "",
            "| forecast of an airline's rate tomorrow, least squares | RMSE | change |",
            "|---|---|---|",
            f"| every noisy day alike | {plain:.4f} | |",
            f"| `inverse_variance_weights` of each day's own se | {own:.4f} | {own / plain - 1:+.1%} |",
            f"| `inverse_variance_weights` of the airline's typical se | {typical:.4f} | {typical / plain - 1:+.1%} |",
        )
    )


def _figures(reports: dict[str, Report], seeds: int, seconds: float) -> dict[str, object]:
    figures: dict[str, object] = {"seeds": seeds, "seconds": round(seconds)}
    if "flights" not in reports:
        return figures
    report = reports["flights"]
    for key, place in KEYS.items():
        share = report.shares[place]
        figures[key] = round(share.value, 3)
        figures[f"{key}_interval"] = [round(share.low, 3), round(share.high, 3)]
    for price, one in report.calibrations.items():
        figures[COVERAGE_KEYS[price]] = round(one.covered, 3)
    aucs = {(row.price, row.model): round(row.auc.value, 4) for row in report.rows}
    figures |= {"auc_own": aucs["", OWN], "auc_exact": aucs["exact", WINDOWS.title], "test_days": report.scores.days}
    return figures


def write_into(page: Path, sections: dict[str, str]) -> None:
    """Replace what stands between `<!-- TITLE -->` and the next `<!-- end -->`. SystemExit: a section has no place."""
    require_places(page, list(sections))
    text = page.read_text(encoding="utf-8")
    for title, body in sections.items():
        before, _, rest = text.partition(f"<!-- {title} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        text = f"{before}<!-- {title} -->\n{body}\n{end}{after}"
    page.write_text(text, encoding="utf-8")


def require_places(page: Path, titles: list[str]) -> None:
    """SystemExit unless the page has one place for each of these sections."""
    text = page.read_text(encoding="utf-8")
    for title in titles:
        found = re.findall(rf"^<!-- {re.escape(title)} -->\n(?:(?!<!-- ).)*<!-- end -->$", text, flags=re.S | re.M)
        if len(found) != 1:
            raise SystemExit(f"{page} has {len(found)} places for section {title!r}: <!-- {title} --> … <!-- end -->")


def _percent(share: Interval) -> str:
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
