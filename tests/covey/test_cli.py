from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from featurestore.publish.publish import Publisher
from featurestore.store import Store

Covey = Callable[..., tuple[int, str, str]]


class TestRun:
    def test_it_publishes_tells_what_was_dropped_and_a_second_run_skips(
        self, covey: Covey, run_arguments: list[str]
    ) -> None:
        code, out, err = covey(*run_arguments)
        assert code == 0
        assert "visits" in out
        assert "with a join key outside the domain" in err
        assert "without a client or site" in err
        code, out, err = covey(*run_arguments)
        assert code == 0
        assert "visits: already published: 3 opened, 0 void; skipped: 2020-05-01 … 2020-05-03" in err
        assert re.search(
            r"everywhere: already published: \d+ opened, \d+ void; skipped: 2020-05-01T00:00Z … 2020-05-03T23:00Z", err
        )

    def test_json_holds_the_same(self, covey: Covey, run_arguments: list[str]) -> None:
        code, out, _ = covey(*run_arguments, "--json")
        report = json.loads(out)
        assert code == 0
        assert report["noise"] == "full"
        visits, everywhere = report["views"]
        assert visits["opened"] + visits["void"] == 3
        assert everywhere["opened"] + everywhere["void"] == 72
        assert visits["dropped"]["unknown_key"] > 0

    def test_from_and_to_choose_whole_days(self, covey: Covey, run_arguments: list[str]) -> None:
        code, out, _ = covey(*run_arguments, "--from", "2020-05-02", "--to", "2020-05-03", "--json")
        assert code == 0
        assert json.loads(out)["views"][1]["opened"] + json.loads(out)["views"][1]["void"] == 24
        for wrong in (["--from", "2020-05-02"], ["--from", "2020-05-03", "--to", "2020-05-02"]):
            assert covey(*run_arguments, *wrong)[0] == 2
        code, _, err = covey(*run_arguments, "--from", "2020-05-02T01:00:00", "--to", "2020-05-03")
        assert code == 2
        assert "UTC midnight" in err

    def test_days_that_are_not_over_are_skipped_and_listed(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        now = time.time_ns() // 1000
        table = pa.table(
            {
                "who": ["p"],
                "site": ["x"],
                "at": pa.array([now], pa.timestamp("us", "UTC")),
                "shop": ["a"],
                "spent": [1.0],
            }
        )
        pq.write_table(table, project / "events.parquet")
        code, _, err = covey(*run_arguments)
        assert code == 3
        assert "not over yet, skipped" in err
        assert "nothing was released: the days are not over yet" in err
        assert "enough clients" not in err

    def test_events_without_a_day_say_so(self, covey: Covey, run_arguments: list[str], project: Path) -> None:
        table = pq.read_table(project / "events.parquet")
        timeless = pa.nulls(table.num_rows, pa.timestamp("us", "UTC"))
        pq.write_table(table.set_column(table.column_names.index("at"), "at", timeless), project / "events.parquet")
        code, _, err = covey(*run_arguments)
        assert code == 3
        assert "nothing was released: no event has a time" in err

    def test_all_below_k_is_exit_3_and_leaves_voids(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        code, _, err = covey(*run_arguments, "--min-clients", "1000")
        assert code == 3
        assert "nothing was released" in err
        with Store.open(project / "store") as store:
            assert set(store.releases("visits")["reason"].to_pylist()) == {"BATCH_TOO_SMALL"}
            assert store.history("visits")["people"].null_count == 9
        code, out, err = covey(*run_arguments, "--min-clients", "1000")
        assert code == 0
        assert "visits: already published: 0 opened, 3 void; skipped: 2020-05-01 … 2020-05-03" in err
        code, out, _ = covey(*run_arguments, "--json")
        assert [(view["already_open"], view["already_open_void"]) for view in json.loads(out)["views"]] == [
            (3, 3),
            (72, 72),
        ]

    def test_min_clients_may_only_tighten_unless_noise_is_off(self, covey: Covey, run_arguments: list[str]) -> None:
        code, _, err = covey(*run_arguments, "--min-clients", "2")
        assert code == 2
        assert "it may only be larger" in err
        assert covey(*run_arguments, "--min-clients", "1", "--noise", "off")[0] == 0
        assert covey(*run_arguments, "--min-clients", "0", "--noise", "off")[0] == 2

    def test_noise_off_warns_and_marks_every_release(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        code, _, err = covey(*run_arguments, "--noise", "off")
        assert code == 0
        assert "warning: noise is off" in err
        with Store.open(project / "store") as store:
            assert set(store.releases("visits")["noise"].to_pylist()) == {"none"}
        assert covey(*run_arguments, "--noise", "some")[0] == 2

    def test_a_changed_view_under_an_old_name_is_refused(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        covey(*run_arguments)
        views = project / "views.py"
        views.write_text(views.read_text().replace("max_cells=2", "max_cells=3"))
        code, _, err = covey(*run_arguments)
        assert code == 4
        assert "'visits' has another definition" in err
        assert "the difference of two sums that share it reveals it" in err

    def test_a_run_over_its_budget_is_refused_with_the_mend_and_leaves_the_names_free(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        code, out, err = covey(*run_arguments[:-2])
        assert (code, out) == (4, "")
        assert "view 'visits' costs rho = 0.5 a client-day, but 2020-05-01 has 0.1 left of 0.1" in err
        assert "--budget 1.0, or a smaller rho in the views" in err
        assert covey(*run_arguments[:-1], "1.0")[0] == 0
        more = ["--from", "2020-05-01", "--to", "2020-05-05"]  # the days that were collected cost nothing more
        assert covey(*run_arguments[:-1], "1.0", *more)[0] == 0
        (project / "views.py").write_text(
            (project / "views.py")
            .read_text()
            .replace('"everywhere"', '"anywhere"')
            .replace("0.5, min_clients=2", "0.2")
        )
        code, _, err = covey(*run_arguments)
        assert code == 4
        assert "2020-05-01 has 0.0 left of 1.0" in err
        assert "--budget 1.2," in err

    @pytest.mark.parametrize("budget", ["0", "-1", "x", "1e-9", ""])
    def test_an_odd_budget_is_named(self, covey: Covey, run_arguments: list[str], budget: str) -> None:
        code, _, err = covey(*run_arguments[:-1], budget)
        assert code == 2
        assert "--budget: rho" in err

    def test_participation_chooses_who_reports(self, covey: Covey, run_arguments: list[str]) -> None:
        assert covey(*run_arguments, "--participation", "some")[0] == 2
        code, out, err = covey(*run_arguments, "--participation", "all")
        assert code == 2
        assert "--site-clients N" in err
        code, out, _ = covey(*run_arguments, "--participation", "all", "--site-clients", 40, "--json")
        assert code == 0
        visits, everywhere = json.loads(out)["views"]
        assert everywhere["reports"] == 24 * visits["reports"]

    def test_an_edited_ledger_opens_nothing_and_says_how_to_recover(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        import sqlite3

        assert covey(*run_arguments)[0] == 0
        with sqlite3.connect(project / "store" / "ledgers" / "operator.db") as db:
            db.execute("UPDATE entries SET line = replace(line, '500000', '5') WHERE seq = 1")
        db.close()
        code, _, err = covey(*run_arguments)
        assert code == 1
        assert "entry 1 was edited" in err
        assert "Put the newest copies" in err

    def test_a_store_in_use_is_named(self, covey: Covey, run_arguments: list[str], project: Path) -> None:
        with Publisher(project / "store", lambda: 0):
            code, _, err = covey(*run_arguments)
        assert code == 1
        assert "in use" in err

    @pytest.mark.parametrize("content", [b"no database", b""])
    def test_a_store_of_something_else_is_named(
        self, covey: Covey, run_arguments: list[str], project: Path, content: bytes
    ) -> None:
        registry = project / "store" / "store" / "registry.db"
        registry.parent.mkdir(parents=True)
        registry.write_bytes(content or b"SQLite format 3\0" + bytes(84))
        code, _, err = covey(*run_arguments)
        assert code == 1
        assert "registry" in err
        assert "Traceback" not in err

    def test_a_store_of_another_schema_is_named(self, covey: Covey, run_arguments: list[str], project: Path) -> None:
        import sqlite3

        covey(*run_arguments)
        db = sqlite3.connect(project / "store" / "store" / "registry.db")
        db.execute("PRAGMA user_version = 99")
        db.close()
        for command in (run_arguments, ["get", "visits:visits", "shop=a", "--store", str(project / "store")]):
            code, _, err = covey(*command)
            assert code == 1
            assert "schema 99" in err

    def test_an_interrupted_run_is_continued_by_the_same_command(
        self, project: Path, run_arguments: list[str], covey: Covey
    ) -> None:
        """Killed at the first sign of progress, at any step: whole days are there or not, and the rerun completes."""
        command = [sys.executable, "-c", "import sys; from covey.cli import main; main()", *run_arguments]
        for wait in (0.5, 1.5, 2.5, 3.5):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
            assert process.returncode in (0, 130, -signal.SIGINT), err
            assert ("Run the same command again: it continues" in err) == (process.returncode == 130)
            assert "defect" not in err
        code, _, _ = covey(*run_arguments)
        assert code == 0
        with Store.open(project / "store") as store:
            assert store.history("visits").num_rows == 9
            assert store.history("everywhere").num_rows == 72
            assert store.releases("everywhere")["pane_start"].to_pylist() == sorted(
                set(store.releases("everywhere")["pane_start"].to_pylist())
            )


class TestInterrupted:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize(
        ("command", "says"),
        [
            (
                "run",
                "interrupted; published releases are kept. Run the same command again: it continues, or names --resume\n",
            ),
            ("explain", "interrupted\n"),
        ],
    )
    def test_a_signal_is_told_in_one_line(
        self, project: Path, run_arguments: list[str], number: signal.Signals, command: str, says: str
    ) -> None:
        (project / "views.py").write_text(f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(30)")
        arguments = run_arguments if command == "run" else [command, str(project / "views.py")]
        done = subprocess.run(
            [sys.executable, "-c", "from covey.cli import main; main()", *arguments], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout, done.stderr) == (130, "", says)

    def test_a_signal_is_not_lost_where_python_drops_what_is_raised(self, project: Path) -> None:
        """Each of three places, of either signal; all in one process, since a command can be called again."""
        kill = "os.kill(os.getpid(), {number})"
        lost = [
            f"class Lost:\n    def __del__(self): {kill}\nLost()",
            f"class Lost:\n    def __set_name__(self, *_): {kill}\nclass Made: lost = Lost()",
            "try: import lost_in_an_import_{number}\nexcept BaseException: pass",
        ]
        files = []
        for number in (int(signal.SIGINT), int(signal.SIGTERM)):
            (project / f"lost_in_an_import_{number}.py").write_text(f"import os\n{kill.format(number=number)}\n")
            for at, text in enumerate(lost):
                files.append(project / f"views_{number}_{at}.py")
                files[-1].write_text(f"import os, time\n{text.format(number=number)}\ntime.sleep(30)")
        program = "import sys; from covey.cli import call, interrupt; interrupt.install(); print([call(['explain', file]) for file in sys.argv[1:]])"
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, files)], capture_output=True, text=True, timeout=300
        )
        assert (done.stdout, done.stderr) == (f"{[130] * 6}\n", "interrupted\n" * 6)

    @pytest.mark.parametrize("command", [["--debug", "get", "v:f", "--store", "nowhere"], ["explain", "run"]])
    def test_only_run_says_that_it_continues(
        self, covey: Covey, monkeypatch: pytest.MonkeyPatch, command: list[str]
    ) -> None:
        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Store, "open", interrupt)
        monkeypatch.setattr("featurestore.define.views_file.load_views", interrupt)
        assert covey(*command) == (130, "", "interrupted\n")


class TestViewsFile:
    def test_it_imports_from_its_folder_while_it_is_loaded(self, covey: Covey, project: Path) -> None:
        views = project / "views.py"
        (project / "our_shops_of_this_test.py").write_text("SHOPS = ['a', 'b', 'c']")
        views.write_text(
            "from our_shops_of_this_test import SHOPS\n" + views.read_text().replace('["a", "b", "c,d=e"]', "SHOPS")
        )
        before = list(sys.path)
        code, out, _ = covey("explain", views, "--json")
        assert code == 0
        assert json.loads(out)["views"][0]["keys"] == 3
        assert sys.path == before

    def test_a_syntax_error_of_a_neighbour_names_the_neighbour(self, covey: Covey, project: Path) -> None:
        (project / "odd_of_this_test.py").write_text("\nx = (")
        (project / "views.py").write_text("import odd_of_this_test")
        code, _, err = covey("explain", project / "views.py")
        assert code == 2
        assert "odd_of_this_test.py, line 2" in err

    def test_what_it_prints_is_no_data(self, covey: Covey, project: Path) -> None:
        views = project / "views.py"
        views.write_text("print('hello')\n" + views.read_text())
        code, out, err = covey("explain", views, "--json")
        assert code == 0
        assert len(json.loads(out)["views"]) == 2
        assert err == "hello\n"

    @pytest.mark.parametrize("ends", ["sys.exit(0)", "sys.exit()", "sys.exit('no')", "raise SystemExit"])
    def test_an_exit_inside_is_an_error(self, covey: Covey, project: Path, ends: str) -> None:
        (project / "views.py").write_text(f"import sys\n{ends}")
        code, out, err = covey("explain", project / "views.py")
        assert (code, out) == (2, "")
        assert "views.py, line 2: it exits with" in err


class TestBadInput:
    @pytest.mark.parametrize(
        ("views", "says"),
        [
            ("x = (", "line 1"),
            ("import covey\n1/0", "line 2: ZeroDivisionError"),
            ("import nothing_like_this", "ModuleNotFoundError"),
            ("x = 1", "defines no FeatureView"),
            ("from covey import *\nv = FeatureView('v', entity=Entity('a', domain=[]), features=[], pane='1d', bounds=Bounds(1), privacy=Privacy(0.1))", "the domain is empty"),
            ("from covey import *\nv = FeatureView('v', entity=Entity('a', domain=['x']), features=[Mean('m', clip=(180, -60))], pane='1d', bounds=Bounds(1), privacy=Privacy(0.1))", "`clip` must be low < high, got (180, -60)"),
            ("from covey import *\ndef f(): return FeatureView('v', entity=Entity('a', domain=['x']), features=[Count('n')], pane='1d', bounds=Bounds(1), privacy=Privacy(0.1))\na, b = f(), f()", "two views named v"),
        ],
    )  # fmt: skip
    def test_a_views_file_that_cannot_be_used_is_one_line(
        self, covey: Covey, project: Path, run_arguments: list[str], views: str, says: str
    ) -> None:
        (project / "views.py").write_text(views)
        for command in (run_arguments, ["explain", run_arguments[1]]):
            code, out, err = covey(*command)
            assert code == 2
            assert says in err
            assert len(err.strip().splitlines()) == 1
            assert out == ""

    def test_a_missing_views_file_or_event_file_is_one_line(
        self, covey: Covey, project: Path, run_arguments: list[str]
    ) -> None:
        (project / "events.parquet").unlink()
        code, _, err = covey(*run_arguments)
        assert code == 2
        assert "no event file" in err
        assert covey("explain", project / "none.py")[0] == 2

    @pytest.mark.parametrize(
        ("column", "values", "says"),
        [
            ("spent", ["much"] * 600, "column 'spent': the views use it as number, but the events hold"),
            ("shop", list(range(600)), "join key 'shop' is string"),
            ("at", ["soon"] * 600, "none of 600 value(s) is an ISO 8601 time; the first is 'soon' in row 1"),
            ("who", [1.5] * 600, "column 'who': ids must be text or whole numbers"),
            ("spent", None, "no column 'spent'"),
        ],
    )
    def test_a_column_of_the_wrong_type_is_one_line(
        self, covey: Covey, project: Path, run_arguments: list[str], column: str, values: Any, says: str
    ) -> None:
        table = pq.read_table(project / "events.parquet")
        index = table.column_names.index(column)
        table = table.remove_column(index) if values is None else table.set_column(index, column, pa.array(values))
        pq.write_table(table, project / "events.parquet")
        code, _, err = covey(*run_arguments)
        assert code == 2
        assert says in err
        assert "Traceback" not in err

    def test_csv_and_parquet_give_the_same_values(self, covey: Covey, project: Path, run_arguments: list[str]) -> None:
        csv.write_csv(pq.read_table(project / "events.parquet"), project / "events.csv")
        assert covey(*run_arguments, "--noise", "off")[0] == 0
        from_csv = [word.replace("events.parquet", "events.csv") for word in run_arguments]
        from_csv[from_csv.index("--store") + 1] = str(project / "other")
        assert covey(*from_csv, "--noise", "off")[0] == 0
        with Store.open(project / "store") as one, Store.open(project / "other") as two:
            for view in ("visits", "everywhere"):
                hidden = ["published_at"]
                assert one.history(view).drop(hidden).to_pylist() == two.history(view).drop(hidden).to_pylist()

    @pytest.mark.parametrize("where", ["read_csv('/etc/passwd') = 1", "x > (SELECT 1)", "1 = 1; DROP TABLE events"])
    def test_a_hostile_where_never_runs(
        self, covey: Covey, project: Path, run_arguments: list[str], where: str
    ) -> None:
        views = project / "views.py"
        views.write_text(views.read_text().replace("spent >= 50", where))
        code, _, err = covey(*run_arguments)
        assert code == 2
        assert "view 'visits', feature 'big': where=" in err


class TestReads:
    @pytest.fixture
    def store(self, covey: Covey, run_arguments: list[str], project: Path) -> Path:
        covey(*run_arguments, "--noise", "off")
        return project / "store"

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


class TestExplain:
    def test_it_shows_cost_and_error_before_anything_is_collected(self, covey: Covey, project: Path) -> None:
        code, out, _ = covey("explain", project / "views.py")
        assert code == 0
        for text in ("visits", "bytes to the leader", "ε at δ", "centred sum", "outside claim", "n = 10,000"):
            assert text in out
        assert not (project / "store").exists()

    def test_json_has_every_group(self, covey: Covey, project: Path) -> None:
        _, out, _ = covey("explain", project / "views.py", "--json")
        visits = json.loads(out)["views"][0]
        assert [group["group"] for group in visits["groups"]] == [
            "client_count", "count", "centred_sum", "non_null_count", "centred_sum", "non_null_count", "histogram",
        ]  # fmt: skip
        assert visits["report_bytes_leader"] == 8 * visits["slots"] + 16
        assert sum(group["micro_rho"] for group in visits["groups"]) <= 500_000

    def test_a_view_whose_other_way_does_not_fit_is_explained_without_it(self, covey: Covey, project: Path) -> None:
        (project / "views.py").write_text(
            "from covey import *\n"
            "v = FeatureView('v', entity=Entity('a', domain=['x']), pane='1d', bounds=Bounds(1), privacy=Privacy(1e-6),"
            " features=[Histogram('x', edges=[1]), Rate('r', where='x >= 1', derive=True)])"
        )
        code, out, _ = covey("explain", project / "views.py", "--json")
        assert code == 0
        assert json.loads(out)["views"][0]["features"][1]["other_way"] is None


def test_the_version_is_printed(covey: Covey) -> None:
    import covey as package

    assert covey("--version") == (0, f"covey {package.__version__}\n", "")


def test_help_names_every_command_and_waits_for_nothing_heavy() -> None:
    code = "import sys; from covey.cli import call; call(['--help']); print(sorted({'pydantic','duckdb','pyarrow','numba','opendp','numpy','rocksdict','sqlglot'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(re.search(rf"\b{name}\b", done.stdout) for name in ("demo", "run", "explain", "get", "history", "join"))
    assert done.stdout.strip().endswith("[]")


def test_get_waits_for_no_kernel_and_no_model(project: Path, run_arguments: list[str], covey: Covey) -> None:
    covey(*run_arguments)
    code = f"import sys; from covey.cli import call; call(['get','visits:visits','shop=a','--store',{str(project / 'store')!r}]); print(sorted({{'pydantic','duckdb','numba','opendp','torch','sklearn','dp_accounting'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip().endswith("[]"), done.stdout


def test_debug_shows_the_traceback(covey: Covey, project: Path) -> None:
    _, _, err = covey("--debug", "get", "v:f", "--store", project / "nowhere")
    assert "Traceback" in err


def test_get_waits_for_no_pandas(project: Path, run_arguments: list[str], covey: Covey) -> None:
    covey(*run_arguments)
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "covey",
        "get",
        "visits:visits",
        "shop=a",
        "--store",
        str(project / "store"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "visits" in done.stdout
    assert not re.search(r"\| +pandas\.core", done.stderr)
