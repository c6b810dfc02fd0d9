"""docs/sources.md: every section [source] of it is one that a site can use, and its commands work as written."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.config import checked
from base.toml import parse_toml
from covey.cli import call
from edge_client.sources.entries import LogEntries, SourceEntries
from edge_client.sources.parsing import source_of
from edge_client.sources.source import (
    FilesSource,
    Login,
    LogSource,
    PostgreSql,
    Source,
    TableSource,
    Tls,
)
from edge_client.sources.urls import SCHEMES
from tests.covey.conftest import VIEWS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "sources.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.S)
SITE = 'site = "1"\nclients = 9\nkeys = "../keys"\nledger = "../ledgers/site-1.db"\npolicy = "../policy.toml"\n'


def source_in(section: str, file: Path = Path("/p/sites/1.toml")) -> Source:
    return source_of(checked(SourceEntries, parse_toml(section, file)["source"], file, "source"), file)


def section_of(kind: type, number: int = 0) -> str:
    return [one for one in SECTIONS if isinstance(source_in(one), kind)][number]


def with_site(project: Path, section: str) -> Path:
    """A project with one site that has this section; returns the folder of the site's file."""
    (project / "sites").mkdir()
    (project / "sites" / "1.toml").write_text(f"{SITE}\n{section}")
    return project / "sites"


def check(project: Path, capfd: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    capfd.readouterr()
    code = call(["source", "check", "--project", str(project), "--site", "1", "--json", *more])
    out, err = capfd.readouterr()
    assert code == 0, err + out
    found: dict[str, Any] = json.loads(out)
    return found


def test_there_is_an_example_of_each_kind() -> None:
    assert {type(source_in(one)) for one in SECTIONS} == set(get_args(Source))


def test_each_scheme_and_each_entry_is_named() -> None:
    assert [scheme for scheme in SCHEMES if f"`{scheme}://" not in PAGE] == []
    entries = [*SourceEntries.model_fields, *LogEntries.model_fields]
    assert [
        name for name in entries if not re.search(rf"`{name}\b|^{name} = |^\[source\.{name}\]", PAGE, flags=re.M)
    ] == []


def test_files_are_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = with_site(tmp_path, section_of(FilesSource))
    (folder / "ua").mkdir()
    for day in (1, 2):
        rows = pa.table({"tailnum": ["N1"], "arrived_at": [f"2026-05-0{day}T10:00:00Z"]})
        pq.write_table(rows, folder / "ua" / f"{day}.parquet")
    found = check(tmp_path, capfd)
    assert (found["rows"], found["clients"]) == (2, 1)


def test_declared_columns_are_converted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = with_site(tmp_path, section_of(FilesSource, 1))
    (folder / "departures.csv").write_text(
        "tailnum,arr,epoch_ms,dist,late\nN1,2026-07-01 10:00,1782914400000,100,true\nN2,2026-07-01 11:00,,x,0\n"
    )
    found = check(tmp_path, capfd)
    examples = {one["name"]: one["examples"] for one in found["columns"]}
    assert found["times"]["earliest"] == "2026-07-01T14:00:00Z"
    assert examples["started_at"] == ["2026-07-01 14:00:00+00:00"]
    assert examples["distance"] == ["160.9344"]
    assert examples["late"] == ["True", "False"]


def test_a_table_of_sqlite_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    folder = with_site(tmp_path, section_of(TableSource))
    with closing(sqlite3.connect(folder / "shop.db")) as shop, shop:
        shop.execute("CREATE TABLE visits (customer, at)")
        shop.execute("INSERT INTO visits VALUES (7, '2026-05-01'), ('b', 'never'), (NULL, '2026-05-01')")
    found = check(tmp_path, capfd)
    assert (found["rows"], found["clients"]) == (3, 2)


def test_a_query_of_duckdb_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = with_site(tmp_path, section_of(TableSource, 1))
    with duckdb.connect(str(folder / "shop.duckdb")) as shop:
        shop.execute(
            "CREATE TABLE visits AS SELECT 'a' AS customer, DATE '2026-05-01' AS visited, 2 AS amount, 'tea' AS item"
        )
        shop.execute("CREATE TABLE prices AS SELECT 'tea' AS item, 1.5 AS price")
    found = check(tmp_path, capfd)
    examples = {one["name"]: one["examples"] for one in found["columns"]}
    assert (found["rows"], found["clients"], examples["spent"]) == (1, 1, ["3.0"])


def test_a_table_of_postgresql_is_on_another_machine_with_tls_and_a_password() -> None:
    source = source_in(section_of(TableSource, 2))
    assert isinstance(source, TableSource)
    assert source.database == PostgreSql(
        "db.example", 5432, "shop", Login("covey", Path("/p/sites/shop.password")), Tls(Path("/p/sites/db-ca.crt"))
    )


def test_a_program_appends_and_the_site_reads(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = with_site(tmp_path, section_of(LogSource))
    [script] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, timeout=300)
    found = check(tmp_path, capfd)
    assert (found["rows"], found["clients"], found["usable"]) == (2, 2, True)


def test_the_commands_of_the_page_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "visits.csv").write_text("customer,at,shop,city,spent\na,2026-05-01,a,X,3\n")
    (tmp_path / "views.py").write_text(VIEWS)
    (tmp_path / "shop").mkdir()
    folder = with_site(tmp_path / "shop", section_of(LogSource))
    [script] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, timeout=300)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S) for line in block.splitlines()]
    assert len(commands) == 4
    for line in commands:
        assert call(shlex.split(line)[1:]) == 0, (line, capfd.readouterr())
