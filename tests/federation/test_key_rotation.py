"""Rotation of a role's key files: what it leaves after a crash at any write, and what it hands out."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from base.locks import lock_folder
from base.tls.roles import TlsRole
from deployment.project.certificates import make_certificates
from federation import key_rotation
from federation import keys as key_files
from federation.errors import HandoverInvalid, HandoverMissing, KeyFileExposed, KeyFileMalformed, TooManyFormerKeys
from federation.former_keys import KEPT_US, FormerKey
from federation.key_rotation import MAX_FORMER, erase_ended, is_complete, publish, replace_lost, rotate
from federation.keys import ROLES, RoleKeys, create_folder, load_keys, public_line
from federation.public_file import PublicFile

ALL = (*ROLES, "site-a")
UNTIL = 1_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_folder(tmp_path / "keys", [RoleKeys.generate(role, os.urandom) for role in ALL])
    return tmp_path / "keys"


class Crash(BaseException):
    """The process ends."""


def crash_at(monkeypatch: pytest.MonkeyPatch, write: int) -> None:
    """End the process before this write of a file."""
    left = [write]

    def fused(real: Callable[..., None]) -> Callable[..., None]:
        def called(*arguments: object, **more: object) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Crash
            real(*arguments, **more)

        return called

    for module in (key_files, key_rotation):
        monkeypatch.setattr(module, "replace_file", fused(module.replace_file))


def handed_out(folder: Path, role: str) -> PublicFile:
    return PublicFile.parse((folder / f"{role}.pub").read_text(), role)


@pytest.mark.parametrize("role", ALL)
def test_a_rotation_keeps_the_former_keys_for_the_plans_before_the_change_over(folder: Path, role: str) -> None:
    before = load_keys(folder, role)
    rotated = rotate(folder, role, UNTIL, os.urandom)
    now = load_keys(folder, role)
    assert rotated.new
    assert now.sign.public != before.sign.public
    assert now.at(UNTIL).secret_bytes == before.secret_bytes
    assert now.at(UNTIL + 1) is now
    assert [stat.S_IMODE((folder / f"{role}.{end}").stat().st_mode) for end in ("former", "key")] == [0o600] * 2
    file = handed_out(folder, role)
    assert public_line(role, file.keys) == public_line(role, now.public)
    replaced = FormerKey(role, before.sign.public, UNTIL)
    assert file.replaced_since(before.sign.public, "x") == (replaced,)
    assert now.pinned.former == (replaced,)


@pytest.mark.parametrize("write", range(3))
@pytest.mark.parametrize("role", ["leader", "collector", "site-a"])
def test_a_crash_between_any_two_writes_leaves_usable_keys_and_the_next_call_completes_the_rotation(
    folder: Path, role: str, write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_keys(folder, role)
    with monkeypatch.context() as patch:
        crash_at(patch, write)
        with pytest.raises(Crash):
            rotate(folder, role, UNTIL, os.urandom)
    left = load_keys(folder, role)
    assert left.at(UNTIL).secret_bytes == before.secret_bytes
    assert handed_out(folder, role).keys.sign == before.sign.public
    assert is_complete(folder, role) == (write == 0)
    rotated = rotate(folder, role, UNTIL + 5, os.urandom)
    assert rotated.new == (write == 0)
    assert is_complete(folder, role)
    assert [one.keys.sign.public for one in rotated.keys.former] == [before.sign.public]  # one rotation, not two
    assert handed_out(folder, role).replaced_since(before.sign.public, "x")[0].until_us == UNTIL + 5
    assert rotated.keys.at(UNTIL + 5).secret_bytes == before.secret_bytes  # of a plan that began after the crash


def test_a_chain_of_rotations_leads_from_any_of_their_keys_to_the_last_one(folder: Path) -> None:
    made = [load_keys(folder, "helper").sign.public]
    for until in (10, 30, 20):
        made.append(rotate(folder, "helper", until, os.urandom).keys.sign.public)
    file = handed_out(folder, "helper")
    untils = (10, 30, 30)  # a change-over never lies before the one of an earlier key
    for at in range(3):
        expected = [FormerKey("helper", key, until) for key, until in zip(made[at:3], untils[at:], strict=True)]
        assert list(file.replaced_since(made[at], "x")) == expected
    erase_ended(folder, "helper", 30 + KEPT_US + 1)
    publish(folder, "helper")
    assert load_keys(folder, "helper").former == ()
    rotate(folder, "helper", 40, os.urandom)
    assert handed_out(folder, "helper").replaced_since(made[0], "x")[-1].until_us == 40


def test_former_secrets_are_erased_when_no_plan_can_need_them(folder: Path) -> None:
    secret = base64.b64encode(load_keys(folder, "leader").secret_bytes).decode()
    rotate(folder, "leader", UNTIL, os.urandom)
    assert len(erase_ended(folder, "leader", UNTIL + KEPT_US).former) == 1
    assert secret in (folder / "leader.former").read_text()
    assert erase_ended(folder, "leader", UNTIL + KEPT_US + 1).former == ()
    assert not any(secret in path.read_text() for path in folder.iterdir())


def test_a_role_has_a_bounded_number_of_former_keys_and_can_still_read_them(tmp_path: Path) -> None:
    role = f"site-{'x' * 64}"  # has the longest lines
    create_folder(tmp_path / "keys", [RoleKeys.generate(role, os.urandom)])
    for number in range(MAX_FORMER):
        rotate(tmp_path / "keys", role, UNTIL + number, os.urandom)
    last = load_keys(tmp_path / "keys", role)
    with pytest.raises(TooManyFormerKeys, match="has 16 former keys that a plan may still need"):
        rotate(tmp_path / "keys", role, UNTIL + MAX_FORMER, os.urandom)
    assert load_keys(tmp_path / "keys", role).secret_bytes == last.secret_bytes
    erase_ended(tmp_path / "keys", role, UNTIL + KEPT_US + 1)
    assert rotate(tmp_path / "keys", role, UNTIL + MAX_FORMER, os.urandom).new


def test_erasing_waits_for_a_rotation_and_keeps_the_keys_that_it_has_replaced(folder: Path) -> None:
    rotate(folder, "leader", UNTIL, os.urandom)
    replaced, now = load_keys(folder, "leader"), UNTIL + KEPT_US + 1
    with lock_folder(folder, wait=False):  # as `covey keys rotate` takes it
        erasing = Thread(target=erase_ended, args=(folder, "leader", now))
        erasing.start()
        erasing.join(0.3)
        assert erasing.is_alive()
        rotate(folder, "leader", now + 1, os.urandom)
    erasing.join(30)
    kept = load_keys(folder, "leader").former
    assert [one.keys.secret_bytes for one in kept] == [replaced.secret_bytes]


def test_lost_keys_hand_nothing_over(folder: Path) -> None:
    before = load_keys(folder, "leader").sign.public
    first = rotate(folder, "leader", UNTIL, os.urandom).keys.sign.public
    keys = replace_lost(folder, "leader", os.urandom)
    file = handed_out(folder, "leader")
    for key in (before, first):
        with pytest.raises(HandoverMissing, match="has not signed the new key"):
            file.replaced_since(key, "x")
    assert keys.former == ()


def test_what_a_handover_binds_cannot_be_changed(folder: Path) -> None:
    before = load_keys(folder, "collector").sign.public
    rotate(folder, "collector", UNTIL, os.urandom)
    file = handed_out(folder, "collector")
    (handover,) = file.handovers
    other = RoleKeys.generate("collector", os.urandom).public
    for changed in (replace(handover, until_us=UNTIL + 1), replace(handover, digest=bytes(32))):
        with pytest.raises(HandoverInvalid, match="did not sign its handover"):
            replace(file, handovers=(changed,)).replaced_since(before, "x")
    with pytest.raises(HandoverMissing):
        replace(file, keys=other).replaced_since(before, "x")
    with pytest.raises(HandoverInvalid, match="another seal key"):
        replace(file, keys=replace(file.keys, seal=other.seal)).replaced_since(before, "x")


def test_the_authority_in_the_public_file_stays(folder: Path) -> None:
    make_certificates(folder, (TlsRole.LEADER,), (), datetime.now(UTC))
    before = handed_out(folder, "leader").authority
    rotate(folder, "leader", UNTIL, os.urandom)
    make_certificates(folder, (TlsRole.LEADER,), (), datetime.now(UTC), renew=True)
    file = handed_out(folder, "leader")
    assert before is not None
    assert file.authority is not None
    assert file.authority.pem == before.pem
    assert len(file.handovers) == 1


def test_half_written_and_exposed_files_are_named(folder: Path) -> None:
    rotate(folder, "leader", UNTIL, os.urandom)
    for name in ("leader.key", "leader.former"):
        path, whole = folder / name, (folder / name).read_text()
        for cut in (1, 20, len(whole) - 1):
            path.write_text(whole[:cut])
            with pytest.raises(KeyFileMalformed, match=name):
                load_keys(folder, "leader")
        path.write_text(whole)
    (folder / "leader.former").chmod(0o640)
    with pytest.raises(KeyFileExposed, match=r"leader\.former has mode 0640, need 0600"):
        load_keys(folder, "leader")
    text = (folder / "leader.pub").read_text()
    for wrong in (text[:-1], text[:-9] + "\n", text.replace("covey-handover-1 leader", "covey-handover-1 helper")):
        with pytest.raises(KeyFileMalformed):
            PublicFile.parse(wrong, "leader.pub")
