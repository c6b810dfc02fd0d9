"""Sessions: who gets one, what ends one, and what wrong credentials cost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from covey.console.sessions import ATTEMPTS, IDLE_S, MAX_SESSIONS, Sessions
from covey.errors import (
    CredentialsRefused,
    KeyNeeded,
    PageTokenMissing,
    SessionMissing,
    TooManyAttempts,
    TooManySessions,
)
from featurestore.server.api_keys import CHECK_S, Consumers, KeyRing
from featurestore.server.roles import Role
from featurestore.server.throttle import Limits

TOKEN = "the-token-of-the-url"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def of_token(clock: Callable[[], float]) -> Sessions:
    return Sessions(None, TOKEN, clock, os.urandom)


def add(directory: Path, name: str, role: Role) -> str:
    return Consumers(directory).add(name, Limits(), 0, os.urandom, role)


def test_pages_without_a_token_do_not_use_up_the_requests_of_the_operator(clock: Clock) -> None:
    sessions = of_token(clock)
    assert sessions.open(token=TOKEN).user.ident != sessions.open().user.ident


def test_without_keys_the_token_makes_an_operator_and_its_absence_a_reader(clock: Clock) -> None:
    sessions = of_token(clock)
    assert sessions.open(token=TOKEN).user.role is Role.OPERATOR
    assert sessions.open().user.role is Role.READER


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "x", "é", "\x00"])
def test_a_wrong_token_makes_no_session(clock: Clock, token: str) -> None:
    with pytest.raises(CredentialsRefused, match="does not know this token"):
        of_token(clock).open(token=token)


@pytest.mark.parametrize("role", list(Role))
def test_with_keys_a_consumer_has_its_own_role(tmp_path: Path, clock: Clock, role: Role) -> None:
    key = add(tmp_path, "ana", role)
    sessions = Sessions(KeyRing(Consumers(tmp_path), clock), TOKEN, clock, os.urandom)
    user = sessions.open(key=key).user
    assert (user.name, user.role) == ("ana", role)


def test_with_keys_neither_the_token_nor_its_absence_opens_the_console(tmp_path: Path, clock: Clock) -> None:
    add(tmp_path, "ana", Role.OPERATOR)
    sessions = Sessions(KeyRing(Consumers(tmp_path), clock), TOKEN, clock, os.urandom)
    for given in ({}, {"token": TOKEN}):
        with pytest.raises(KeyNeeded):
            sessions.open(**given)
    with pytest.raises(CredentialsRefused, match="API key"):
        sessions.open(key="covey_00000000_" + "A" * 43)


def test_a_removed_consumer_loses_its_open_sessions(tmp_path: Path, clock: Clock) -> None:
    key, other = add(tmp_path, "ana", Role.OPERATOR), add(tmp_path, "bo", Role.READER)
    sessions = Sessions(KeyRing(Consumers(tmp_path), clock), TOKEN, clock, os.urandom)
    hers, his = sessions.open(key=key), sessions.open(key=other)
    Consumers(tmp_path).remove("ana")
    add(tmp_path, "ana", Role.OPERATOR)  # a new key of the same name is another consumer
    clock.now += CHECK_S
    with pytest.raises(SessionMissing):
        sessions.find(hers.secret)
    assert sessions.find(his.secret).user.name == "bo"


def test_a_session_ends_after_half_a_day_without_a_request(clock: Clock) -> None:
    sessions = of_token(clock)
    secret = sessions.open().secret
    for _ in range(3):  # each request prolongs it
        clock.now += IDLE_S
        sessions.find(secret)
    clock.now += IDLE_S + 1
    with pytest.raises(SessionMissing):
        sessions.find(secret)
    assert len(sessions) == 0


def test_ten_thousand_readers_do_not_end_the_session_of_an_operator(clock: Clock) -> None:
    sessions = of_token(clock)
    operator = sessions.open(token=TOKEN)
    for _ in range(10_000):
        clock.now += 1
        sessions.open()
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(operator.secret).user.role is Role.OPERATOR


def test_a_reader_finds_no_place_among_operators(clock: Clock) -> None:
    sessions = of_token(clock)
    for _ in range(MAX_SESSIONS):
        sessions.open(token=TOKEN)
    with pytest.raises(TooManySessions, match="1,000 sessions"):
        sessions.open()


def test_wrong_tokens_lock_no_operator_out(clock: Clock) -> None:
    sessions = of_token(clock)
    for _ in range(ATTEMPTS + 5):
        with pytest.raises((CredentialsRefused, TooManyAttempts)):
            sessions.open(token="guess")
    assert sessions.open(token=TOKEN).user.role is Role.OPERATOR


def test_wrong_tokens_are_limited_and_time_ends_that(clock: Clock) -> None:
    sessions = of_token(clock)
    for _ in range(ATTEMPTS):
        with pytest.raises(CredentialsRefused):
            sessions.open(token="guess")
    with pytest.raises(TooManyAttempts):
        sessions.open(token="guess")
    clock.now += 3
    with pytest.raises(CredentialsRefused):
        sessions.open(token="guess")


def test_every_session_has_secrets_of_its_own(clock: Clock) -> None:
    sessions = of_token(clock)
    made = [sessions.open() for _ in range(50)]
    assert len({one.secret for one in made} | {one.page_token for one in made}) == 100
    assert made[0].secret not in repr(made[0])
    assert made[0].page_token not in repr(made[0])


@pytest.mark.parametrize("found", [None, "", "x", "é"])
def test_a_request_without_the_token_of_its_page_is_refused(clock: Clock, found: str | None) -> None:
    session = of_token(clock).open()
    with pytest.raises(PageTokenMissing):
        session.require_page_token(found, "X-Covey-Console")


def test_the_token_of_another_session_is_refused(clock: Clock) -> None:
    sessions = of_token(clock)
    one, other = sessions.open(), sessions.open()
    with pytest.raises(PageTokenMissing):
        one.require_page_token(other.page_token, "X-Covey-Console")
    one.require_page_token(one.page_token, "X-Covey-Console")
