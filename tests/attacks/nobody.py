"""A process of another user of the machine: `python -m tests.attacks.nobody WHAT FILE ADDRESS…`, started by root.

It loads what it needs, drops its rights for good, does one thing at each address, and prints `done: …` or `refused: …`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx
import pytest
from flwr.proto.control_pb2 import StartRunRequest
from flwr.proto.fab_pb2 import Fab
from flwr.supercore.control.control_http_client import ControlHttpClient

NOBODY: Final = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user of the machine")


def as_nobody(what: str, *addresses: str, file: Path = Path(os.devnull)) -> list[str]:
    """The answer that another user gets at each address."""
    command = [sys.executable, "-m", "tests.attacks.nobody", what, str(file), *addresses]
    here = {**os.environ, "HOME": "/nonexistent"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=here)
    told = done.stdout.splitlines()
    assert len(told) == len(addresses), done.stdout + done.stderr
    assert all(line.startswith(("done: ", "refused: ")) for line in told), told
    return told


def start_run(address: str, app: bytes) -> str:
    """Start the attacker's own app over a SuperLink's Control API, as `flwr run` does."""
    control = ControlHttpClient(f"http://{address}", timeout=5.0)
    fab = Fab(hash_str=sha256(app).hexdigest(), content=app)
    return f"run {control.StartRun(StartRunRequest(fab=fab)).run_id}"


def open_socket(address: str, _app: bytes) -> str:
    """Connect to a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.connect(address)
        made.sendall(b"POST /v1/control/list-runs HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        return made.recv(100).decode()


def read_ray(address: str, _app: bytes) -> str:
    """Read the storage of a Ray cluster, which also holds the functions that its workers run."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    client = GcsClient(address=address)
    keys = client.internal_kv_keys(b"", namespace=None)
    client.internal_kv_put(b"evil", b"evil", True, namespace=None)
    return f"{len(keys)} keys, and one written"


ACTIONS: Final[dict[str, Callable[[str, bytes], str]]] = {
    "start-run": start_run,
    "open-socket": open_socket,
    "read-ray": read_ray,
}


def main(what: str, file: str, *addresses: str) -> None:
    """Do one thing as nobody."""
    app = Path(file).read_bytes()
    with suppress(httpx.TransportError):
        start_run("127.0.0.1:9", app)  # loads what is imported late
    if what == "read-ray":
        import ray._private.authentication.authentication_utils  # loaded when it refuses
        import ray.dag  # noqa: F401 - it is imported at exit
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    for address in addresses:
        try:
            told = f"done: {ACTIONS[what](address, app)}"
        except ImportError:
            raise  # user nobody may have no access to this Python's folder: that is no refusal
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what another user is told
            told = f"refused: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        sys.stdout.write(told + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
