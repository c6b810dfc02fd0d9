from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.server.hosts import Hosts, certified_hosts, certified_url, hosts_of
from featurestore.server.listen import open_socket
from featurestore.server.refusal import Refused
from tests.featurestore.making import fill

from .guarding import Guarded
from .odd_bodies import VIEW
from .test_guard import feast_error

LOOPBACK = Hosts("127.0.0.1", ("features.example",))


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1",
        b"127.0.0.1:6566",
        b"localhost:1",
        b"LocalHost.",
        b"[::1]:6566",
        b"127.8.9.1",
        b"Features.example:443",
    ],
)
def test_a_server_on_the_loopback_answers_to_its_own_names_and_addresses(host: bytes) -> None:
    LOOPBACK.require([host], None)
    LOOPBACK.require([host], b"http://" + host.upper())


@pytest.mark.parametrize(
    "host",
    [b"evil.example:6566", b"192.168.1.5", b"0.0.0.0", b"localhost.evil.example", b"127.0.0.1.evil.example", b"127.1",
     b"", b"localhost:6566:6566", b"a b", b"localhost/x", b"user@localhost", b"\xff", b"[::1", b"[localhost]", b"x" * 300],
)  # fmt: skip
def test_it_answers_to_no_other(host: bytes) -> None:
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            LOOPBACK.require([host], None)
        assert caught.value.status == 421
        assert "its operator must allow it" in caught.value.detail


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]])
def test_a_request_has_one_host(hosts: list[bytes]) -> None:
    with pytest.raises(Refused, match="needs one Host header") as caught:
        LOOPBACK.require(hosts, None)
    assert caught.value.status == 421


@pytest.mark.parametrize(
    "origin",
    [b"http://evil.example", b"null", b"", b"http://localhost:3000", b"http://localhost", b"localhost:6566",
     b"http://localhost:6566.evil.example"],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(origin: bytes) -> None:
    with pytest.raises(Refused, match="may not read this server") as caught:
        LOOPBACK.require([b"localhost:6566"], origin)
    assert caught.value.status == 403


def test_on_all_interfaces_every_address_in_figures_will_do_and_names_are_still_named() -> None:
    for address in ("0.0.0.0", "::"):
        everywhere = Hosts(address, ("gpu1",))
        for host in (b"192.168.1.5:6566", b"[fe80::1%eth0]:6566", b"127.0.0.1", b"localhost", b"gpu1:6566"):
            everywhere.require([host], None)
        with pytest.raises(Refused):
            everywhere.require([b"evil.example"], None)
    with pytest.raises(Refused):
        Hosts("10.0.0.7").require([b"10.0.0.8"], None)
    Hosts("10.0.0.7").require([b"10.0.0.7:6566"], None)


def test_its_names_are_those_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "GPU1")
    with open_socket("localhost", 0) as listening:
        assert hosts_of(listening, "localhost", ["Proxy.Example."]).names == ("localhost", "proxy.example")
    with open_socket("0.0.0.0", 0) as listening:
        assert hosts_of(listening, "0.0.0.0", []).names == ("0.0.0.0", "gpu1")


def test_the_names_of_a_certificate_are_those_of_single_hosts_and_the_url_has_one_of_them() -> None:
    names = ("localhost", "*.example.com", "127.0.0.1", "::1", "a.example", "b.example")
    assert certified_hosts(names) == ("a.example", "b.example")
    assert certified_url("https://0.0.0.0:6580", "0.0.0.0", names) == "https://a.example:6580"
    assert certified_url("https://[fe80::1]:6580", "[fe80::1]", names) == "https://a.example:6580"
    assert certified_url("https://[::1]:6580", "[::1]", names) == "https://[::1]:6580"
    assert certified_url("http://0.0.0.0:6580", "0.0.0.0", ()) == "http://0.0.0.0:6580"


def test_a_refusal_has_the_form_of_the_route_and_stands_before_the_key(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    server = Guarded(tmp_path)
    key = server.add("trainer")
    for given in (None, key):
        status, name, told = feast_error(server.read(given, headers={"Host": "evil.example"}))
        assert (status, name) == (421, "FeastError")
        assert "'evil.example'" in told
        assert feast_error(server.read(given, headers={"Origin": "http://evil.example"}))[0] == 403
    problem = server.ask("GET", "/health", headers={"Host": "evil.example"})
    assert (problem.status_code, problem.json()["title"]) == (421, "Misdirected Request")
    assert problem.headers["content-type"] == "application/problem+json"
