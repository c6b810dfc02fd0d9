"""`[source]` of a site's file: each kind of source, and each entry that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.config import checked
from base.errors import ConfigInvalid
from base.toml import parse_toml
from edge_client.sources.declared_column import (
    AsBoolean,
    AsNumber,
    AsText,
    AsTime,
    Column,
    Named,
    RecordKey,
    RecordTime,
    TopicLevel,
)
from edge_client.sources.entries import SourceEntries
from edge_client.sources.parsing import absolute_url, source_of
from edge_client.sources.source import (
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
from edge_client.sources.units import Scale

FILE = Path("/p/sites/UA.toml")
COLUMNS = '\n[columns]\nwho = "text"\nat = "time"\n'
LOG = '[log]\npath = "ua.log"\n'


def parsed(url: str, more: str = "", client: str = "who", time: str = "at") -> Source:
    text = f'url = "{url}"\nclient = "{client}"\ntime = "{time}"\n{more}'
    return source_of(checked(SourceEntries, parse_toml(text, FILE), FILE, "source"), FILE)


def of_stream(url: str, more: str = "", columns: str = COLUMNS, log: str = LOG) -> Source:
    return parsed(url, more + columns + log)


def test_a_text_without_a_scheme_is_a_path_relative_to_the_file() -> None:
    source = parsed("ua/*.parquet")
    assert isinstance(source, FilesSource)
    assert (source.path, source.client, source.time) == (Path("/p/sites/ua/*.parquet"), "who", "at")
    assert parsed("/abs/e.csv") == FilesSource(url="/abs/e.csv", client="who", time="at", path=Path("/abs/e.csv"))


@pytest.mark.parametrize(
    ("url", "more", "database", "relation"),
    [
        ("duckdb:///a/e.db?table=events", "", DuckDbFile(Path("/a/e.db")), TableName(("events",))),
        ("sqlite://e.db", 'table = "main.events"', SqliteFile(Path("/p/sites/e.db")), TableName(("main", "events"))),
        ("duckdb://e.db", 'query = "SELECT 1"', DuckDbFile(Path("/p/sites/e.db")), Query("SELECT 1")),
        (
            "postgresql://me@db.example:5433/shop?table=s.events", 'password_file = "pw"\nca = "ca.pem"',
            PostgreSql("db.example", 5433, "shop", Login("me", Path("/p/sites/pw")), Tls(Path("/p/sites/ca.pem"))),
            TableName(("s", "events")),
        ),
        ("postgresql:///shop?table=e", "", PostgreSql(None, None, "shop", None, None), TableName(("e",))),
        ("postgresql:///shop?table=e&host=/run/pg", "", PostgreSql("/run/pg", None, "shop", None, None), TableName(("e",))),
        ("postgresql://localhost/shop?table=e", "", PostgreSql("localhost", None, "shop", None, None), TableName(("e",))),
        ("postgresql://[::1]:5/shop?table=e", "", PostgreSql("::1", 5, "shop", None, None), TableName(("e",))),
        ("postgresql://db/shop?table=e", "", PostgreSql("db", None, "shop", None, Tls()), TableName(("e",))),
        ("postgresql://db/shop?table=e", "plaintext = true", PostgreSql("db", None, "shop", None, None), TableName(("e",))),
    ],
)  # fmt: skip
def test_a_table_or_query_of_a_database(url: str, more: str, database: object, relation: object) -> None:
    source = parsed(url, more)
    assert isinstance(source, TableSource)
    assert (source.database, source.relation) == (database, relation)


def test_a_log_is_one_that_a_program_made() -> None:
    assert parsed("log://e.log", '[log]\nkey_file = "e.key"') == LogSource(
        url="log://e.log", client="who", time="at", path=Path("/p/sites/e.log"), key=Path("/p/sites/e.key")
    )


def test_kafka_has_brokers_a_topic_and_a_log() -> None:
    source = of_stream("kafka://127.0.0.1:9092,localhost:9093/a.topic")
    assert isinstance(source, KafkaSource)
    assert (source.servers, source.topic) == (("127.0.0.1:9092", "localhost:9093"), "a.topic")
    assert (source.partitions, source.start, source.tls, source.login, source.wait_us) == (
        None, "earliest", None, None, 5_000_000,
    )  # fmt: skip
    assert source.log == LogSettings(Path("/p/sites/ua.log"), 35, 2 * 10**9, "wait", None)
    more = (
        'partitions = [0, 2]\nstart = "latest"\ngroup = "g"\nuser = "u"\npassword_file = "pw"\nmechanism = "PLAIN"\n'
        'ca = "ca.pem"\nwait = "1m"\nevent_id = "id"\n'
    )
    log = '[log]\npath = "/l"\ndays = 3\nsize = "8MB"\nwhen_full = "drop-oldest"\nkey_file = "k"\n'
    source = of_stream("kafkas://broker:9093/t", more, COLUMNS + 'id = "whole"\n', log)
    assert isinstance(source, KafkaSource)
    assert (source.partitions, source.start, source.group, source.event_id) == ((0, 2), "latest", "g", "id")
    assert (source.login, source.mechanism) == (Login("u", Path("/p/sites/pw")), "PLAIN")
    assert (source.tls, source.wait_us) == (Tls(Path("/p/sites/ca.pem")), 60 * 10**6)
    assert source.log == LogSettings(Path("/l"), 3, 8 * 10**6, "drop-oldest", Path("/p/sites/k"))


def test_mqtt_has_one_broker_and_a_topic_filter() -> None:
    columns = COLUMNS + 'device = {from = "@topic.2", type = "text"}\nt = {from = "@time", type = "time"}\n'
    source = of_stream("mqtt://[::1]:1883/site/+/events/#", 'client_name = "c"\n', columns)
    assert isinstance(source, MqttSource)
    assert (source.host, source.port, source.topics, source.client_name) == ("::1", 1883, "site/+/events/#", "c")
    assert source.columns.column("device") == Column("device", TopicLevel(2), AsText())


def test_columns_say_where_they_come_from_and_what_they_are() -> None:
    columns = """[columns]
    at = {from = "arr", type = "time", zone = "America/New_York"}
    ms = {type = "time", unit = "ms"}
    km = {from = "dist", type = "number", unit = "mi", to = "km"}
    late = "boolean"
    plain = {from = "other"}
    """
    found = {one.name: (one.origin, one.kind) for one in parsed("e.csv", columns).columns.columns}
    assert found == {
        "at": (Named("arr"), AsTime("America/New_York")),
        "ms": (Named("ms"), AsTime(unit="ms")),
        "km": (Named("dist"), AsNumber(Scale(1.609344, 0.0))),
        "late": (Named("late"), AsBoolean()),
        "plain": (Named("other"), None),
    }
    origins = 'k = {from = "@key", type = "text"}\nt = {from = "@time", type = "time"}\nall = {from = "@topic", type = "text"}\n'
    found_in_stream = {
        one.name: one.origin for one in of_stream("kafka://localhost:9/t", "", COLUMNS + origins).columns.columns
    }
    assert (found_in_stream["k"], found_in_stream["t"], found_in_stream["all"]) == (
        RecordKey(), RecordTime(), TopicLevel(),
    )  # fmt: skip


REFUSED = [
    ("s3://bucket/x", "", "url: s3:// is unknown. Known are duckdb://"),
    ("duckdb://", "", "url: duckdb:// names nothing; write duckdb://"),
    ("e.csv", "partitions = [0]", "partitions: a source of files has no such entry"),
    ("e.csv", 'event_id = "id"', "event_id: a source of files has no such entry"),
    ("e.csv", 'wait = "5s"', "wait: a source of files has no such entry"),
    ("e.csv", 'colums = "x"', "colums: unknown key; did you mean columns?"),
    ("duckdb://e.db?table=a", 'user = "me"', "user: a source duckdb:// has no such entry"),
    ("duckdb://e.db", "", "table: name what to read by one of"),
    ("duckdb://e.db?table=a", 'query = "SELECT 1"', "not by query and ?table="),
    ("duckdb://e.db", 'table = "a"\nquery = "SELECT 1"', "not by table and query"),
    ("duckdb://e.db", 'query = " "', "query: it is empty"),
    ("duckdb://e.db?table=a.b.c", "", "table: write NAME or SCHEMA.NAME"),
    ("duckdb://e.db?table=a..b", "", "table: write NAME or SCHEMA.NAME"),
    ("sqlite://e.db?mode=rw&table=a", "", "url: ?mode= is unknown"),
    ("sqlite://e.db?table=a&table=b", "", "url: ?table= needs one value"),
    ("postgresql://me:secret@db/shop?table=e", "", "url: a URL must not hold a password"),
    ("postgresql://me@db/shop?table=e&password=secret", "", "url: a URL must not hold a password"),
    ("postgresql://me:sec/secret@db/shop?table=e", "", "url: a URL must not hold a password"),
    ("postgresql://me:secret?secret@db/shop", "", "url: a URL must not hold a password"),
    ("kafka://me:secret/x@localhost:9092/t", COLUMNS + LOG, "url: a URL must not hold a password"),
    ("postgresql://db?table=e", "", "url: the URL names no database"),
    ("postgresql://db/shop?table=e&host=/run", "", "url: ?host= names the folder of a socket"),
    ("postgresql:///shop?table=e&host=db", "", "url: ?host= names the folder of a socket"),
    ("postgresql://db/shop?table=e", 'password_file = "p"', "password_file: the URL names no user"),
    ("postgresql://db/shop?table=e", 'certificate = "c"', "certificate: a site's certificate needs its private_key"),
    ("postgresql://db/shop?table=e", 'plaintext = true\ncertificate = "c"\nprivate_key = "k"', "certificate: this connection has no TLS"),
    ("kafka://localhost:9092/t", LOG, "columns: a stream needs [source.columns]"),
    ("kafka://localhost:9092/t", COLUMNS, "log: a stream needs a section [source.log]"),
    ("kafka://localhost:9092/t", COLUMNS + "[log]\ndays = 3", "log: a stream needs a section [source.log]"),
    ("kafka://localhost:9092/t", '[columns]\nwho = "text"\n' + LOG, "time: 'at' is not declared"),
    ("kafka://localhost:9092/t", COLUMNS + 'x = {from = "y"}\n' + LOG, "column 'x': a stream has no types"),
    ("kafka://localhost:9092/t", 'event_id = "id"\n' + COLUMNS + LOG, "event_id: 'id' is not declared"),
    ("kafka://localhost:9092/t", '[columns]\nwho = "number"\nat = "time"\n' + LOG, "is the client: its type must be"),
    ("kafka://localhost:9092/t", '[columns]\nwho = "text"\nat = "text"\n' + LOG, "is the time: its type must be"),
    ("kafka://u:p@localhost:9092/t", COLUMNS + LOG, "url: a URL must not hold a password"),
    ("kafka://u@localhost:9092/t", COLUMNS + LOG, "url: the name of the user is the entry `user`"),
    ("kafka://localhost/t", COLUMNS + LOG, "url: 'localhost' is not an address"),
    ("kafka://localhost:9092", COLUMNS + LOG, "url: the URL names no topic"),
    ("kafka://localhost:9092/a/b", COLUMNS + LOG, "url: 'a/b' is no name of a Kafka topic"),
    ("kafka://broker:9092/t", COLUMNS + LOG, "url: broker:9092 is another machine, and without TLS"),
    ("mqtt://127.0.0.1:1883/t", "plaintext = false\n" + COLUMNS + LOG, "plaintext: mqtt:// has no TLS; write mqtts://"),
    ("kafkas://broker:9092/t", "plaintext = true\n" + COLUMNS + LOG, "plaintext: kafkas:// has TLS"),
    ("kafka://localhost:9092/t", 'ca = "x"\n' + COLUMNS + LOG, "ca: this connection has no TLS"),
    ("kafka://localhost:9092/t", 'user = "x"\n' + COLUMNS + LOG, "user: a login needs both"),
    ("kafka://localhost:9092/t", 'mechanism = "PLAIN"\n' + COLUMNS + LOG, "mechanism: it is the way to log in"),
    ("kafka://localhost:9092/t", "partitions = [0, 0]\n" + COLUMNS + LOG, "partitions: a partition is named twice"),
    ("kafka://localhost:9092/t", "partitions = [-1]\n" + COLUMNS + LOG, "partitions: it must be at least 0, not -1"),
    ("kafka://localhost:9092/t", 'wait = "1h"\n' + COLUMNS + LOG, "wait: a site waits at most 600 s"),
    ("kafka://localhost:9092/t", COLUMNS + LOG + 'size = "big"', "size: not a size: 'big'"),
    ("kafka://localhost:9092/t", COLUMNS + LOG + 'size = "7MB"', "size: an event log takes at least 8 MB"),
    ("kafka://localhost:9092/t", COLUMNS + LOG + 'when_full = "panic"', "when_full: it must be 'wait' or 'drop-oldest'"),
    ("mqtt://localhost:1,localhost:2/t", COLUMNS + LOG, "url: an MQTT broker has one address, not 2"),
    ("mqtt://localhost:1883/a/#/b", COLUMNS + LOG, "url: 'a/#/b' is no topic filter"),
    ("mqtt://localhost:1883/a+/b", COLUMNS + LOG, "url: 'a+/b' is no topic filter"),
    ("mqtt://localhost:1883/$share/g/t", COLUMNS + LOG, "url: a shared subscription"),
    ("mqtt://localhost:1883/t", COLUMNS + 'k = {from = "@key", type = "text"}\n' + LOG, "column 'k': an MQTT message has no key"),
    ("mqtt://localhost:1883/t", "partitions = [1]\n" + COLUMNS + LOG, "partitions: a source mqtt:// has no such entry"),
    ("mqtt://localhost:1883/t", '[columns]\nwho = "text"\nat = {from = "@time", type = "time", unit = "ms"}\n' + LOG, "column 'at': @time is a time"),
    ("mqtt://localhost:1883/t", COLUMNS + 'k = {from = "@time", type = "number"}\n' + LOG, "column 'k': @time is a time in UTC"),
    ("log://e.log", "[log]\ndays = 3", "log: days is chosen by the program that makes the log"),
    ("log://e.log", '[log]\npath = "x"', "log: path is a part of the URL"),
    ("e.csv", '[columns]\nk = {from = "@topic"}', "column 'k': only records of streams have a topic"),
    ("e.csv", '[columns]\nk = {from = "@topic.0"}', "column 'k': from = '@topic.0': known are @topic"),
    ("e.csv", '[columns]\nk = {from = "@offset"}', "column 'k': from = '@offset': known are @topic"),
    ("e.csv", '[columns]\nk = "nr"', "column 'k': type must be one of text, number"),
    ("e.csv", "[columns]\nk = 5", "column 'k': type must be text, not 5"),
    ("e.csv", '[columns]\nk = {unit = "km", to = "mi"}', "column 'k': unit needs type = 'number' or 'time'"),
    ("e.csv", '[columns]\nk = {type = "whole", unit = "km", to = "mi"}', "column 'k': unit needs type"),
    ("e.csv", '[columns]\nk = {type = "number", unit = "km"}', "column 'k': a conversion needs both"),
    ("e.csv", '[columns]\nk = {type = "number", unit = "km", to = "kg"}', "measure different things"),
    ("e.csv", '[columns]\nk = {type = "number", unit = "kilmeter", to = "m"}', "there is no unit 'kilmeter'"),
    ("e.csv", '[columns]\nk = {type = "number", unit = "dB", to = "1"}', "cannot be converted"),
    ("e.csv", '[columns]\nk = {type = "text", zone = "UTC"}', "column 'k': zone needs type = 'time'"),
    ("e.csv", '[columns]\nk = {type = "time", zone = "Mars/Olympus"}', "there is no time zone 'Mars/Olympus'"),
    ("e.csv", '[columns]\nk = {type = "time", zone = "../../etc/passwd"}', "there is no time zone"),
    ("e.csv", '[columns]\nk = {type = "time", unit = "min"}', "unit of a time must be one of s, ms, us, ns"),
    ("e.csv", '[columns]\nk = {type = "time", unit = "s", zone = "UTC"}', "numbers since 1970 count in UTC"),
    ("e.csv", '[columns]\nk = {type = "text", form = "x"}', "column 'k': unknown entry 'form'"),
    ("e.csv", '[columns]\n"" = "text"', "column '': its name must have"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "more", "says"), REFUSED, ids=[f"{url} {says}"[:70] for url, _, says in REFUSED])
def test_an_entry_that_does_not_fit_is_named(url: str, more: str, says: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parsed(url, more)
    assert says in str(caught.value)
    assert str(caught.value).startswith("/p/sites/UA.toml: [source")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("e.csv", "/w/e.csv"),
        ("/e.csv", "/e.csv"),
        ("duckdb://e.db?table=a", "duckdb:///w/e.db?table=a"),
        ("log:///e.log", "log:///e.log"),
        ("kafka://h:1/t", "kafka://h:1/t"),
    ],
)
def test_the_path_of_a_url_becomes_absolute(url: str, absolute: str) -> None:
    assert absolute_url(url, Path("/w")) == absolute
