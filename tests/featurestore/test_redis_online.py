"""What is special about an online store on another server: its keys, and outages of the server."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from base.tls.roles import TlsRole
from featurestore.define.entities import Entity
from featurestore.errors import OnlineUnavailable, SettingsInvalid, StoreCorrupt
from featurestore.online import redis as redis_online
from featurestore.online.blocks import Blocks, open_blocks
from featurestore.online.interface import OnlineMarker, RowTimes
from featurestore.online.packing import missing_rows
from featurestore.online.redis import READER, Patience, RedisOnline, RedisServer
from featurestore.online.settings import OnlineUrl
from featurestore.publish.publish import Publisher
from featurestore.server.app import FeatureServer
from featurestore.store import Store
from tests.base.tls_world import listening, operator
from tests.featurestore.server.guarding import ROUTE, ask

from .making import DAY, HOUR, a_release, a_view, fill
from .valkey import NOT_HERE, PROGRAM, Valkey

VIEW, SMALL = a_view(), a_view("small", entity=Entity("area", value="NYC"))
KEYS = {"dest": ["ATL", "LAX", "XXX"]}
ONCE = Patience(5.0, 5.0, 0, 0.001, 0.001)
HASTY = Patience(0.2, 0.2, 1, 0.001, 0.001)


@pytest.fixture
def directory(valkey: Valkey, tmp_path: Path) -> Iterator[Path]:
    """The directory of a store in database 0 of the session's server."""
    (tmp_path / "covey.toml").write_text(valkey.toml(block_mib=0))
    yield tmp_path
    with valkey.client() as client:
        client.flushdb()


@pytest.fixture
def own() -> Iterator[Valkey]:
    """A server that a test may kill."""
    if PROGRAM is None:
        pytest.skip(NOT_HERE)
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture
def fragile(own: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store whose publisher and readers wait for that server only briefly."""
    monkeypatch.setattr(redis_online, "WRITER", HASTY)
    monkeypatch.setattr(redis_online, "READER", HASTY)
    (tmp_path / "covey.toml").write_text(f'[online]\nblock_mib = 0\nurl = "unix://{own.socket}"\n')
    return tmp_path


def publish(directory: Path, hour: int, value: int) -> None:
    with Publisher(directory, lambda: DAY) as publisher:
        publisher.publish([a_release(VIEW, hour * HOUR, value)])


def flights(blocks: Blocks) -> list[float]:
    """The flights of ATL, LAX and a key that does not exist."""
    view = blocks.snapshot.find("delays")
    rows = view.rows(KEYS, 3)
    found: list[float] = rows.numbers[rows.place, view.columns["flights"].start].tolist()
    return found


def publications(client: redis.Redis) -> set[bytes]:
    """The publications (seqs) whose keys the server holds."""
    keys: Any = client.keys("covey:*")
    return {key.split(b"}:")[1].split(b":")[0] for key in keys} - {b"publications"}


def test_rows_and_markers_come_back_by_publication(valkey: Valkey, directory: Path) -> None:
    url = OnlineUrl.of(f"redis://127.0.0.1:{valkey.port}/0")
    writer = RedisOnline.open_writer(directory, url)
    rows = missing_rows(VIEW, 2)
    rows["values"] = np.arange(rows["values"].size).reshape(rows["values"].shape)
    first, second = OnlineMarker(3, RowTimes(-5, 2**60)), OnlineMarker(4, None)
    assert writer.marker(7) is None
    writer.put(7, [b"a", b"b\x00}{:"], rows, first)
    writer.put(7, [], None, second)
    reader = RedisOnline.open_reader(directory, RedisServer(url, READER, breaks=True))
    assert reader.get(7, 3, [b"b\x00}{:", b"zz", b"a"]) == [rows[1].tobytes(), None, rows[0].tobytes()]
    assert reader.get(7, 4, [b"a"]) == [None]
    assert reader.get(7, 4, []) == []
    assert writer.marker(7) == second
    for view_id, seq in ((7, 5), (8, 3)):
        with pytest.raises(OnlineUnavailable, match="does not hold publication"):
            reader.get(view_id, seq, [b"a"])
    writer.close()
    reader.close()


def test_a_large_publication_is_whole_or_not_there(
    valkey: Valkey, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_online, "KEYS_AT_ONCE", 10)
    monkeypatch.setattr(redis_online, "BYTES_AT_ONCE", 3 * missing_rows(VIEW, 1).itemsize)
    server = RedisServer(OnlineUrl.of(f"redis://127.0.0.1:{valkey.port}/0"), READER, breaks=False)
    online = RedisOnline(server, "00" * 8)
    keys, rows = [b"k%d" % i for i in range(25)], missing_rows(VIEW, 25)
    rows["times"] = np.arange(75).reshape(25, 3)
    call, sent = server.call, []

    def counted(*command: Any) -> Any:
        if command[0] == "MSET":
            sent.append((len(command) - 1) // 2)
            if len(sent) == stop:
                raise OnlineUnavailable("cut")
        return call(*command)

    monkeypatch.setattr(server, "call", counted)
    stop = 0
    online.put(1, keys, rows, OnlineMarker(1, None))
    assert sent == [3] * 8 + [1 + 1]
    assert online.get(1, 1, keys) == [row.tobytes() for row in rows]
    sent, stop = [], 4
    for seq in (1, 2):  # also the same one again
        sent.clear()
        with pytest.raises(OnlineUnavailable, match="cut"):
            online.put(1, keys, rows, OnlineMarker(seq, None))
        with pytest.raises(OnlineUnavailable, match="does not hold"):
            online.get(1, seq, keys[:1])
    assert online.marker(1) is None
    server.close()


def test_only_the_last_two_publications_are_kept_and_only_they_are_read(valkey: Valkey, directory: Path) -> None:
    fill(directory, VIEW, 1)
    readers = [open_blocks(directory)]
    for hour in range(1, 5):
        publish(directory, hour, 10 * hour)
        readers.append(open_blocks(directory))
    with valkey.client() as client:
        assert publications(client) == {b"4", b"5"}
    for reader, value in zip(readers[-2:], (30, 40), strict=True):
        assert np.array_equal(flights(reader), [value, value, np.nan], equal_nan=True)
    with pytest.raises(OnlineUnavailable, match="publication 3 of view number 1"):
        flights(readers[-3])
    assert readers[-3].refresh()
    assert flights(readers[-3])[:2] == [40, 40]


def test_stores_on_one_server_do_not_meet(valkey: Valkey, directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "covey.toml").write_text(valkey.toml(block_mib=0))
    fill(directory, VIEW, 1)
    fill(other, VIEW, 2)
    assert [flights(open_blocks(one))[0] for one in (directory, other)] == [1, 2]


def test_a_server_that_lost_its_rows_is_not_taken_for_one_without_keys(
    valkey: Valkey, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(directory, VIEW, 2)
    blocks = open_blocks(directory)
    with valkey.client() as client:
        client.flushdb()
    for _ in range(3):
        with pytest.raises(OnlineUnavailable, match="the server lost it"):
            flights(blocks)
    assert len(caplog.records) == 1
    Publisher(directory, lambda: DAY).close()
    assert flights(blocks)[:2] == [2, 2]


def test_a_store_that_was_set_back_is_read_as_it_was_then(valkey: Valkey, directory: Path) -> None:
    import shutil

    fill(directory, VIEW, 1)
    shutil.copytree(directory / "store", directory / "copy")
    for hour in range(1, 4):
        publish(directory, hour, 9)
    shutil.rmtree(directory / "store")
    (directory / "copy").rename(directory / "store")
    Publisher(directory, lambda: DAY).close()
    assert flights(open_blocks(directory))[0] == 1
    with valkey.client() as client:
        assert publications(client) == {b"1"}
    publish(directory, 1, 5)
    assert flights(open_blocks(directory))[0] == 5


class TestAway:
    def test_blocks_are_served_on_and_other_views_fail_until_it_is_back(
        self, own: Valkey, fragile: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        fill(fragile, VIEW, 1)
        (fragile / "covey.toml").write_text(f'[online]\nurl = "unix://{own.socket}"\n')
        fill(fragile, SMALL, 1)
        blocks = open_blocks(fragile)
        own.kill()
        for reader in (blocks, open_blocks(fragile)):  # an old reader and a new one
            small = reader.snapshot.find("small").rows({}, 1)
            assert small.numbers[small.place].tolist()[0][0] == 1
            with pytest.raises(OnlineUnavailable):
                flights(reader)
        own.start()
        Publisher(fragile, lambda: DAY).close()  # the server kept nothing on disk
        assert eventually(blocks)[:2] == [1, 1]
        told = [record.message.split(" is ")[1].split(":")[0] for record in caplog.records]
        assert told == ["away", "away", "back"]

    def test_over_http_it_is_503_with_how_long_to_wait_and_without_its_address(
        self, own: Valkey, fragile: Path
    ) -> None:
        fill(fragile, VIEW, 1)
        (fragile / "covey.toml").write_text(f'[online]\nurl = "unix://{own.socket}"\n')
        fill(fragile, SMALL, 1)
        bodies = [{"features": ["small:flights"]}, {"features": ["delays:flights"], "entities": {"dest": ["ATL"]}}]
        with Store.open(fragile) as store:
            server = FeatureServer(store)
            assert [ask(server, "POST", ROUTE, json=body).status_code for body in bodies] == [200, 200]
            own.kill()
            for _ in range(2):
                small, away = (ask(server, "POST", ROUTE, json=body) for body in bodies)
                assert small.status_code == 200
                assert (away.status_code, away.headers["retry-after"]) == (503, "1")
                detail = json.loads(away.json())
                assert (detail["module"], detail["class"]) == ("feast.errors", "FeastError")
                assert detail["message"] == "the online store is away; retry in 1 s"

    @pytest.mark.parametrize("how", ["killed", "frozen"])
    def test_one_call_waits_and_the_others_fail_at_once(
        self, own: Valkey, fragile: Path, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(fragile, VIEW, 1)
        blocks = open_blocks(fragile)
        assert flights(blocks)[0] == 1
        tries = 0
        patiently = RedisServer._patiently

        def counted(server: RedisServer, attempt: Any) -> Any:
            nonlocal tries
            tries += 1
            return patiently(server, attempt)

        monkeypatch.setattr(RedisServer, "_patiently", counted)
        monkeypatch.setattr("featurestore.online.breaker.FIRST_S", 1e6)
        monkeypatch.setattr("featurestore.online.breaker.LONGEST_S", 1e6)
        own.kill() if how == "killed" else own.freeze()
        for _ in range(20):
            with pytest.raises(OnlineUnavailable) as caught:
                flights(blocks)
            assert caught.value.retry_after_s >= 1
        assert tries == 1
        if how == "frozen":
            own.thaw()

    def test_a_publication_is_committed_before_it_fails_and_the_next_start_heals(
        self, own: Valkey, fragile: Path
    ) -> None:
        fill(fragile, VIEW, 1)
        blocks = open_blocks(fragile)
        with Publisher(fragile, lambda: DAY) as publisher:
            own.freeze()
            with pytest.raises(OnlineUnavailable, match="does not answer"):
                publisher.publish([a_release(VIEW, HOUR, 7)])
            with pytest.raises(OnlineUnavailable):  # it heals first
                publisher.publish([a_release(VIEW, HOUR, 7)])
        with Store.open(fragile) as store:
            assert store.history("delays").column("flights").to_pylist()[-1] == 7
        with pytest.raises(OnlineUnavailable):
            Publisher(fragile, lambda: DAY)
        own.thaw()
        assert not blocks.refresh()
        assert eventually(blocks)[0] == 1
        Publisher(fragile, lambda: DAY).close()
        assert blocks.refresh()
        assert flights(blocks)[:2] == [7, 7]

    def test_the_same_publisher_goes_on_when_it_is_back(self, own: Valkey, fragile: Path) -> None:
        fill(fragile, VIEW, 1)
        with Publisher(fragile, lambda: DAY) as publisher:
            own.freeze()
            with pytest.raises(OnlineUnavailable):
                publisher.publish([a_release(VIEW, HOUR, 7)])
            own.thaw()
            assert publisher.publish([a_release(VIEW, HOUR, 7)]).repeated == 1
            assert flights(open_blocks(fragile))[0] == 7

    def test_what_could_not_be_forgotten_goes_with_the_next_publication(
        self, own: Valkey, fragile: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: Any) -> None:
            raise OnlineUnavailable("away")

        fill(fragile, VIEW, 1)
        with monkeypatch.context() as patch:
            patch.setattr(RedisOnline, "retire", away)
            for hour in (1, 2, 3):
                publish(fragile, hour, hour)
        with redis.Redis(unix_socket_path=str(own.socket)) as client:
            assert publications(client) == {b"1", b"2", b"3", b"4"}
            publish(fragile, 4, 4)
            assert publications(client) == {b"4", b"5"}


def eventually(blocks: Blocks) -> list[float]:
    """The answer after the wait that follows a failure."""
    for _ in range(1_000):
        try:
            return flights(blocks)
        except OnlineUnavailable:
            time.sleep(0.01)
    raise TimeoutError


def test_a_cluster_is_read_and_written(tmp_path: Path) -> None:
    if PROGRAM is None:
        pytest.skip(NOT_HERE)
    server = Valkey("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
    try:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            for _ in range(1_000):
                if client.execute_command("CLUSTER INFO")["cluster_state"] == "ok":
                    break
                time.sleep(0.01)
        (tmp_path / "covey.toml").write_text(
            f'[online]\nblock_mib = 0\nurl = "redis+cluster://127.0.0.1:{server.port}"\n'
        )
        fill(tmp_path, VIEW, 1)
        fill(tmp_path, a_view("others"), 1)
        for hour in range(1, 4):
            publish(tmp_path, hour, hour)
        assert flights(open_blocks(tmp_path))[:2] == [3, 3]
        with Store.open(tmp_path) as store:
            both = store.get(["delays:flights", "others:flights"], {"dest": ["ATL"]}, full_names=True)
        assert (both["delays__flights"].to_pylist(), both["others__flights"].to_pylist()) == ([3], [1])
    finally:
        server.stop()


def test_a_server_that_throws_rows_away_is_refused(own: Valkey, fragile: Path) -> None:
    with redis.Redis(unix_socket_path=str(own.socket)) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        Publisher(fragile, lambda: 0).close()  # the server's memory has no limit
        client.config_set("maxmemory", "100mb")
        with pytest.raises(SettingsInvalid, match="maxmemory-policy allkeys-lru"):
            Publisher(fragile, lambda: 0)
        client.config_set("maxmemory-policy", "volatile-lru")
        Publisher(fragile, lambda: 0).close()


def test_a_password_is_used_and_never_said(
    own: Valkey, fragile: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with redis.Redis(unix_socket_path=str(own.socket)) as client:
        client.config_set("requirepass", "open-sesame")
    for password, works in (("open-sesame", True), ("shut-sesame", False)):
        (fragile / "covey.toml").write_text(
            f'[online]\nblock_mib = 0\nurl = "redis://:{password}@127.0.0.1:{own.port}"\n'
        )
        if works:
            fill(fragile, VIEW, 1)
            assert flights(open_blocks(fragile))[0] == 1
            continue
        for fails in (lambda: Publisher(fragile, lambda: 0), lambda: flights(open_blocks(fragile))):
            with pytest.raises(OnlineUnavailable, match=r"redis://:\*\*\*@127") as caught:
                fails()
            assert "sesame" not in repr(caught.value)
    assert "sesame" not in caplog.text + "".join(capfd.readouterr())


def test_without_the_library_the_mend_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "covey.toml").write_text('[online]\nurl = "redis://localhost"\n')
    monkeypatch.setitem(sys.modules, "redis", None)
    for opened in (lambda: open_blocks(tmp_path), lambda: Publisher(tmp_path, lambda: 0)):
        with pytest.raises(SettingsInvalid, match=r"pip install 'covey\[redis\]'"):
            opened()


def test_a_store_has_one_random_id_for_good(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(directory, VIEW, 1)
    path = directory / "store" / redis_online.ID_FILE
    ident = path.read_text()
    publish(directory, 1, 1)
    assert path.read_text() == ident
    path.write_text(os.urandom(7).hex())
    with pytest.raises(StoreCorrupt, match="does not hold the id"):
        Publisher(directory, lambda: 0)
    path.unlink()
    open_blocks(directory)
    assert "has no rows of this store yet" in caplog.text
    Publisher(directory, lambda: 0).close()
    assert path.read_text() != ident
    assert flights(open_blocks(directory))[0] == 1


class TestTls:
    """A server with TLS, whose certificates `covey keys tls` could have made."""

    @pytest.fixture(params=["no", "yes"])
    @staticmethod
    def secure(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Valkey, str, bool]]:
        """(server, its address by TLS, whether it demands certificates of clients)."""
        if PROGRAM is None:
            pytest.skip(NOT_HERE)
        keys = tmp_path / "keys"
        operator(keys, TlsRole.SERVER)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        files = [("cert-file", "server.crt"), ("key-file", "server.key"), ("ca-cert-file", "ca.crt")]
        options = [word for name, file in files for word in (f"--tls-{name}", str(keys / "tls" / file))]
        server = Valkey("--tls-port", str(port), "--tls-auth-clients", request.param, *options)
        yield server, f"rediss://127.0.0.1:{port}", request.param == "yes"
        server.stop()

    @staticmethod
    def store(directory: Path, url: str) -> Path:
        directory.mkdir(exist_ok=True)
        (directory / "covey.toml").write_text(f'[online]\nblock_mib = 0\nurl = "{url}"\n')
        return directory

    def test_rows_are_written_and_read_and_each_wrong_file_is_named(
        self, secure: tuple[Valkey, str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, address, demands = secure
        tls, other = tmp_path / "keys" / "tls", tmp_path / "other"
        operator(other, TlsRole.PROVIDER)
        client = f"&ssl_certfile={tls}/server.crt&ssl_keyfile={tls}/server.key" if demands else ""
        right = f"{address}?ssl_ca_certs={tls}/ca.crt{client}"
        store = self.store(tmp_path / "store-of-tls", right)
        fill(store, VIEW, 2)
        with Store.open(store) as opened:
            assert opened.get(["delays:flights"], {"dest": ["ATL"]}).column("flights").to_pylist() == [2]
        monkeypatch.setattr(redis_online, "WRITER", ONCE)  # it would wait for a server that may come back
        foreign = f"&ssl_certfile={other}/tls/provider.crt&ssl_keyfile={other}/tls/provider.key"
        wrong = [
            (f"{address}?ssl_ca_certs={other}/tls/ca.crt{client}", f"not issued by an authority in {other}/tls/ca.crt"),
            (f"{address}{client.replace('&', '?', 1)}", "not issued by an authority in the system's authorities"),
        ]
        if demands:
            wrong += [
                (f"{address}?ssl_ca_certs={tls}/ca.crt", "refuses clients without a certificate"),
                (f"{address}?ssl_ca_certs={tls}/ca.crt{foreign}", f"refuses {other}/tls/provider.crt"),
            ]
        for url, says in wrong:
            with pytest.raises(OnlineUnavailable, match=re.escape(says)):
                RedisOnline.open_writer(store, OnlineUrl.of(url))

    def test_a_file_that_is_missing_or_no_certificate_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "broken.crt").write_text("no certificate")
        with listening(None) as address:
            for file in (tmp_path / "none.crt", tmp_path / "broken.crt"):
                url = OnlineUrl.of(f"rediss://{address}?ssl_ca_certs={file}")
                with pytest.raises(OnlineUnavailable, match=re.escape(f"{file} cannot be used")):
                    RedisServer(url, ONCE, breaks=False).call("PING")

    def test_tls_1_2_is_refused(self, tmp_path: Path) -> None:
        operator(tmp_path / "keys", TlsRole.SERVER)
        context = without_clients(tmp_path / "keys")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with listening(context) as address:
            url = OnlineUrl.of(f"rediss://{address}?ssl_ca_certs={tmp_path}/keys/tls/ca.crt")
            with pytest.raises(OnlineUnavailable, match=r"does not speak TLS 1\.3"):
                RedisServer(url, ONCE, breaks=False).call("PING")


def without_clients(keys: Path) -> ssl.SSLContext:
    """The context of a server whose clients need no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "tls" / "server.crt", keys / "tls" / "server.key")
    return context
