"""The search for planted values finds each of their spellings, and the values of key files."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from federation.keys import create_folder
from tests.federation.wire import SITE

from .planted import CLIENT, FRACTION, NOTE, Search, secrets_of, spellings

LOG = "2020-05-01 00:00:00 leader: {}\n"


@pytest.mark.parametrize("value", [f"{CLIENT}-7", f"{NOTE}-12", str(101 + FRACTION)])
@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_a_planted_value_is_found_in_plain_hex_and_base64(value: str, before: str) -> None:
    for text in (
        value,
        repr(value.encode()),
        (before + value).encode().hex(),
        base64.b64encode((before + value).encode()).decode(),
    ):
        assert Search().in_text(LOG.format(text).encode()), text


def test_other_texts_are_not_found() -> None:
    assert Search().in_text(LOG.format("planted-client, 0.7345, the note of a client").encode()) == []


def test_the_logs_and_spans_below_a_folder_are_searched_for_its_key_files_too(tmp_path: Path) -> None:
    create_folder(tmp_path / "keys", [SITE])
    (key,) = (tmp_path / "keys").glob("*.key")
    secrets = list(secrets_of(key.read_bytes()))
    # after the text of the file: its bytes, those of the signing key, and of the node key
    assert list(map(len, secrets[1:])) == [80, 32, 48]
    for number, (name, secret) in enumerate(
        (name, secret) for name in ("logs/leader.log", "roles/leader/logs/out", "spans.jsonl") for secret in secrets
    ):
        file = tmp_path / str(number) / name
        file.parent.mkdir(parents=True)
        for spelling in spellings(secret):
            file.write_bytes(LOG.encode() + spelling + b"\n")
            found = list(Search().in_folder(tmp_path))
            assert found, (name, spelling)
            assert all(line.startswith(f"{file} has") for line in found)
        file.unlink()
    (tmp_path / "logs").mkdir(exist_ok=True)
    (tmp_path / "logs" / "leader.log").write_text(LOG.format("listens"))
    assert list(Search().in_folder(tmp_path)) == []


def test_an_event_log_is_a_file_of_events_and_no_log(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "events.log")) as database:
        database.execute("CREATE TABLE batches (data)")
        database.execute("INSERT INTO batches VALUES (?)", (CLIENT,))
        database.commit()
    assert CLIENT.encode() in (tmp_path / "events.log").read_bytes()
    assert list(Search().in_folder(tmp_path)) == []
