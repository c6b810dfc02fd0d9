"""`covey keys`, and the covey.toml that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from covey.errors import UsageError
from covey.project import Project
from federation.keys import load_keys, public_from_line, roles_in

Covey = Callable[..., tuple[int, str, str]]


def test_init_makes_every_roles_keys_and_a_project_file(covey: Covey, tmp_path: Path) -> None:
    code, out, err = covey("keys", "init", "--project", tmp_path, "--name", "flights", "--sites", 3)
    assert (code, out) == (0, "")
    assert "roster of 3 site(s)" in err
    roles = ("collector", "coordinator", "helper", "leader", "site-1", "site-2", "site-3")
    assert roles_in(tmp_path / "keys") == roles
    project = Project.load(tmp_path)
    keys = {role: load_keys(tmp_path / "keys", role).public for role in roles}
    assert project.name == "flights"
    assert project.coordinator == keys["coordinator"].sign
    assert (project.collector, project.leader, project.helper) == (keys["collector"], keys["leader"], keys["helper"])
    assert [(site.site, site.key, site.max_clients) for site in project.roster.entries] == [
        (number, keys[f"site-{number}"].sign, 100_000) for number in ("1", "2", "3")
    ]
    assert project.to_toml() == (tmp_path / "covey.toml").read_text()


def test_no_secret_is_written_outside_the_key_files(covey: Covey, tmp_path: Path) -> None:
    _, out, err = covey("keys", "init", "--project", tmp_path, "--site", "UA", "--site", "9E", "--json")
    public = {each["role"]: each for each in json.loads(out)}
    assert set(public) == {"coordinator", "collector", "leader", "helper", "site-UA", "site-9E"}
    shown = out + err + (tmp_path / "covey.toml").read_text()
    for role in public:
        assert (tmp_path / "keys" / f"{role}.key").read_text().split()[2][:24] not in shown


@pytest.mark.parametrize("there", ["covey.toml", "keys"])
def test_init_overwrites_nothing(covey: Covey, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    code, _, err = covey("keys", "init", "--project", tmp_path)
    assert code == 2
    assert f"{there} exists" in err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sites", 2, "--site", "a"], "either --sites N or --site"),
        (["--site", "a", "--site", "a"], "twice"),
        (["--site", "../a"], "site id"),
        (["--name", "a b"], "project name"),
        (["--max-clients", 2**40], "max_clients"),
        (["--sites", 0], "sites"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(
    covey: Covey, tmp_path: Path, words: list[str], says: str
) -> None:
    code, _, err = covey("keys", "init", "--project", tmp_path, *words)
    assert code == 2
    assert says in err
    assert list(tmp_path.iterdir()) == []


def test_show_prints_public_halves(covey: Covey, tmp_path: Path) -> None:
    covey("keys", "init", "--project", tmp_path)
    code, out, _ = covey("keys", "show", "leader", "--project", tmp_path)
    leader = load_keys(tmp_path / "keys", "leader").public
    assert code == 0
    assert public_from_line(out) == ("leader", leader)
    _, out, _ = covey("keys", "show", "--project", tmp_path)
    assert leader.seal.id.hex() in out
    _, out, _ = covey("keys", "show", "--project", tmp_path, "--json")
    assert json.loads(out)[3]["seal_id"] == leader.seal.id.hex()


def test_show_says_what_is_missing(covey: Covey, tmp_path: Path) -> None:
    assert covey("keys", "show", "--project", tmp_path)[0] == 1
    code, _, err = covey("keys", "show", "leader", "--project", tmp_path)
    assert code == 1
    assert "covey keys init" in err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[leader]", "[ladder]", "no section [leader]"),
        ('name = "p"', "name = 3", "`name"),
        ("max_clients = 100000", "max_clients = true", "[site] 1: `max_clients"),
        ("max_clients = 100000", "max_clients = 0", "max_clients 0"),
        ('id = "1"', 'id = "2"', "twice"),
        ('sign = "', 'sign = "?', "not base64"),
        ('sign = "', 'sign = "AAAA', "need 32"),
        ("[project]", "[project", "not TOML"),
        ("[[site]]", "[site]", "TOML"),
    ],
)
def test_a_project_file_with_a_mistake_is_named(covey: Covey, tmp_path: Path, old: str, new: str, says: str) -> None:
    covey("keys", "init", "--project", tmp_path, "--name", "p")
    path = tmp_path / "covey.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError) as raised:
        Project.load(tmp_path)
    assert says in str(raised.value)


def test_sections_of_others_are_left_alone_and_a_missing_file_is_named(covey: Covey, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="keys init"):
        Project.load(tmp_path)
    covey("keys", "init", "--project", tmp_path)
    with (tmp_path / "covey.toml").open("a") as file:
        file.write("\n[server]\nport = 1\n")
    assert len(Project.load(tmp_path).roster.entries) == 2
