"""`covey run`: what it publishes, skips and refuses, and how a signal ends it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
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

    def test_from_and_to_take_times_in_one_process(self, covey: Covey, run_arguments: list[str]) -> None:
        hours = "--from", "2020-05-02T01:00:00", "--to", "2020-05-02T04:00Z"
        code, out, _ = covey(*run_arguments, *hours, "--json")
        assert code == 2  # a time has seconds
        hours = "--from", "2020-05-02T01:00:00", "--to", "2020-05-02T04:00:00Z"
        code, out, _ = covey(*run_arguments, *hours, "--json")
        assert code == 0
        assert [view["opened"] + view["void"] for view in json.loads(out)["views"]] == [0, 3]
        code, out, _ = covey(*run_arguments, "--json")
        assert code == 0
        assert [view["opened"] + view["void"] for view in json.loads(out)["views"]] == [3, 69]

    def test_a_back_fill_stands_for_a_collection_by_day_or_by_pane(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        last = {}
        for name, words in (("day", ()), ("pane", ("--replay", "pane"))):
            assert covey(*run_arguments, "--store", str(project / name), *words)[0] == 0
            with Store.open(project / name) as store:
                released = store.releases("everywhere")["released_at"].cast("int64").to_pylist()
            last[name] = (len(released), len(set(released)))
        assert last == {"day": (72, 3), "pane": (72, 72)}
        arguments = [one for one in run_arguments if one != "--in-process"]
        code, _, err = covey(*arguments, "--replay", "pane")
        assert code == 2
        assert "replay 'pane' is for runs in one process" in err

    def test_over_processes_a_part_of_a_day_is_refused_before_anything_is_made(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        arguments = [one for one in run_arguments if one != "--in-process"]
        code, _, err = covey(*arguments, "--from", "2020-05-02T01:00:00", "--to", "2020-05-03")
        assert code == 2
        assert "takes a day in part" in err
        assert "see --from and --to and --in-process" in err
        assert not (project / "store").exists()

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
        self, covey: Covey, run_arguments: list[str], project: Path, collect: Callable[..., Path]
    ) -> None:
        collect()
        views = project / "views.py"
        views.write_text(views.read_text().replace("max_cells=2", "max_cells=3"))
        code, _, err = covey(*run_arguments)
        assert code == 4
        assert "'visits' has another definition" in err
        assert "bounds.max_cells: 2 → 3" in err

    def test_a_run_over_its_budget_is_refused_with_the_mend_and_leaves_the_names_free(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        code, out, err = covey(*run_arguments[:-2])
        assert (code, out) == (4, "")
        assert "view 'visits' costs rho = 0.5 a client-day, but 2020-05-01 has 0.1 left of 0.1" in err
        assert "Use a budget of 1.0, or a smaller rho in the views; see --budget" in err
        assert covey(*run_arguments[:-1], "1.0")[0] == 0
        more = ["--from", "2020-05-01", "--to", "2020-05-05"]  # the collected days cost nothing more
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
        assert "a budget of 1.2," in err

    @pytest.mark.parametrize("budget", ["0", "-1", "x", "1e-9", ""])
    def test_an_odd_budget_is_named(self, covey: Covey, run_arguments: list[str], budget: str) -> None:
        code, _, err = covey(*run_arguments[:-1], budget)
        assert code == 2
        assert "`budget`: rho" in err

    def test_participation_chooses_who_reports(self, covey: Covey, run_arguments: list[str]) -> None:
        assert covey(*run_arguments, "--participation", "some")[0] == 2
        code, out, err = covey(*run_arguments, "--participation", "all")
        assert code == 2
        assert "declare their number; see --site-clients N" in err
        code, out, _ = covey(*run_arguments, "--participation", "all", "--site-clients", 40, "--json")
        assert code == 0
        visits, everywhere = json.loads(out)["views"]
        assert everywhere["reports"] == 24 * visits["reports"]

    def test_an_edited_ledger_opens_nothing_and_says_how_to_recover(
        self, covey: Covey, run_arguments: list[str], collect: Callable[..., Path]
    ) -> None:
        import sqlite3

        with sqlite3.connect(collect() / "ledgers" / "operator.db") as db:
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

    def test_a_store_of_another_schema_is_named(
        self, covey: Covey, run_arguments: list[str], project: Path, collect: Callable[..., Path]
    ) -> None:
        import sqlite3

        db = sqlite3.connect(collect() / "store" / "registry.db")
        db.execute("PRAGMA user_version = 99")
        db.close()
        for command in (run_arguments, ["get", "visits:visits", "shop=a", "--store", str(project / "store")]):
            code, _, err = covey(*command)
            assert code == 1
            assert "a later version of Covey wrote" in err

    def test_an_interrupted_run_is_continued_by_the_same_command(
        self, project: Path, run_arguments: list[str], covey: Covey
    ) -> None:
        """The run is interrupted at four moments. Each day is complete or missing, and the same command completes the rest."""
        command = [sys.executable, "-c", "import sys; from covey.cli import main; main()", *run_arguments]
        for wait in (0.5, 1.5, 2.5, 3.5):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=180)
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
        """Python drops an exception in each of these three places.

        One process tests both signals, because `call` can run again.
        """
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


SERVICES = """
@on_demand(outputs=["double"])
def twice(flights: Annotated[object, Feature("everywhere:all")]):
    return 2 * flights

both = FeatureService("both", ["visits:big", "everywhere:all"])
by_shop = FeatureService("by_shop", ["visits:big"])
derived = FeatureService("derived", ["twice:double"])
"""


class TestView:
    @pytest.fixture
    def with_services(self, project: Path) -> Path:
        views = project / "views.py"
        views.write_text("from typing import Annotated\n" + views.read_text() + SERVICES)
        return project

    def test_it_collects_the_named_views_alone_and_registers_the_services_that_the_store_can_serve(
        self, covey: Covey, run_arguments: list[str], with_services: Path
    ) -> None:
        code, out, _ = covey(*run_arguments, "--view", "visits", "--json")
        report = json.loads(out)
        assert code == 0
        assert [view["view"] for view in report["views"]] == ["visits"]
        assert (report["services"], report["services_waiting"]) == (["by_shop"], ["both", "derived"])
        with Store.open(with_services / "store") as store:
            assert {view.name for view in store.views()} == {"visits"}
        code, out, err = covey(*run_arguments, "--view", "everywhere")
        assert code == 0
        assert "is not registered" not in err

    def test_a_service_that_waits_is_named(self, covey: Covey, run_arguments: list[str], with_services: Path) -> None:
        _, _, err = covey(*run_arguments, "--view", "everywhere")
        assert "service both is not registered: it reads a view that this run left out" in " ".join(err.split())

    def test_a_service_that_cannot_be_registered_is_refused_before_anything_is_made(
        self, covey: Covey, run_arguments: list[str], with_services: Path
    ) -> None:
        views = with_services / "views.py"
        views.write_text(views.read_text().replace('"by_shop", ["visits:big"]', '"by_shop", ["visits:bog"]'))
        code, _, err = covey(*run_arguments)
        assert code != 0
        assert "'visits' serves no feature 'bog'" in " ".join(err.split())
        assert not (with_services / "store").exists()

    def test_an_unknown_view_is_refused_before_anything_is_made(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        code, _, err = covey(*run_arguments, "--view", "vists")
        assert code == 2
        assert "the views file has no view 'vists'; it has visits, everywhere; see --view" in " ".join(err.split())
        assert not (project / "store").exists()
