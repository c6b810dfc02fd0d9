"""`covey source check`, `show`, `bad`, `new-key`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.event_log.log import EventLog

Covey = Callable[..., tuple[int, str, str]]
COLUMNS = ["--client-column", "who", "--time-column", "at"]


def test_a_url_is_checked_before_a_site_names_it(covey: Covey, project: Path) -> None:
    arguments = ["source", "check", "--source", project / "events.parquet", *COLUMNS, "--views", project / "views.py"]
    code, out, err = covey(*arguments)
    assert (code, err) == (0, "")
    assert "view visits: can be answered" in out
    assert "2020-05-0" in out
    code, out, _ = covey(*arguments, "--json", "--no-values")
    found = json.loads(out)
    assert (code, found["usable"], found["views"], found["rows"]) == (
        0,
        True,
        {"visits": None, "everywhere": None},
        600,
    )
    assert not any(one["examples"] for one in found["columns"])


def test_a_view_that_the_site_cannot_answer_is_named_and_the_exit_code_says_so(covey: Covey, project: Path) -> None:
    views = project / "views.py"
    views.write_text(views.read_text().replace('"spent"', '"price"'))
    code, out, _ = covey("source", "check", "--source", project / "events.parquet", *COLUMNS, "--views", views)
    assert (code, "view visits: " in out, "'price'" in out) == (1, True, True)


def test_the_views_of_the_projects_store_are_checked(covey: Covey, project: Path, collect: Callable[..., Path]) -> None:
    store = collect()
    code, out, _ = covey(
        "source", "check", "--project", store, "--source", project / "events.parquet", *COLUMNS, "--json"
    )
    assert (code, sorted(json.loads(out)["views"])) == (0, ["everywhere", "visits"])


def test_a_terminal_obeys_no_value_of_an_event(covey: Covey, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("who,at,no\x1bte\na\x1b[2J,2020-05-01,x\n")
    code, out, _ = covey("source", "check", "--source", tmp_path / "e.csv", *COLUMNS)
    assert (code, "\x1b" in out, "a�[2J" in out) == (0, False, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--source", "none.csv"], "--source needs --client-column and --time-column"),
        (["--source", "none.csv", *COLUMNS], "there is no such file"),
        (["--source", "s3://b", *COLUMNS], "s3:// is unknown"),
        (["--source", "kafka://localhost:9/t", *COLUMNS], "a stream needs [source.columns]"),
        (["--source", "none.csv", "--site", "1", *COLUMNS], "leave out --site"),
        ([], "sites has 0 sites (none); name one; see --site"),
        (["--site", "9"], "there is no such file; it names the site's source"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = covey("source", "check", *arguments)
    assert (code != 0, out, says in err) == (True, "", True), err


@pytest.fixture
def with_log(project: Path) -> Path:
    """A project with a site whose events a program appends to a log."""
    (project / "sites").mkdir()
    (project / "sites" / "1.toml").write_text(
        'site = "1"\nclients = 9\nkeys = "../keys"\nledger = "../ledgers/site-1.db"\npolicy = "../policy.toml"\n'
        '[source]\nurl = "log://1.log"\nclient = "who"\ntime = "at"\n'
    )
    with EventLog(project / "sites" / "1.log", client="who", time="at") as log:
        log.append([{"who": "a", "at": datetime(2020, 5, 1, tzinfo=UTC)}], positions={"t/0": b"17"})
        log.append(bad=[BadRecord(BadReason.NOT_JSON, b"{\xff\x1b", "t[0]@18")])
    return project


def test_the_log_of_a_site_is_shown(covey: Covey, with_log: Path) -> None:
    code, out, _ = covey("source", "show", "--project", with_log)
    assert (code, "1 here, of 1 kept" in out, "position  t/0: 17" in out) == (0, True, True), out
    code, out, _ = covey("source", "show", "--project", with_log, "--json")
    found = json.loads(out)
    assert (code, found["held"], found["bad"], found["positions"]) == (0, 1, 1, {"t/0": "17"})
    code, out, _ = covey("source", "check", "--project", with_log, "--json")
    assert (code, json.loads(out)["bad"]) == (0, {"not JSON": 1})


def test_bad_records_are_shown_with_their_reason_and_place(covey: Covey, with_log: Path) -> None:
    code, out, _ = covey("source", "bad", "--project", with_log, "--site", "1")
    assert (code, "\x1b" in out, "not JSON" in out, "t[0]@18" in out) == (0, False, True, True)
    code, out, _ = covey("source", "bad", "--project", with_log, "--json")
    assert json.loads(out) == [{"reason": "not JSON", "where": "t[0]@18", "content": "{\\xff\x1b"}]


def test_files_have_no_log(covey: Covey, with_log: Path) -> None:
    path = with_log / "sites" / "1.toml"
    path.write_text(path.read_text().replace("log://1.log", "e.csv"))
    for command in ("show", "bad"):
        code, _, err = covey("source", command, "--project", with_log)
        assert (code, "has no event log: e.csv" in err) == (2, True)


def test_a_new_key_is_private_and_overwrites_nothing(covey: Covey, tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    assert covey("source", "new-key", path)[0] == 0
    assert (path.stat().st_mode & 0o777, len(path.read_bytes())) == (0o600, 32)
    before = path.read_bytes()
    code, _, err = covey("source", "new-key", path)
    assert (code, "never overwritten" in err, path.read_bytes()) == (2, True, before)
    code, _, err = covey("source", "new-key", tmp_path / "none" / "k")
    assert (code, "cannot be made" in err) == (2, True)
