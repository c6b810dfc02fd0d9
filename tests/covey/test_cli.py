"""Every command alike: views files and events that cannot be used, `explain`, help, and what is imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from covey.cli import _needs_no_pandas
from featurestore.store import Store

Covey = Callable[..., tuple[int, str, str]]


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
            ("from covey import *\nv = FeatureView('v', entity=Entity('a', domain=['x']), features=[Mean('m', clip=(180, -60))], pane='1d', bounds=Bounds(1), privacy=Privacy(0.1))", "`clip` must be (low, high) with low < high, got (180, -60)"),
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


def test_a_command_ends_without_a_last_look_at_every_object() -> None:
    told = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 10_000)); from covey.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", told, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "True"), done.stderr


def test_help_names_every_command_and_waits_for_nothing_heavy() -> None:
    code = "import sys; from covey.cli import call; call(['--help']); print(sorted({'pydantic','duckdb','pyarrow','numba','opendp','numpy','rocksdict','sqlglot'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(re.search(rf"\b{name}\b", done.stdout) for name in ("demo", "run", "explain", "get", "history", "join"))
    assert done.stdout.strip().endswith("[]")


def test_get_waits_for_no_kernel_and_no_model(collect: Callable[..., Path]) -> None:
    code = f"import sys; from covey.cli import call; call(['get','visits:visits','shop=a','--store',{str(collect())!r}]); print(sorted({{'pydantic','duckdb','numba','opendp','torch','sklearn','dp_accounting'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip().endswith("[]"), done.stdout


def test_debug_shows_the_traceback(covey: Covey, project: Path) -> None:
    _, _, err = covey("--debug", "get", "v:f", "--store", project / "nowhere")
    assert "Traceback" in err


def test_get_waits_for_no_pandas(collect: Callable[..., Path]) -> None:
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
        str(collect()),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "visits" in done.stdout
    assert not re.search(r"\| +pandas\.core", done.stderr)


def test_serve_waits_for_no_pandas_and_its_supervisor_for_no_library_that_answers_requests(tmp_path: Path) -> None:
    imported = imported_by("serve", "--store", str(tmp_path / "nowhere"))
    assert "featurestore.server.supervisor" in imported
    assert {"pandas.core", "fastapi", "uvicorn", "grpc", "numba"} & imported == set()


def test_a_console_waits_for_no_pandas_no_flower_and_no_parser_of_texts(tmp_path: Path) -> None:
    imported = imported_by("console", "--store", str(tmp_path / "nowhere"))
    assert "covey.console.places" in imported
    assert {"pandas.core", "flwr", "sqlalchemy", "libcst"} & imported == set()


def imported_by(*arguments: str) -> set[str]:
    """The modules that a command imports which finds no store."""
    command = [sys.executable, "-X", "importtime", "-m", "covey", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    return set(re.findall(r"\| +([\w.]+)$", done.stderr, flags=re.M))


@pytest.mark.parametrize(
    ("words", "needs_none"),
    [
        (["console", "--project", "x"], True),
        (["start", "server"], True),
        (["serve", "--views", "views.py"], False),
        (["serve", "--views=views.py"], False),
        (["console", "--trust-views"], False),
        (["run", "views.py"], False),
        (["start"], False),
    ],
)
def test_pandas_is_hidden_from_commands_that_run_no_file_of_the_user(words: list[str], needs_none: bool) -> None:
    assert _needs_no_pandas(words) is needs_none
