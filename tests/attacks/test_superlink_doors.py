"""The SuperLink of a deployment gives nothing over its Control and Runtime API to sites and other users of its machine."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from flwr.proto.control_pb2 import ListRunsRequest
from flwr.proto.message_pb2 import PullObjectRequest
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES

from base.tls.roles import TlsRole
from base.tls.trust import TrustFile
from covey.cli import call
from deployment.coordinator import grid as superlink
from deployment.coordinator.grid import SOCKET, short_path
from deployment.local.processes import Processes, script
from deployment.local.superlink import MAX_BODY_BYTES, superlink_folder
from edge_client.errors import NodeKeyUnknown
from edge_client.fleet_client import FleetClient, SuperLink
from featurestore.server.connections import HEAD_S
from federation.keys import load_keys
from federation.node_keys import NodeKey
from tests.attacks.evil import packed, write_evil_app, write_flower_home
from tests.attacks.nobody import as_nobody, needs_root
from tests.deployment.deployed import start_superlink


@dataclass(frozen=True)
class Deployment:
    project: Path
    address: str
    pid: int

    @property
    def certificate(self) -> Path:
        """The authority that sites trust."""
        return self.project / "keys" / "trust" / "superlink.crt"

    @property
    def folder(self) -> Path:
        return superlink_folder(self.project)

    def key_of(self, site: str) -> NodeKey:
        key = load_keys(self.project / "keys", f"site-{site}").node
        assert key is not None
        return key

    def client(self, key: NodeKey) -> FleetClient:
        return FleetClient(SuperLink(self.address, TrustFile(self.project / "keys", TlsRole.SUPERLINK)), key)

    def http(self) -> httpx.Client:
        verify = ssl.create_default_context(cafile=str(self.certificate))
        verify.verify_flags |= ssl.VERIFY_X509_STRICT  # Python's own default from 3.13 on
        return httpx.Client(base_url=f"https://{self.address}", verify=verify, timeout=60)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    project = tmp_path_factory.mktemp("deployed") / "flights"
    assert call(["init", str(project)]) == 0
    with Processes(project / "logs") as processes:
        address = start_superlink(project, processes)
        (mine,) = [one for one in processes.marked() if "superlink" in one.cmdline()]
        yield Deployment(project, address, mine.pid)


def runs_of(deployment: Deployment) -> list[int]:
    """The runs of the SuperLink, as its own user sees them."""
    with short_path(deployment.folder) as short:
        control = superlink._Control("http://superlink")
        control.reach(short / SOCKET)
        with closing(control):
            return sorted(control.ListRuns(ListRunsRequest()).run_dict)


@pytest.fixture
def evil(tmp_path: Path, deployment: Deployment) -> Path:
    """The attacker's app. `marker` beside it appears when a part of the app runs."""
    return write_evil_app(tmp_path / "evil", tmp_path / "marker", deployment.project / "keys")


def test_an_evil_app_that_a_site_sends_is_refused_and_runs_nowhere(
    deployment: Deployment, tmp_path: Path, evil: Path
) -> None:
    home = write_flower_home(tmp_path / "home", deployment.address, deployment.certificate)
    environment = {
        **os.environ,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    done = subprocess.run(
        [script("flwr"), "run", str(evil), "there"], capture_output=True, text=True, timeout=120, env=environment
    )
    assert "404" in done.stdout + done.stderr, done.stdout + done.stderr
    assert runs_of(deployment) == []
    assert not (tmp_path / "marker").exists()


def test_every_call_but_those_of_the_fleet_is_refused_on_the_sites_port(deployment: Deployment) -> None:
    others = [path for method, path in PROTOBUF_REQUEST_TYPES if not path.startswith("/v1/fleet/")]
    assert {"/v1/control/start-run", "/v1/control/list-nodes", "/v1/control/stream-logs"} < set(others)
    assert {"/v1/runtime/acquire-task", "/v1/runtime/get-nodes", "/v1/runtime/push-messages"} < set(others)
    tricks = [
        "/v1/fleet/../control/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "/v1/fleet%2f../control/start-run",
        "//v1/control/start-run",
        "/V1/CONTROL/start-run",
    ]
    with deployment.http() as http:
        for path in [*others, *tricks, "/docs", "/openapi.json", "/health", "/v1/responses"]:
            request = http.build_request("POST", "/", headers={"content-type": PROTOBUF_MEDIA_TYPE}, content=b"")
            request.url = request.url.copy_with(raw_path=path.encode())
            answer = http.send(request)
            assert answer.status_code == 404, (path, answer.status_code)
            assert path in tricks or answer.text == "only the Fleet API is served here"
        assert http.get("/v1/fleet/", headers={"upgrade": "websocket", "connection": "upgrade"}).status_code >= 400


def test_a_node_without_a_registered_key_gets_nothing_and_one_with_another_s_id_neither(deployment: Deployment) -> None:
    with pytest.raises(NodeKeyUnknown), deployment.client(NodeKey.generate(os.urandom)) as stranger:
        stranger.join()
    with deployment.client(deployment.key_of("1")) as victim, deployment.client(deployment.key_of("2")) as thief:
        node = victim.join()
        thief.join()
        thief._node.node_id = node
        with pytest.raises(NodeKeyUnknown):
            thief.pull()
        assert victim.pull() is None  # and is still let in itself


def test_a_host_header_does_not_talk_the_authentication_out_of_a_call(deployment: Deployment) -> None:
    """Flower decides from the whole URL which calls it authenticates. A Runtime call has a message of the same type."""
    body = PullObjectRequest(object_id="0" * 64, run_id=1).SerializeToString()
    with deployment.http() as http:
        for host in ("a/v1/runtime/pull-object?", "a/v1/runtime/pull-object#", "a"):
            answer = http.post(
                "/v1/fleet/pull-object",
                content=body,
                headers={"host": host, "content-type": PROTOBUF_MEDIA_TYPE},
            )
            assert answer.status_code == 401, (host, answer.text)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Content-Length: {MAX_BODY_BYTES + 1}", 413),
        (f"Content-Length: {'9' * 40}", 400),
        ("Transfer-Encoding: chunked", 411),
    ],
)
def test_a_body_that_is_too_long_or_endless_is_refused_before_it_is_read(
    deployment: Deployment, header: str, status: int
) -> None:
    host, port = deployment.address.split(":")
    context = ssl.create_default_context(cafile=str(deployment.certificate))
    with (
        socket.create_connection((host, int(port)), 60) as plain,
        context.wrap_socket(plain, server_hostname=host) as to,
    ):
        to.sendall(f"POST /v1/fleet/push-object HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n".encode())
        assert to.recv(100).startswith(f"HTTP/1.1 {status}".encode())


def test_a_client_that_says_nothing_is_closed(deployment: Deployment) -> None:
    host, port = deployment.address.split(":")
    with socket.create_connection((host, int(port)), HEAD_S + 10) as silent:
        assert silent.recv(1) == b""


@needs_root
def test_another_user_opens_neither_the_coordinator_s_socket_nor_its_keys(deployment: Deployment) -> None:
    for folder in (deployment.project, *deployment.project.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(0o755)  # pytest's folders are private; the protection must not depend on that
    with short_path(deployment.folder) as short:
        short.parent.chmod(0o755)
        (told,) = as_nobody("open-socket", str(short / SOCKET))
        assert told.startswith("refused: PermissionError"), told
    (told,) = as_nobody("start-run", deployment.address)
    assert told.startswith("refused: "), told
    assert runs_of(deployment) == []
    assert oct((deployment.folder / SOCKET).stat().st_mode & 0o777) == "0o600"
    assert oct(deployment.folder.stat().st_mode & 0o777) == "0o700"
    assert oct((deployment.project / "keys" / "tls" / "superlink.key").stat().st_mode & 0o777) == "0o600"


def test_even_a_run_that_its_own_user_starts_is_executed_by_nobody(
    deployment: Deployment, tmp_path: Path, evil: Path
) -> None:
    with short_path(deployment.folder) as short:
        run, _ = superlink._start_run(short / SOCKET, packed(evil))
    assert run in runs_of(deployment)
    time.sleep(1)
    assert psutil.Process(deployment.pid).children(recursive=True) == []
    assert not (tmp_path / "marker").exists()


def test_a_second_superlink_of_the_project_does_not_take_the_socket_over(
    deployment: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(["start", "superlink", "--project", str(deployment.project), "--port", "0"]) == 2
    assert "another superlink runs in" in capfd.readouterr().err
    runs_of(deployment)  # the SuperLink still answers
