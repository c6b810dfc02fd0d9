"""Nothing starts that cannot work: a role checks its key and its files, a site also its events, before anything listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from base.errors import ConfigInvalid
from base.locks import lock_file
from base.private_files import private_folder
from deployment.errors import UsageError
from deployment.local.roles import read_settings
from federation.keys import load_keys

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def flights(covey: Covey, project: Path) -> Path:
    assert covey("init", project)[0] == 0
    return project


@pytest.mark.parametrize(("role", "command"), [("leader", "leader"), ("helper", "helper"), ("keyholder", "keyholder")])
def test_a_second_process_of_a_role_is_refused(covey: Covey, flights: Path, role: str, command: str) -> None:
    with lock_file(private_folder(flights / "roles" / role) / "lock", private=True, wait=False):
        code, _, err = covey("start", command, "--project", flights, "--port", 0)
    assert (code, f"another {role} runs in" in err) == (2, True), err


@pytest.mark.parametrize(("role", "command"), [("leader", "leader"), ("helper", "helper"), ("helper", "keyholder")])
def test_a_role_whose_key_is_not_the_projects_is_refused(covey: Covey, flights: Path, role: str, command: str) -> None:
    toml = flights / "covey.toml"
    other = covey("keys", "init", role, "--project", flights / "other")
    assert other[0] == 0, other
    (flights / "keys" / f"{role}.key").write_bytes((flights / "other" / "keys" / f"{role}.key").read_bytes())
    code, _, err = covey("start", command, "--project", flights, "--port", 0)
    assert (code, f"{toml} names the {role}'s key" in err, "Put the right key there" in err) == (2, True, True), err


@pytest.mark.parametrize(
    ("events", "columns", "says"),
    [
        ("events.parquet", ("who", "aat"), "has no column 'aat'; it has:"),
        ("events.parquet", ("whom", "at"), "has no column 'whom'; it has:"),
    ],
)
def test_a_site_whose_events_lack_its_columns_does_not_register(
    covey: Covey, flights: Path, events: str, columns: tuple[str, str], says: str
) -> None:
    options = ("--source", flights / events, "--client-column", columns[0], "--time-column", columns[1])
    got, _, err = covey("start", "site", "1", "--project", flights, *options, "--superlink", "127.0.0.1:9")
    assert (got != 0, says in err) == (True, True), err
    assert "registered" not in err


def test_a_site_whose_key_is_not_on_the_roster_does_not_register(covey: Covey, flights: Path) -> None:
    assert covey("keys", "init", "site-1", "--project", flights / "other")[0] == 0
    (flights / "keys" / "site-1.key").write_bytes((flights / "other" / "keys" / "site-1.key").read_bytes())
    options = ("--source", flights / "events.parquet", "--client-column", "who", "--time-column", "at")
    code, _, err = covey("start", "site", "1", "--project", flights, *options, "--superlink", "127.0.0.1:9")
    assert (code, "names another key for site 1" in err, "site-1.pub" in err) == (2, True, True), err


def test_a_role_reads_edits_of_its_project_file_without_a_restart_and_names_what_it_cannot_use(
    covey: Covey, flights: Path
) -> None:
    toml = flights / "covey.toml"
    own = {role: load_keys(flights / "keys", role).pinned for role in ("leader", "helper")}
    before = read_settings(flights, "leader", own["leader"])
    assert before == read_settings(flights, "leader", own["leader"])
    assert (before.peer, read_settings(flights, "helper", own["helper"]).peer) == (
        own["helper"].current,
        own["leader"].current,
    )
    text = toml.read_text()
    toml.write_text(text.replace("budget = 0.1 ", "budget = 0.3 "))
    assert read_settings(flights, "leader", own["leader"]).budget.micro_rho == 300_000
    toml.write_text(text.replace("budget = 0.1 ", "budget = much "))
    with pytest.raises(ConfigInvalid, match=r"covey\.toml"):
        read_settings(flights, "leader", own["leader"])
    toml.write_text(text)
    with pytest.raises(UsageError, match="names the leader's key"):
        read_settings(flights, "leader", replace(own["helper"], role="leader"))


@pytest.mark.parametrize("kind", [["--in-process"], []], ids=["in process", "over processes"])
def test_a_run_with_a_mistyped_site_column_starts_nothing_and_charges_nothing(
    covey: Covey, run_arguments: list[str], project: Path, kind: list[str]
) -> None:
    words = [word if word != "site" else "sit" for word in run_arguments if word != "--in-process"]
    code, _, err = covey(*words, *kind)
    assert (code, "has no column 'sit'; it has: who, site, at" in err) == (2, True), err
    assert not (project / "store").exists()
