"""Every message of the product in one list, and the rules of plain English that a machine can check.

python -m pytest -k messages --print

prints the list by file: errors, help texts, talk (what commands print) and other sentences.
"""

from __future__ import annotations

import re
from itertools import groupby

import pytest

from tests.messages import Kind, Message, messages

LONGEST = 300
"""Characters of an error or of a line of talk, with a placeholder as one sign: three lines of a terminal."""
PLACEHOLDER = re.compile(r"\{[^}]*\}")
PARTIES = re.compile(r"\b(nobody|no one|believes?|believed|hears?|heard|tells?|told)\b", re.I)
"""Parties verify, receive and report; an action has a subject."""
PRONOUNS = re.compile(r"\b(she|his|hers?|him|himself)\b|\bHe\b|\bhe (is|was|has|had|can|may|will|does|must)\b")
"""`they`. A bare `he` is a protection."""
RIDDLES = re.compile(r"^(the one|one that|what stands)\b", re.I)
"""A sentence begins with its subject."""


@pytest.fixture(scope="module")
def every_message() -> list[Message]:
    return messages()


def test_the_list_of_messages_can_be_printed(
    every_message: list[Message], pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        f"\n{path}\n" + "\n".join(f"  {m.kind:5} {m.place.removeprefix(path).lstrip(': '):>6}  {m.text}" for m in group)
        for path, group in groupby(every_message, key=lambda message: message.path)
    ]
    assert len(lines) > 200
    if pytestconfig.getoption("--print"):
        with capsys.disabled():
            print("\n".join(lines))  # noqa: T201 - what `--print` asks for


@pytest.mark.parametrize(
    ("kind", "path", "text"),
    [
        ("error", "base/errors.py", "{path} must be private: {why}. Move it away, or choose another place"),
        ("error", "featurestore/errors.py", "view {view} serves no feature {feature}; it has: {', '.join(known)}"),
        ("help", "covey", "Show the traceback of an error."),
        ("talk", "covey/cli/__init__.py", "this is a defect of covey; please report the lines above"),
        ("other", "base/metrics.py", "Requests; status 0: the client went away."),
    ],
)
def test_the_list_of_messages_has_an_example_of_each_kind(
    every_message: list[Message], kind: Kind, path: str, text: str
) -> None:
    assert (kind, path, text) in {(m.kind, m.path, m.text) for m in every_message}


def test_messages_name_their_subject_and_use_the_fields_own_verbs(every_message: list[Message]) -> None:
    broken = [
        (message.place, rule.pattern, message.text)
        for message in every_message
        for rule in (PARTIES, PRONOUNS, RIDDLES)
        if rule.search(PLACEHOLDER.sub("…", message.text))
    ]
    assert not broken, "\n".join(map(str, broken))


def test_errors_are_one_line_without_a_last_full_stop(every_message: list[Message]) -> None:
    errors = [message for message in every_message if message.kind == "error"]
    assert not [(m.place, m.text) for m in errors if "\n" in m.text or m.text.rstrip().endswith(".")]


def test_errors_and_talk_are_short_enough_to_be_read(every_message: list[Message]) -> None:
    texts = [message for message in every_message if message.kind in ("error", "talk")]
    assert not [(m.place, m.text) for m in texts if len(PLACEHOLDER.sub("…", m.text)) > LONGEST]


def test_help_messages_are_sentences(every_message: list[Message]) -> None:
    texts = [message for message in every_message if message.kind == "help"]
    assert not [(m.place, m.text) for m in texts if not re.search(r"[.):]$", m.text) and "\n" not in m.text]


def test_messages_give_times_as_iso_8601_in_utc(every_message: list[Message]) -> None:
    raw = re.compile(
        r"\{[\w.]*(?:_us|pane_start|pane_end|not_after|(?:retracted|released|published|registered)_at)(?:![rs])?\}|µs since"
    )
    found = [(m.path, m.text) for m in every_message if m.kind in ("error", "talk") and raw.search(m.text)]
    not_a_date = ("federation/wire_terms.py", "the deadline {self.deadline_us} µs does not fit into 64 bits")
    assert found == [not_a_date]
