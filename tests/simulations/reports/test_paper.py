"""`covey lab report`: the set of experiments, its page, its numbers, and how an interrupted report continues."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from deployment.errors import ItemMissing
from simulations.errors import ReportConfigInvalid
from simulations.reports.page import Failure, Page, Section, Table
from simulations.reports.paper import report as reports
from simulations.reports.paper.config import ReportConfig, parse, read_report_config
from simulations.reports.paper.items import FinishedItem, ItemResult, Point, ReportItem, experiments_of
from simulations.reports.paper.page import paper
from simulations.reports.paper.running import mean_point
from simulations.reports.plots import Panel, _tick
from simulations.reports.texts import number
from simulations.shards.workers import Inline

Covey = Callable[..., tuple[int, str, str]]

PAGE = Path(__file__).resolve().parents[3] / "docs" / "lab-report.md"
SMALL = """
title: A <small> report
delta: 1.0e-6
seed: 3
utility: {rhos: [1.0, 0.1], clients: 200, keys: 2, days: 1, repeats: 2}
attacks: {names: [membership], rhos: [0.1], clients: 60, k: 50, trials: 40}
clients: null
cost: null
protections: null
"""


def test_a_page_escapes_what_is_no_html_and_forbids_what_it_does_not_need() -> None:
    table = Table('"x', ("a&b",), (("<i>",),))
    text = Page("<b>", (Section.of("<u>", "<script>", table, Failure("<em>", "a\u202eb")),)).render()
    assert not re.search(r"<(b|u|script|i|em)>", text)
    assert 'aria-label="&#34;x"' in text
    assert "a&amp;b" in text
    assert "default-src &#39;none&#39;" in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-3, "−3"),
        (1234567, "1,234,567"),
        (0.12345, "0.123"),
        (388000000.0, "388,000,000"),
        (1e-06, "1.00·10⁻⁶"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (None, "–"),
        (True, "–"),
        (1234.56, "1,235"),
        (2500000000000.0, "2.50·10¹²"),
    ],
)
def test_numbers_are_written_for_people(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("seed: 3", "seed: -1", "seed"),
        ("seed: 3", "seed: true", "seed"),
        ("seed: 3", "sead: 3", "sead"),
        ("delta: 1.0e-6", "delta: .nan", "delta"),
        ("repeats: 2", "repeats: 0", "utility.repeats"),
        ("repeats: 2", "repeats: 2, extra: 1", "utility.extra"),
        (", repeats: 2", "", "utility.repeats"),
        ("[1.0, 0.1]", "[]", "utility.rhos"),
        ("[1.0, 0.1]", "[0.1, 0.1]", "utility.rhos"),
        ("[membership]", "[1]", "attacks.names"),
        ("[membership]", "[a/b]", "attacks.names: 'a/b' is unknown; choose from differencing, membership"),
        (
            "protections: null",
            "protections: {names: [sharez], clients: 50, keys: 2}",
            "'sharez' is unknown; choose from plaintext",
        ),
        ("trials: 40", "trials: 39", "attacks: trials is 39; it must be at least 40"),
        ("k: 50", "k: 61", "attacks: k is 61; it must be from 2 to the number of clients, 60"),
        ("rhos: [0.1]", "rhos: [0.1, 3.0]", "attacks: rho is 3"),
        ("delta: 1.0e-6", "delta: 1.0", "delta must be below 1"),
        ("clients: null", "clients: 3", "clients"),
        ("title: A <small> report", "title: !!python/object/apply:os.system [ls]", "python"),
        ("seed: 3", "seed: [", "expected"),
    ],
)
def test_a_set_of_experiments_is_parsed_strictly(before: str, after: str, named: str) -> None:
    assert before in SMALL
    parse(Path("x.yaml"), SMALL.encode())
    with pytest.raises(ReportConfigInvalid, match=re.escape(named)):
        parse(Path("x.yaml"), SMALL.replace(before, after, 1).encode())
    with pytest.raises(ReportConfigInvalid, match="bytes"):
        parse(Path("x.yaml"), b"#" * 2**17)


def test_the_sets_that_come_along_can_be_read_and_no_name_leads_out_of_their_folder() -> None:
    for name in ("paper", "quick"):
        names = [one.name for one in experiments_of(read_report_config(name))]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[\w.+-]+", one) for one in names)
    for name in ("../report/paper", "nothing", "/tmp/nothing.yaml"):
        with pytest.raises(ItemMissing):
            read_report_config(name)


def test_another_price_is_another_experiment() -> None:
    rhos = "[0.1, 0.10000001, 1.0]"
    text = SMALL.replace("[1.0, 0.1]", rhos).replace("rhos: [0.1]", f"rhos: {rhos}")
    names = [one.name for one in experiments_of(parse(Path("x.yaml"), text.encode()))]
    assert len(set(names)) == len(names) == 6
    assert {"utility-rho-0.1", "utility-rho-1", "attack-membership-rho-0.1"} < set(names)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, reports.Report]:
    """A small report: two prices, one attack."""
    out = tmp_path_factory.mktemp("report")
    return out, reports.make_report("small.yaml", parse(out, SMALL.encode()), out, Inline())


def test_a_report_has_its_page_numbers_and_pictures(made: tuple[Path, reports.Report]) -> None:
    out, report = made
    assert report.failed == ()
    assert report.page == out / "report.html"
    text, stored = report.page.read_text(), json.loads((out / "report.json").read_text())
    assert "A &lt;small&gt; report" in text
    assert "<script" not in text
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"|url\((?!#)", text.replace("xlink:", ""))
    for number_ in range(1, text.count("<figure") + 1):
        assert (out / f"figure-{number_}.png").read_bytes().startswith(b"\x89PNG")
    points = [{"experiment": one["name"], **point} for one in stored["experiments"] for point in one["points"]]
    rows = pq.read_table(out / "results.parquet").to_pylist()
    assert [row["experiment"] for row in rows] == [point["experiment"] for point in points]
    assert [row["estimate"] for row in rows] == pytest.approx(
        [float(point["estimate"]) for point in points], nan_ok=True
    )
    effects = {row["series"]: row for row in rows if row["measure"] == "membership: AUC"}
    assert effects["off"]["low"] > effects["on"]["high"]
    assert list(stored["readings"]) == list(report.readings)
    assert report.readings[0] in text


def test_what_is_done_is_kept_and_what_is_asked_differently_runs_again(made: tuple[Path, reports.Report]) -> None:
    out, _ = made
    config = parse(out, SMALL.encode())
    files = sorted((out / "experiments").iterdir())
    before = {path.name: path.stat().st_mtime_ns for path in files}
    page_before = (out / "report.html").read_bytes()
    reports.make_report("small.yaml", config, out, Inline())
    assert {path.name: path.stat().st_mtime_ns for path in files} == before
    assert re.sub(rb"load [\d.]+", b"", (out / "report.html").read_bytes()) == re.sub(rb"load [\d.]+", b"", page_before)
    assert config.attacks is not None
    reports.make_report("small.yaml", replace(config, attacks=replace(config.attacks, trials=41)), out, Inline())
    changed = {path.name for path in files if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {"attack-membership-rho-0.1.json"}


def test_an_interrupted_report_goes_on_where_it_was(tmp_path: Path) -> None:
    config = replace(parse(tmp_path, SMALL.encode()), attacks=None)

    def interrupt(what: str, done: float, _total: float) -> None:
        if what == "utility-rho-1" and done > 2:  # the second is running
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reports.make_report("x", config, tmp_path, Inline(), interrupt)
    kept = tmp_path / "experiments" / "utility-rho-0.1.json"
    assert [path.name for path in (tmp_path / "experiments").iterdir()] == [kept.name]
    before = kept.stat().st_mtime_ns
    assert reports.make_report("x", config, tmp_path, Inline()).failed == ()
    assert kept.stat().st_mtime_ns == before
    assert (tmp_path / "report.html").is_file()


def test_a_failed_experiment_is_named_and_the_exit_code_is_one(covey: Covey, tmp_path: Path) -> None:
    text = SMALL.replace("[1.0, 0.1]", "[1.0]").replace("clients: 200", "clients: 20")
    (tmp_path / "mine.yaml").write_text(text)
    code, out, err = covey("lab", "report", tmp_path / "mine.yaml", "--out", tmp_path / "out", "--json")
    answer = json.loads(out)
    assert code == 1, err
    assert answer["failed"] == ["utility-rho-1"]
    html = (tmp_path / "out" / "report.html").read_text()
    assert "view &#39;visits&#39; opens no pane of fewer than 50 clients, and the fleet has 20" in html
    assert "Attacks against ε" in html
    assert "utility-rho-1" in err


@pytest.mark.parametrize("words", [["nothing"], ["paper", "--quick"], ["--quick", "--out", __file__]])
def test_what_cannot_be_reported_is_refused_before_anything_runs(covey: Covey, words: list[str]) -> None:
    code, out, err = covey("lab", "report", *words)
    assert code in (2, 5), err
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")


def _done(
    name: str, kind: str, asked: dict[str, Any], points: list[Point], extra: dict[str, Any] | None = None
) -> FinishedItem:
    return FinishedItem(ReportItem(name, kind, asked, 1.0), ItemResult(tuple(points), extra or {}), None, 1.0, "rev")


MADE_BY: dict[str, Any] = {"git": None, "versions": {}, "machine": {"cores": 2, "kind": "x", "load": 0.0}}


def _config() -> ReportConfig:
    return parse(Path("x"), SMALL.encode())


def test_the_sentences_are_read_off_the_numbers() -> None:
    asked = {"clients": 10, "keys": 1, "days": 1, "repeats": 1, "rho": 0.1}

    def readings(error: float, succeeds: bool, low: float) -> list[str]:
        points = [Point("count", "relative error", "clients", x, error / x) for x in (100.0, 1000.0)]
        side = {
            "effect": {"what": "AUC", "estimate": 0.5, "low": 0.4, "high": 0.6},
            "baseline": 0.5,
            "margin": 0.25,
            "succeeded": succeeds,
            "epsilon": {"low": low},
            "claimed_epsilon": 2.0,
        }
        extra = {"on": side, "off": side, "what": "", "defence": "", "what_is_off": ""}
        effect = [Point(of, "a: AUC", "ε of a client-day", 2.0, 0.5, 0.4, 0.6) for of in ("on", "off")]
        attack = _done("attack-a", "attack", {"attack": "a"}, effect, extra)
        return paper("x", _config(), [_done("clients-1", "errors", asked, points), attack], MADE_BY).readings

    calm, bad = readings(10.0, False, 1.0), readings(40.0, True, 2.5)
    assert any("from 10 % to 1 %, as n^−1.00" in one for one in calm)
    assert any("from 40 % to 4 %" in one for one in bad)
    assert any("on 0 of 1 attacks" in one for one in calm)
    assert any("on 1 of 1 attacks" in one for one in bad)
    assert any("no lower bound" in one and "1 of 2" in one for one in calm)
    assert any("exceeds the claimed ε in: a" in one for one in bad)


def test_the_table_of_attacks_has_each_side_in_its_column_and_the_limit_of_a_success() -> None:
    def side(estimate: float, *, succeeded: bool) -> dict[str, Any]:
        effect = {"what": "AUC", "estimate": estimate, "low": estimate - 0.1, "high": estimate + 0.1}
        about = {"baseline": 0.5, "margin": 0.25, "epsilon": None, "claimed_epsilon": None}
        return {"effect": effect, "succeeded": succeeded, **about}

    off, on = side(0.9, succeeded=True), side(0.6, succeeded=False)
    effects = [Point(of, "a: AUC", "ε of a client-day", 2.0, 0.5, 0.4, 0.6) for of in ("on", "off")]
    extra = {"on": on, "off": off, "what": "", "defence": "", "what_is_off": ""}
    text = paper("x", _config(), [_done("attack-a", "attack", {"attack": "a"}, effects, extra)], MADE_BY).page.render()
    (row,) = re.findall(r"<tr><td>a</td><td>AUC</td>.*?</tr>", text)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)
    assert cells == ["a", "AUC", "2", "0.5", "0.75", "0.9 (0.8 … 1) ✓", "0.6 (0.5 … 0.7)"]


def test_the_figures_draw_the_points_in_the_colours_of_their_legend(made: tuple[Path, reports.Report]) -> None:
    out, _ = made
    config = parse(out, SMALL.encode())
    reports.make_report("x", config, out, Inline())
    done = [reports._kept(out / "experiments" / f"{one.name}.json", one) for one in experiments_of(config)]
    kept = [one for one in done if one is not None]
    rows = [point for one in kept if one.outcome is not None for point in one.outcome.points]
    errors, attacks, *_ = paper("x", config, kept, MADE_BY).figures
    legend = attacks.legend
    for panel in errors.panels:
        assert isinstance(panel, Panel)
        (drawn,) = panel.lines
        told = {one.x: one.estimate for one in rows if (one.series, one.measure) == (panel.title, "relative error")}
        assert dict(zip(drawn.x, drawn.y, strict=True)) == pytest.approx(
            {x: 100 * y for x, y in told.items() if x < 100}  # the other points have clients as x
        )
    assert dict(legend).keys() == {"defence off", "defence on"}
    assert isinstance(attacks.panels[0], Panel)
    for one in attacks.panels[0].lines:
        (point,) = [row for row in rows if (row.series, row.measure) == (one.label, "membership: AUC")]
        assert one.low is not None
        assert one.high is not None
        assert (one.x[0], one.y[0], one.low[0], one.high[0]) == (point.x, point.estimate, point.low, point.high)
        assert one.colour == dict(legend)[f"defence {one.label}"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (2.0, "2"), (10_000.0, "10k"), (1e10, "10G"), (1e15, "10¹⁵")]
)
def test_a_tick_is_a_short_number(value: float, text: str) -> None:
    assert _tick(value) == text


def test_an_interval_over_repeats_is_students() -> None:
    point = mean_point("count", "error", "n", 1.0, [1.0, 2.0, 3.0, math.nan])
    assert (point.estimate, point.repeats) == (2.0, 3)
    assert (point.high or 0) - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)  # t(2), 97.5 %
    alone = mean_point("count", "error", "n", 1.0, [2.0])
    assert (alone.low, alone.high) == (None, None)


def test_the_page_on_reports_works_as_it_is_written(
    covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    commands = [
        shlex.split(one) for block in re.findall(r"```sh\n(.*?)```", text, flags=re.S) for one in block.splitlines()
    ]
    (own,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.S)
    assert [one[:3] for one in commands] == [["covey", "lab", "report"]] * 2
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(own, encoding="utf-8")
    code, out, err = covey(*commands[1][1:])
    assert code == 0, err
    answer = json.loads(out)
    assert answer["failed"] == []
    assert Path(answer["report"]).is_file()
    for picture in re.findall(r"\]\(([\w-]+\.png)\)", text):
        assert (PAGE.parent / picture).is_file()
