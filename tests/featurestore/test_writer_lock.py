"""A writer that waits for another one says so, and goes on when that one ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featurestore.errors import StoreInUse
from featurestore.publish import writer_lock
from featurestore.publish.writer_lock import lock_store
from tests.waiting import wait_until


def test_a_long_wait_for_another_writer_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_lock, "SAID_AFTER_S", 0.0)
    held = lock_store(tmp_path)
    with pytest.raises(StoreInUse):
        lock_store(tmp_path)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(lock_store, tmp_path, wait=True)
        wait_until(lambda: "which may compute the history of a changed view" in caplog.text)
        assert not waiting.done()
        held.release()
        waiting.result().release()
    assert len(caplog.records) == 1


def test_a_short_wait_and_none_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())  # other tests of this process may have timers of their own
    lock_store(tmp_path, wait=True).release()
    held = lock_store(tmp_path)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(lock_store, tmp_path, wait=True)
        held.release()
        waiting.result().release()
    assert not caplog.records
    left = set(threading.enumerate()) - before
    assert all(one.finished.is_set() for one in left if isinstance(one, threading.Timer))
