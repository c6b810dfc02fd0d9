"""The network of the machines itself: namespaces, links and the proxy, over plain sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.machines.machine import ROOT, Machine
from tests.machines.namespaces import HUB, PREFIX, Network, delete_leftovers
from tests.machines.proxy import Delay, Flood, Pass, Proxy, Reset, Slow, Stall


@pytest.fixture(scope="module")
def left(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(network, "left", tmp_path_factory.mktemp("left") / "home")


@pytest.fixture(scope="module")
def echo(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a machine that sends back what it gets."""
    right = Machine(network, "right", tmp_path_factory.mktemp("right") / "home")
    listening = right.listen()

    def answer(accepted: socket.socket) -> None:
        with closing(accepted):
            try:
                while data := accepted.recv(4096):
                    accepted.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(accepted,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield right.at(listening.getsockname()[1])
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.fixture(scope="module")
def proxy(network: Network, echo: str) -> Iterator[Proxy]:
    with network.proxy_to(echo) as proxy:
        yield proxy


def exchange(connection: socket.socket, data: bytes = b"a word") -> float:
    """Send and receive the same bytes; returns how long that took."""
    begin = time.monotonic()
    connection.sendall(data)
    received = b""
    while len(received) < len(data):
        piece = connection.recv(4096)
        assert piece
        received += piece
    assert received == data
    return time.monotonic() - begin


def test_a_machine_reaches_the_other_one_and_the_host_reaches_neither(left: Machine, echo: str) -> None:
    with closing(left.connect(echo)) as connection:
        exchange(connection)
    host, _, port = echo.rpartition(":")
    with pytest.raises(OSError, match=r"."):
        socket.create_connection((host, int(port)), 0.2).close()


def test_a_command_runs_on_its_machine_with_a_home_of_its_own(left: Machine) -> None:
    (left.home / "views.py").write_text("")
    done = left.covey("keys", "show", "--project", "nowhere")
    assert (done.code, "Traceback" in done.err) == (5, False), done.err
    assert left.typed[-1] == ["keys", "show", "--project", "nowhere"]


def test_what_is_sent_into_a_cut_link_arrives_when_it_has_healed(network: Network, left: Machine, echo: str) -> None:
    with closing(left.connect(echo)) as connection:
        exchange(connection)
        network.cut("left")
        connection.sendall(b"later")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(5)
        network.heal("left")
        connection.settimeout(60)
        assert connection.recv(5) == b"later"


def test_the_proxy_passes_and_delays(left: Machine, proxy: Proxy) -> None:
    with closing(left.connect(proxy.address)) as connection:
        proxy.mode = Pass()
        exchange(connection, b"x" * 300_000)
        proxy.mode = Delay(0.1)
        assert exchange(connection) >= 0.2
        proxy.mode = Pass()


def test_the_proxy_stalls_every_connection_until_its_mode_changes(left: Machine, proxy: Proxy) -> None:
    with closing(left.connect(proxy.address)) as connection:
        exchange(connection)
        proxy.mode = Stall()
        connection.sendall(b"held")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(4)
        proxy.mode = Pass()
        connection.settimeout(60)
        assert connection.recv(4) == b"held"


def test_a_frozen_connection_stays_silent_while_new_ones_pass(left: Machine, proxy: Proxy) -> None:
    with closing(left.connect(proxy.address)) as frozen:
        exchange(frozen)
        assert proxy.freeze() >= 1
        frozen.sendall(b"lost")
        frozen.settimeout(0.3)
        with closing(left.connect(proxy.address)) as other:
            exchange(other)
        with pytest.raises(TimeoutError):
            frozen.recv(4)


def test_the_proxy_resets_connections_that_there_are_and_new_ones(left: Machine, proxy: Proxy) -> None:
    with closing(left.connect(proxy.address)) as connection:
        exchange(connection)
        assert proxy.reset() >= 1
        assert proxy.reset() == 0  # the same connections are not counted again
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    proxy.mode = Reset()
    try:
        # on a slow machine the reset arrives before `connect` returns
        with pytest.raises(ConnectionResetError), closing(left.connect(proxy.address)) as connection:
            connection.recv(1)
    finally:
        proxy.mode = Pass()


def test_the_proxy_throttles_and_floods(left: Machine, proxy: Proxy) -> None:
    proxy.mode = Slow(1_000)
    try:
        with closing(left.connect(proxy.address)) as connection:
            exchange(connection, b"x" * 300)
            assert exchange(connection) > 0.2
        proxy.mode = Flood(b"junk" * 1_000)
        with closing(left.connect(proxy.address)) as connection:
            received = 0
            while received < 10**6:
                piece = connection.recv(2**16)
                assert piece
                received += len(piece)
    finally:
        proxy.mode = Pass()


def test_the_namespaces_of_killed_tests_are_deleted_with_their_processes(network: Network) -> None:
    code = (
        "import os, signal, subprocess\n"
        "from tests.machines.namespaces import Network\n"
        "network = Network().__enter__()\n"
        "network.join('lost')\n"
        "subprocess.Popen(['ip', 'netns', 'exec', network.namespace('lost'), 'sleep', '600'], stdout=subprocess.DEVNULL,"
        " stderr=subprocess.DEVNULL)\n"
        "print(network.namespace('lost'), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    names = Path("/run/netns")
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        lost = killed.stdout.read().strip()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        assert lost.startswith(PREFIX)
        assert (names / lost).exists()
        delete_leftovers()
        assert not (names / lost).exists()
    assert (names / network.namespace(HUB)).exists()  # the tests of a process that runs keep theirs
