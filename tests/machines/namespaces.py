"""Network namespaces of the tests: each stands for a machine. Nothing of the host's own network is touched.

    hub ── bridge br0 (10.77.0.1) ──┬── veth ── leader  eth0 (10.77.0.2)
                                    ├── veth ── helper  eth0 (10.77.0.3)
                                    └── …

A namespace's name has the process ID of its tests and the start of that process, so parallel tests do not meet, and what killed
tests have left is found and deleted.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from tests.machines.proxy import Proxy, proxy_to

PREFIX: Final = "coveytest"
HUB: Final = "hub"
BRIDGE: Final = "br0"
HUB_ADDRESS: Final = "10.77.0.1"
_NAME: Final = re.compile(rf"{PREFIX}-(\d+)-(\d+)-([a-z0-9]+)")
_FOLDER: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_T = TypeVar("_T")


class IpFailed(Exception):
    """A command of `ip` failed."""


class Network:
    """A bridge, and the machines at it. A context manager that deletes them, with every process in them."""

    def __init__(self) -> None:
        self._session = f"{PREFIX}-{os.getpid()}-{_born(os.getpid())}"
        self._addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        delete_leftovers()
        self._add(HUB)
        self._in(HUB, "link", "add", BRIDGE, "type", "bridge")
        self._in(HUB, "addr", "add", f"{HUB_ADDRESS}/24", "dev", BRIDGE)
        self._in(HUB, "link", "set", BRIDGE, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for machine in (*self._addresses, HUB):
            delete(self.namespace(machine))

    def namespace(self, machine: str) -> str:
        """The namespace of a machine."""
        return f"{self._session}-{machine}"

    def address(self, machine: str) -> str:
        """The IP address of a machine."""
        return HUB_ADDRESS if machine == HUB else self._addresses[machine]

    def join(self, machine: str) -> str:
        """Add a machine; returns its IP address. An interface's name has at most 15 characters."""
        address = self._addresses[machine] = f"10.77.0.{len(self._addresses) + 2}"
        self._add(machine)
        veth = _veth(machine)
        peer = ("type", "veth", "peer", "name", "eth0", "netns", self.namespace(machine))
        self._in(HUB, "link", "add", veth, *peer)
        self._in(HUB, "link", "set", veth, "master", BRIDGE)
        self._in(HUB, "link", "set", veth, "up")
        self._in(machine, "addr", "add", f"{address}/24", "dev", "eth0")
        self._in(machine, "link", "set", "eth0", "up")
        return address

    def cut(self, machine: str) -> None:
        """Take the machine's link down at the bridge: packets are lost, and no connection is told."""
        self._in(HUB, "link", "set", _veth(machine), "down")

    def heal(self, machine: str) -> None:
        """Take the machine's link up again."""
        self._in(HUB, "link", "set", _veth(machine), "up")

    def inside(self, machine: str, call: Callable[[], _T]) -> _T:
        """Call from the machine: sockets that the call makes belong to it for ever."""
        with ThreadPoolExecutor(1, initializer=enter, initargs=(self.namespace(machine),)) as thread:
            return thread.submit(call).result()

    def proxy_to(self, target: str) -> AbstractContextManager[Proxy]:
        """A proxy on the hub, which passes connections on to an address of a machine."""
        return proxy_to(target, HUB_ADDRESS, partial(enter, self.namespace(HUB)))

    def _add(self, machine: str) -> None:
        _ip("netns", "add", self.namespace(machine))
        self._in(machine, "link", "set", "lo", "up")

    def _in(self, machine: str, *words: str) -> None:
        _ip("-n", self.namespace(machine), *words)


def why_not() -> str | None:
    """Why this machine lets nobody make network namespaces; None if it does."""
    if shutil.which("ip") is None:
        return "the command ip (iproute2) is not installed"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    probe = f"{PREFIX}-{os.getpid()}-{_born(os.getpid())}-probe"
    try:
        _ip("netns", "add", probe)
        try:
            _ip("-n", probe, "link", "add", BRIDGE, "type", "bridge")
            _ip("-n", probe, "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
        finally:
            delete(probe)
    except IpFailed as error:
        return f"this machine allows no network namespaces: {error}"
    return None


def enter(namespace: str) -> None:
    """Move this thread into a namespace, for ever."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (_FOLDER / namespace).open() as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns into {namespace}")


def delete(namespace: str) -> None:
    """Kill every process in a namespace and delete it."""
    end = time.monotonic() + 60
    while pids := _ip("netns", "pids", namespace).split():
        for pid in map(int, pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > end:
            raise IpFailed(f"processes of {namespace} do not end: {pids}")
        time.sleep(0.02)
    _ip("netns", "delete", namespace)


def delete_leftovers() -> None:
    """Delete the namespaces of tests that were killed."""
    for path in _FOLDER.glob(f"{PREFIX}-*") if _FOLDER.is_dir() else ():
        if (match := _NAME.fullmatch(path.name)) and _born(int(match[1])) != int(match[2]):
            try:
                delete(path.name)
            except IpFailed:  # other tests delete it at this moment
                if path.exists():
                    raise


def _born(pid: int) -> int:
    """The start of a process, in clock ticks after the boot; 0 if it has ended. A process ID alone is used again.

    A process whose parent has not taken its exit status has ended. A time of day would change when the clock is set.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if state == "Z" else int(fields[18])


def _veth(machine: str) -> str:
    return f"v-{machine}"


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise IpFailed(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
