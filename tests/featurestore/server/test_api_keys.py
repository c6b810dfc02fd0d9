from __future__ import annotations

import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featurestore.errors import ConsumerExists, ConsumerInvalid, ConsumersFileBroken, StoreNotFound, UnknownConsumer
from featurestore.server.api_keys import CHECK_S, FILE, Consumers, KeyRing
from featurestore.server.roles import Role
from featurestore.server.throttle import Limits

ROW: dict[str, Any] = {
    "name": "one",
    "key_id": "00aa00aa",
    "sha256": "ab" * 32,
    "rows_per_s": None,
    "requests_per_s": 5,
    "added_at": 0,
}


def write(directory: Path, data: Any, mode: int = 0o600) -> None:
    path = directory / FILE
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    path.chmod(mode)


def test_the_file_holds_a_digest_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    key = Consumers(tmp_path).add("trainer", Limits(rows=50), 7, os.urandom)
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    prefix, ident, secret = key.split("_", 2)
    assert prefix == "covey"
    assert len(secret) == 43  # 256 bits in base64url
    assert secret not in text
    assert json.loads(text)["consumers"] == [
        {
            "name": "trainer",
            "key_id": ident,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "rows_per_s": 50,
            "requests_per_s": None,
            "added_at": 7,
            "role": "reader",
        }
    ]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    (consumer,) = Consumers(tmp_path).read()
    assert consumer.digest.hex() not in repr(consumer)
    assert repr(consumer.digest) not in repr(consumer)


def test_every_key_is_another_one_and_is_its_consumers(tmp_path: Path) -> None:
    consumers = Consumers(tmp_path)
    keys = {name: consumers.add(name, Limits(), 0, os.urandom) for name in ("b", "a", "c")}
    ring = KeyRing(consumers)
    assert len(set(keys.values())) == 3
    for name, key in keys.items():
        found = ring.find(key.encode())
        assert found is not None
        assert found.name == name
    assert [one.name for one in consumers.read()] == ["a", "b", "c"]


def test_an_id_that_is_taken_is_drawn_again(tmp_path: Path) -> None:
    draws = iter([b"\0" * 4, b"s" * 32, b"\0" * 4, b"\1" * 4, b"t" * 32])
    consumers = Consumers(tmp_path)
    first, second = (consumers.add(name, Limits(), 0, lambda _: next(draws)) for name in ("a", "b"))
    assert (first[:15], second[:15]) == ("covey_00000000_", "covey_01010101_")


def test_no_other_key_is_taken(tmp_path: Path) -> None:
    consumers = Consumers(tmp_path)
    key = consumers.add("one", Limits(), 0, os.urandom).encode()
    other = consumers.add("two", Limits(), 0, os.urandom).encode()
    ring = KeyRing(consumers)
    swapped = key[:15] + other[15:]
    last = key[:-1] + (b"A" if key[-1:] != b"A" else b"B")
    wrong = [
        swapped,
        last,
        key + b"=",
        key + b"\n",
        key[:-1],
        key.upper(),
        b"",
        b"covey_",
        key[6:],
        b"\xff" * 58,
        key * 2,
    ]
    for odd in wrong:
        assert ring.find(odd) is None, odd
    assert ring.find(key) is not None


def test_a_running_server_sees_who_is_added_and_who_is_removed(tmp_path: Path) -> None:
    now = 0.0
    consumers, ring = Consumers(tmp_path), KeyRing(Consumers(tmp_path), lambda: now)
    key = consumers.add("one", Limits(), 0, os.urandom).encode()
    now += CHECK_S
    assert ring.find(key) is not None
    consumers.add("two", Limits(), 0, os.urandom)
    consumers.remove("one")
    assert ring.find(key) is not None  # the file is not checked again within CHECK_S
    now += CHECK_S
    assert ring.find(key) is None
    again = consumers.add("one", Limits(), 0, os.urandom).encode()
    now += CHECK_S
    assert ring.find(again) is not None
    assert ring.find(key) is None


@pytest.mark.parametrize("harm", ["broken", "exposed", "gone"])
def test_a_file_that_cannot_be_used_lets_nobody_in_until_it_is_mended(
    tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    consumers = Consumers(tmp_path)
    key = consumers.add("one", Limits(), 0, os.urandom).encode()
    ring, good = KeyRing(consumers, lambda: now), consumers.path.read_bytes()
    assert ring.find(key) is not None
    if harm == "gone":
        consumers.path.unlink()
    else:
        write(tmp_path, good[:-10] if harm == "broken" else good + b" ", 0o600 if harm == "broken" else 0o640)
    now += CHECK_S
    assert ring.find(key) is None
    assert ("the server accepts no API key" in caplog.text) == (harm != "gone")
    consumers.path.unlink(missing_ok=True)
    write(tmp_path, good)
    now += CHECK_S
    assert ring.find(key) is not None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"[]", "another format"),
        (b"\xff", "codec"),
        (b"[" * 100_000, "recursion"),
        (b" " * (4 * 2**20 + 1), "over 4,194,304 bytes"),
        ({"format": 2, "consumers": []}, "format: it must be 1, not 2"),
        ({"format": 1, "consumers": [], "more": 1}, "more: unknown key"),
        ({"format": 1, "consumers": 5}, r"consumers: write a section \[\[consumers\]\], not 5"),
        ({"format": 1, "consumers": [5]}, "consumers: write"),
        ({"format": 1, "consumers": [ROW | {"more": 1}]}, r"\[\[consumers\]\] 1 more: unknown key"),
        ({"format": 1, "consumers": [{"name": "one"}]}, r"\[\[consumers\]\] 1 key_id: the key is missing"),
        ({"format": 1, "consumers": [ROW | {"name": "a b"}]}, "name: it must be 1 to 64 letters"),
        ({"format": 1, "consumers": [ROW | {"name": 5}]}, "name: write name"),
        ({"format": 1, "consumers": [ROW | {"key_id": "00AA00AA"}]}, "key_id: it must be 8 hexadecimal digits"),
        ({"format": 1, "consumers": [ROW | {"sha256": "ab"}]}, "sha256: it must be 64 hexadecimal digits"),
        ({"format": 1, "consumers": [ROW | {"rows_per_s": 0}]}, "a second"),
        ({"format": 1, "consumers": [ROW | {"requests_per_s": True}]}, "requests_per_s: write"),
        ({"format": 1, "consumers": [ROW | {"added_at": "now"}]}, "added_at"),
        ({"format": 1, "consumers": [ROW, ROW | {"key_id": "11111111"}]}, "name occurs twice"),
        ({"format": 1, "consumers": [ROW, ROW | {"name": "two"}]}, "key_id occurs twice"),
        (
            {"format": 1, "consumers": [ROW | {"name": f"n{i}", "key_id": f"{i:08x}"} for i in range(10_001)]},
            "at most 10,000 entries, not",
        ),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, data: Any, says: str) -> None:
    write(tmp_path, {"format": 1, "consumers": [ROW]})
    assert [one.name for one in Consumers(tmp_path).read()] == ["one"]
    write(tmp_path, data)
    with pytest.raises(ConsumersFileBroken, match=says) as raised:
        Consumers(tmp_path).read()
    assert str(tmp_path / FILE) in str(raised.value)
    for change in (
        lambda: Consumers(tmp_path).add("new", Limits(), 0, os.urandom),
        lambda: Consumers(tmp_path).remove("one"),
    ):
        with pytest.raises(ConsumersFileBroken):
            change()


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o700])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    write(tmp_path, {"format": 1, "consumers": [ROW]}, mode)
    with pytest.raises(ConsumersFileBroken, match="mode 600"):
        Consumers(tmp_path).read()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"format": 1, "consumers": [ROW]})
    path = tmp_path / FILE
    real = path.rename(tmp_path / "elsewhere")
    path.symlink_to(real)
    with pytest.raises(ConsumersFileBroken, match="cannot be opened"):
        Consumers(tmp_path).read()
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConsumersFileBroken, match="not a regular file"):
        Consumers(tmp_path).read()


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    names = [f"n{i:02}" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Consumers(tmp_path).add(name, Limits(), 0, os.urandom), names))
    assert [one.name for one in Consumers(tmp_path).read()] == names


def test_a_crash_before_the_rename_leaves_the_old_file_and_does_not_stand_in_the_way(tmp_path: Path) -> None:
    consumers = Consumers(tmp_path)
    consumers.add("one", Limits(), 0, os.urandom)
    (tmp_path / f".{FILE}.new").write_text("half of it")
    assert [one.name for one in consumers.read()] == ["one"]
    consumers.add("two", Limits(), 0, os.urandom)
    assert [one.name for one in consumers.read()] == ["one", "two"]


def test_names_are_checked(tmp_path: Path) -> None:
    consumers = Consumers(tmp_path)
    consumers.add("one", Limits(), 0, os.urandom)
    before = consumers.path.read_bytes()
    with pytest.raises(ConsumerExists, match="remove the consumer, or choose another name"):
        consumers.add("one", Limits(), 0, os.urandom)
    for odd in ("", "-x", "a b", "é", "a" * 65, "a\n", "../x"):
        with pytest.raises(ConsumerInvalid, match="1 to 64"):
            consumers.add(odd, Limits(), 0, os.urandom)
    with pytest.raises(UnknownConsumer, match="there are: one"):
        consumers.remove("two")
    assert consumers.path.read_bytes() == before
    with pytest.raises(StoreNotFound):
        Consumers(tmp_path / "nowhere").add("one", Limits(), 0, os.urandom)


def test_another_role_leaves_the_key_and_ends_what_the_former_one_had(tmp_path: Path) -> None:
    now = 0.0
    consumers, ring = Consumers(tmp_path), KeyRing(Consumers(tmp_path), lambda: now)
    key, other = (consumers.add(name, Limits(5, None), 7, os.urandom).encode() for name in ("one", "two"))
    now += CHECK_S
    before = ring.find(key)
    consumers.set_role("one", Role.OPERATOR)
    now += CHECK_S
    assert before is not None
    assert ring.find(key) == replace(before, role=Role.OPERATOR)
    assert not ring.holds(before)  # so its sessions end
    assert [one.role for one in consumers.read()] == [Role.OPERATOR, Role.READER]
    assert ring.find(other) is not None
    with pytest.raises(UnknownConsumer):
        consumers.set_role("three", Role.AUTHOR)
