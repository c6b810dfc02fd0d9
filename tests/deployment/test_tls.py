"""TLS between real processes: certificates that are wrong are refused by name, and right ones are replaced while roles run."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from datetime import datetime
from functools import partial
from io import StringIO
from pathlib import Path
from shutil import copytree

import psutil
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from aggregator.services import client
from aggregator.services.client import Aggregators
from base.tls.authority import Authority
from base.tls.files import certificate_path, key_path, trust_path
from base.tls.hosts import split_address
from base.tls.links import Tls, links_of
from base.tls.roles import TlsRole
from covey.cli import call
from deployment.coordinator import job_run
from deployment.local.processes import Processes
from tests.base.tls_world import LATER, LONG_AGO, operator
from tests.covey.conftest import make_events, run_of, write_project
from tests.deployment.test_hours import assert_same, sums_of
from tests.deployment.two_sites import SITES, Deployment
from tests.http2_peers import (
    MUCH,
    PING,
    Behaviour,
    answers_no_call,
    call_flood,
    connected,
    floods,
    never_answers,
    ping_flood,
    serving,
)

pytest.importorskip("flwr")

COORDINATOR, LEADER, HELPER, SUPERLINK = TlsRole.COORDINATOR, TlsRole.LEADER, TlsRole.HELPER, TlsRole.SUPERLINK


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All roles of a project that `covey init` made, in processes of their own."""
    project = write_project(tmp_path_factory.mktemp("tls"))
    assert call(["init", str(project), "--budget", "1"]) == 0
    for name, edits in {
        "policy.toml": (("min_k = 50", "min_k = 2"), ("allow_noise_off = false", "allow_noise_off = true")),
        "covey.toml": (("allow_noise_off = false", "allow_noise_off = true"),),
    }.items():
        text = (project / name).read_text()
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        (project / name).write_text(text)
    table = make_events()
    for site, name in SITES.items():
        own = table.filter([value == name for value in table["site"].to_pylist()])
        pq.write_table(own, project / f"events-{site}.parquet")
    with Processes(project / "logs") as processes:
        deployment = Deployment(_covey, project, processes)
        deployment.start("1", "2")
        deployment.wait_until_registered()
        yield deployment


def _covey(*words: object) -> tuple[int, str, str]:
    """A command of an operator, in this process: (exit code, stdout, stderr)."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = call([*map(str, words)])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def another(running: Deployment, tmp_path: Path) -> Path:
    """The coordinator's project on a machine of its own: what is changed there changes nothing of the running roles."""
    (tmp_path / "c").mkdir()
    for name in ("covey.toml", "views.py", "policy.toml"):
        (tmp_path / "c" / name).write_bytes((running.project / name).read_bytes())
    copytree(running.project / "keys", tmp_path / "c" / "keys")
    (tmp_path / "c" / "ledgers").mkdir(mode=0o700)
    return tmp_path / "c"


def _collect(running: Deployment, project: Path, *, leader: str | None = None) -> tuple[int, str]:
    """Run the coordinator of a project against the running roles, or another leader: (exit code, what it says)."""
    code, _, err = _covey(
        "start", "coordinator", project / "views.py", "--project", project, "--noise", "off",
        "--leader", leader or f"127.0.0.1:{running.ports['leader']}",
        "--helper", f"127.0.0.1:{running.ports['helper']}", "--from", "2020-05-01", "--to", "2020-05-02",
    )  # fmt: skip
    return code, err.replace("\n", " ")


def _issue(keys: Path, role: TlsRole, now: datetime) -> None:
    Authority.load(keys).issue(keys, role, (), now)


def _expired(keys: Path) -> None:
    old = Authority.create(keys, LONG_AGO)
    old.issue(keys, COORDINATOR, (), LONG_AGO)


def _self_made(keys: Path) -> None:
    operator(keys, COORDINATOR)


def _another_role(keys: Path) -> None:
    for path in (certificate_path, key_path):
        path(keys, COORDINATOR).write_bytes(path(keys, LEADER).read_bytes())


def _missing(keys: Path) -> None:
    certificate_path(keys, COORDINATOR).unlink()
    key_path(keys, COORDINATOR).unlink()


def _half_written(keys: Path) -> None:
    path = key_path(keys, COORDINATOR)
    path.write_bytes(path.read_bytes()[:90])


def _no_trust(keys: Path) -> None:
    trust_path(keys, HELPER).unlink()


def _other_trust(keys: Path) -> None:
    """What a coordinator has whose peer's authority was rotated away, or who is connected to an impostor."""
    other = operator(keys.parent / "other").certificate
    trust_path(keys, HELPER).write_text(other.found.public_bytes(Encoding.PEM).decode())


WRONG: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "expired": (_expired, "coordinator.crt expired at", "covey keys tls --renew"),
    "not yet valid": (lambda keys: _issue(keys, COORDINATOR, LATER), "is not valid yet before", "clocks"),
    "self-made": (_self_made, "does not trust this operator's authority", "covey keys trust ROLE FILE"),
    "of another role": (_another_role, "is not for the role coordinator", "covey keys tls --role ROLE"),
    "missing": (_missing, "expects TLS, but this project has no", "covey keys tls"),
    "half-written": (_half_written, "not a whole PEM key", "covey keys tls --renew"),
    "no trust": (_no_trust, "trust/helper.crt", "covey keys trust ROLE FILE"),
    "other trust": (_other_trust, "was not issued by an authority in", "covey keys trust ROLE FILE"),
}
"""What is wrong with the coordinator's files, what it says, and the mend."""


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_certificate_is_refused_by_name_with_its_mend_and_charges_nothing(
    running: Deployment, another: Path, case: str
) -> None:
    spoil, says, mend = WRONG[case]
    spoil(another / "keys")
    code, err = _collect(running, another)
    assert code != 0
    assert says in err
    assert mend in err
    assert "Traceback" not in err
    assert not (another / "roles" / "coordinator" / "unfinished").exists()


@pytest.mark.parametrize("name", ["helper", "leader", "superlink"])
def test_tls_1_2_and_clear_text_are_refused(running: Deployment, name: str) -> None:
    address = running.link if name == "superlink" else f"127.0.0.1:{running.ports[name]}"
    keys = running.project / "keys"
    older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    older.check_hostname, older.verify_mode = False, ssl.CERT_NONE
    older.load_cert_chain(certificate_path(keys, COORDINATOR), key_path(keys, COORDINATOR))
    for version, accepted in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)):
        older.maximum_version = version
        with socket.create_connection(split_address(address), 60) as plain:
            if accepted:
                older.wrap_socket(plain).close()
            else:
                with pytest.raises(ssl.SSLError):
                    older.wrap_socket(plain)
    with socket.create_connection(split_address(address), 60) as plain:
        plain.settimeout(10)
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        answer = plain.recv(64)
        assert not answer or answer[:1] == b"\x15"  # closed, or a TLS alert


_LOOK = "`covey doctor` there says which program holds the port; see --leader for another address"
BAD: dict[str, tuple[Behaviour, str, str]] = {
    "never answers": (
        never_answers,
        "the leader at {} accepts connections, but does not answer within 2 s; the plan was not announced, so nothing was charged",
        "its operator looks at its log, and `covey doctor` there says whether another program holds the port; then starts it "
        "again with `covey start leader`",
    ),
    "is slow": (
        answers_no_call,
        "the leader at {} is too slow: it needs more than 3 s for an answer; the plan was not announced, so nothing was charged",
        "its operator looks at the load of its machine and at the network; the same command goes on later",
    ),
    "floods": (
        floods(PING, bytes(8)),
        "the leader at {} sends more than the 65,536 bytes that an answer may have; the rest was not read; the plan was not announced, so nothing was charged",
        f"it is no leader of this version: {_LOOK}",
    ),
    "answers too much": (
        MUCH,
        "the leader at {} sends more than the 8,388,608 bytes that an answer may have; the rest was not read; the plan was not announced, so nothing was charged",
        f"it is no leader of this version: {_LOOK}",
    ),
}
"""What a leader does after the handshake of TLS, what the coordinator's operator reads, and the mend."""


@pytest.mark.parametrize("case", BAD)
def test_a_leader_that_does_not_answer_properly_is_named_with_its_mend_and_nothing_is_charged(
    running: Deployment, another: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CALL_S", 3.0)
    monkeypatch.setattr(job_run, "Aggregators", partial(Aggregators, patience_s=0))
    behave, says, mend = BAD[case]
    spent = _spent(running)
    with serving(Tls(LEADER, running.project / "keys"), COORDINATOR, behave) as address:
        before = psutil.Process().memory_info().rss
        code, err = _collect(running, another, leader=address)
        assert psutil.Process().memory_info().rss - before < 256 * 2**20
    assert code == 1, err
    assert says.format(address) in err, err
    assert err.rstrip().endswith(mend), err
    assert "Traceback" not in err
    assert not (another / "roles" / "coordinator" / "unfinished").exists()
    assert _spent(running) == spent


def _spent(running: Deployment) -> str:
    """What the operator's ledger has charged."""
    code, out, err = _covey("ledger", "show", "--project", running.project, "--json")
    assert code == 0, err
    return out


@pytest.mark.parametrize("case", ["silence", "pings", "calls"])
def test_callers_that_are_silent_or_flood_do_not_keep_a_service_from_others_and_cost_little_memory(
    running: Deployment, case: str
) -> None:
    """Their certificates are valid. The service goes on, and a caller waits for nobody."""
    address = f"127.0.0.1:{running.ports['helper']}"
    helper, links = psutil.Process(running.processes._children["helper"].pid), Tls(LEADER, running.project / "keys")
    before = helper.memory_info().rss
    with ExitStack() as connections:
        if case == "silence":
            for _ in range(32):
                connections.enter_context(connected(links, HELPER, address))
        else:
            flooding = connections.enter_context(connected(links, HELPER, address))
            flooding.settimeout(1.0)
            with suppress(OSError):  # the service ends the connection, or reads no more
                if case == "pings":
                    ping_flood(flooding, time.monotonic() + 3)
                else:
                    call_flood(flooding, "/covey.v1.Helper/Commit", time.monotonic() + 3)
        begin = time.monotonic()
        assert _status(running) == 0
        assert time.monotonic() - begin < 10
    assert helper.memory_info().rss - before < 256 * 2**20


def _status(running: Deployment) -> int:
    """0 if the helper answers a call of the coordinator."""
    address = f"127.0.0.1:{running.ports['helper']}"
    links = links_of(running.project / "keys", COORDINATOR)
    with Aggregators(f"127.0.0.1:{running.ports['leader']}", address, links, patience_s=0) as client:
        return len(client.status("helper"))


@pytest.mark.parametrize("role", ["leader", "helper", "keyholder", "provider"])
def test_a_role_leaves_the_loopback_only_with_a_certificate(another: Path, role: str) -> None:
    for path in (certificate_path, key_path):
        path(another / "keys", role).unlink(missing_ok=True)
    code, _, err = _covey("start", role, "--project", another, "--host", "0.0.0.0", "--port", 0)
    assert (code, "0.0.0.0:0 is not a loopback address" in err) == (2, True), err
    assert f"`covey keys tls --role {role} --name HOST --project {another}` makes the certificate" in err


def test_a_superlink_that_no_site_could_verify_does_not_start(another: Path) -> None:
    start = "start", "superlink", "--project", another, "--port", 0
    code, _, err = _covey(*start, "--host", "0.0.0.0")
    assert (code, "name the host that sites connect to; see --name" in err) == (2, True), err
    code, _, err = _covey(*start, "--host", "0.0.0.0", "--name", "a.example")
    assert (code, "does not name a.example" in err, "see --renew and --name" in err) == (2, True, True), err
    _issue(another / "keys", SUPERLINK, LATER)
    code, _, err = _covey(*start)
    assert (code, "is not valid yet" in err) == (1, True), err
    key_path(another / "keys", SUPERLINK).write_text("nonsense")
    code, _, err = _covey(*start)
    assert (code, "not a whole PEM key" in err) == (1, True), err
    toml = another / "covey.toml"
    toml.write_text("".join(line for line in toml.read_text().splitlines(True) if not line.startswith("node = ")))
    code, _, err = _covey(*start)
    assert (code, "no [[site]] has a node key" in err) == (2, True), err


def test_all_certificates_and_the_authority_change_in_the_middle_of_a_collection_which_ends_exact(
    running: Deployment, tmp_path: Path
) -> None:
    at = "--project", running.project
    keys = running.project / "keys"
    found: list[tuple[int, dict[str, object], str]] = []
    plan = running.project / "roles" / "coordinator" / "unfinished" / "announced.json"
    thread = threading.Thread(target=lambda: found.append(running.collect("2020-05-01", days=2, seconds=120)))
    thread.start()
    while not plan.is_file() and thread.is_alive():
        time.sleep(0.005)
    os.kill(running.pids["2"], signal.SIGSTOP)
    before = {role: certificate_path(keys, role).read_bytes() for role in (COORDINATOR, LEADER, HELPER, SUPERLINK)}
    assert call(["keys", "tls", "--renew", *map(str, at)]) == 0
    assert call(["keys", "tls", "--new-authority", "--renew", *map(str, at)]) == 0
    for role in before:
        ca = keys / "tls" / "ca.crt"
        assert call(["keys", "trust", role, str(ca), "--only", *map(str, at)]) == 0
    os.kill(running.pids["2"], signal.SIGCONT)
    thread.join(300)
    ((code, result, err),) = found
    assert code == 0, err
    assert all(certificate_path(keys, role).read_bytes() != old for role, old in before.items())
    assert result["views"]["everywhere"]["opened"] == 48  # type: ignore[index]
    alone = write_project(tmp_path)
    between = "--noise", "off", "--from", "2020-05-01", "--to", "2020-05-03"
    assert call([*run_of(alone), *between]) == 0
    for view in ("visits", "everywhere"):
        assert_same(sums_of(running.project, view), sums_of(alone / "store", view))
    for role in ("leader", "helper", "superlink"):  # nobody was started again
        running.processes.require_running(role)
