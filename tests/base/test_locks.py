from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from base.errors import LockHeld, NotPrivate
from base.locks import lock_file, lock_file_shared, lock_folder, temporary_lock


def test_a_lock_file_is_held_by_one_and_free_once_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = lock_file(path, private=True, wait=False)
    with pytest.raises(LockHeld, match="another process holds the lock on"):
        lock_file(path, private=True, wait=False)
    held.release()
    lock_file(path, private=True, wait=False).release()
    assert (path.stat().st_mode & 0o777, path.read_bytes()) == (0o600, b"")


@pytest.mark.parametrize("private", [True, False])
def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path, private: bool) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "else")
    with pytest.raises((OSError, NotPrivate), match="link"):
        lock_file(tmp_path / "lock", private=private, wait=False)
    assert not (tmp_path / "else").exists()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from base.locks import lock_file\n"
        f"lock = lock_file(Path({str(tmp_path / 'lock')!r}), private=True, wait=False)\n"
        "print('held', flush=True); sys.stdin.read(1); os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld):
            lock_file(tmp_path / "lock", private=True, wait=False)
        holder.communicate(b"x")
    lock_file(tmp_path / "lock", private=True, wait=False).release()


def test_who_shares_a_lock_needs_no_right_to_write_and_excludes_only_a_lone_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(FileNotFoundError):
        lock_file_shared(path)
    with lock_file(path, private=False, wait=False), pytest.raises(LockHeld):
        lock_file_shared(path)
    path.chmod(0o444)
    with lock_file_shared(path), lock_file_shared(path), pytest.raises(LockHeld):
        lock_file(path, private=False, wait=False)
    assert not list(tmp_path.glob("[!l]*"))


def test_a_folder_is_locked_without_a_file_and_no_link_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with lock_folder(folder, wait=False), pytest.raises(LockHeld):
        lock_folder(folder, wait=False)
    assert list(folder.iterdir()) == []
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OSError, match=r"(Not a directory|symbolic links): .*link"):
        lock_folder(tmp_path / "link", wait=False)


def test_who_waits_goes_on_when_the_holder_ends(tmp_path: Path) -> None:
    done: list[str] = []

    def work(name: str) -> None:
        with lock_file(tmp_path / "lock", private=True, wait=True):
            done.append(name)

    with lock_file(tmp_path / "lock", private=True, wait=True):
        waiting = threading.Thread(target=work, args=("second",))
        waiting.start()
        waiting.join(0.05)
        done.append("first")
    waiting.join()
    assert done == ["first", "second"]


def test_a_temporary_lock_leaves_no_file_and_two_never_hold_it(tmp_path: Path) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with temporary_lock(tmp_path / "lock"):
                with lock:
                    inside += 1
                    most = max(most, inside)
                os.sched_yield()
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (most, list(tmp_path.iterdir())) == (1, [])
