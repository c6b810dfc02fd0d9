"""`covey start superlink`: Flower's unmodified SuperLink, with one entry for sites and one for the coordinator.

    sites ──TLS, certificate pinned──► /v1/fleet, nodes with a registered key only ─┐
    coordinator ──Unix socket, 0600──► /v1/control, /v1/runtime ────────────────────┴─► Flower's FastAPI application

Flower serves all three APIs on one port, and a client of Control or Runtime can start its own app. Here one process serves
the same application twice. The port for sites passes on `/v1/fleet` only. The other APIs are on a socket in
`roles/superlink/`, which only the user who started the SuperLink can open. The coordinator runs as that user.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn

from base.metrics import Role
from base.times import from_us, wall_clock
from base.tls.certificate import Certificate
from base.tls.contexts import server_context
from base.tls.files import certificate_path
from base.tls.hosts import LOOPBACK, UNSPECIFIED, plain_hosts
from base.tls.links import Tls
from base.tls.roles import TlsRole
from deployment.coordinator.grid import SOCKET, short_path
from deployment.errors import UsageError
from deployment.monitor.monitor import monitored
from deployment.monitor.superlink import SuperLinkState
from deployment.project.certificates import make_certificates
from deployment.project.folders import KEYS
from deployment.project.network import Listening
from deployment.project.project import FILE, Project
from featurestore.server.connections import SURPLUS, Connections
from featurestore.server.http_connection import protocol_of
from featurestore.server.listen import address_of, open_socket

from .held_pulls import App, HeldPulls, Pushes, Receive, SeesPushes, Send
from .node_admission import NodeAdmission, nodes_of
from .role_lock import alone

FLEET: Final = "/v1/fleet/"
MAX_BODY_BYTES: Final = 32 * 2**20
"""The most bytes of a request. Batches travel in pieces of 5 MiB; the longest other message names 100,000 batches."""
MOST_CONNECTIONS: Final = 400
"""The most connections of sites, which have one or two each, unless there are more sites. As many more get a refusal, within the
usual 1,024 open files."""
GRACE_S: Final = 5
KEPT_S: Final = 15
"""How long a site's connection may be unused: longer than a site waits between two heartbeats."""
LOOK_S: Final = 1.0
"""How often the SuperLink checks whether covey.toml has changed."""

_log = logging.getLogger(__name__)


def superlink_folder(project: Path) -> Path:
    """The folder of the SuperLink's socket."""
    return project / "roles" / "superlink"


class FleetOnly:
    """Limits an application to the Fleet API, and to requests of bounded size."""

    def __init__(self, app: App, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._app, self._most = app, max_body_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before its body is read."""
        if not scope["path"].startswith(FLEET):
            await _refuse(send, 404, b"only the Fleet API is served here")
            return
        if SURPLUS in scope:
            await _refuse(send, 503, f"there are {scope[SURPLUS]:,} open connections, the limit".encode())
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if not length.isdigit():  # no length, or a body in chunks, whose length is unknown
            await _refuse(send, 411, b"a Content-Length is needed")
        elif len(length) > len(str(self._most)) or int(length) > self._most:
            await _refuse(send, 413, f"at most {self._most:,} bytes".encode())
        else:
            # Flower decides from the whole URL whether it authenticates a call, so the caller must not choose any part of the URL.
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"host"]
            await self._app(scope, receive, send)


def serve_superlink(directory: Path, listening: Listening, names: list[str]) -> None:
    """Run the SuperLink of a project until SIGTERM or SIGINT. It makes a certificate if the project has none.

    Args:
        names: further host names by which sites reach the SuperLink.

    Raises:
        UsageError: no site of the roster has a node key, the certificate names other hosts, or another SuperLink runs in the
            project. CertificateExpired and other errors of certificates. AddressUnavailable. ProjectMissing.
    """
    project = Project.load(directory)
    nodes, (host, port) = nodes_of(project, wall_clock()), listening.at(project.network, "superlink")
    if not nodes:
        raise UsageError(
            f"{directory / FILE}: no [[site]] has a node key, so no site could connect; add `node` to each [[site]]"
        )
    tls = Tls(TlsRole.SUPERLINK, directory / KEYS)
    certificate = _certificate(tls, host, names)
    context = server_context(tls, from_us(wall_clock()))
    folder = superlink_folder(directory)
    with alone(directory, TlsRole.SUPERLINK), short_path(folder) as short, open_socket(host, port) as outside:
        app = _flower_app(folder)
        pushes = Pushes()
        inner = _server(SeesPushes(app, pushes), lifespan="on")
        sites = Connections(max(MOST_CONNECTIONS, 2 * len(nodes)))
        outer = _server(
            FleetOnly(HeldPulls(app, pushes)),
            lifespan="off",
            http=protocol_of(sites, context),
            timeout_keep_alive=KEPT_S,
        )
        with _private_socket(short / SOCKET) as inside:
            admission = NodeAdmission(directory, folder, nodes)
            state = SuperLinkState(directory, admission)

            def ready() -> None:
                admission.begin()
                state.ready = True
                _log.info("listens on %s for %d site(s)", address_of(outside), len(nodes))
                _log.info(
                    "sites verify %s (until %s) by its authority; the coordinator connects by %s",
                    *(certificate.what, f"{certificate.until:%Y-%m-%d}", folder / SOCKET),
                )

            loop = inner.config.get_loop_factory()
            with (
                monitored(listening.monitor, Role.SUPERLINK, directory, state),
                asyncio.Runner(loop_factory=loop) as runner,
            ):
                runner.run(_serve((inner, inside), (outer, outside), ready, admission.take_up_edit, pushes.close))


def _certificate(tls: Tls, host: str, names: list[str]) -> Certificate:
    """The SuperLink's certificate, which names the hosts that sites connect to; made if there is none."""
    hosts = [*names, *([host] if host not in UNSPECIFIED else [])]
    now = from_us(wall_clock())
    if not certificate_path(tls.keys, tls.role).exists():
        make_certificates(tls.keys, (tls.role,), hosts, now)
    own = tls.require_usable(now)
    try:
        missing = [name for name in plain_hosts(hosts) if name not in own.certificate.hosts]
    except ValueError as error:
        raise UsageError(str(error), settings=("name",)) from None
    if not hosts and set(own.certificate.hosts) <= set(LOOPBACK):
        raise UsageError(
            f"{host} stands for every address of this machine; name the host that sites connect to", settings=("name",)
        )
    if missing:
        raise UsageError(
            f"{own.path} does not name {', '.join(missing)}, so no site accepts it there; it can be renewed with it",
            settings=("renew", "name"),
        )
    return own.certificate


def _flower_app(folder: Path) -> App:
    """Flower's own application. It starts no process: only the coordinator can take its tasks."""
    os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_HOME": str(folder / "flower")}
    from flwr.common.constant import ISOLATION_MODE_PROCESS, TRANSPORT_TYPE_GRPC_RERE
    from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME
    from flwr.superlink.auth_plugin import NoOpControlAuthnPlugin
    from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
    from flwr.superlink.config_loader import SuperLinkLifespanConfig
    from flwr.superlink.main import create_app

    config = SuperLinkLifespanConfig(
        control_address="",
        health_server_address=None,
        host="",
        port=0,
        insecure=True,
        certificates=None,
        superexec_auth_secret=None,
        authn_plugin=NoOpControlAuthnPlugin(),
        event_log_plugin=None,
        fleet_event_log_plugin=None,
        enable_event_log=False,
        artifact_provider=None,
        enable_supernode_auth=True,
        fleet_api_type=TRANSPORT_TYPE_GRPC_RERE,
        fleet_api_address=None,
        simulation=False,
        ssl_ca_certfile=None,
        ssl_certfile=None,
        ssl_keyfile=None,
        database=FLWR_IN_MEMORY_DB_NAME,
        isolation=ISOLATION_MODE_PROCESS,
        runtime_dependency_install=False,
    )
    logging.getLogger("flwr").setLevel(logging.WARNING)
    app: App = create_app(config, SuperLinkLifespan)
    return app


@contextmanager
def _private_socket(path: Path) -> Iterator[socket.socket]:
    """A listening Unix socket of mode 0600, in a folder that no other user can enter."""
    path.unlink(missing_ok=True)  # left by a SuperLink that was killed
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(path))
        path.chmod(0o600)
        made.listen(128)
        try:
            yield made
        finally:
            path.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    """A server that `_serve` stops."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


def _server(app: App, **options: Any) -> _Server:
    config = uvicorn.Config(
        app,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        **options,
    )
    return _Server(config)


async def _serve(
    inner: tuple[_Server, socket.socket],
    outer: tuple[_Server, socket.socket],
    ready: Callable[[], None],
    look: Callable[[], None],
    stopping: Callable[[], None],
) -> None:
    """Serve the coordinator, register the sites' nodes, then serve the sites, until a signal ends both servers.

    Args:
        look: called every `LOOK_S` seconds.
        stopping: called when the servers begin to stop.
    """
    servers = inner[0], outer[0]

    def stop() -> None:
        stopping()
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(inner[0].serve([inner[1]]))
        while not inner[0].started and not first.done():
            await asyncio.sleep(0.01)
        try:
            await asyncio.to_thread(ready)
            looking = group.create_task(_repeat(look))
            await outer[0].serve([outer[1]])
            looking.cancel()
        finally:
            stop()


async def _repeat(look: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        await asyncio.to_thread(look)


async def _refuse(send: Send, status: int, why: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(why)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": why})
