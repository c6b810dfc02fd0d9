"""The certificate by which sites verify their SuperLink."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from deployment.errors import ItemMissing, UsageError
from deployment.local.superlink_certificate import DAYS, Certificate, make_certificate, utc_now

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "p" / "keys"
    folder.mkdir(parents=True, mode=0o700)
    return folder


def tls_version_for(certificate: Certificate, host: str) -> str:
    """The TLS version that a client agrees on, by the strictest checks, when it trusts this file alone."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.path, certificate.key)
    client = ssl.create_default_context(cafile=str(certificate.path))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    one, other = socket.socketpair()
    with one, other:
        thread = threading.Thread(target=lambda: server.wrap_socket(one, server_side=True).close())
        thread.start()
        try:
            with client.wrap_socket(other, server_hostname=host) as spoken:
                return str(spoken.version())
        finally:
            other.close()
            thread.join()


def test_it_is_for_the_loopback_and_the_names_that_were_asked_for(keys: Path) -> None:
    made = make_certificate(keys, ["Collect.example.org", "10.0.0.7", "localhost"], utc_now())
    assert set(made.names) == {"localhost", "127.0.0.1", "::1", "collect.example.org", "10.0.0.7"}
    assert made == Certificate.load(keys)
    assert timedelta(days=DAYS - 1) < made.until - utc_now() <= timedelta(days=DAYS)
    for host in ("localhost", "127.0.0.1", "collect.example.org", "10.0.0.7"):
        assert tls_version_for(made, host) == "TLSv1.3"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made.key, made.path)] == [0o600, 0o644]


def test_its_key_is_private_from_its_first_byte_whatever_the_umask(keys: Path) -> None:
    before = os.umask(0)
    try:
        made = make_certificate(keys, [], utc_now())
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600


def test_it_is_replaced_by_name_only(keys: Path) -> None:
    first = make_certificate(keys, [], utc_now())
    with pytest.raises(UsageError, match="it can be renewed, and every site then needs the new one"):
        make_certificate(keys, ["other.example"], utc_now())
    second = make_certificate(keys, ["other.example"], utc_now(), renew=True)
    assert second.fingerprint != first.fingerprint
    assert tls_version_for(second, "other.example") == "TLSv1.3"


def test_one_that_has_ended_or_names_other_hosts_is_refused_with_the_command_that_mends_it(keys: Path) -> None:
    made = make_certificate(keys, ["a.example"], utc_now())
    made.require(["a.example", "A.EXAMPLE", "127.0.0.1"], utc_now())
    mend = "make another one for a.example with `covey keys tls`, and hand it to every site"
    with pytest.raises(UsageError, match=rf"expired on \d{{4}}-\d\d-\d\d, so no site accepts it; {mend}"):
        made.require([], utc_now() + timedelta(days=DAYS))
    mend = "make another one for a.example, b.example with `covey keys tls`"
    with pytest.raises(UsageError, match=f"does not name b.example, so no site accepts it there; {mend}"):
        made.require(["b.example"], utc_now())


@pytest.mark.parametrize("name", ["a b", "a:8000", "https://a", "", "-a", "a/b", "ä.example", "a" * 300])
def test_a_name_that_is_no_host_is_refused(keys: Path, name: str) -> None:
    with pytest.raises(UsageError, match="neither a host name nor an address"):
        make_certificate(keys, [name], utc_now())
    assert list(keys.iterdir()) == []


def test_what_is_no_certificate_and_none_at_all_are_named(keys: Path) -> None:
    with pytest.raises(ItemMissing, match="makes one with `covey keys tls`"):
        Certificate.load(keys)
    (keys / "superlink.crt").write_text("nonsense")
    with pytest.raises(UsageError, match=r"superlink\.crt is not a SuperLink's certificate"):
        Certificate.load(keys)


def test_the_command_makes_it_and_says_what_to_hand_out(covey: Covey, project: Path) -> None:
    code, out, _ = covey("keys", "tls", "--project", project, "--name", "a.example", "--json")
    told = json.loads(out)
    assert (code, "a.example" in told["names"]) == (0, True)
    assert told["sha256"] == Certificate.load(project / "keys").fingerprint
    code, _, err = covey("keys", "tls", "--project", project)
    assert (code, "--renew" in err) == (2, True)
    code, out, err = covey("keys", "tls", "--project", project, "--renew")
    assert (code, out) == (0, "")
    for text in ("give it to every site", "is secret and stays here", Certificate.load(project / "keys").fingerprint):
        assert text in err


def test_a_superlink_that_could_not_be_reached_does_not_start(covey: Covey, project: Path) -> None:
    assert covey("init", project)[0] == 0
    start = ("start", "superlink", "--project", project, "--port", "0")
    code, _, err = covey(*start, "--host", "0.0.0.0")
    assert (code, "name the host that sites connect to; see --name" in err) == (2, True)
    code, _, err = covey(*start, "--host", "0.0.0.0", "--name", "a.example")
    assert (code, "does not name a.example" in err) == (2, True)
    (project / "keys" / "superlink.key").write_text("nonsense")
    code, _, err = covey(*start)
    assert (code, "cannot be used" in err) == (2, True)
    toml = project / "covey.toml"
    toml.write_text("".join(line for line in toml.read_text().splitlines(True) if not line.startswith("node = ")))
    code, _, err = covey(*start)
    assert (code, "no [[site]] has a node key" in err) == (2, True)
