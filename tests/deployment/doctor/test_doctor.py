"""`covey doctor`: each check passes on a whole project, and finds the fault that it is for."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aggregator.identity import Settings
from aggregator.services.services import Service, serve
from aggregator.shares.helper import Helper
from aggregator.storage.files import Files
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Storage
from base.ports import free_port
from base.tls.authority import Authority
from base.tls.files import certificate_path, key_path, trust_path
from base.tls.links import links_of
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from base.version import PROTOCOL
from deployment.doctor import files as file_checks
from deployment.doctor.doctor import CHECKS, Examination, examine
from deployment.doctor.finding import Severity
from deployment.doctor.machine import VERSIONS
from deployment.project.project import Project
from federation.keys import load_keys
from federation.ledger import checkpoint_table
from federation.ledger.ledger import Ledger
from federation.ledger.operator import open_operator_ledger
from federation.ledger.snapshot import read_ledger
from tests.base.tls_world import LONG_AGO

ROOT = Path(__file__).parents[3]
DAY_US = 86_400 * 10**6

Covey = Callable[..., tuple[int, str, str]]


def now() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
def project(covey: Covey, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    assert covey("init", folder, "--sites", "1")[0] == 0
    return folder


def examined(project: Path, clock: Callable[[], int] = now, **addresses: str) -> Examination:
    free = {role: f"127.0.0.1:{free_port()}" for role in ("leader", "helper", "keyholder", "superlink")}
    return examine(project, free | addresses, clock)


def found(examination: Examination, check: str, severity: Severity) -> str:
    """What a check has found of one severity, with the mends."""
    lines = [one for by, one in examination.findings if by.name == check and one.severity is severity]
    assert all(one.mend for one in lines) or severity in (Severity.OK, Severity.NOT_APPLICABLE)
    return "\n".join(f"{one.found} | {one.mend}" for one in lines)


def test_a_new_project_has_no_problem_but_that_its_peers_do_not_run(project: Path) -> None:
    examination = examined(project)
    problems = {check.name for check, one in examination.findings if one.severity is Severity.PROBLEM}
    assert problems == {"peers"}
    assert {check.name for check, _ in examination.findings} == {check.name for check in CHECKS}
    for check in ("project", "keys", "policy", "certificates", "trust", "versions", "ports", "disk"):
        assert found(examination, check, Severity.OK), check
    assert "covey start helper" in found(examination, "peers", Severity.PROBLEM)
    for check in ("ledgers", "store", "events", "streams", "clocks"):
        assert found(examination, check, Severity.NOT_APPLICABLE), check


def test_it_changes_nothing_prints_no_secret_and_ends_with_1_if_there_is_a_problem(covey: Covey, project: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in project.rglob("*") if path.is_file()}
    began = time.monotonic()
    code, out, _ = covey("doctor", "--project", project, "--json", "--address", f"leader=127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 30
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in project.rglob("*") if p.is_file()} == before
    read = json.loads(out)
    assert (code, read["project"]) == (1, str(project))
    assert read["problems"] == sum(one["severity"] == "problem" for one in read["findings"]) > 0
    code, text, err = covey("doctor", "--project", project, "--address", f"leader=127.0.0.1:{free_port()}")
    assert (code, "problem(s)" in err, "mend: " in text) == (1, True, True)
    for path in (*(project / "keys").glob("*.key"), *(project / "keys" / "tls").glob("*.key")):
        secret = path.read_text().split()[2][:24]
        assert secret not in out + text
    assert covey("doctor", "--project", project / "nowhere")[0] == 2
    assert covey("doctor", "--project", project, "--address", "nobody=x")[0] == 2


def test_the_versions_are_those_of_pyproject() -> None:
    required = " ".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    every = required + json.dumps(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    for package, (least, below) in VERSIONS.items():
        dotted = ".".join(map(str, least))
        limit = "" if below is None else f",<{'.'.join(map(str, below))}"
        assert f"{package}>={dotted}{limit}" in every


# keys and pins


def test_keys_that_others_can_read_are_found(project: Path) -> None:
    (project / "keys" / "leader.key").chmod(0o644)
    said = found(examined(project), "keys", Severity.PROBLEM)
    assert "leader.key has mode 0644" in said
    assert "chmod 600" in said


def test_a_half_written_key_is_found(project: Path) -> None:
    path = project / "keys" / "helper.key"
    path.write_text(path.read_text()[:30])
    assert "helper.key" in found(examined(project), "keys", Severity.PROBLEM)


def test_another_key_in_covey_toml_is_found_and_so_is_one_in_policy_toml(covey: Covey, project: Path) -> None:
    other = load_keys(project / "keys", "collector").sign.public
    own = load_keys(project / "keys", "leader").sign.public
    old, new = (base64.b64encode(key.data).decode() for key in (own, other))
    for name, check in (("covey.toml", "keys"), ("policy.toml", "policy")):
        path, text = project / name, (project / name).read_text()
        line = next(one for one in text.splitlines() if old in one)
        path.write_text(text.replace(line, line.replace(old, new)))
        assert "pins another key of" in found(examined(project), check, Severity.PROBLEM)
        path.write_text(text)


def test_a_rotation_that_was_cut_short_is_found(covey: Covey, project: Path) -> None:
    text = (project / "covey.toml").read_text()
    assert covey("keys", "rotate", "leader", "--project", project)[0] == 0
    assert not found(examined(project), "keys", Severity.WARNING)
    (project / "covey.toml").write_text(text)
    assert "pins a key of leader that was replaced" in found(examined(project), "keys", Severity.WARNING)
    shutil.copy(project / "keys" / "helper.pub", project / "keys" / "leader.pub")
    assert "covey keys rotate leader" in found(examined(project), "keys", Severity.WARNING)


def test_a_project_file_that_cannot_be_read_is_found(project: Path) -> None:
    (project / "covey.toml").write_text("[project\n")
    assert "covey.toml: the file is not TOML" in found(examined(project), "project", Severity.PROBLEM)


# certificates


@pytest.mark.parametrize(("days", "severity"), [(70, Severity.OK), (80, Severity.WARNING), (91, Severity.PROBLEM)])
def test_certificates_that_expire_soon_or_have_expired_are_found(project: Path, days: int, severity: Severity) -> None:
    said = found(examined(project, lambda: now() + days * DAY_US), "certificates", severity)
    assert said.count("leader.crt") >= 1
    if severity is not Severity.OK:
        assert "covey keys tls --role leader" in said


def test_a_certificate_before_its_time_shows_a_wrong_clock(project: Path) -> None:
    said = found(examined(project, lambda: now() - DAY_US), "certificates", Severity.PROBLEM)
    assert "clock of this machine" in said


def test_a_certificate_of_another_role_and_one_without_its_key_are_found(project: Path) -> None:
    keys = project / "keys"
    shutil.copy(certificate_path(keys, TlsRole.LEADER), certificate_path(keys, TlsRole.HELPER))
    shutil.copy(key_path(keys, TlsRole.LEADER), key_path(keys, TlsRole.KEYHOLDER))
    said = found(examined(project), "certificates", Severity.PROBLEM)
    assert "helper.crt" in said
    assert "keyholder.key" in said


def test_an_authority_that_did_not_issue_the_certificate_here_is_found(covey: Covey, project: Path) -> None:
    other = project.parent / "other"
    assert covey("init", other, "--sites", "1")[0] == 0
    shutil.copy(trust_path(other / "keys", TlsRole.LEADER), trust_path(project / "keys", TlsRole.LEADER))
    trust_path(project / "keys", TlsRole.HELPER).write_text("nothing")
    said = found(examined(project), "trust", Severity.PROBLEM)
    assert "leader" in said
    assert "helper.crt" in said


def test_a_certificate_whose_key_others_can_read_is_found(project: Path) -> None:
    path = key_path(project / "keys", TlsRole.LEADER)
    path.chmod(0o644)
    said = found(examined(project), "certificates", Severity.PROBLEM)
    assert f"chmod 600 {path}, then covey keys tls --role leader" in said


# the machine and the network


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a listener that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_port_that_another_program_holds_is_found_and_so_is_a_peer_that_never_answers(
    project: Path, mute: str
) -> None:
    shutil.rmtree(project / "keys" / "tls")  # clear text on this machine
    began = time.monotonic()
    examination = examined(project, helper=mute)
    assert time.monotonic() - began < 20
    assert f"is held by process {os.getpid()}" in found(examination, "ports", Severity.PROBLEM)
    said = found(examination, "peers", Severity.PROBLEM)
    assert f"the helper at {mute} accepts connections, but does not answer within 2 s" in said


@pytest.fixture
def helper_at(project: Path) -> Iterator[Callable[[Callable[[], int]], str]]:
    """Runs the project's helper by a clock; the address of its service."""
    services: list[Service] = []

    def start(clock: Callable[[], int]) -> str:
        parties, links = Project.load(project), links_of(project / "keys", TlsRole.HELPER)
        settings = Settings(parties.coordinator, parties.roster, parties.budget, peer=parties.leader)
        folder = project / "roles" / "helper"
        folder.mkdir(parents=True)
        ledger = Ledger(folder / "ledger.db", "helper", clock)
        files = Files(Storage(folder / "state.db", "helper"), ledger, LiveFolder(folder / "live"))
        services.append(
            serve(Helper(load_keys(project / "keys", "helper"), settings, files, clock), "127.0.0.1", 0, links)
        )
        return services[-1].address

    yield start
    for one in services:
        one.stop()


def test_a_peer_that_runs_has_no_problem(project: Path, helper_at: Callable[[Callable[[], int]], str]) -> None:
    examination = examined(project, helper=helper_at(now))
    assert "proved its role by TLS" in found(examination, "peers", Severity.OK)
    said = found(examination, "clocks", Severity.OK)
    assert "the clock of the helper differs by" in said
    assert f"(protocol {PROTOCOL})" in said
    assert not (project / "roles" / "helper" / "live").exists() or not any(
        (project / "roles" / "helper" / "live").iterdir()
    )


def test_a_link_that_tls_refuses_has_the_mend_of_its_cause(
    covey: Covey, project: Path, helper_at: Callable[[Callable[[], int]], str]
) -> None:
    address, keys = helper_at(now), project / "keys"
    whole = trust_path(keys, TlsRole.HELPER).read_bytes()
    other = project.parent / "other"
    assert covey("init", other, "--sites", "1")[0] == 0

    def said() -> str:
        return found(examined(project, helper=address), "peers", Severity.PROBLEM)

    shutil.copy(trust_path(other / "keys", TlsRole.HELPER), trust_path(keys, TlsRole.HELPER))
    assert f"covey keys trust helper ROLE.pub --project {project}" in said()
    trust_path(keys, TlsRole.HELPER).unlink()
    assert f"covey keys trust helper ROLE.pub --project {project}" in said()
    trust_path(keys, TlsRole.HELPER).write_bytes(whole)
    for path in (certificate_path, key_path):  # of an authority that the helper does not trust
        shutil.copy(path(other / "keys", TlsRole.LEADER), path(keys, TlsRole.LEADER))
    assert "the helper's operator trusts the authority of this one: covey keys trust leader ROLE.pub" in said()
    shutil.rmtree(keys / "tls")
    assert f"covey keys tls --role leader --project {project}" in said()


@contextmanager
def superlink(
    keys: Path, role: TlsRole, handler: type[BaseHTTPRequestHandler] = BaseHTTPRequestHandler
) -> Iterator[str]:
    """A server with a certificate of a role, as sites reach a SuperLink; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path(keys, role), key_path(keys, role))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_superlink_proves_its_role_and_a_server_of_another_role_or_with_an_old_certificate_does_not(
    project: Path,
) -> None:
    keys = project / "keys"
    with superlink(keys, TlsRole.SUPERLINK) as address:
        assert f"the SuperLink at {address} proved its role by TLS" in found(
            examined(project, superlink=address), "peers", Severity.OK
        )
    with superlink(keys, TlsRole.SERVER) as address:
        examination = examined(project, superlink=address)
        said = found(examination, "peers", Severity.PROBLEM)
        assert f"the certificate of the SuperLink at {address} is not for the role superlink" in said
        assert "covey keys tls --role superlink --renew" in said
        assert "SuperLink" not in found(examination, "peers", Severity.OK)
    old = Authority.create(keys, LONG_AGO)
    old.issue(keys, TlsRole.SUPERLINK, (), LONG_AGO)
    Trust("test", (old.certificate,)).write(keys, TlsRole.SUPERLINK)
    with superlink(keys, TlsRole.SUPERLINK) as address:
        said = found(examined(project, superlink=address), "peers", Severity.PROBLEM)
        assert f"the certificate of the SuperLink at {address} expired" in said
        assert "covey keys tls --role superlink --renew" in said


class Dripping(BaseHTTPRequestHandler):
    """Answers with one byte after the other, without end."""

    def do_GET(self) -> None:
        with suppress(OSError):
            while True:
                self.wfile.write(b"x")
                time.sleep(0.1)


def test_a_superlink_that_drips_its_answer_is_named_in_bounded_time(project: Path) -> None:
    with superlink(project / "keys", TlsRole.SUPERLINK, Dripping) as address:
        began = time.monotonic()
        said = found(examined(project, superlink=address), "peers", Severity.PROBLEM)
        assert time.monotonic() - began < 20
        assert f"the SuperLink at {address} accepts connections, and does not answer: no answer within 2 s" in said


class HourAhead(BaseHTTPRequestHandler):
    """A server whose clock is an hour ahead."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() + 3_600)


def test_a_superlink_whose_clock_is_an_hour_ahead_is_found(project: Path) -> None:
    with superlink(project / "keys", TlsRole.SUPERLINK, HourAhead) as address:
        said = found(examined(project, superlink=address), "peers", Severity.PROBLEM)
    assert re.search(
        r"the clock of the SuperLink is 3,(599|600) s ahead of the one here", said
    )  # dates have whole seconds


@pytest.mark.parametrize(("hours", "how"), [(1, "ahead of"), (-1, "behind")])
def test_a_clock_that_is_an_hour_off_is_found(
    project: Path, helper_at: Callable[[Callable[[], int]], str], hours: int, how: str
) -> None:
    address = helper_at(lambda: now() + hours * 3_600 * 10**6)
    said = found(examined(project, helper=address), "clocks", Severity.PROBLEM)
    assert f"the clock of the helper is 3,600 s {how} the one here" in said
    assert "timedatectl" in said


# files


def test_a_ledger_that_was_cut_is_found(project: Path) -> None:
    ledger: Any = open_operator_ledger(project / "ledgers", "leader", now)
    ledger.close()
    path = project / "ledgers" / "operator.db"
    assert "operator.db is whole" in found(examined(project), "ledgers", Severity.OK)
    path.write_bytes(path.read_bytes()[:5_000])
    said = found(examined(project), "ledgers", Severity.PROBLEM)
    assert "operator.db" in said
    assert "covey ledger rebuild operator" in said


@pytest.fixture
def edited_before_a_checkpoint(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger whose first entry was edited. It opens from its checkpoint, which does not show that."""
    monkeypatch.setattr(checkpoint_table, "EVERY", 4)
    ledger = open_operator_ledger(project / "ledgers", "leader", now)
    for number in range(6):
        ledger.record_refusal(bytes([number]) * 32, "SCHEMA")
    ledger.close()
    path = project / "ledgers" / "operator.db"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entries SET line = replace(line, 'SCHEMA', 'SCHEMB') WHERE seq = 1")
    read_ledger(path, "operator")
    return project


def test_an_old_entry_that_was_edited_is_found(edited_before_a_checkpoint: Path) -> None:
    said = found(examined(edited_before_a_checkpoint), "ledgers", Severity.PROBLEM)
    assert "entry 1 was edited" in said


def test_a_very_long_ledger_is_read_from_its_last_checkpoint_and_the_finding_says_so(
    edited_before_a_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_checks, "WHOLE_ENTRIES", 6)
    said = found(examined(edited_before_a_checkpoint), "ledgers", Severity.OK)
    assert "is whole since its last checkpoint; it has 7 entries, and `covey ledger verify` reads all" in said


def test_a_damaged_registry_is_found(project: Path) -> None:
    (project / "store" / "registry.db").write_bytes(b"nothing" * 1_000)
    assert "registry.db" in found(examined(project), "store", Severity.PROBLEM)


def test_events_that_cannot_be_read_are_found(covey: Covey, project: Path) -> None:
    (project / "sites").mkdir()
    entries = (
        'site = "1"\nclients = 1\nkeys = "../keys"\nledger = "../ledgers/site-1.db"\npolicy = "../policy.toml"\n'
        '[source]\nurl = "none.csv"\nclient = "who"\ntime = "at"\n'
    )
    (project / "sites" / "1.toml").write_text(entries)
    assert "none.csv" in found(examined(project), "events", Severity.PROBLEM)
    (project / "sites" / "none.csv").write_text("who,at\n")
    assert "events of site 1 can be read" in found(examined(project), "events", Severity.OK)
    (project / "sites" / "none.csv").write_text("who\n")
    assert "at" in found(examined(project), "events", Severity.PROBLEM)


def test_a_disk_that_is_full_or_read_only_or_in_memory_is_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = project.parent / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nshm {project / 'ledgers'} tmpfs rw 0 0\n")
    monkeypatch.setattr(file_checks, "_MOUNTS", mounts)
    said = found(examined(project), "disk", Severity.WARNING)
    assert f"{project / 'ledgers'} lies in memory (tmpfs)" in said
    assert str(project / "roles") not in said
    usage = shutil.disk_usage(project)
    for free, severity in ((2**20, Severity.PROBLEM), (500 * 2**20, Severity.WARNING)):
        monkeypatch.setattr(file_checks.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert f"has {free // 2**20} MiB of free space" in found(examined(project), "disk", severity)
    monkeypatch.setattr(file_checks.os, "access", lambda *_: False)
    assert "cannot be written" in found(examined(project), "disk", Severity.PROBLEM)
