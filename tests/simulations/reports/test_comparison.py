"""`covey lab compare`: protections of integers give the plain sums exactly, CKKS nearly; and the cost of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import protections as benchmark
from crypto.bfv import message_bytes
from crypto.sharing import SparseRows
from deployment.errors import UsageError
from edge_client.compute import compute
from edge_client.events import make_events as as_events
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Privacy
from featurestore.define.views_file import load_views
from federation.batch.reports import Reports
from federation.circuit.cost import cost_of
from federation.he.view import he_parameters
from federation.plan import plan_from_bytes
from simulations.reports.comparison import protections
from simulations.reports.comparison.compare import ProtectionResult, choose_view
from simulations.reports.comparison.cost import Work, measure, try_measure, work_of
from simulations.reports.comparison.protections import PROTECTIONS, ComparedProtection, Plaintext, Sent
from simulations.reports.comparison.text import in_bytes, in_time
from tests.covey.conftest import make_events

Covey = Callable[..., tuple[int, str, str]]
EXACT = ("plaintext", "shares", "shares + prio3", "he")
CKKS = "ckks (NVFlare)"
HE = (*EXACT[3:], CKKS)
FIGURES = [
    "name", "skipped", "reports", "upload_bytes_per_report", "client_us_per_report", "server_us_per_report", "set_up_s",
    "open_s", "peak_bytes", "max_error",
]  # fmt: skip


@pytest.fixture
def arguments(project: Path) -> list[str]:
    return [str(project / "views.py"), "--events", str(project / "events.parquet"), "--client-column", "who",
            "--time-column", "at", "--site-column", "site"]  # fmt: skip


@pytest.fixture
def work(project: Path) -> Work:
    """Every kind of feature, with the whole period as one pane, because the summed values do not matter here."""
    view = load_views(project / "views.py")[0]
    made = compute(view, as_events(make_events(), "who", "at", "site"))
    pane = made.pane_start[:1]
    count = len(made.client)
    return work_of(view, pane, Reports(0, np.zeros(count, np.uint32), made.slots), count)


def require(name: str) -> None:
    if name in HE:
        pytest.importorskip("tenseal")
        pytest.importorskip("zstandard")


@pytest.mark.parametrize("name", EXACT)
def test_integers_are_summed_exactly(name: str, work: Work) -> None:
    require(name)
    cost = measure(name, work)
    assert (cost.max_error, cost.reports) == (0.0, len(work.reports.collection))
    assert cost.reports > 60
    assert min(cost.client_s, cost.server_s, cost.set_up_s, cost.open_s) >= 0


def test_a_view_that_he_cannot_carry_is_skipped_with_the_reason(project: Path) -> None:
    view = replace(load_views(project / "views.py")[0], privacy=Privacy(epsilon=1, mechanism="laplace", min_clients=5))
    slots = SparseRows(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64), layout_of(view).length)
    work = work_of(view, np.zeros(1, np.int64), Reports(0, np.zeros(1, np.uint32), slots), 1)
    assert "pure ε" in str(try_measure("he", work, None))
    assert try_measure("shares", work, None).max_error == 0


def test_ckks_is_off_by_a_little(work: Work) -> None:
    require(CKKS)
    assert 0 < measure(CKKS, work).max_error < 1e-3


def test_an_error_is_the_furthest_that_a_sum_is_off(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Plaintext):
        def add(self, sent: Sent) -> None:
            super().add(Sent(sent.parts[1:]))

    first = work.reports.slots[:1]
    expected = np.abs(protections.in_noise_basis(layout_of(_view(work)), protections.dense(first)[0])).max()
    monkeypatch.setitem(PROTECTIONS, "plaintext", _made(Forgetful))
    assert measure("plaintext", work, 5).max_error == expected > 0


def test_bytes_are_those_of_the_wire(work: Work) -> None:
    layout = layout_of(_view(work))
    assert measure("plaintext", work, 3).upload_bytes == 8 * layout.length
    assert measure("shares", work, 3).upload_bytes == 8 * layout.length + 32
    proven = cost_of(layout)  # this counts the report's id on both sides
    assert measure("shares + prio3", work, 3).upload_bytes == (
        proven.report_bytes_leader + proven.report_bytes_helper - 2 * 16
    )


def test_as_many_reports_as_were_asked_for_are_carried(work: Work) -> None:
    assert measure("shares", work, 7).reports == 7


def test_long_reports_are_carried_by_fewer(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    length = layout_of(_view(work)).length
    monkeypatch.setattr("simulations.reports.comparison.cost.WORK", 4 * length + 1)
    assert measure("plaintext", work).reports == 4
    monkeypatch.setattr("simulations.reports.comparison.cost.WORK", 1)
    assert measure("plaintext", work).reports == 1


def test_the_command_prints_json_and_draws(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    require(CKKS)
    pytest.importorskip("matplotlib")
    picture = tmp_path / "costs.png"
    code, out, err = covey("lab", "compare", *arguments, "--reports", "9", "--json", "--picture", picture)
    assert code == 0, err
    told = json.loads(out)
    assert list(told) == ["view", "pane_start", "reports", "slots", "clients", "compute_us_per_report", "protections"]
    assert (told["view"], told["slots"], told["clients"]) == ("visits", 3 * 9, 80)
    assert told["pane_start"].startswith("2020-05-0")
    assert [one["name"] for one in told["protections"]] == [*EXACT, CKKS]
    for one in told["protections"]:
        assert list(one) == [*FIGURES, "privacy_holds_if", "bad_input"]
        assert one["reports"] == min(9, told["reports"])
        assert one["skipped"] is None
        assert one["peak_bytes"] is None or 0 < one["peak_bytes"] < 2**30
    assert [one["max_error"] == 0 for one in told["protections"]] == [True] * 4 + [False]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"picture written to {picture}" in err


def test_without_tenseal_two_protections_are_skipped_and_say_so(
    covey: Covey, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tenseal", None)
    for name in EXACT[1:3]:  # the test above runs their processes
        monkeypatch.delitem(PROTECTIONS, name)
    code, out, err = covey("lab", "compare", *arguments, "--view", "everywhere", "--picture", tmp_path / "a.png")
    assert code == 0
    rows = {line[:20].strip(): line[20:].split("  ") for line in out.splitlines()}
    assert "everywhere, pane 2020-05-0" in " ".join(out.split())
    assert next(line for line in out.splitlines() if "plaintext" in line).split() == ["plaintext"]
    assert [cell.strip() for cell in rows["largest error"] if cell.strip()] == ["0, exact"]
    assert "the server is honest" in out
    for name in HE:
        (line,) = [line for line in err.splitlines() if line.startswith(f"{name}: skipped: ")]
        assert "tenseal" in line
        assert line.endswith("is not installed: pip install 'covey[he]'")
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--view", "nothing"], "no view 'nothing'; choose one of visits, everywhere"),
        (["--picture", "a.txt"], "--picture=a.txt is no .png file"),
        (["--reports", "0"], "--reports"),
    ],
)
def test_wrong_options_are_refused(covey: Covey, arguments: list[str], words: list[str], says: str) -> None:
    code, out, err = covey("lab", "compare", *arguments, *words)
    assert (code, out, says in err) == (2, "", True), err


def test_views_without_events_say_what_is_missing(covey: Covey, arguments: list[str]) -> None:
    code, _, err = covey("lab", "compare", arguments[0], "--client-column", "who")
    assert code == 2
    assert "missing --events, --time-column" in err


def test_events_of_which_none_counts_are_nothing_to_compare(covey: Covey, arguments: list[str], project: Path) -> None:
    table = make_events()
    at = table.column_names.index("who")
    pq.write_table(table.set_column(at, "who", pa.nulls(len(table), pa.string())), project / "events.parquet")
    code, out, err = covey("lab", "compare", *arguments)
    assert (code, out, "there is nothing to compare" in err) == (2, "", True), err


def test_the_benchmark_has_a_line_a_length_and_protection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tests above check the measuring. Here each protection answers at once."""
    monkeypatch.setattr(sys, "argv", ["protections", "--slots", "10", "20", "--clients", "4", "--bits", "3"])
    monkeypatch.setattr(benchmark, "measure_all", _measured_here)
    benchmark.main()
    *lines, last = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert [row[:3] for row in rows[1:]] == [
        ["10", "plaintext", "4"], ["10", "he", "skipped: no"], ["20", "plaintext", "4"], ["20", "he", "skipped: no"]
    ]  # fmt: skip
    told = json.loads(last)
    assert (told["clients"], told["bits"], list(told["slots"])) == (4, 3, ["10", "20"])
    assert [list(one) for one in told["slots"]["20"]] == [FIGURES] * 2
    assert [one["upload_bytes_per_report"] for one in told["slots"]["20"]] == [160, None]


def test_the_pages_table_is_of_this_benchmark_and_its_bytes_are_still_those() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "protections.md").read_text(encoding="utf-8")
    rows = page.split(f"| {' | '.join(benchmark.HEADERS)} |\n")[1].splitlines()
    told = {tuple(row.strip("| ").split(" | ")[:2]): row.split(" | ")[3] for row in rows if "0, exact" in row}
    expected = {}
    for slots in (1_000, 10_000, 100_000):
        view = benchmark.counts(slots, 16)
        proven = cost_of(layout_of(view))
        for name, size in (
            ("plaintext", 8 * slots),
            ("shares", 8 * slots + 32),
            ("shares + prio3", proven.report_bytes_leader + proven.report_bytes_helper - 2 * 16),
            ("he", message_bytes(he_parameters(view, 100, True))),
        ):
            expected[f"{slots:,}", name] = in_bytes(size)
    assert told == expected


def test_sizes_and_times_are_written_for_people() -> None:
    assert [in_bytes(size) for size in (0, 999, 1000, 3.5e6, 2e9)] == [
        "0 B", "999 B", "1.0 kB", "3.5 MB", "2.0 GB"
    ]  # fmt: skip
    assert [in_time(s) for s in (0, 1.25e-5, 123.4e-6, 0.0031, 0.5, 12.0)] == [
        "0.0 µs", "12.5 µs", "123 µs", "3.1 ms", "500 ms", "12.0 s"
    ]  # fmt: skip


def test_the_first_view_is_meant_where_none_is_named(project: Path) -> None:
    views = load_views(project / "views.py")
    assert choose_view(views, None) is views[0]
    assert choose_view(views, views[1].name) is views[1]
    with pytest.raises(UsageError):
        choose_view(views, "x")


def _view(work: Work) -> FeatureView:
    return plan_from_bytes(work.plan).views[0].view


def _made(way: type[Plaintext]) -> ComparedProtection:
    return replace(PROTECTIONS["plaintext"], make=way)


def _measured_here(work: Work, **_: object) -> tuple[ProtectionResult, ...]:
    return ProtectionResult(PROTECTIONS["plaintext"], measure("plaintext", work)), ProtectionResult(
        PROTECTIONS["he"], None, "no"
    )
