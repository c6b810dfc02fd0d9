"""The gain of a model from private aggregates: two tasks at several prices, with intervals.

    python -m benchmarks.utility [--task flights|baskets|all] [--seeds 20] [--ablation-seeds 3] [--plot PNG] [--write PAGE]

The share of the gain is (private − own) ÷ (exact − own), in AUC on the test months. `own` is the model without aggregates;
`exact` is the monotone model with windows of exact sums. Intervals come from 2,000 draws of days and noise seeds; days and not
rows, because rows of a day share the weather. The JSON line has, for the monotone models (flights: filtered, baskets: windows):

* `gain_share_eps1`: noise shared by both aggregators, ε = 1 (δ = 1e-6) of a client-day against outsiders;
  `gain_share_eps1_each`: each aggregator adds all of the noise, ε = 1 against everybody; `gain_share_week_eps2`: shared
  noise, ε = 2 of any 7 days against outsiders. Each is the smaller share of the two tasks; `…_flights` and `…_baskets` with
  `…_interval` stand beside it.
* `epsilon_aggregator_eps1`, `…_eps1_each`, `…_week_eps2`: ε against a curious or cheating aggregator, of a client-day, or of
  any 7 days.
* `coverage_filtered`: by promise, the share of the test months' hours that a filtered forecast's 95 % interval covers;
  `coverage_filtered_min` and `coverage_filtered_max` are the least and the greatest of them.

`--write` replaces the marked tables of a page, and writes the plot next to it as a PNG of the same name.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from simulations.errors import DataMissing
from simulations.measuring import print_figures
from simulations.tasks.ablation import ENTRIES, RunningAblation
from simulations.tasks.calibration import Calibration, calibration
from simulations.tasks.prices import DELTA
from simulations.tasks.scores import DayPairs, Interval, Resamples, interval
from simulations.tasks.study import (
    EACH,
    EPS1,
    MAIN,
    OWN,
    PROMISES,
    SEEDS_OF_THE_REST,
    TASKS,
    WEEK,
    WINDOWS,
    Model,
    StudyScores,
    Workers,
    study,
    workers_of,
)
from simulations.tasks.worlds import WorldNoise

KEYS: Final = {"eps1": EPS1, "eps1_each": EACH, "week_eps2": WEEK}
CALIBRATION_SEEDS: Final = 5


@dataclass(frozen=True)
class Epsilons:
    """ε of the days that a promise is about."""

    outsiders: float
    aggregator: float


@dataclass(frozen=True)
class Row:
    """One line of a task's table: AUC, and share of the gain; no share of the own features."""

    title: str
    model: str
    seeds: int
    auc: Interval
    share: Interval | None


@dataclass(frozen=True)
class Report:
    """A task's figures."""

    scores: StudyScores
    epsilons: dict[str, Epsilons]
    rows: list[Row]
    shares: dict[tuple[str, Model], Interval]
    calibrations: dict[str, list[Calibration]]


def main() -> None:
    """Print the tables, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=[*TASKS, "all"], default="all", help="which task (default: all)")
    parser.add_argument("--seeds", type=int, default=20, help="noise seeds of the main models (default: 20)")
    parser.add_argument(
        "--ablation-seeds", type=int, default=3, help="the first seeds, for the ablation; 0 leaves it out"
    )
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--write", type=Path, help="a page whose marked tables are replaced, such as docs/utility.md")
    given = parser.parse_args()
    if not 0 <= given.ablation_seeds <= min(given.seeds, SEEDS_OF_THE_REST) or given.seeds < 1:
        parser.error(f"--seeds must be at least 1, --ablation-seeds from 0 to --seeds, and at most {SEEDS_OF_THE_REST}")
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
            with workers_of(name, _say) as workers:
                ablating = (
                    RunningAblation(workers, ablation_seeds, _say) if name == "flights" and ablation_seeds else None
                )
                calibrated = _calibrating(workers, min(seeds, CALIBRATION_SEEDS)) if name == "flights" else {}
                scores = study(workers, seeds, _say)
                calibrations = {title: [one.result() for one in many] for title, many in calibrated.items()}
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


def _calibrating(workers: Workers, seeds: int) -> dict[str, list[Future[Calibration]]]:
    """Under way: how good the filtered forecasts are, in the first worlds of each price."""
    return {
        title: [workers.pool.submit(calibration, WorldNoise(price, seed)) for seed in range(seeds)]
        for title, price in workers.prices.items()
    }


def _calibration(calibrations: dict[str, list[Calibration]]) -> str:
    lines = [
        "| promise | hours | within the 95 % interval | RMSE of `late_pred` | the exact hour before | the noisy hour |",
        "|---|---|---|---|---|---|",
    ]
    for title, many in calibrations.items():
        hours, covered, forecast, hour, noisy, noisy_hours = np.mean(
            [(one.hours, one.covered, one.forecast, one.hour, one.noisy, one.noisy_hours) for one in many], axis=0
        )
        served = f"{noisy:.3f} ({noisy_hours:,.0f} hours that are served)"
        lines.append(f"| {title} | {hours:,.0f} | {covered:.3f} | {forecast:.3f} | {hour:.3f} | {served} |")
    return "\n".join(lines)


def _report(scores: StudyScores, calibrations: dict[str, list[Calibration]]) -> Report:
    one = Resamples.make(scores.days, 1)
    own, best = one.auc([scores.own]), one.auc([scores.exact[WINDOWS]])
    rows, shares = [Row("", OWN, 1, interval(own), None)], {}
    worlds: dict[str, dict[Model, list[DayPairs]]] = {"exact": {m: [pairs] for m, pairs in scores.exact.items()}}
    for title, models in (worlds | {promise.title: scores.private[promise.title] for promise in PROMISES}).items():
        for model, pairs in models.items():
            auc = Resamples.make(scores.days, len(pairs)).auc(pairs)
            share = interval((auc - own) / (best - own))
            rows.append(Row(title, model.title, len(pairs), interval(auc), share))
            shares[title, model] = share
    costs = {promise.title: scores.costs[promise.title].over(promise.days) for promise in PROMISES}
    epsilons = {title: Epsilons(cost.epsilon_outside(DELTA), cost.epsilon(DELTA)) for title, cost in costs.items()}
    return Report(scores, epsilons, rows, shares, calibrations)


def _table(report: Report) -> str:
    lines = [
        "| promise | ρ of a client-day | ε against outsiders | against an aggregator | model | seeds | AUC | share of the gain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report.rows:
        share = "" if row.share is None else _percent(row.share)
        price, seeds = " | | ", ""
        if row.title in report.epsilons:
            epsilon, seeds = report.epsilons[row.title], str(row.seeds)
            price = f"{report.scores.prices[row.title].rho:.4f} | {epsilon.outsiders:.2f} | {epsilon.aggregator:.2f}"
        lines.append(f"| {row.title} | {price} | {row.model} | {seeds} | {row.auc.value:.3f} | {share} |")
    return "\n".join([*lines, "", f"{report.scores.days} days of the test."])


def _choice(scores: StudyScores) -> str:
    lines = ["| candidate, at ε = 1 | AUC on July and August |", "|---|---|"]
    for candidate, aucs in sorted(scores.choice.items(), key=lambda one: -float(np.mean(one[1]))):
        lines.append(f"| {candidate} | {np.mean(aucs):.4f} |")
    return "\n".join(lines)


def _ablation(pairs: dict[str, list[DayPairs]], days: int) -> str:
    lines = ["| model | change | AUC without | AUC with | difference | it |", "|---|---|---|---|---|---|"]
    for entry in ENTRIES:
        draws = Resamples.make(days, len(pairs[entry.base]))
        without, with_tool = (draws.auc(pairs[name]) for name in (entry.base, entry.variant))
        change = interval(with_tool - without)
        verdict = "helps" if change.low > 0 else "hurts" if change.high < 0 else "makes no clear difference"
        lines.append(
            f"| {entry.model} | {entry.tool} | {without[0]:.4f} | {with_tool[0]:.4f} "
            f"| {change.value:+.4f} [{change.low:+.4f}, {change.high:+.4f}] | {verdict} |"
        )
    return "\n".join(lines)


def _figures(reports: dict[str, Report], seeds: int, seconds: float) -> dict[str, object]:
    figures: dict[str, object] = {"seeds": seeds, "seconds": round(seconds)}
    for key, promise in KEYS.items():
        shares = {name: report.shares[promise.title, MAIN[name]] for name, report in reports.items()}
        if shares:
            figures[f"gain_share_{key}"] = round(min(share.value for share in shares.values()), 3)
            epsilons = [report.epsilons[promise.title].aggregator for report in reports.values()]
            figures[f"epsilon_aggregator_{key}"] = round(max(epsilons), 4)
        for name, share in shares.items():
            figures[f"gain_share_{key}_{name}"] = round(share.value, 3)
            figures[f"gain_share_{key}_{name}_interval"] = [round(share.low, 3), round(share.high, 3)]
    for name, report in reports.items():
        aucs = {(row.title, row.model): round(row.auc.value, 4) for row in report.rows}
        figures[f"auc_own_{name}"], figures[f"auc_exact_{name}"] = aucs["", OWN], aucs["exact", WINDOWS.title]
        figures[f"test_days_{name}"] = report.scores.days
    return figures | (_coverage(reports["flights"].calibrations) if "flights" in reports else {})


def _coverage(calibrations: dict[str, list[Calibration]]) -> dict[str, object]:
    covered = {title: round(_mean([one.covered for one in many]), 4) for title, many in calibrations.items()}
    return {
        "coverage_filtered": covered,
        "coverage_filtered_min": min(covered.values()),
        "coverage_filtered_max": max(covered.values()),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


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
