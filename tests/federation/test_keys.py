from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import keys as module
from federation.errors import (
    KeyFileExists,
    KeyFileExposed,
    KeyFileMalformed,
    KeyFileMissing,
    KeyFileOutdated,
    PartyInvalid,
)
from federation.keys import (
    RoleKeys,
    create_folder,
    load_keys,
    public_as_dict,
    public_from_line,
    public_line,
    roles_in,
    site_role,
    write_keys,
)
from tests.examples import examples

from .wire import COLLECTOR, LEADER, SITE, role_keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_folder(tmp_path / "keys", [LEADER, SITE, COLLECTOR])
    return tmp_path / "keys"


def test_keys_come_back_and_only_their_owner_can_read_them(folder: Path) -> None:
    for keys in (LEADER, SITE, COLLECTOR):
        again = load_keys(folder, keys.role)
        assert again.public == keys.public
        assert again.secret_bytes == keys.secret_bytes
    assert load_keys(folder, "collector").seal.secret_bytes() == COLLECTOR.seal.secret_bytes()
    assert roles_in(folder) == ("collector", "leader", "site-a")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "leader.key").stat().st_mode & 0o777 == 0o600
    assert public_from_line((folder / "leader.pub").read_text()) == ("leader", LEADER.public)
    assert public_from_line((folder / "site-a.pub").read_text()) == ("site-a", SITE.public)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["keys"]


def test_the_secret_is_not_shown_and_not_in_the_public_file(folder: Path) -> None:
    assert repr(LEADER).count("<secret of") == 1
    assert repr(COLLECTOR).count("<secret of") == 2
    secret = (folder / "leader.key").read_text().split()[2]
    assert secret[:20] not in (folder / "leader.pub").read_text()
    assert secret[:20] not in repr(LEADER) + str(public_as_dict("leader", LEADER.public))


def test_no_aggregator_has_a_seal_key_for_good(folder: Path) -> None:
    for role in ("leader", "site-a"):
        with pytest.raises(PartyInvalid, match="only the collector"):
            _ = load_keys(folder, role).seal
        public = public_from_line((folder / f"{role}.pub").read_text())[1]
        assert public.seal is None
        with pytest.raises(PartyInvalid, match="not the collector's"):
            _ = public.collector
    assert COLLECTOR.public.collector.seal == COLLECTOR.seal.public


@pytest.mark.parametrize("name", ["leader.key", "leader.pub"])
def test_files_of_an_older_version_are_refused_by_name_with_the_mend(folder: Path, name: str) -> None:
    path = folder / name
    path.chmod(0o600)
    path.write_text(path.read_text().replace("-2 leader", "-1 leader"))
    with pytest.raises(KeyFileOutdated, match=r"older version.*Make new keys of every role"):
        load_keys(folder, "leader") if name.endswith("key") else public_from_line(path.read_text(), name)


def test_nothing_is_overwritten(folder: Path) -> None:
    before = (folder / "leader.key").read_bytes()
    with pytest.raises(KeyFileExists, match=r"leader\.key exists"):
        write_keys(folder, role_keys("leader", 9))
    with pytest.raises(KeyFileExists, match="keys exists"):
        create_folder(folder, [role_keys("leader", 9)])
    assert (folder / "leader.key").read_bytes() == before
    write_keys(folder, role_keys("helper", 9))
    assert roles_in(folder) == ("collector", "helper", "leader", "site-a")


def test_a_folder_that_could_not_be_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyFileExists):
        create_folder(tmp_path / "keys", [LEADER, LEADER])
    assert list(tmp_path.iterdir()) == []


def test_missing_keys_are_named(folder: Path) -> None:
    with pytest.raises(KeyFileMissing, match=r"helper\.key"):
        load_keys(folder, "helper")
    with pytest.raises(KeyFileMissing):
        load_keys(folder.parent / "none", "leader")
    assert roles_in(folder.parent / "none") == ()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o666])
def test_a_key_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    (folder / "leader.key").chmod(mode)
    with pytest.raises(KeyFileExposed) as raised:
        load_keys(folder, "leader")
    assert (raised.value.mode, raised.value.need) == (mode, 0o600)


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o750)
    with pytest.raises(KeyFileExposed, match="mode 0750, need 0700"):
        load_keys(folder, "leader")
    with pytest.raises(KeyFileExposed):
        write_keys(folder, role_keys("helper", 9))


def replace(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


def test_foreign_content_is_refused_and_not_shown(folder: Path) -> None:
    path = folder / "leader.key"
    good = path.read_bytes()
    tag, _, secret = good.split()
    for wrong in (
        b"",
        b"\xff\n",
        good[:-1],
        good + b"\n",
        good + good,
        b"x" * 5_000,
        good.replace(b"private", b"public"),
        tag + b" nobody " + secret + b"\n",
        tag + b" leader " + secret[:-4] + b"\n",
        tag + b" leader " + secret + b"AAAA\n",
        tag + b" leader " + secret[:-3] + b"B==\n",  # a different base64 text of the same bytes
        (folder / "leader.pub").read_bytes(),
        (folder / "site-a.key").read_bytes(),
    ):
        replace(path, wrong)
        with pytest.raises(KeyFileMalformed) as raised:
            load_keys(folder, "leader")
        assert raised.value.path == str(path)
        assert secret[:8].decode() not in str(raised.value)


def test_links_pipes_and_folders_are_refused(folder: Path) -> None:
    path = folder / "helper.key"
    path.symlink_to(folder / "leader.key")
    with pytest.raises(KeyFileMalformed, match="cannot be opened"):
        load_keys(folder, "helper")
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFileMalformed, match="not a file"):
        load_keys(folder, "helper")
    path.unlink()
    path.mkdir(0o700)
    with pytest.raises(KeyFileMalformed):
        load_keys(folder, "helper")
    with pytest.raises(KeyFileMalformed, match="not a folder"):
        load_keys(folder / "leader.pub", "leader")


@pytest.mark.parametrize("role", ["", "leader2", "../leader", "site-", "site-../x", "x" * 500])
def test_only_roles_have_keys(folder: Path, role: str) -> None:
    with pytest.raises(PartyInvalid):
        load_keys(folder, role)
    with pytest.raises(PartyInvalid):
        RoleKeys.generate(role, os.urandom)


def test_a_site_has_a_role() -> None:
    assert site_role("UA") == "site-UA"
    with pytest.raises(PartyInvalid):
        site_role("a/b")


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 10_000), st.characters(max_codepoint=0x7E))
def test_a_public_line_has_one_spelling(place: int, character: str) -> None:
    line = public_line("leader", LEADER.public)
    assert public_from_line(line) == ("leader", LEADER.public)
    place %= len(line)
    wrong = line[:place] + character + line[place + 1 :]
    if wrong != line:
        try:
            assert public_from_line(wrong)[1] != LEADER.public
        except KeyFileMalformed as error:
            assert error.path == "public key"  # noqa: PT017


def test_keys_follow_from_the_randomness_that_is_passed_in() -> None:
    assert role_keys("leader", 2).public == LEADER.public
    assert RoleKeys.generate("leader", os.urandom).public != LEADER.public
    assert len(module.ROLES) == 4
