from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_client.errors import LogBroken, LogKeyWrong
from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.event_log.log import EventLog
from edge_client.event_log.sealing import Encrypted, new_log_key, read_log_key

from .conftest import events, numbers_of

Open = Callable[..., EventLog]
MARKER = "a-client-whose-name-is-nowhere"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    new_log_key(tmp_path / "log.key")
    return tmp_path / "log.key"


def test_a_key_file_is_private_random_and_never_overwritten(key: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(read_log_key(key)) == 32
    with pytest.raises(FileExistsError):
        new_log_key(key)
    new_log_key(tmp_path / "other.key")
    assert read_log_key(key) != read_log_key(tmp_path / "other.key")


def test_a_key_that_cannot_be_used_is_named(key: Path, tmp_path: Path) -> None:
    with pytest.raises(LogKeyWrong, match="there is no key file"):
        read_log_key(tmp_path / "none")
    with pytest.raises(LogKeyWrong, match="it is not a file"):
        read_log_key(tmp_path)
    (tmp_path / "link").symlink_to(key)
    with pytest.raises(LogKeyWrong):
        read_log_key(tmp_path / "link")
    for size, says in ((0, "this file has 0"), (31, "this file has 31"), (33, "more than 32 bytes")):
        (tmp_path / "short").write_bytes(b"k" * size)
        (tmp_path / "short").chmod(0o600)
        with pytest.raises(LogKeyWrong, match=says):
            read_log_key(tmp_path / "short")
    key.chmod(0o640)
    with pytest.raises(LogKeyWrong, match=r"log\.key: has mode 0640, need 0600"):
        read_log_key(key)


def test_no_value_stands_in_an_encrypted_log(open_log: Open, key: Path, tmp_path: Path) -> None:
    log = open_log(key=key, event_id="id")
    bad = [BadRecord(BadReason.NOT_JSON, MARKER.encode(), MARKER)]
    log.append(
        events(2, id=[MARKER, "x"], who=[MARKER, "y"], text=[MARKER, MARKER]), positions={"p": MARKER.encode()}, bad=bad
    )
    assert numbers_of(log) == [0, 1]
    assert log.positions() == {"p": MARKER.encode()}
    assert log.bad() == bad
    shutil.copytree(tmp_path, tmp_path / "copy")
    for file in (tmp_path / "copy").iterdir():
        assert MARKER.encode() not in file.read_bytes(), file
    log.close()
    with open_log(key=key, event_id="id") as log:
        assert log.append(events(1, id=[MARKER])).duplicates == 1


def test_a_log_opens_with_its_own_key_only_and_is_not_changed_by_others(
    open_log: Open, key: Path, tmp_path: Path
) -> None:
    new_log_key(tmp_path / "other.key")
    with open_log(key=key) as log:
        log.append(events(3))
    before = (tmp_path / "events.log").read_bytes()
    with pytest.raises(LogKeyWrong, match="encrypted with another key"):
        open_log(key=tmp_path / "other.key", days=3)
    with pytest.raises(LogKeyWrong, match="no key was given"):
        open_log(days=3)
    with pytest.raises(LogKeyWrong, match="no key was given"):
        EventLog.existing(tmp_path / "events.log")
    assert (tmp_path / "events.log").read_bytes() == before
    (tmp_path / "events.log").unlink()
    open_log().close()
    with pytest.raises(LogKeyWrong, match="made without a key"):
        open_log(key=key)


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_batch_that_was_moved_in_its_log_or_to_another_one_is_refused(
    tmp_path: Path, key: Path, *, encrypted: bool
) -> None:
    def open_one(name: str) -> EventLog:
        return EventLog(tmp_path / name, client="who", time="at", key=key if encrypted else None)

    for name in ("a", "b"):
        with open_one(name) as log:
            log.append(events(5_000))
            log.append(events(5_000, 5_000), positions={"p": b"1", "q": b"2"})
    with sqlite3.connect(tmp_path / "a") as database:
        database.execute("ATTACH ? AS b", (str(tmp_path / "b"),))
        database.execute("UPDATE batches SET data = (SELECT data FROM b.batches AS o WHERE o.last = batches.last)")
        database.execute("UPDATE positions SET value = (SELECT value FROM positions WHERE name = 'q') WHERE name = 'p'")
    with open_one("a") as log:
        with pytest.raises(LogBroken):
            numbers_of(log)
        with pytest.raises(LogBroken):
            log.positions()
    with sqlite3.connect(tmp_path / "b") as database:
        database.execute("UPDATE batches SET data = (SELECT data FROM batches WHERE last = 5000) WHERE last = 10000")
    with open_one("b") as log, pytest.raises(LogBroken):
        numbers_of(log)


def test_each_content_has_its_own_nonce_and_each_log_its_own_keys() -> None:
    sealing = Encrypted(b"k" * 32, b"i" * 16)
    stored = {sealing.seal(b"batches", 1, b"content") for _ in range(100)}
    assert len({one[:12] for one in stored}) == 100
    other = Encrypted(b"k" * 32, b"j" * 16)
    assert len({sealing.id_key, other.id_key, sealing.check, other.check}) == 4
    with pytest.raises(ValueError, match="changed or moved"):
        other.open(b"batches", 1, stored.pop())
    for cut in (0, 5, 12, 27):
        with pytest.raises(ValueError, match=r"changed or moved|[Nn]once|[Tt]ag"):
            sealing.open(b"batches", 1, sealing.seal(b"batches", 1, b"content")[:cut])
