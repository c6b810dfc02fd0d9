"""`covey start site --source` writes a site's file, and leaves alone what it does not write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import ConfigInvalid
from deployment.errors import UsageError
from deployment.project.site_folders import configure_site
from edge_client.site_config import source_in
from edge_client.sources.source import FilesSource, LogSource, TableSource

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(covey: Covey, tmp_path: Path) -> Path:
    assert covey("init", tmp_path / "p", "--sites", "1")[0] == 0
    return tmp_path / "p"


def configured(project: Path, source: str, client: str = "who", time: str = "at") -> Path:
    return configure_site(project, "1", source, client, time, allow_noise_off=False)


def test_paths_become_absolute_and_another_source_replaces_the_first(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = source_in(configured(project, "days/*.csv"))
    assert isinstance(source, FilesSource)
    assert source.path == tmp_path / "days/*.csv"
    source = source_in(configured(project, "log://e.log"))
    assert isinstance(source, LogSource)
    assert source.path == tmp_path / "e.log"
    assert isinstance(source_in(configured(project, "sqlite://e.db?table=t", "c", "t")), TableSource)


def test_a_file_with_more_entries_keeps_them_and_is_not_overwritten(project: Path, tmp_path: Path) -> None:
    path = configured(project, str(tmp_path / "e.csv"))
    more = path.read_text() + '\n[source.columns]\nat = {from = "arr", type = "time"}  # ours\n'
    path.write_text(more)
    assert configured(project, str(tmp_path / "e.csv")) == path
    assert path.read_text() == more
    with pytest.raises(UsageError, match=r"entries that this command does not write \(columns\), and url = "):
        configured(project, str(tmp_path / "other.csv"))
    path.write_text(more.replace("clients = ", "clients = 1"))
    with pytest.raises(UsageError, match=r"clients = \d+, and the roster has"):
        configured(project, str(tmp_path / "e.csv"))


def test_a_stream_needs_entries_that_are_written_by_hand(project: Path) -> None:
    path = configured(project, "e.csv")
    before = path.read_text()
    with pytest.raises(ConfigInvalid, match=r"a stream needs \[source.columns\]"):
        configured(project, "kafka://localhost:9092/t")
    with pytest.raises(UsageError, match="the source 's3://b/x': s3:// is unknown"):
        configured(project, "s3://b/x")
    assert path.read_text() == before


def test_a_mistyped_source_is_refused_and_the_sites_file_stays(covey: Covey, project: Path, tmp_path: Path) -> None:
    def start(source: object) -> tuple[int, str]:
        columns = "--client-column", "who", "--time-column", "at"
        # the address is refused after the source, so that nothing goes on running
        code, _, err = covey(
            "start", "site", "1", "--project", project, "--source", source, *columns, "--superlink", "8"
        )
        return code, err

    code, err = start(tmp_path / "typo.csv")
    assert (code, "typo.csv: there is no such file or folder" in err) == (1, True), err
    assert not (project / "sites" / "1.toml").exists()
    events = tmp_path / "e.csv"
    events.write_text("who,at\n")
    assert "'8' is not an address" in start(events)[1]
    before = (project / "sites" / "1.toml").read_text()
    columns = "--client-column", "who", "--time-column", "at"
    code, _, err = covey("up", "--project", project, "--events", tmp_path / "typo.csv", *columns, "--no-backfill")
    assert (code, "typo.csv: there is no such file or folder" in err) == (1, True), err
    for source in (tmp_path / "typo" / "*.csv", f"duckdb://{tmp_path}/typo.db?table=e"):
        code, err = start(source)
        assert (code, "cannot be read now" in err) == (1, True), err
    assert (project / "sites" / "1.toml").read_text() == before
    events.unlink()
    assert "'8' is not an address" in start(events)[1]  # the site's file names it, so it may come back
    assert "'8' is not an address" in start(f"log://{tmp_path}/e.log")[1]


def test_a_site_that_is_not_on_the_roster_has_no_file(project: Path) -> None:
    with pytest.raises(UsageError):
        configure_site(project, "9", "e.csv", "who", "at", allow_noise_off=False)
    assert not (project / "sites" / "9.toml").exists()
