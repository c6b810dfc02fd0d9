"""A reader on a machine of its own reads the feature server over TLS, with an API key."""

from __future__ import annotations

import json
import ssl
from contextlib import closing

import pyarrow as pa

from tests.machines.flights import rows_of
from tests.machines.operators import PROJECT, SERVER, Operators
from tests.machines.test_collections import require_exact


def test_a_reader_gets_the_released_values_over_tls_and_nothing_without_a_key(
    deployed: Operators, exact: pa.Table
) -> None:
    link, reader, first = deployed.link, deployed.reader, deployed.next_days()
    require_exact(deployed, exact, deployed.collect(first), first)
    key = json.loads(link.types(f"covey consumers add reader --store {PROJECT} --json").out)["key"]
    link.start("server", "serve", "--store", PROJECT, "--host", link.address)
    link.wait_until_says("server", f"serving 1 view(s) at https://{link.address}:{SERVER}")
    authority = link.home / PROJECT / "keys" / "tls" / "ca.crt"  # the reader gets this file from the operator
    context = ssl.create_default_context(cafile=str(authority))
    body = json.dumps({"features": ["dest_delay:planes"], "entities": {"dest": ["ATL"]}})

    def ask(*headers: str) -> bytes:
        lines = [
            "POST /get-online-features HTTP/1.1",
            f"Host: {link.address}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        plain = reader.connect(link.at(SERVER), 30)
        with closing(context.wrap_socket(plain, server_hostname=link.address)) as connection:
            connection.sendall("\r\n".join([*lines, *headers, "", body]).encode())
            return b"".join(iter(lambda: connection.recv(4096), b""))

    try:
        assert ask().startswith(b"HTTP/1.1 401")
        head, _, answer = ask(f"Authorization: Bearer {key}").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        (planes,) = json.loads(answer)["results"][1]["values"]
        assert planes == next(row["planes"] for row in rows_of(exact, 1, first) if row["dest"] == "ATL")
        with closing(reader.connect(link.at(SERVER))) as clear:
            clear.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                refused = clear.recv(4096)
            except ConnectionResetError:
                refused = b""
            assert not refused.startswith(b"HTTP")
    finally:
        link.stop("server")
