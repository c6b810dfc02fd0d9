"""The socket of a command that answers HTTP: by which names it is called, the URL that is printed, and a certificate that ends soon."""

from __future__ import annotations

import datetime as dt
import logging
import os
from pathlib import Path

import pytest

from base.tls.authority import DAYS
from base.tls.files import certificate_path
from base.tls.roles import TlsRole
from covey.cli.listening import AddressOptions, TlsOptions, listening
from featurestore.server.api_keys import Consumers
from featurestore.server.refusal import Refused
from featurestore.server.throttle import Limits
from tests.base.tls_world import NOW, operator

NAME = "features.example.org"
WANTED = TlsOptions(wanted=True)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a store with a reader's key, and a certificate that names `NAME`."""
    Consumers(tmp_path).add("one", Limits(), 0, os.urandom)
    operator(tmp_path / "keys").issue(tmp_path / "keys", TlsRole.SERVER, (NAME, "10.1.2.3"), NOW)
    return tmp_path


def test_elsewhere_the_url_has_a_name_of_the_certificate_which_the_server_answers_to(store: Path) -> None:
    with listening(AddressOptions("0.0.0.0", 0, ("more.example",), None, TlsOptions()), store) as found:
        port = found.socket.getsockname()[1]
        assert found.url == f"https://{NAME}:{port}"
        for name in (NAME, "more.example", "localhost"):
            found.hosts.require([f"{name}:{port}".encode()], None)
        with pytest.raises(Refused, match="does not answer to the name"):
            found.hosts.require([b"evil.example"], None)


def test_an_address_that_the_certificate_names_stays_in_the_url(store: Path) -> None:
    with listening(AddressOptions("127.0.0.1", 0, (), None, WANTED), store) as found:
        assert found.url == f"https://127.0.0.1:{found.socket.getsockname()[1]}"
    with listening(AddressOptions("127.0.0.1", 0, (), None, TlsOptions()), store) as found:
        assert found.url.startswith("http://127.0.0.1:")
        with pytest.raises(Refused):
            found.hosts.require([NAME.encode()], None)


@pytest.mark.parametrize(("days", "warns"), [(13, True), (15, False)])
def test_a_certificate_that_ends_soon_is_said_with_its_mend(
    store: Path, caplog: pytest.LogCaptureFixture, days: int, warns: bool
) -> None:
    made = NOW - dt.timedelta(days=DAYS - days)
    operator(store / "other", TlsRole.SERVER, now=made)
    own = certificate_path(store / "other", TlsRole.SERVER)
    given = TlsOptions(certificate=own, key=own.with_suffix(".key"))
    with caplog.at_level(logging.WARNING), listening(AddressOptions("127.0.0.1", 0, (), None, given), store) as found:
        assert found.url.startswith("https://")
    said = [one.getMessage() for one in caplog.records]
    assert len(said) == warns
    assert all(f"{own} expires on {NOW + dt.timedelta(days=days):%Y-%m-%d}" in one for one in said)
    assert all("covey keys tls --role server --renew" in one for one in said)
