"""A log line has one set of fields, and what is neither a number nor a text of ours does not get into it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.errors import ConfigInvalid
from base.fields import Fields, about, current_fields
from base.logs import LogFormat, logging_as, message_of
from covey.cli import call
from crypto.signing import SigningKey
from edge_client.errors import EventColumnError

PLAN = bytes(range(32))
SECRET = b"a planted key, 32 bytes of it!!!"
_log = logging.getLogger("aggregator.of_this_test")


def record_of(message: Any, *values: Any) -> logging.LogRecord:
    if isinstance(message, str) and message == "%(one)s":
        values = ({"one": values[0]},)
    return logging.LogRecord("aggregator", logging.WARNING, __file__, 1, message, values, None)


def said(message: Any, *values: Any) -> str:
    """The message as a formatter writes it. pytest's own log does not limit values, so it must not see these."""
    return message_of(record_of(message, *values))


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """What is written as the leader's log, as JSON."""
    capsys.readouterr()
    with logging_as("leader", LogFormat.JSON):
        yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_time_level_role_message_and_the_fields_of_its_blocks(lines: Any) -> None:
    with about(Fields(plan=PLAN, site="site-1")), about(Fields(view="visits", pane=0)):
        _log.warning("%d batch(es) wait for %s", 3, "the helper")
    _log.info("listens")
    first, second = lines()
    assert first.pop("time").endswith("Z")
    assert first == {"level": "warning", "role": "leader", "message": "3 batch(es) wait for the helper", "plan": PLAN.hex(),
                     "view": "visits", "pane": "1970-01-01T00:00:00Z", "site": "site-1"}  # fmt: skip
    assert set(second) == {"time", "level", "role", "message"}
    assert current_fields() == Fields()


def test_text_is_one_line_with_the_fields_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as("site", LogFormat.TEXT), about(Fields(plan=PLAN, site="1")):
        _log.info("answered")
        _log.error("two\nlines\x1b[2J of %s", "a\rpeer")
        _log.info("answered plan %s…", PLAN.hex()[:16])
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.endswith(" site 1: answered (plan 0001020304050607…)")
    assert second.endswith(r"site 1: error: two\nlines\x1b[2J of a\rpeer (plan 0001020304050607…)")
    assert third.endswith(" site 1: answered plan 0001020304050607…")


def test_no_text_of_a_peer_ends_a_line_of_the_log_whatever_a_reader_takes_for_an_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "refused" + "".join(f"{end}forged" for end in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
    for form in LogFormat:
        with logging_as("leader", form):
            _log.warning("%s", text)
            try:
                raise OSError(5, text)
            except OSError:
                _log.warning("failed", exc_info=True)
        written = capsys.readouterr().err
        assert not [line for line in written.splitlines() if line.startswith("forged")], form
        assert written.count("forged") == 20
        if form is LogFormat.JSON:
            assert written.isascii()
            assert json.loads(written.splitlines()[0])["message"] == text


@pytest.mark.parametrize(
    "value", [SECRET, bytearray(SECRET), np.frombuffer(SECRET, np.uint8), [SECRET], {"key": SECRET}, ValueError(SECRET.decode()),
              SigningKey(SECRET), memoryview(SECRET)], ids=lambda value: type(value).__name__
)  # fmt: skip
def test_bytes_arrays_containers_secrets_and_foreign_errors_are_replaced_by_their_type(value: Any) -> None:
    for message in ("this is %s", "this is %r", "%(one)s"):
        assert said(message, value) == f"{message.split('%')[0]}<{type(value).__name__}>"
    assert said("this is %d", value) == "this is %d [its values are not shown]"
    assert said(value) == f"<{type(value).__name__}>"


def test_a_traceback_has_the_texts_of_our_errors_only(lines: Any) -> None:
    try:
        try:
            raise ValueError("could not convert string 'patient 7' to INT")
        except ValueError as error:
            raise ConfigInvalid("a.toml", "a wrong key") from error
    except ConfigInvalid:
        _log.exception("a call failed")
    try:
        raise PermissionError(13, "Permission denied", "/home/patient 7/events.csv")
    except OSError as error:
        _log.warning("cannot read: %s", error, exc_info=True)
    first, second = lines()
    assert first["error"].splitlines()[-1] == "ConfigInvalid: a.toml: a wrong key"
    assert "\nValueError\n" in f"\n{first['error']}\n"
    assert f'File "{__file__}"' in first["error"]
    assert second["message"] == "cannot read: PermissionError: Permission denied"
    assert "patient" not in json.dumps([first, second])


def test_an_error_of_events_is_logged_without_the_value_that_it_quotes(lines: Any) -> None:
    error = EventColumnError("at", "no value is a time; the first is 'patient 7'. Write ISO 8601", "'patient 7'")
    assert "patient 7" in str(error)
    _log.warning("%s", error)
    assert lines()[0]["message"] == "column 'at': no value is a time; the first is (not shown). Write ISO 8601"


def test_a_record_that_cannot_be_written_is_reported_without_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    class Hostile(str):
        def __mod__(self, _: object) -> str:
            raise RuntimeError("patient 7")

    with logging_as("leader", LogFormat.TEXT):
        logging.getLogger().handlers[-1].emit(record_of(Hostile("%s"), "patient 7"))
    written = capsys.readouterr().err
    assert written.startswith("a line of the log cannot be written: RuntimeError")
    assert "patient" not in written


def test_a_full_disk_under_the_log_ends_no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full, logging_as("leader", LogFormat.TEXT):
        monkeypatch.setattr(sys, "stderr", full)
        _log.warning("a line")
        monkeypatch.undo()
        with suppress(OSError):
            full.close()


def test_other_libraries_log_from_warning_on(lines: Any) -> None:
    other = logging.getLogger("a.library")
    other.info("a request to /v1")
    other.warning("the disk is slow")
    _log.info("listens")
    assert [line["message"] for line in lines()] == ["the disk is slow", "listens"]


@pytest.mark.parametrize(
    "wrong", [{"plan": b"x"}, {"view": "A view"}, {"site": "a b"}, {"site": ""}, {"view": "x" * 256}]
)
def test_a_field_has_the_form_of_its_type(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not"):
        Fields(**wrong)


def test_covey_start_logs_json_by_an_option(tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert call(["init", str(project)]) == 0
    command = [sys.executable, "-m", "covey", "start", "helper", "--project", str(project), "--port", "0"]
    with subprocess.Popen([*command, "--log-format", "json"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        process.terminate()
    assert (line["role"], line["level"], line["message"][:20]) == ("helper", "info", "listens on 127.0.0.1")


def test_a_defect_of_a_role_is_shown_without_the_text_of_a_foreign_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("patient 7")

    monkeypatch.setattr("deployment.local.roles.serve_helper", broken)
    assert call(["start", "helper"]) == 1
    err = capfd.readouterr().err
    assert "RuntimeError\n" in err
    assert "in broken" in err
    assert "patient" not in err
