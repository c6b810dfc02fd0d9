"""Makes a `Source` of the entries of `[source]`. Each entry that does not fit the others raises an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NoReturn, TypedDict

from base.errors import ConfigInvalid
from base.tls.hosts import is_loopback, split_address

from ..event_log.settings import DAYS, SIZE
from .declared_column import AsText, AsTime, AsWhole, Named, RecordKey
from .entries import LogEntries, SourceEntries
from .mapping import Mapping
from .source import (
    WAIT_US,
    Database,
    DuckDbFile,
    FilesSource,
    KafkaSource,
    Login,
    LogSettings,
    LogSource,
    MqttSource,
    PostgreSql,
    Query,
    Source,
    SqliteFile,
    TableName,
    TableSource,
    Tls,
)
from .urls import (
    PATH_SCHEMES,
    SourceUrl,
    kafka_topic,
    mqtt_filter,
    only_query,
    postgresql_place,
    servers,
    split_url,
)

_ALWAYS: Final = ("url", "client", "time", "columns")
_SERVER: Final = ("user", "password_file", "ca", "certificate", "private_key", "plaintext")
_TABLE: Final = ("table", "query")
_STREAM: Final = (*_SERVER, "event_id", "client_name", "wait", "log")
_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "": (), "duckdb": _TABLE, "sqlite": _TABLE, "log": ("log",),
    "postgresql": (*_TABLE, "password_file", "ca", "certificate", "private_key", "plaintext"),
    "kafka": (*_STREAM, "partitions", "start", "group", "mechanism"), "mqtt": _STREAM,
}  # fmt: skip
"""By scheme, without the s of TLS: the entries that a source may have besides `_ALWAYS`."""


def source_of(entries: SourceEntries, file: Path) -> Source:
    """The source of the entries of a file.

    Raises:
        ConfigInvalid: names the entry, and what to write.
    """
    return _Parsing(entries, file).source()


def absolute_url(url: str, folder: Path) -> str:
    """The URL with an absolute path, if it has a path. Raises ValueError."""
    parts = split_url(url)
    if parts.scheme not in PATH_SCHEMES:
        return url
    _, _, query = url.partition("?") if parts.scheme else ("", "", "")
    path = f"{parts.scheme}://" * bool(parts.scheme) + str((folder / parts.place).absolute())
    return f"{path}?{query}" if query else path


class _Common(TypedDict):
    """The fields of every source."""

    url: str
    client: str
    time: str
    columns: Mapping


class _Parsing:
    """Parses the entries of one file."""

    def __init__(self, entries: SourceEntries, file: Path) -> None:
        self._entries, self._file = entries, file

    def source(self) -> Source:
        try:
            url = split_url(self._entries.url)
        except ValueError as error:
            self._refuse("url", str(error))
        self._check_entries(url)
        try:
            return self._of(url)
        except ValueError as error:
            self._refuse("url", str(error))

    def _of(self, url: SourceUrl) -> Source:
        match url.scheme:
            case "duckdb":
                return self._table(url, DuckDbFile(self._path(url)))
            case "sqlite":
                return self._table(url, SqliteFile(self._path(url)))
            case "postgresql":
                return self._postgresql(url)
            case "kafka" | "kafkas":
                return self._kafka(url)
            case "mqtt" | "mqtts":
                return self._mqtt(url)
            case "log":
                return self._log(url)
        self._check_columns()
        return FilesSource(**self._common(), path=self._path(url))

    def _table(self, url: SourceUrl, database: Database, known: tuple[str, ...] = ("table",)) -> TableSource:
        only_query(url, known)
        self._check_columns()
        return TableSource(**self._common(), database=database, relation=self._relation(url))

    def _postgresql(self, url: SourceUrl) -> TableSource:
        place = postgresql_place(url)
        entries = self._entries
        if place.user is None and entries.password_file is not None:
            self._refuse("password_file", "the URL names no user; write postgresql://USER@HOST/DATABASE")
        login = None if place.user is None else Login(place.user, entries.password_file)
        here = place.host is None or place.host.startswith("/") or is_loopback(place.host)
        secure = not here if entries.plaintext is None else not entries.plaintext
        tls = self._tls(secure or entries.ca is not None)
        database = PostgreSql(place.host, place.port, place.name, login, tls)
        return self._table(url, database, ("table", "host"))

    def _kafka(self, url: SourceUrl) -> KafkaSource:
        entries, (hosts, topic) = self._entries, servers(url)
        login = self._login()
        if entries.mechanism is not None and login is None:
            self._refuse("mechanism", "it is the way to log in; name a user and a password_file")
        self._check_declared()
        return KafkaSource(
            **self._common(),
            servers=hosts,
            topic=kafka_topic(topic),
            tls=self._stream_tls(url, hosts),
            login=login,
            mechanism=entries.mechanism or "SCRAM-SHA-512",
            partitions=entries.partitions,
            start=entries.start or "earliest",
            group=entries.group,
            client_name=entries.client_name,
            event_id=entries.event_id,
            log=self._log_settings(),
            wait_us=WAIT_US if entries.wait is None else entries.wait,
        )

    def _mqtt(self, url: SourceUrl) -> MqttSource:
        entries, (hosts, topics) = self._entries, servers(url)
        if len(hosts) > 1:
            self._refuse("url", f"an MQTT broker has one address, not {len(hosts)}")
        host, port = split_address(hosts[0])
        for column in entries.columns.columns:
            if isinstance(column.origin, RecordKey):
                self._refuse("columns", f"column {column.name!r}: an MQTT message has no key; @topic names its topic")
        self._check_declared()
        return MqttSource(
            **self._common(),
            host=host,
            port=port,
            topics=mqtt_filter(topics),
            tls=self._stream_tls(url, hosts),
            login=self._login(),
            client_name=entries.client_name,
            event_id=entries.event_id,
            log=self._log_settings(),
            wait_us=WAIT_US if entries.wait is None else entries.wait,
        )

    def _log(self, url: SourceUrl) -> LogSource:
        log = self._entries.log or LogEntries()
        for entry in ("path", "days", "size", "when_full"):
            if getattr(log, entry) is not None:
                why = "is a part of the URL" if entry == "path" else "is chosen by the program that makes the log"
                self._refuse("log", f"{entry} {why}")
        self._check_columns()
        return LogSource(**self._common(), path=self._path(url), key=log.key_file)

    def _check_entries(self, url: SourceUrl) -> None:
        """Refuse entries of another kind of source."""
        scheme = url.scheme.removesuffix("s") if url.scheme in ("kafkas", "mqtts") else url.scheme
        allowed = (*_ALWAYS, *_ALLOWED[scheme])
        for entry in sorted(self._entries.model_fields_set - set(allowed)):
            kind = f"a source {url.scheme}://" if url.scheme else "a source of files"
            self._refuse(entry, f"{kind} has no such entry. It may have {', '.join(allowed)}")

    def _check_columns(self) -> None:
        """Refuse columns that only streams have, and a declared time or client of a type that is none."""
        for column in self._entries.columns.columns:
            if not isinstance(column.origin, Named):
                self._refuse(
                    "columns", f"column {column.name!r}: only records of streams have a topic, a key and a time"
                )
        self._check_types()

    def _check_declared(self) -> None:
        """Refuse a stream whose columns are not declared with their types."""
        entries = self._entries
        if not entries.columns.columns:
            self._refuse(
                "columns",
                'a stream needs [source.columns]: nothing but the declared columns is kept, such as id = "text"',
            )
        for column in entries.columns.columns:
            if column.kind is None:
                self._refuse("columns", f"column {column.name!r}: a stream has no types; write type = …")
        for entry in ("client", "time", "event_id"):
            name = getattr(entries, entry)
            if name is not None and entries.columns.column(name) is None:
                self._refuse(entry, f"{name[:80]!r} is not declared in [source.columns]")
        self._check_types()

    def _check_types(self) -> None:
        kinds = {"client": (AsText, AsWhole), "time": (AsTime,), "event_id": (AsText, AsWhole)}
        for entry, allowed in kinds.items():
            name = getattr(self._entries, entry)
            column = None if name is None else self._entries.columns.column(name)
            if column is not None and column.kind is not None and not isinstance(column.kind, allowed):
                words = {AsText: '"text"', AsWhole: '"whole"', AsTime: '"time"'}
                self._refuse(
                    "columns",
                    f"column {name[:80]!r} is the {entry}: its type must be {' or '.join(words[one] for one in allowed)}",
                )

    def _common(self) -> _Common:
        entries = self._entries
        return {"url": entries.url, "client": entries.client, "time": entries.time, "columns": entries.columns}

    def _path(self, url: SourceUrl) -> Path:
        return self._file.absolute().parent / url.place

    def _relation(self, url: SourceUrl) -> TableName | Query:
        named = {"table": self._entries.table, "query": self._entries.query, "?table=": url.query.get("table")}
        given = [name for name, value in named.items() if value is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            self._refuse(
                "table",
                f'name what to read by one of table = "…", query = "SELECT …" or ?table=… of the URL, not by {found}',
            )
        if (query := self._entries.query) is not None:
            if not query.strip():
                self._refuse("query", "it is empty; write SELECT …")
            return Query(query)
        parts = tuple(str(named[given[0]]).split("."))
        if len(parts) > 2 or not all(parts):
            self._refuse("table", "write NAME or SCHEMA.NAME; a name with a dot in it needs a query")
        return TableName(parts)

    def _login(self) -> Login | None:
        user, password = self._entries.user, self._entries.password_file
        if (user is None) != (password is None):
            self._refuse("user" if password is None else "password_file", "a login needs both, user and password_file")
        return None if user is None else Login(user, password)

    def _tls(self, secure: bool) -> Tls | None:
        entries = self._entries
        if (entries.certificate is None) != (entries.private_key is None):
            self._refuse("certificate", "a site's certificate needs its private_key, and the other way round")
        if secure:
            return Tls(entries.ca, entries.certificate, entries.private_key)
        for entry in ("ca", "certificate"):
            if getattr(entries, entry) is not None:
                self._refuse(entry, "this connection has no TLS, in which it would be used")
        return None

    def _stream_tls(self, url: SourceUrl, hosts: tuple[str, ...]) -> Tls | None:
        secure = url.scheme.endswith("s")
        if secure and self._entries.plaintext:
            self._refuse("plaintext", f"{url.scheme}:// has TLS; remove the entry")
        if not secure and self._entries.plaintext is False:
            self._refuse("plaintext", f"{url.scheme}:// has no TLS; write {url.scheme}s://…")
        far = [one for one in hosts if not is_loopback(split_address(one)[0])]
        if not secure and far and not self._entries.plaintext:
            self._refuse(
                "url",
                f"{far[0]} is another machine, and without TLS others on the network can read and change the events. Write "
                f"{url.scheme}s://…, or plaintext = true where the network itself is private",
            )
        return self._tls(secure)

    def _log_settings(self) -> LogSettings:
        log = self._entries.log
        if log is None or log.path is None:
            self._refuse("log", "a stream needs a section [source.log] with the path of its event log")
        return LogSettings(log.path, log.days or DAYS, log.size or SIZE, log.when_full or "wait", log.key_file)

    def _refuse(self, entry: str, why: str) -> NoReturn:
        raise ConfigInvalid(str(self._file), f"[source] {entry}: {why}")
