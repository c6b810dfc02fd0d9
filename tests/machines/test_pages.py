"""What the page of operators tells them to type is what the machines have typed, and a reader reads as it says."""

from __future__ import annotations

import json
import re
import shlex
import ssl
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa
import pytest

from tests.machines.flights import rows_of
from tests.machines.machine import ROOT, Machine
from tests.machines.operators import PROJECT, SERVER, Operators
from tests.machines.test_collections import require_exact

PAGE, HEADING = "docs/operate.md", "## Between operators"
BODY = json.dumps({"features": ["dest_delay:planes"], "entities": {"dest": ["ATL"]}})


@dataclass(frozen=True)
class Answers:
    """What two servers answered to the same request.

    Attributes:
        first: the number of the day that they serve.
        local: to the operator who collects, on the loopback.
        health: `/health`, to the reader with a key.
        known, unknown: to the reader with a key, and without one.
        clear: to the reader, to a request in clear text.
    """

    first: int
    local: bytes
    health: bytes
    known: bytes
    unknown: bytes
    clear: bytes


@pytest.fixture(scope="module")
def answers(deployed: Operators, exact: pa.Table) -> Answers:
    """The operators collect a day, look at it and serve it, and the lab reads it, as the page says."""
    link, first = deployed.link, deployed.next_days()
    require_exact(deployed, exact, deployed.collect(first), first)
    link.types(f"covey status --project {PROJECT}")
    link.start("server", "start", "server", "--project", PROJECT)
    link.wait_until_says("server", "serving 1 view(s)")
    local = ask(link, f"127.0.0.1:{SERVER}", None)
    link.stop("server")
    key = json.loads(link.types(f"covey consumers add lab --store {PROJECT} --json").out)["key"]
    link.start("server", "serve", "--store", PROJECT, "--host", "0.0.0.0")
    link.wait_until_says("server", "serving 1 view(s) at https://")
    authority = link.home / PROJECT / "keys" / "tls" / "ca.crt"  # the lab gets this file from North
    tls = ssl.create_default_context(cafile=str(authority))
    with_key = f"X-API-Key: {key}"
    try:
        return Answers(
            first=first, local=local,
            health=ask(deployed.reader, link.at(SERVER), tls, with_key, call="GET /health"),
            known=ask(deployed.reader, link.at(SERVER), tls, with_key),
            unknown=ask(deployed.reader, link.at(SERVER), tls),
            clear=ask(deployed.reader, link.at(SERVER), None, with_key),
        )  # fmt: skip
    finally:
        link.stop("server")


def ask(
    machine: Machine, address: str, tls: ssl.SSLContext | None, *headers: str, call: str = "POST /get-online-features"
) -> bytes:
    """Ask a server from a machine; empty if the server ends the connection."""
    host, body = address.rpartition(":")[0], BODY if call.startswith("POST") else ""
    fields = (f"Host: {host}", f"Content-Length: {len(body)}", "Connection: close", *headers)
    plain = machine.connect(address, 30)
    with closing(plain if tls is None else tls.wrap_socket(plain, server_hostname=host)) as connection:
        connection.sendall("\r\n".join([f"{call} HTTP/1.1", *fields, "", body]).encode())
        try:
            return b"".join(iter(lambda: connection.recv(4096), b""))
        except ConnectionResetError:
            return b""


def value_of(answer: bytes) -> int:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    result = json.loads(body)["results"][1]
    assert result["statuses"] == ["PRESENT"]
    (planes,) = result["values"]
    return int(planes)


def test_the_operator_and_a_reader_with_a_key_get_the_released_value(answers: Answers, exact: pa.Table) -> None:
    expected = next(row["planes"] for row in rows_of(exact, 1, answers.first) if row["dest"] == "ATL")
    assert (value_of(answers.local), value_of(answers.known)) == (expected, expected)
    assert answers.health.startswith(b"HTTP/1.1 200"), answers.health


def test_a_reader_without_a_key_or_in_clear_text_gets_nothing(answers: Answers) -> None:
    assert answers.unknown.startswith(b"HTTP/1.1 401"), answers.unknown
    assert not answers.clear.startswith(b"HTTP"), answers.clear


@pytest.mark.usefixtures("answers")
def test_the_machines_have_typed_the_commands_of_the_page_of_operators(deployed: Operators) -> None:
    section = (ROOT / PAGE).read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", section, flags=re.S) for line in block.splitlines()]
    typed = [(words[:2], set(words)) for machine in deployed.machines for words in machine.typed]
    told = [shlex.split(line)[1:] for line in lines if line.startswith("covey ")]
    assert len(told) >= 6
    for words in told:
        command = words[:2] if words[0] in ("keys", "start", "consumers") else words[:1]
        options = {word for word in words if word.startswith("--")}
        assert any(of[: len(command)] == command and options <= given for of, given in typed), words
