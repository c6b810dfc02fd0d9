"""A table of a real PostgreSQL server: types, logins, TLS, locks and timeouts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from base.tls.authority import Authority
from base.tls.files import AUTHORITY, certificate_path, key_path
from base.tls.roles import TlsRole
from edge_client.errors import EventColumnError, EventsError, SourceAway
from edge_client.events import check_schema, typed_column
from edge_client.sources.source import Login, PostgreSql, Query, TableSource, Tls
from edge_client.sources.tables.open_table import OpenTable
from edge_client.sources.tables.postgresql import open_postgresql
from tests.edge_client.sources.making import counted, day, planned, row, view
from tests.postgresql import PostgreSqlServer, postgresql_server

from .making import EVENTS, Made, postgresql_made

pytest.importorskip("adbc_driver_postgresql")

ROLE = TlsRole.LEADER


@pytest.fixture
def made(server: PostgreSqlServer) -> Made:
    server.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return postgresql_made(server)


def opened(database: PostgreSql, seconds: float = 30) -> OpenTable:
    return OpenTable(
        TableSource(url="postgresql://here/db", client="c", time="t", database=database, relation=EVENTS), seconds
    )


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date", "timestamp(0)", "text"])
def test_times_of_every_type_are_read(made: Made, kind: str) -> None:
    made.table(columns=f"c TEXT, t {kind}, u TIMESTAMP, k TEXT, x float8")
    made.insert(
        "e",
        *(
            (name, time, None, "a", 1.0)
            for name, time in (("a", "2013-01-01"), ("b", "2013-01-02"), ("c", "1969-12-31"))
        ),
    )
    made.run("INSERT INTO e VALUES ('d', NULL, NULL, 'a', 1), (NULL, '2013-01-02', NULL, 'a', 1)")
    if kind != "text":
        made.run(
            "INSERT INTO e VALUES ('e', 'infinity', NULL, 'a', 1), ('f', '-infinity', NULL, 'a', 1), ('g', '0044-03-15 BC', NULL, 'a', 1)"
        )
    events = made.opened().read([planned([1])])
    assert (events.table["c"].to_pylist(), counted(events, view())) == (["b"], {-15_707: 1, 0: 1, 1: 1})


@pytest.mark.parametrize("kind", ["numeric", "numeric(9,2)", "float4", "float8", "int2", "int4", "int8"])
def test_numbers_of_every_type_are_read(made: Made, kind: str) -> None:
    made.table(
        row("a", day(0), 3.0), row("b", day(0), None), columns=f"c TEXT, t TIMESTAMP, u TIMESTAMP, k TEXT, x {kind}"
    )
    if kind == "numeric":
        made.run("INSERT INTO e VALUES ('c', '2013-01-01', NULL, 'a', 'NaN')")
    found = typed_column(made.opened().read([planned([0])]).table, "x", "number").to_pylist()
    assert found == [3.0, None] + [None] * (kind == "numeric")


def test_text_uuid_enums_json_and_bytes_are_read(made: Made) -> None:
    made.run("CREATE TYPE mood AS ENUM ('a', 'b')")
    made.table(
        columns="v varchar(9), ch char(3), u uuid, m mood, j jsonb, b bytea, n text, yes boolean, big int8, i interval"
    )
    made.run(
        "INSERT INTO e VALUES ('v', 'c', '00000000-0000-0000-0000-00000000000A', 'b', '{\"a\": 1}', '\\x00ff', NULL, true, 7, '1 day')"
    )
    with open_postgresql("here", made.database, EVENTS) as table:  # type: ignore[arg-type]
        columns = dict.fromkeys(table.names(), pa.string())
        found = pa.concat_tables(table.rows(columns)).to_pylist()[0]
        assert pa.types.is_interval(table.schema(columns).field("i").type)
    assert found | {"i": None} == {
        "v": "v", "ch": "c", "u": "00000000-0000-0000-0000-00000000000a", "m": "b", "j": '{"a": 1}', "b": b"\x00\xff", "n": None,
        "yes": True, "big": 7, "i": None,
    }  # fmt: skip


def test_a_type_that_no_view_can_use_is_refused_by_name(made: Made) -> None:
    made.table(columns="c TEXT, t TIMESTAMP, k TEXT, x interval")
    rows = made.opened().schema([view()])
    from edge_client.events import make_events

    with pytest.raises(
        EventColumnError, match="column 'x': the views use it as number, but the events hold month_day_nano"
    ):
        check_schema(view(), make_events(rows, "c", "t"))


def test_two_columns_of_one_name_are_refused(made: Made) -> None:
    made.table(row("a", day(0)))
    with pytest.raises(EventsError, match=r"has two columns of one name; it has: c, t, u, k, x, c"):
        made.opened(Query("SELECT *, 1 AS c FROM e")).schema([view()])


def test_a_query_that_fails_on_a_value_is_quoted_to_the_operator_and_not_to_a_log(made: Made) -> None:
    made.table(row("secret", day(0)))
    with pytest.raises(EventsError, match='invalid input syntax for type integer: "secret"') as raised:
        made.opened(Query("SELECT c::int AS c, t, k, x FROM e")).read([planned([0])])
    assert "secret" not in raised.value.logged


def test_a_locked_table_is_away(made: Made, server: PostgreSqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_client.sources.tables.adbc.LOCK_S", 0.05)
    made.table(row("a", day(0)))
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE e IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceAway, match="lock timeout"):
            made.opened().read([planned([0])])
        cursor.execute("ROLLBACK")
    assert made.opened().read([planned([0])]).table.num_rows == 1


def test_the_rows_and_the_counts_are_of_one_state(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.table(row("a", day(0)))
    from edge_client.sources.tables.postgresql import PostgreSqlTable

    count = PostgreSqlTable.counts

    def counting(table: PostgreSqlTable, *given: str) -> object:
        found = count(table, *given)  # type: ignore[arg-type]
        made.insert("e", ("later", day(0), None, "a", 1.0))
        return found

    monkeypatch.setattr(PostgreSqlTable, "counts", counting)
    events = made.opened().read([planned([0])])
    assert (events.table["c"].to_pylist(), counted(events, view())) == (["a"], {0: 1})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"host": "127.0.0.1", "port": 1}, "Connection refused"),
        ({"host": "/nowhere"}, "No such file or directory"),
        ({"database": "none"}, 'database "none" does not exist'),
        ({"login": Login("nobody")}, 'role "nobody" does not exist'),
        ({"host": "127.0.0.1", "tls": Tls()}, "SSL"),
    ],
)
def test_a_server_that_cannot_be_used_is_away(made: Made, change: dict[str, object], why: str) -> None:
    with pytest.raises(SourceAway, match=why):
        opened(replace(made.database, **change)).schema([view()])  # type: ignore[arg-type]


def test_a_table_that_may_not_be_read_is_away(made: Made, server: PostgreSqlServer) -> None:
    made.table(row("a", day(0)))
    server.run("CREATE ROLE reader LOGIN", "GRANT USAGE ON SCHEMA public TO reader")
    database = replace(made.database, login=Login("reader"))  # type: ignore[type-var]
    with pytest.raises(SourceAway, match="permission denied for table e"):
        opened(database).read([planned([0])])
    server.run("GRANT SELECT ON e TO reader")
    assert opened(database).read([planned([0])]).table.num_rows == 1


# A server with a password and TLS.


@dataclass
class Secured:
    """A server that asks for TLS and a password, certificates of its authority and of another one, and a file with the password."""

    server: PostgreSqlServer
    ours: Path
    other: Path
    password: Path

    def database(self, ca: Path | None = None, password: Path | None = None, user: str = "guest") -> PostgreSql:
        return PostgreSql("localhost", self.server.port, "postgres", Login(user, password), Tls(ca))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder, now = tmp_path_factory.mktemp("tls"), datetime.now(UTC)
    for name in ("ours", "other"):
        authority = Authority.create(folder / name, now)
        authority.issue(folder / name, ROLE, ["localhost"], now)
    keys, ca = folder / "ours", certificate_path(folder / "ours", AUTHORITY)
    files = {"server.key": key_path(keys, ROLE).read_bytes(), "server.crt": certificate_path(keys, ROLE).read_bytes()}
    password = folder / "password"
    password.touch(0o600)
    password.write_text("it's a \\ secret\nand not this\n")
    access = "hostssl all guest 127.0.0.1/32 scram-sha-256\nhost all guest 127.0.0.1/32 reject\n"
    with postgresql_server({"ssl": "on"}, access, files) as server:
        server.run(
            "CREATE ROLE guest LOGIN PASSWORD 'it''s a \\ secret'",
            "CREATE TABLE e (c text, t timestamp, k text, x float8)",
        )
        server.run("GRANT SELECT ON e TO guest", "INSERT INTO e VALUES ('a', '2013-01-01', 'a', 1)")
        yield Secured(server, ca, certificate_path(folder / "other", AUTHORITY), password)


def test_a_login_with_tls_and_a_password_from_a_private_file(secured: Secured) -> None:
    source = opened(secured.database(secured.ours, secured.password))
    assert source.read([planned([0])]).table["c"].to_pylist() == ["a"]


@pytest.mark.parametrize("ca", ["other", None])
def test_a_server_with_a_certificate_of_another_authority_gets_no_password(secured: Secured, ca: str | None) -> None:
    with pytest.raises(SourceAway, match=r"certificate verify failed|unable to get local issuer|self-signed"):
        opened(secured.database(ca and secured.other, secured.password)).schema([view()])


def test_a_server_of_another_name_is_refused(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    database = replace(secured.database(secured.ours, secured.password), host="127.0.0.2")
    with pytest.raises(SourceAway, match=r"does not match host name|Connection refused"):
        opened(database).schema([view()])


def test_a_connection_without_tls_is_rejected_by_such_a_server(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    plain = replace(secured.database(None, secured.password), tls=None)
    with pytest.raises(SourceAway, match=r"rejects connection|no encryption"):
        opened(plain).schema([view()])
    assert (
        opened(secured.database(secured.ours, secured.password)).schema([view()]).num_rows == 0
    )  # whatever the environment says


def test_a_wrong_or_missing_password_is_named_and_never_shown(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "password"
    with pytest.raises(SourceAway, match="password file cannot be used"):
        opened(secured.database(secured.ours, wrong)).schema([view()])
    wrong.touch(0o600)
    wrong.write_text("sesame\n")
    with pytest.raises(SourceAway, match="password authentication failed") as raised:
        opened(secured.database(secured.ours, wrong)).schema([view()])
    assert "sesame" not in str(raised.value)
    wrong.chmod(0o644)
    with pytest.raises(SourceAway, match="password file cannot be used"):
        opened(secured.database(secured.ours, wrong)).schema([view()])
    with pytest.raises(SourceAway, match="no password supplied"):
        opened(secured.database(secured.ours)).schema([view()])
    monkeypatch.setenv("PGPASSWORD", "it's a \\ secret")
    assert opened(secured.database(secured.ours)).schema([view()]).num_rows == 0
