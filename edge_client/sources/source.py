"""The source of a site's events: a closed union of kinds, parsed once from `[source]` of the site's file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ..event_log.settings import DAYS, SIZE, WhenFull
from .mapping import NO_COLUMNS, Mapping

WAIT_US: Final = 5 * 10**6


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """What every source has.

    Attributes:
        url: as the site's file has it; for messages.
        client, time: the columns with the client and the time of an event, among the columns after the mapping.
        columns: the declared columns.
    """

    url: str
    client: str
    time: str
    columns: Mapping = NO_COLUMNS


@dataclass(frozen=True, kw_only=True)
class FilesSource(EventSource):
    """A file, a folder, or the files that match a pattern."""

    path: Path


@dataclass(frozen=True)
class Login:
    """A user of a server.

    Attributes:
        password_file: None: the server asks for none, or the library finds one (PGPASSFILE).
    """

    user: str
    password_file: Path | None = None


@dataclass(frozen=True)
class Tls:
    """A connection with TLS, whose server is authenticated by its host's name.

    Attributes:
        ca: the authorities that may issue its certificate; None: those of the system.
        certificate, private_key: of the site, for a server that asks for them.
    """

    ca: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None


@dataclass(frozen=True)
class DuckDbFile:
    """A file of DuckDB."""

    path: Path


@dataclass(frozen=True)
class SqliteFile:
    """A file of SQLite."""

    path: Path


@dataclass(frozen=True)
class PostgreSql:
    """A database of a PostgreSQL server.

    Attributes:
        host: a name, an address, or the absolute path of a socket's folder; None: the library's default.
        tls: None: on this machine, or with `plaintext = true`.
    """

    host: str | None
    port: int | None
    database: str
    login: Login | None
    tls: Tls | None


Database: TypeAlias = DuckDbFile | SqliteFile | PostgreSql


@dataclass(frozen=True)
class TableName:
    """A table or view, by the parts of its name: (schema, name) or (name,)."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A query of the site's own operator. The connection is read-only, whatever it says."""

    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class TableSource(EventSource):
    """A table or the result of a query."""

    database: Database
    relation: TableName | Query


@dataclass(frozen=True)
class LogSettings:
    """The event log of a stream.

    Attributes:
        days: how long it keeps events. size: bytes on disk.
        when_full: whether the stream waits, or the oldest events are dropped.
        key: the private file with the key that encrypts it; None: it is not encrypted.
    """

    path: Path
    days: int = DAYS
    size: int = SIZE
    when_full: WhenFull = "wait"
    key: Path | None = None


@dataclass(frozen=True, kw_only=True)
class LogSource(EventSource):
    """An event log that a program on this machine appends to. That program chose its bounds.

    Attributes:
        key: the private file with its key; None: it is not encrypted.
    """

    path: Path
    key: Path | None = None


@dataclass(frozen=True, kw_only=True)
class KafkaSource(EventSource):
    """A topic of Kafka.

    Attributes:
        servers: `HOST:PORT` of brokers to ask first.
        partitions: None: all of them, also those that are added later.
        start: where a partition that was never read begins.
        group: a consumer group to which the offsets are committed too, for people's tools; nothing reads it here.
        wait_us: how long an answer waits until the log has what the broker had.
    """

    servers: tuple[str, ...]
    topic: str
    tls: Tls | None
    login: Login | None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    partitions: tuple[int, ...] | None = None
    start: Literal["earliest", "latest"] = "earliest"
    group: str | None = None
    client_name: str | None = None
    event_id: str | None = None
    log: LogSettings
    wait_us: int = WAIT_US


@dataclass(frozen=True, kw_only=True)
class MqttSource(EventSource):
    """The topics of an MQTT broker that match a filter.

    Attributes:
        client_name: of the broker's session; None: it follows from the site's id.
        wait_us: how long an answer waits until the log has what the broker had.
    """

    host: str
    port: int
    topics: str
    tls: Tls | None
    login: Login | None
    client_name: str | None = None
    event_id: str | None = None
    log: LogSettings
    wait_us: int = WAIT_US


Source: TypeAlias = FilesSource | TableSource | LogSource | KafkaSource | MqttSource
Stream: TypeAlias = KafkaSource | MqttSource
