"""A site's file of the version before becomes one of this version: the same source, and the operator's own lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.toml import parse_toml
from edge_client.errors import SiteFileOutdated
from edge_client.site_config import source_in
from edge_client.site_migration import VERSION, migrate_site_file, version_of_site_file
from edge_client.sources.source import FilesSource

OLD = """\
# our site
site = "UA"
clients = 629   # enrolled
events = "ua/*.parquet"
client_column = "tailnum"
time_column = "arrived_at"
keys = "../keys"
ledger = "../ledgers/site-UA.db"
policy = "../policy.toml"
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "UA.toml"
    path.write_text(OLD)
    return path


def test_a_file_of_the_version_before_is_named_and_migrated(old: Path) -> None:
    assert version_of_site_file(old) == 1
    with pytest.raises(SiteFileOutdated, match=r"UA\.toml: its entry `events`"):
        source_in(old)
    migrate_site_file(old)
    assert version_of_site_file(old) == VERSION
    source = source_in(old)
    assert isinstance(source, FilesSource)
    assert (source.path, source.client, source.time) == (old.parent / "ua/*.parquet", "tailnum", "arrived_at")
    text = old.read_text()
    assert (text.startswith("# our site\n"), "clients = 629   # enrolled\n" in text, "events =" in text) == (
        True,
        True,
        False,
    )


@pytest.mark.parametrize(
    "events", ["'C:\\x'", '"""\na"""', '"days://x"', '"/data/days://x"', '"e.csv" # "quoted" = client_column']
)
def test_an_odd_path_stays_the_same_path(old: Path, events: str) -> None:
    old.write_text(OLD.replace('"ua/*.parquet"', events))
    before = parse_toml(old.read_text(), old)
    migrate_site_file(old)
    source = source_in(old)
    assert isinstance(source, FilesSource)
    assert source.path == old.parent / before["events"]
    after = parse_toml(old.read_text(), old)
    assert {name: after[name] for name in ("site", "clients", "keys", "ledger", "policy")} == {
        name: before[name] for name in ("site", "clients", "keys", "ledger", "policy")
    }


@pytest.mark.parametrize("text", ["", "events = 1", 'site = "UA"\nevents = "e"\n', "not toml"])
def test_what_is_of_no_version_is_left_to_its_reader(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    assert version_of_site_file(tmp_path / "x.toml") is None
