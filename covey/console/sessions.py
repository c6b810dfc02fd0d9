"""Sessions of the console: who uses an open page. They live in memory, and end when the console does.

A page exchanges a credential for a cookie and a page token. Without API keys the credential is the token of the URL that the
console prints, which makes an operator; a page without it has a reader's session. With API keys it is the key of a consumer.
"""

from __future__ import annotations

import base64
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from covey.errors import (
    CredentialsRefused,
    KeyNeeded,
    PageTokenMissing,
    SessionMissing,
    TooManyAttempts,
    TooManySessions,
)
from featurestore.server.api_keys import Consumer
from featurestore.server.roles import Role
from featurestore.server.throttle import NO_LIMITS, Limits

IDLE_S: Final = 12 * 3600.0
"""A session ends after this time without a request."""
MAX_SESSIONS: Final = 1_000
ATTEMPTS: Final = 20
"""So many wrong tokens or keys are answered as such, and then one every three seconds."""

_ATTEMPT_S: Final = 3
_SECRET_BYTES: Final = 32
ANYBODY: Final = "reader"
"""The name of a page without a credential, on a console without keys."""
HOLDER: Final = "operator"
"""The name of a page with the token of the printed URL."""


class Keys(Protocol):
    """The accepted API keys: a `KeyRing`."""

    def find(self, key: bytes) -> Consumer | None:
        """The consumer of a key."""

    def holds(self, consumer: Consumer) -> bool:
        """Whether a consumer still has its key."""
        ...


@dataclass(frozen=True)
class User:
    """Who uses the console.

    Attributes:
        name: of the consumer; without API keys, of the role.
        ident: whose requests are limited together.
    """

    name: str
    role: Role
    ident: str
    limits: Limits = NO_LIMITS


@dataclass(frozen=True)
class Session:
    """An open page.

    Attributes:
        secret: the value of its cookie.
        page_token: what its requests carry in a header. A page of another site cannot read it.
        consumer: who has the key; None: the console uses no keys.
        used: when the last request was, seconds of a monotonic clock.
    """

    secret: str = field(repr=False)
    page_token: str = field(repr=False)
    user: User
    consumer: Consumer | None
    used: float

    def require_page_token(self, found: str | None, header: str) -> None:
        """Return if a request carries the token of this session. Raises PageTokenMissing."""
        if found is None or not hmac.compare_digest(found.encode(), self.page_token.encode()):
            raise PageTokenMissing(header)


class Sessions:
    """The sessions of one console. Any thread may use them.

    Args:
        keys: the accepted API keys; None: the console uses none, and `token` makes an operator.
        token: of the URL that the console prints.
        clock: a monotonic clock, in seconds.
        random: random bytes from the operating system.
    """

    def __init__(
        self, keys: Keys | None, token: str, clock: Callable[[], float], random: Callable[[int], bytes]
    ) -> None:
        self._keys, self._token, self._clock, self._random = keys, token, clock, random
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._failures = _Failures(clock)

    def open(self, *, token: str | None = None, key: str | None = None) -> Session:
        """Open a session.

        Raises:
            CredentialsRefused, KeyNeeded, TooManyAttempts, TooManySessions.
        """
        user, consumer = self._user(token, key)
        session = Session(self._secret(), self._secret(), user, consumer, self._clock())
        with self._lock:
            self._make_room(user.role)
            self._sessions[session.secret] = session
        return session

    def find(self, secret: str | None) -> Session:
        """The session of a cookie, which counts as used now. Raises SessionMissing."""
        now = self._clock()
        with self._lock:
            session = None if secret is None else self._sessions.get(secret)
            if session is None:
                raise SessionMissing
            if now - session.used > IDLE_S or not self._is_current(session):
                del self._sessions[session.secret]
                raise SessionMissing
            session = self._sessions[session.secret] = replace(session, used=now)
        return session

    def has(self, session: Session) -> bool:
        """Whether a session that was found has not ended since. It does not count as used."""
        with self._lock:
            return session.secret in self._sessions and self._is_current(session)

    def close(self, secret: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(secret, None)

    def __len__(self) -> int:
        """The number of sessions."""
        return len(self._sessions)

    def _user(self, token: str | None, key: str | None) -> tuple[User, Consumer | None]:
        if self._keys is not None:
            if key is None:
                raise KeyNeeded
            consumer = self._keys.find(key.encode())
            if consumer is None:
                raise self._failed("API key")
            return User(consumer.name, consumer.role, consumer.key_id, consumer.limits), consumer
        if token is not None:
            if not hmac.compare_digest(token.encode(), self._token.encode()):
                raise self._failed("token")
            return User(HOLDER, Role.OPERATOR, HOLDER), None
        if key is not None:
            raise self._failed("API key")
        return User(ANYBODY, Role.READER, ANYBODY), None

    def _failed(self, what: str) -> CredentialsRefused:
        """Raises TooManyAttempts."""
        self._failures.count()
        return CredentialsRefused(what)

    def _is_current(self, session: Session) -> bool:
        return self._keys is None or (session.consumer is not None and self._keys.holds(session.consumer))

    def _make_room(self, role: Role) -> None:
        """End sessions if there are too many: those with the smallest role first, of these the longest idle."""
        if len(self._sessions) < MAX_SESSIONS:
            return
        least = min(self._sessions.values(), key=lambda one: (one.user.role, one.used))
        if least.user.role > role:
            raise TooManySessions(MAX_SESSIONS)
        del self._sessions[least.secret]

    def _secret(self) -> str:
        return new_secret(self._random)


class _Failures:
    """Counts wrong credentials, of all pages together.

    They do not keep a right one out: otherwise a program without a credential could lock the operator out. None is found by
    guessing, since each has 256 random bits.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._left, self._at = clock, float(ATTEMPTS), clock()

    def count(self) -> None:
        """A credential was wrong. Raises TooManyAttempts."""
        now = self._clock()
        self._left, self._at = min(float(ATTEMPTS), self._left + (now - self._at) / _ATTEMPT_S), now
        if self._left < 1:
            raise TooManyAttempts(_ATTEMPT_S)
        self._left -= 1


def new_secret(random: Callable[[int], bytes]) -> str:
    """256 random bits in base64url."""
    return base64.urlsafe_b64encode(random(_SECRET_BYTES)).rstrip(b"=").decode()
