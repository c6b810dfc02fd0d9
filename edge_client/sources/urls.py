"""The URL of a source. A text without `scheme://` is a path of files.

What follows `://` of duckdb, sqlite and log is a path, relative to the site's file. No URL holds a password: it would be in shell
histories, process lists and logs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from base.tls.hosts import plain_host, split_address

SCHEMES: Final = ("duckdb", "sqlite", "postgresql", "kafka", "kafkas", "mqtt", "mqtts", "log")
PATH_SCHEMES: Final = ("", "duckdb", "sqlite", "log")
"""Schemes, and none, whose place is a path."""
MAX_URL: Final = 4_096
_LOGIN_IN_URL: Final = "a URL must not hold a password. Write it to a private file, and name that: password_file"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)


@dataclass(frozen=True)
class SourceUrl:
    """The parts of a URL.

    Attributes:
        scheme: one of `SCHEMES`; empty: a path of files.
        place: what follows `scheme://`, without the query of a database.
        query: of databases: the values after `?`.
    """

    scheme: str
    place: str
    query: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}" if self.scheme else self.place


@dataclass(frozen=True)
class ServerPlace:
    """The server, and what is read of it: `[USER@][HOST[:PORT]]/NAME`."""

    user: str | None
    host: str | None
    port: int | None
    name: str


def split_url(text: str) -> SourceUrl:
    """The parts of a URL. Raises ValueError: it is too long, names an unknown scheme or no place, or has a password."""
    if len(text) > MAX_URL or not text.isprintable():
        raise ValueError(f"a URL has at most {MAX_URL:,} characters, all of them printable")
    match = _SCHEME.match(text)
    if match is None:
        return SourceUrl("", text)
    scheme, place = match[1].lower(), text[match.end() :]
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in SCHEMES)
        raise ValueError(f"{scheme[:40]}:// is unknown. Known are {known}, and paths of files")
    query: dict[str, str] = {}
    if scheme in ("duckdb", "sqlite", "postgresql"):
        place, _, tail = place.partition("?")
        query = _query(tail)
    if scheme not in ("duckdb", "sqlite", "log"):
        hosts = place.partition("/")[0] if scheme in ("mqtt", "mqtts") else place  # only a topic of MQTT may have @
        before, at, _ = hosts.rpartition("@")
        if at and ":" in before:
            raise ValueError(_LOGIN_IN_URL)
    if not place.strip("/"):
        raise ValueError(f"{scheme}:// names nothing; {_example(scheme)}")
    return SourceUrl(scheme, place, query)


def servers(url: SourceUrl) -> tuple[tuple[str, ...], str]:
    """The servers of `HOST:PORT,HOST:PORT/NAME`, and the name. Raises ValueError."""
    hosts, _, name = url.place.partition("/")
    if "@" in hosts:
        raise ValueError("the name of the user is the entry `user`, not a part of the URL")
    if not name:
        raise ValueError(f"the URL names no topic; {_example(url.scheme)}")
    found = tuple(hosts.split(","))
    for one in found:
        split_address(one)
    return found, name


def kafka_topic(name: str) -> str:
    """A Kafka topic. Raises ValueError."""
    if _TOPIC.fullmatch(name) is None or name in (".", ".."):
        raise ValueError(f"{name[:80]!r} is no name of a Kafka topic (1 to 249 of A-Z a-z 0-9 . _ -)")
    return name


def mqtt_filter(name: str) -> str:
    """An MQTT topic filter (MQTT 5, §4.7). Raises ValueError."""
    levels = name.split("/")
    if len(name.encode()) > 65_535:
        raise ValueError("a topic filter has at most 65,535 bytes")
    if levels[0] == "$share":
        raise ValueError(
            "a shared subscription sends a site only a part of its events, and none of them twice; name the topic itself"
        )
    for number, level in enumerate(levels, 1):
        if ("#" in level and (level != "#" or number < len(levels))) or ("+" in level and level != "+"):
            raise ValueError(
                f"{name[:80]!r} is no topic filter: + stands for a whole level, # for all levels at the end"
            )
    return name


def postgresql_place(url: SourceUrl) -> ServerPlace:
    """The parts of `USER@HOST:PORT/DATABASE`; all but the database may be missing. Raises ValueError."""
    server, _, database = url.place.partition("/")
    user, at, address = server.rpartition("@")
    if not database or "/" in database:
        raise ValueError(f"the URL names no database; {_example(url.scheme)}")
    host, port = None, None
    if address.startswith("[") or ":" in address:
        host, port = split_address(address)
    elif address:
        host = plain_host(address)
    if (folder := url.query.get("host")) is not None:
        if host is not None or not folder.startswith("/"):
            raise ValueError(
                "?host= names the folder of a socket, for a URL without a host: postgresql:///db?host=/run/postgresql"
            )
        host = folder
    return ServerPlace(unquote(user) if at else None, host, port, unquote(database))


def only_query(url: SourceUrl, known: Sequence[str]) -> None:
    """Raise ValueError if the URL has another value after `?` than those known."""
    for name in url.query:
        if name not in known:
            raise ValueError(f"?{name[:40]}= is unknown. Known are {', '.join(f'?{one}=' for one in known)}")


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        if "pass" in name.lower() or "@" in name:  # user:what?ever@host
            raise ValueError(_LOGIN_IN_URL)
        if name in found or not value:
            raise ValueError(f"?{name[:40]}= needs one value")
        found[name] = unquote(value)
    return found


def _example(scheme: str) -> str:
    places = {
        "duckdb": "events.db?table=events", "sqlite": "events.db?table=events", "log": "events.log",
        "postgresql": "user@host:5432/database?table=events", "kafka": "host:9092/topic", "kafkas": "host:9093/topic",
        "mqtt": "host:1883/topic/#", "mqtts": "host:8883/topic/#",
    }  # fmt: skip
    return f"write {scheme}://{places[scheme]}"
