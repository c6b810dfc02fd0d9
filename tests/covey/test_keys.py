"""`covey keys`: one role's keys, and their public halves."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.keys import load_keys, roles_in
from federation.public_file import PublicFile

Covey = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("role", ["leader", "site-UA"])
def test_init_makes_the_keys_of_one_role_and_prints_the_public_line(covey: Covey, tmp_path: Path, role: str) -> None:
    folder = tmp_path / "mine"
    code, out, err = covey("keys", "init", role, "--project", folder)
    assert code == 0
    file = PublicFile.parse(out, "out")
    found, public, authority = file.role, file.keys, file.authority
    assert (found, public) == (role, load_keys(folder / "keys", role).public)
    assert (authority is not None) == (role == "leader")  # a site has no certificate
    assert (folder / "keys" / f"{role}.pub").read_text() == out
    assert f"{role}.key is secret" in err
    assert roles_in(folder / "keys") == (role,)
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700
    assert (folder / "keys" / f"{role}.key").read_text().split()[2][:24] not in out + err


def test_an_operator_of_two_roles_makes_both(covey: Covey, tmp_path: Path) -> None:
    covey("keys", "init", "coordinator", "--project", tmp_path)
    _, out, _ = covey("keys", "init", "collector", "--project", tmp_path, "--json")
    assert json.loads(out)["role"] == "collector"
    assert roles_in(tmp_path / "keys") == ("collector", "coordinator")


def test_init_overwrites_nothing(covey: Covey, tmp_path: Path) -> None:
    covey("keys", "init", "leader", "--project", tmp_path)
    before = (tmp_path / "keys" / "leader.key").read_bytes()
    code, out, err = covey("keys", "init", "leader", "--project", tmp_path)
    assert (code, out) == (2, "")
    assert "leader.key exists" in err
    assert (tmp_path / "keys" / "leader.key").read_bytes() == before


@pytest.mark.parametrize(
    ("role", "says"), [("ladder", "no role 'ladder'"), ("site-../a", "site id"), ("site-", "site id")]
)
def test_what_is_no_role_is_one_line_and_leaves_nothing(covey: Covey, tmp_path: Path, role: str, says: str) -> None:
    code, _, err = covey("keys", "init", role, "--project", tmp_path)
    assert (code, says in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_show_prints_public_halves(covey: Covey, tmp_path: Path) -> None:
    covey("init", tmp_path)
    code, out, _ = covey("keys", "show", "leader", "--project", tmp_path)
    leader = load_keys(tmp_path / "keys", "leader").public
    assert code == 0
    assert out == (tmp_path / "keys" / "leader.pub").read_text()
    file = PublicFile.parse(out, "out")
    assert (file.role, file.keys) == ("leader", leader)
    _, out, _ = covey("keys", "show", "--project", tmp_path)
    seal = load_keys(tmp_path / "keys", "collector").seal.public
    assert seal.id.hex() in out
    assert leader.sign.id.hex() in out
    _, out, _ = covey("keys", "show", "--project", tmp_path, "--json")
    shown = {one["role"]: one.get("seal_id") for one in json.loads(out)["own"]}
    assert [role for role, seal_id in shown.items() if seal_id] == ["collector"]
    assert shown["collector"] == seal.id.hex()


def test_operators_compare_every_key_and_authority_by_what_show_prints(covey: Covey, tmp_path: Path) -> None:
    roles = ("coordinator", "collector", "leader", "helper", "site-UA")
    for role in roles:
        covey("keys", "init", role, "--project", tmp_path / role)
    files = [word for role in roles for word in ("--public", tmp_path / role / "keys" / f"{role}.pub")]
    shown = {}
    for role in ("leader", "site-UA"):
        assert covey("init", tmp_path / role, "--name", "flights", *files)[0] == 0
        code, out, _ = covey("keys", "show", "--project", tmp_path / role, "--json")
        shown[role] = json.loads(out)
        assert (code, [one["role"] for one in shown[role]["own"]]) == (0, [role])
    mine, theirs = shown["leader"], shown["site-UA"]
    assert mine["pinned"] == theirs["pinned"]
    assert [one["role"] for one in mine["pinned"]] == [*roles]
    both = [{(one["role"], one["sha256"]) for one in each["authorities"]} for each in (mine, theirs)]
    assert both[0] == both[1]
    assert {role for role, _ in both[0]} == {"coordinator", "superlink", "server", "leader", "helper", "keyholder"}
    _, out, _ = covey("keys", "show", "--project", tmp_path / "site-UA")
    wanted = {value for one in mine["pinned"] for name, value in one.items() if name.endswith("_id")}
    assert {each for each in wanted | {sha256 for _, sha256 in both[0]} if each not in out} == set()
    other = load_keys(tmp_path / "leader" / "keys", "leader").public.sign.id.hex()
    lines = (tmp_path / "site-UA" / "covey.toml").read_text()
    strange = tmp_path / "strange"
    covey("keys", "init", "leader", "--project", strange)
    (strange / "covey.toml").write_text(lines)
    _, out, _ = covey("keys", "show", "--project", strange)
    mine_id = load_keys(strange / "keys", "leader").public.sign.id.hex()
    sources = {word for line in out.splitlines() for word in line.split() if other in line or mine_id in line}
    assert sources >= {"covey.toml", "keys/"}


def test_show_says_what_is_missing(covey: Covey, tmp_path: Path) -> None:
    assert covey("keys", "show", "--project", tmp_path)[0] == 5
    code, _, err = covey("keys", "show", "leader", "--project", tmp_path)
    assert code == 5
    assert "covey keys init" in err
