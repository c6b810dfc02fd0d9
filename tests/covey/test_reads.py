"""`covey get`, `history` and `join`: what they print and write, and what a value's status says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from covey.cli import app
from deployment.errors import UsageError
from featurestore.define.decoded import Status
from featurestore.define.entities import Entity
from featurestore.publish.publish import Publisher
from tests.featurestore.making import HOUR, a_release, a_view, a_void

Covey = Callable[..., tuple[int, str, str]]


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_its_help_explains_every_status() -> None:
    assert re.findall(r"^ ([A-Z_]{2,}) ", said("get", "--help"), flags=re.M) == [status.name for status in Status]


@pytest.mark.parametrize(
    ("value", "spent", "shown"),
    [
        (10_000, False, r"(n = 10,000) "),
        (60, False, "(n = 60)  ROUGH_SE"),
        (60, True, "(n = 60)  STALE_BUDGET"),
        (1, True, "– DROWNED  (n = 1)"),
    ],
)
def test_a_status_other_than_ok_stands_beside_the_value(tmp_path: Path, value: int, spent: bool, shown: str) -> None:
    view = a_view()
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, value, noise="discrete-gaussian")])
        publisher.publish([a_void(view, HOUR, "BUDGET_SPENT")] if spent else [])
    text = said("get", "delays:late", "dest=ATL", "--store", str(tmp_path))
    assert shown in text
    assert "OK" not in text
    assert bool(re.search(r" ± [0-9.]+  \[[0-9.]+, [0-9.]+\]  \(n = ", text)) == (value != 1)
    (row,) = json.loads(said("get", "delays:late", "dest=ATL", "--store", str(tmp_path), "--json"))
    assert row["late__status"] in (shown.split()[-1], "OK", "DROWNED")


@pytest.mark.parametrize("option", [("--memory-limit", "1GiB"), ("--views", "views.py")])
def test_what_is_the_servers_is_refused_with_a_url_before_it_is_asked(tmp_path: Path, option: tuple[str, str]) -> None:
    labels = ("labels.parquet", "-f", "delays:late", "--time", "t", "--out", str(tmp_path / "out.parquet"))
    result = CliRunner().invoke(app, ["join", *labels, "--store", "http://127.0.0.1:1", *option])
    assert isinstance(result.exception, UsageError)
    assert option[0] in str(result.exception)


def mixed_store(directory: Path) -> list[str]:
    """A store with a live and two replayed panes, and the words of a join."""
    view = a_view()
    with Publisher(directory, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish(
            [a_release(view, 0, 1), a_release(view, HOUR, 2), a_release(view, 2 * HOUR, 3, released_at=9 * HOUR)]
        )
    labels = pa.table({"dest": ["ATL", "LAX"], "t": pa.array([9 * HOUR, 2 * HOUR + HOUR // 2], pa.timestamp("us"))})
    pq.write_table(labels, directory / "l.parquet")
    words = ["-f", "delays:flights", "--time", "t", "--store", str(directory), "--out", str(directory / "o.parquet")]
    return ["join", str(directory / "l.parquet"), *words]


def test_join_warns_once_a_view_of_mixed_clocks_and_joins_one_of_them(covey: Covey, tmp_path: Path) -> None:
    words = mixed_store(tmp_path)
    code, _, err = covey(*words, "-f", "delays:late")
    assert (code, err.count("warning:")) == (0, 1)
    assert "delays mixes 1 live and 2 replayed pane(s)" in err
    for clock, flights in (("live", [3, None]), ("replay", [2, 2])):
        code, _, err = covey(*words, "--clock", clock)
        assert (code, "warning" in err) == (0, False)
        assert pq.read_table(tmp_path / "o.parquet")["flights"].to_pylist() == flights


def test_join_refuses_to_replace_its_labels_also_through_links(covey: Covey, tmp_path: Path) -> None:
    *words, _ = mixed_store(tmp_path)
    labels = tmp_path / "l.parquet"
    (tmp_path / "soft.parquet").symlink_to(labels)
    (tmp_path / "hard.parquet").hardlink_to(labels)
    (tmp_path / "folder").symlink_to(tmp_path)
    before = labels.read_bytes()
    for out in ("l.parquet", "soft.parquet", "hard.parquet", "folder/l.parquet"):
        code, _, err = covey(*words, str(tmp_path / out))
        assert code == 2
        assert "is the input file" in err
    assert labels.read_bytes() == before


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_join_renames_columns_and_adds_keys_that_are_the_same_in_every_row(
    covey: Covey, tmp_path: Path, ending: str
) -> None:
    view = a_view(entity=Entity(["dest", "gate"], domain=[("007", 1), ("LAX", 2)]))
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 5)])
    (tmp_path / "l.csv").write_text("to,when,y\n007,1970-01-01T09:00:00Z,1\nLAX,1970-01-01T09:00:00Z,2\n")
    labels = pa.table({"to": ["007", "LAX"], "when": pa.array([9 * HOUR] * 2, pa.timestamp("us")), "y": [1, 2]})
    pq.write_table(labels, tmp_path / "l.parquet")
    out = tmp_path / "o.parquet"
    words = [
        "join",
        tmp_path / f"l.{ending}",
        "-f",
        "delays:flights",
        "--time",
        "at",
        "--store",
        tmp_path,
        "--out",
        out,
    ]
    names = ["--rename", "to=dest", "--rename", "when=at"]
    assert covey(*words, *names, "--constant", "gate=1")[0] == 0
    joined = pq.read_table(out).select(["dest", "y", "gate", "flights"]).to_pylist()
    assert joined == [
        {"dest": "007", "y": 1, "gate": 1, "flights": 5},
        {"dest": "LAX", "y": 2, "gate": 1, "flights": None},
    ]
    assert pq.read_schema(out).names[:4] == ["dest", "at", "y", "gate"]
    for more, message in (
        (["--rename", "too=dest"], "no column 'too' to rename; they have: to, when, y"),
        (["--rename", "y=z"], "'z' is neither a join key nor the time; needed are: dest, gate, at"),
        (["--rename", "to"], "'to' must have the form COLUMN=NAME"),
        (["--rename", "to=dest", "--rename", "y=dest"], "two columns of the labels would have the name 'dest'"),
        ([*names, "--constant", "gate=x"], "gate must be a whole number, got 'x'"),
        ([*names, "--constant", f"gate={2**64}"], "gate must be a whole number of 64 bits"),
        ([*names, "--constant", "door=1"], "no join key 'door'; they have: dest, gate"),
        ([*names, "--constant", "dest=LAX"], "two columns of the labels would have the name 'dest'"),
        ([*names, "--constant", "gate=1", "--constant", "gate=2"], "'gate' is given twice"),
    ):
        code, _, err = covey(*words, *more)
        assert code == 2
        assert message in " ".join(err.split())


class TestReads:
    @pytest.fixture
    def store(self, collect: Callable[..., Path]) -> Path:
        return collect("--noise", "off")

    def test_the_folder_of_a_store_names_the_store_too(
        self, covey: Covey, store: Path, project: Path, run_arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for command in (
            ["get", "visits:visits", "shop=a"],
            ["views"],
            ["release", "list"],
            ["store", "verify"],
            ["ledger", "show"],
            ["consumers", "list"],
            ["history", "visits", "--out", project / "h.parquet"],
        ):
            expected = covey(*command, "--store", store)
            assert expected[0] == 0
            assert covey(*command, "--store", store / "store") == expected
        again = [str(store / "store") if word == str(store) else word for word in run_arguments]
        assert again != run_arguments
        code, out, _ = covey(*again, "--noise", "off", "--json")
        assert code == 0
        assert all(view["opened"] == 0 for view in json.loads(out)["views"])
        assert not (store / "store" / "store").exists()
        monkeypatch.chdir(store / "store")
        assert covey("views")[0] == 0

    def test_get_prints_a_table_or_json(self, covey: Covey, store: Path) -> None:
        code, out, _ = covey("get", "visits:spent_mean", "shop=a", "shop=b", "--store", store)
        assert code == 0
        assert " ± " in out
        assert "(n = " in out
        code, out, _ = covey(
            "get",
            "visits:spent_mean_2d",
            "visits:spent_hist",
            "everywhere:all",
            "shop=a",
            "shop=c,d=e",
            "--store",
            store,
            "--json",
        )
        rows = json.loads(out)
        assert [row["shop"] for row in rows] == ["a", "c,d=e"]
        assert rows[0]["spent_mean_2d__status"] == "OK"
        assert len(rows[0]["spent_hist"]) == 3
        assert rows[0]["visits__pane_end"] == "2020-05-04T00:00:00+00:00"

    @pytest.fixture
    def odd(self, covey: Covey, run_arguments: list[str], project: Path) -> Path:
        """A store whose path and join keys look like rich's markup and emoji codes."""
        views, events = project / "views.py", project / "events.parquet"
        views.write_text(views.read_text().replace('"a", "b"', '"[/red]", ":smile:"'))
        table = pq.read_table(events)
        names = {"a": "[/red]", "b": ":smile:"}
        shops = pa.array([names.get(shop, shop) for shop in table["shop"].to_pylist()])
        pq.write_table(table.set_column(table.column_names.index("shop"), "shop", shops), events)
        run_arguments[run_arguments.index("--store") + 1] = str(project / "st[bold] :smile:")
        code, out, err = covey(*run_arguments, "--noise", "off")
        assert code == 0
        assert "st[bold] :smile:" in out
        assert "Traceback" not in err
        return project / "st[bold] :smile:"

    def test_data_that_looks_like_markup_is_printed_as_it_is(self, covey: Covey, odd: Path, project: Path) -> None:
        code, out, _ = covey("get", "visits:visits", "shop=[/red]", "shop=:smile:", "shop=[red]", "--store", odd)
        assert code == 0
        for text in ("[/red]", ":smile:", "[red]"):
            assert f" {text} " in out
        code, _, err = covey("history", "visits", "--store", odd, "--out", project / "[bold].csv")
        assert code == 0
        assert "[bold].csv" in err
        code, _, err = covey("get", "visits:[/x]", "shop=a", "--store", odd)
        assert code == 2
        assert "[/x]" in err

    @pytest.mark.parametrize("command", [["get", "visits:spent_mean_2d", "shop=c,d=e"], ["explain"]])
    def test_a_narrow_terminal_cuts_nothing(
        self, covey: Covey, store: Path, project: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
    ) -> None:
        monkeypatch.setenv("COLUMNS", "50")
        rest = ["--store", store] if command[0] == "get" else [project / "views.py"]
        code, out, _ = covey(*command, *rest)
        assert code == 0
        assert "…" not in out

    def test_a_constant_entity_needs_no_key(self, covey: Covey, store: Path) -> None:
        code, out, _ = covey("get", "everywhere:all", "--store", store, "--json")
        assert code == 0
        assert len(json.loads(out)) == 1
        assert covey("get", "everywhere:all", "city=X", "--store", store)[0] == 2

    @pytest.mark.parametrize(
        ("words", "code", "says"),
        [
            (["visits:nothing", "shop=a"], 5, "serves no feature 'nothing'; it has: people, visits"),
            (["none:visits", "shop=a"], 5, "no view 'none' in this store; it has: everywhere, visits"),
            (["visits@v2:visits", "shop=a"], 5, "visits@v2"),
            (["visits", "shop=a"], 2, "write view:feature"),
            (["shop=a"], 2, "no feature"),
            (["visits:visits"], 2, "add shop=…"),
            (["visits:visits", "where=a"], 2, "must give shop"),
            (["visits:visits", "visits:visits", "shop=a"], 2, "two columns named"),
        ],
    )
    def test_what_cannot_be_read_is_one_line(
        self, covey: Covey, store: Path, words: list[str], code: int, says: str
    ) -> None:
        got, out, err = covey("get", *words, "--store", store)
        assert (got, out) == (code, "")
        assert says in err

    def test_an_unknown_key_is_not_found(self, covey: Covey, store: Path) -> None:
        _, out, _ = covey("get", "visits:visits", "shop=nowhere", "--store", store, "--json")
        assert json.loads(out)[0]["visits__status"] == "NOT_FOUND"
        assert json.loads(out)[0]["visits"] is None

    def test_a_store_that_does_not_exist_is_exit_5(self, covey: Covey, project: Path) -> None:
        for command in (
            ["get", "v:f"],
            ["history", "v", "--out", project / "h.csv"],
            ["join", project / "l.csv", "-f", "v:f", "--time", "t", "--out", project / "o.csv"],
        ):
            code, _, err = covey(*command, "--store", project / "nowhere")
            assert code == 5
            assert "covey run" in err

    def test_history_writes_parquet_and_csv_and_nothing_half(self, covey: Covey, store: Path, project: Path) -> None:
        assert covey("history", "visits", "--store", store, "--out", project / "h.parquet")[0] == 0
        table = pq.read_table(project / "h.parquet")
        assert table.num_rows == 9
        assert {
            "shop",
            "pane_start",
            "pane_end",
            "spent_mean",
            "spent_mean__se",
            "spent_mean__lo",
            "spent_mean__hi",
            "spent_mean__n",
            "coverage_2d",
            "released_at",
            "published_at",
            "clock",
            "view_version",
            "release_id",
        } <= set(table.column_names)
        assert covey("history", "visits", "--store", store, "--out", project / "h.csv")[0] == 0
        assert csv.read_csv(project / "h.csv").num_rows == 9
        assert covey("history", "visits", "--store", store, "--out", project / "h.txt")[0] == 2
        assert covey("history", "visits", "--store", store, "--out", project / "no" / "h.csv")[0] == 2
        assert not list(project.glob(".h*"))

    def test_history_and_join_tell_what_they_wrote(self, covey: Covey, store: Path, project: Path) -> None:
        labels = pa.table({"shop": ["a"], "t": pa.array([2_000_000_000], pa.timestamp("s"))})
        pq.write_table(labels, project / "l.parquet")
        join = ["join", project / "l.parquet", "-f", "visits:visits", "--time", "t"]
        for command, rows in ((["history", "visits"], 9), (join, 1)):
            out_file = project / "OUT.CSV"
            code, out, err = covey(*command, "--store", store, "--out", out_file, "--json")
            assert (code, err) == (0, "")
            assert json.loads(out) == {"rows": rows, "path": str(out_file)}
            assert csv.read_csv(out_file).num_rows == rows
        covey("history", "visits", "--store", store, "--out", project / "O.Parquet")
        assert pq.read_table(project / "O.Parquet").num_rows == 9

    def test_history_and_join_leave_out_intervals(self, covey: Covey, store: Path, project: Path) -> None:
        labels = pa.table({"shop": ["a"], "t": pa.array([2_000_000_000], pa.timestamp("s"))})
        pq.write_table(labels, project / "l.parquet")
        join = ["join", project / "l.parquet", "-f", "visits:spent_mean", "--time", "t"]
        for command in (["history", "visits"], join):
            names = []
            for more in ([], ["--no-intervals"]):
                assert covey(*command, *more, "--store", store, "--out", project / "i.parquet")[0] == 0
                names.append(pq.read_schema(project / "i.parquet").names)
            assert names[1] == [name for name in names[0] if not name.endswith(("__lo", "__hi"))]
            assert "spent_mean__hi" in names[0]

    def test_out_is_checked_before_anything_is_read(self, covey: Covey, project: Path) -> None:
        (project / "folder.csv").mkdir()
        for out, says in (
            ("o.txt", ".parquet or .csv"),
            ("no/o.csv", "no directory"),
            ("folder.csv", "is a directory"),
        ):
            for command in (["history", "v"], ["join", project / "l.csv", "-f", "v:f", "--time", "t"]):
                code, _, err = covey(*command, "--store", project / "nowhere", "--out", project / out)
                assert code == 2
                assert says in err

    def test_join_adds_what_was_released_at_each_label(self, covey: Covey, store: Path, project: Path) -> None:
        labels = pa.table(
            {
                "shop": ["a", "a", "a", None],
                "t": pa.array(["2020-05-02T00:29:59Z", "2020-05-02T00:30:00Z", "2020-05-09T00:00:00Z", None]).cast(
                    pa.timestamp("s", "UTC")
                ),
                "y": [1, 2, 3, 4],
            }
        )
        pq.write_table(labels, project / "l.parquet")
        code, _, _ = covey(
            "join",
            project / "l.parquet",
            "-f",
            "visits:visits",
            "-f",
            "everywhere:all",
            "--time",
            "t",
            "--store",
            store,
            "--out",
            project / "o.parquet",
        )
        assert code == 0
        joined = pq.read_table(project / "o.parquet").to_pylist()
        assert [row["visits__status"] for row in joined] == ["NOT_FOUND", "OK", "OK", "NOT_FOUND"]
        assert [row["y"] for row in joined] == [1, 2, 3, 4]
        code, _, err = covey(
            "join",
            project / "l.parquet",
            "-f",
            "visits:visits",
            "--time",
            "when",
            "--store",
            store,
            "--out",
            project / "o.parquet",
        )
        assert code == 2
        assert "no column 'when'" in err

    def test_join_keeps_to_a_memory_limit_and_shows_how_far_it_is(
        self, covey: Covey, store: Path, project: Path
    ) -> None:
        labels = pa.table({"shop": ["a", "b"], "t": pa.array([1_588_636_800] * 2, pa.timestamp("s", "UTC"))})
        pq.write_table(labels, project / "l.parquet")
        csv.write_csv(labels, project / "l.csv")
        out = project / "o.parquet"
        words = ["-f", "visits:visits", "--time", "t", "--store", store, "--out", out]
        for limit, says in (("1MiB", "too small"), ("1 potato", "such as 1GiB")):
            code, _, err = covey("join", project / "l.parquet", *words, "--memory-limit", limit)
            assert code == 2
            assert says in err
            assert err.count("\n") == 1
            assert not out.exists()
        for labels_file in ("l.parquet", "l.csv"):
            code, _, err = covey("join", project / labels_file, *words, "--memory-limit", "1TiB")
            assert code == 0
            assert re.search(r"labels: joined .* 2/2 ", err)
            assert "2 rows written" in err
            assert pq.read_table(out)["shop"].to_pylist() == ["a", "b"]
