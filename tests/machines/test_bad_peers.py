"""Strangers, peers that do not answer, flood or drip, and wrong clocks: each is refused by name, in bounded time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.machines.machine import Done, Machine
from tests.machines.namespaces import Network
from tests.machines.operators import HELPER, LEADER, PROJECT, SUPERLINK, Operators
from tests.machines.proxy import Flood, Mode, Pass, Proxy, Slow, Stall
from tests.machines.shifted_clock import shifted
from tests.waiting import wait_until

BOUND_S = 90.0
"""Longest time in which a command must end when a peer misbehaves. One that waits for its peer tries for 30 s."""


@pytest.fixture(scope="module")
def stranger(network: Network, deployed: Operators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A seventh machine. Its owner made a whole project, and knows every address and every public file of the others."""
    machine = Machine(network, "stranger", tmp_path_factory.mktemp("stranger") / "home")
    machine.types(f"covey init {PROJECT} --name flights --site X")
    (machine.home / "views.py").write_text((deployed.link.home / "views.py").read_text())
    trust = machine.home / PROJECT / "keys" / "trust"
    for path in (deployed.link.home / PROJECT / "keys" / "trust").iterdir():
        (trust / path.name).write_bytes(path.read_bytes())
    yield machine
    machine.stop_all()


def collect_as(machine: Machine, leader: str, helper: str) -> tuple[Done, float]:
    """Have a machine's coordinator collect a day, and how long that took."""
    begin = time.monotonic()
    done = machine.covey(
        "start", "coordinator", "views.py", "--project", PROJECT, "--from", "2013-01-12", "--to", "2013-01-13",
        "--noise", "off", "--leader", leader, "--helper", helper, "--seconds", "20", seconds=BOUND_S,
    )  # fmt: skip
    return done, time.monotonic() - begin


def seconds_in(text: str) -> int:
    """By how many seconds a message says that a clock is wrong; the last such message counts."""
    return int(re.findall(r"clock (?:of this machine )?is ([\d,]+) s", text)[-1].replace(",", ""))


def require_named(done: Done, *texts: str) -> None:
    """The command failed with one error that has these texts, and without a traceback."""
    assert done.code in (1, 2, 4), done.err
    assert "Traceback" not in done.err
    for text in texts:
        assert text in done.said, done.err


def test_clear_text_off_the_loopback_is_refused_before_anything_is_sent(stranger: Machine, deployed: Operators) -> None:
    tls = stranger.home / PROJECT / "keys" / "tls"
    tls.rename(tls.with_name("away"))
    try:
        before = deployed.to_leader.accepted
        done, _ = collect_as(stranger, deployed.to_leader.address, deployed.helper.at(HELPER))
        require_named(done, "covey keys tls")
        assert deployed.to_leader.accepted == before
    finally:
        tls.with_name("away").rename(tls)


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_a_service_ends_a_clear_text_connection_and_goes_on(stranger: Machine, deployed: Operators, role: str) -> None:
    address = deployed.leader.at(LEADER) if role == "leader" else deployed.helper.at(HELPER)
    for first in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), b"GET / HTTP/1.1\r\n\r\n", bytes(10_000)):
        with closing(stranger.connect(address)) as connection:
            connection.settimeout(30)
            try:
                connection.sendall(first)
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    machine = deployed.leader if role == "leader" else deployed.helper
    machine.wait_until_says(role, "listens on")


def test_a_site_that_is_not_on_the_roster_is_refused_by_name(stranger: Machine, deployed: Operators) -> None:
    events = stranger.home / "events.parquet"
    events.write_bytes((deployed.one.home / "events.parquet").read_bytes())
    stranger.start(
        "site", "start", "site", "X", "--project", PROJECT, "--superlink", deployed.link.at(SUPERLINK),
        "--source", "events.parquet", "--client-column", "tailnum", "--time-column", "arrived_at",
    )  # fmt: skip
    stranger.wait_until_says("site", "does not accept this site's node key")
    stranger.stop("site")


@contextmanager
def behaving(proxy: Proxy, mode: Mode) -> Iterator[None]:
    proxy.mode = mode
    proxy.reset()
    try:
        yield
    finally:
        proxy.mode = Pass()
        proxy.reset()


JUNK = {
    "text": b"HTTP/1.1 200 OK\r\n" * 1_000,
    "zeros": bytes(2**16),
    "alerts": b"\x15\x03\x03\x00\x02\x01\x00" * 1_000,
}


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(Flood(JUNK["text"]), id="text"),
        pytest.param(Stall(), id="never", marks=LONG),  # 30 s: the coordinator calls again so long
        pytest.param(Slow(50), id="drips", marks=LONG),
        pytest.param(Flood(JUNK["zeros"]), id="zeros", marks=LONG),
        pytest.param(Flood(JUNK["alerts"]), id="alerts", marks=LONG),
    ],
)
def test_a_leader_that_does_not_answer_properly_is_named_in_bounded_time(deployed: Operators, mode: Mode) -> None:
    with behaving(deployed.to_leader, mode):
        done, seconds = collect_as(deployed.link, deployed.to_leader.address, deployed.helper.at(HELPER))
    require_named(done, f"the leader at {deployed.to_leader.address}", "nothing was charged")
    assert seconds < BOUND_S


@pytest.mark.parametrize(
    "mode", [pytest.param(Stall(), id="never"), pytest.param(Flood(JUNK["zeros"]), id="floods", marks=LONG)]
)
def test_a_superlink_that_does_not_answer_properly_is_named_in_the_log_of_the_site(
    deployed: Operators, mode: Mode
) -> None:
    site = deployed.sites["UA"]
    away = f"the SuperLink at {deployed.to_superlink.address}"
    wait_until(lambda: site.log("site").rfind("registered as node") > site.log("site").rfind(away), 90)
    joined, named = (site.log("site").count(text) for text in ("registered as node", away))
    with behaving(deployed.to_superlink, mode):
        site.wait_until_says("site", away, 60, named + 1)  # one warning for each time that it is away
    site.wait_until_says("site", "registered as node", 90, joined + 1)


def test_a_helper_whose_clock_is_an_hour_ahead_is_named(deployed: Operators, tmp_path: Path) -> None:
    deployed.helper.stop("helper")
    listening = deployed.helper.log("helper").count("listens on")
    deployed.start_helper(environment=shifted(3_600, tmp_path))
    deployed.helper.wait_until_says("helper", "listens on", times=listening + 1)
    try:
        done, _ = collect_as(deployed.link, deployed.to_leader.address, deployed.helper.at(HELPER))
    finally:
        deployed.helper.stop("helper")
        deployed.start_helper()
        deployed.helper.wait_until_says("helper", "listens on", times=listening + 2)
    require_named(done, "the helper's clock is", "s ahead of this one", "Correct the wrong clock")
    assert abs(seconds_in(done.said) - 3_600) < 60


@pytest.mark.parametrize(
    ("seconds", "named"),
    [
        (3_600, "ahead of"),
        pytest.param(-3_000, "behind", marks=LONG),  # further behind, the certificate of the SuperLink is not valid yet
    ],
)
def test_a_site_whose_clock_is_wrong_is_told_so(deployed: Operators, tmp_path: Path, seconds: int, named: str) -> None:
    site = deployed.sites["DL"]
    site.stop("site")
    joined = site.log("site").count("registered as node")
    deployed.start_site("DL", environment=shifted(seconds, tmp_path))
    try:
        site.wait_until_says("site", f"s {named} the SuperLink's")
        assert abs(seconds_in(site.log("site")) - abs(seconds)) < 60
    finally:
        site.stop("site")
        deployed.start_site("DL")
        site.wait_until_says("site", "registered as node", times=joined + 1)
