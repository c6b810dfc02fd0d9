"""A console with TLS and API keys: an authority of its own, each role, and what ends with a key."""

from __future__ import annotations

import os
import ssl
from functools import partial
from pathlib import Path

import httpx
import pytest

from base.tls.roles import TlsRole
from covey.console.gate import HEADER
from featurestore.server.api_keys import Consumers
from featurestore.server.roles import Role
from featurestore.server.throttle import Limits
from tests.base.tls_world import NOW, operator
from tests.featurestore.making import fill
from tests.featurestore.server.odd_bodies import VIEW
from tests.waiting import wait_until

from .asking import API, running_console

NAME = "console.example.org"


def is_over(client: httpx.Client) -> bool:
    return client.get(f"{API}/about").status_code == 401


@pytest.mark.long
def test_over_tls_each_role_has_a_secure_session_that_ends_with_its_key(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    operator(tmp_path / "keys").issue(tmp_path / "keys", TlsRole.SERVER, (NAME,), NOW)
    consumers = Consumers(tmp_path)
    keys = {role: consumers.add(role.label, Limits(), 0, os.urandom, role) for role in Role}
    trusted = ssl.create_default_context(cafile=str(tmp_path / "keys" / "tls" / "ca.crt"))
    with running_console(tmp_path, "--tls", "--keys") as running:
        base = running.url.removesuffix("/console/")
        assert (base[:18], running.token) == ("https://127.0.0.1:", "")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(running.url)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(running.url.replace("https", "http"))
        for role, key in keys.items():
            with httpx.Client(base_url=base, verify=trusted, timeout=30) as client:
                assert client.get("/", follow_redirects=True).url.path == "/console/"
                assert client.post(f"{API}/session", json={"key": f"{key}x"}).json()["code"] == "CREDENTIALS_REFUSED"
                opened = client.post(f"{API}/session", json={"key": key})
                assert opened.json()["role"] == role.label
                cookie = opened.headers["set-cookie"].lower()
                assert all(
                    word in cookie for word in ("; secure", "; httponly", "; samesite=strict", "; path=/console")
                )
                assert client.get(f"{API}/about", headers={"Host": NAME}).json()["role"] == role.label
                assert client.get(f"{API}/about", headers={"Host": "evil.example"}).status_code == 421
                assert client.get(f"{API}/about", headers={"Origin": "https://evil.example"}).status_code == 403
                refused = client.post(f"{API}/composer/parse", json={"text": ""})
                assert refused.json()["code"] == "PAGE_TOKEN_MISSING"
                client.headers[HEADER] = opened.json()["csrf"]
                assert client.post(f"{API}/composer/parse", json={"text": ""}).status_code == 200
                saved = client.put(f"{API}/composer/file", json={"text": "", "based_on": ""})
                assert (saved.json()["code"] == "ROLE_TOO_SMALL") == (role < Role.AUTHOR)
                if role is Role.READER:
                    with client.stream("GET", f"{API}/fleet/events") as events:
                        lines = events.iter_lines()
                        assert next(lines) == ": open"
                        consumers.remove(role.label)
                        assert all(one is not None for one in lines)  # the stream ends at its next event
                else:
                    consumers.remove(role.label)
                wait_until(partial(is_over, client))  # the server looks for removed keys every now and then
                assert client.get(f"{API}/about").json()["code"] == "SESSION_MISSING"
                assert client.post(f"{API}/session", json={"key": key}).json()["code"] == "CREDENTIALS_REFUSED"
