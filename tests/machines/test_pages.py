"""What the page of operators tells them to type is what the machines have typed."""

from __future__ import annotations

import re
import shlex
from contextlib import closing

import pyarrow as pa

from tests.machines.machine import ROOT
from tests.machines.operators import PROJECT, SERVER, Operators
from tests.machines.test_collections import require_exact

PAGE, HEADING = "docs/operate.md", "## Between operators"


def test_the_machines_have_typed_the_commands_of_the_page_of_operators(deployed: Operators, exact: pa.Table) -> None:
    first = deployed.next_days()
    require_exact(deployed, exact, deployed.collect(first), first)
    deployed.link.types(f"covey status --project {PROJECT}")
    serve(deployed)
    section = (ROOT / PAGE).read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", section, flags=re.S) for line in block.splitlines()]
    typed = [(words[:2], set(words)) for machine in deployed.machines for words in machine.typed]
    told = [shlex.split(line)[1:] for line in lines if line.startswith("covey ")]
    assert len(told) >= 6
    for words in told:
        command = words[:2] if words[0] in ("keys", "start") else words[:1]
        options = {word for word in words if word.startswith("--")}
        assert any(of[: len(command)] == command and options <= given for of, given in typed), words


def serve(deployed: Operators) -> None:
    """Serve the store as the page says, and read it on the same machine."""
    deployed.link.start("server", "start", "server", "--project", PROJECT)
    deployed.link.wait_until_says("server", "serving 1 view(s)")
    with closing(deployed.link.connect(f"127.0.0.1:{SERVER}")) as connection:
        body = b'{"features": ["dest_delay:planes"], "entities": {"dest": ["ATL"]}}'
        head = f"POST /get-online-features HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode() + body)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b" 200 OK" in answer
    assert b"PRESENT" in answer
    deployed.link.stop("server")
