"""The coordinator's client of Flower's SuperLink: it starts a run, and this process pushes and pulls the run's messages.

The SuperLink's Control and Runtime API listen on a Unix socket in its project, which only the coordinator's own user can
open. A Flower run needs an app. The app submitted here contains no code and is never started: this process takes the run's
only task itself.
"""

from __future__ import annotations

import hashlib
import socket
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

import httpx
from flwr.app import Message
from flwr.common.constant import HEARTBEAT_CALL_TIMEOUT
from flwr.common.serde import run_from_proto
from flwr.proto.control_pb2 import RegisterNodeRequest, StartRunRequest
from flwr.proto.fab_pb2 import Fab
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
from flwr.proto.runtime_pb2 import (
    AcquireTaskRequest,
    PullAppMessagesRequest,
    PullTaskInputRequest,
    PushTaskOutputRequest,
    SendTaskHeartbeatRequest,
)
from flwr.supercore.constant import TaskType
from flwr.supercore.control.control_http_client import ControlHttpClient
from flwr.supercore.heartbeat import HeartbeatSender
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor, RuntimeVersionHttpInterceptor
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid import HttpGrid

from aggregator.errors import RunLost, SuperLinkUnusable

from .replies import ArrivingReplies

SOCKET: Final = "control"
"""The socket's name, in a folder of mode 0700."""
SECONDS: Final = 60.0
"""The timeout of one call."""
_COMPONENT: Final = "flwr-serverapp"
_BASE: Final = "http://superlink"
_NO_APP: Final = """
[project]
name = "covey-collection"
version = "1.0.0"
description = "No code: the coordinator is a process of its own."
license = "Apache-2.0"

[tool.flwr.app]
publisher = "covey"

[tool.flwr.app.components]
serverapp = "nothing:nothing"
clientapp = "nothing:nothing"
"""


@contextmanager
def short_path(folder: Path) -> Iterator[Path]:
    """A short path of a folder: a socket's path may have about a hundred bytes, and a project's path may be longer."""
    with tempfile.TemporaryDirectory(prefix="covey-") as parent:
        link = Path(parent) / "s"
        link.symlink_to(folder.absolute())
        yield link


@contextmanager
def grid_of(folder: Path) -> Iterator[RunGrid]:
    """Start a run on the SuperLink whose socket is in `folder`, and give access to its nodes until the block ends.

    Raises:
        SuperLinkUnusable: the SuperLink does not listen, belongs to another user, or has stopped. RunLost: it ended the run.
    """
    with short_path(folder) as short:
        path = short / SOCKET
        with _calls(folder):
            _require_listening(path, folder)
            run_id, token = _start_run(path, _app())
        with (
            calls_of_a_run(),
            _runtime(path, token, SECONDS) as client,
            _runtime(path, token, HEARTBEAT_CALL_TIMEOUT) as beating,
        ):
            heart = HeartbeatSender(lambda: _is_alive(beating))
            try:
                grid = RunGrid(client, token)
                task_input = client.PullTaskInput(PullTaskInputRequest())
                TaskIdentity.task_id, TaskIdentity.run_id = task_input.task_id, run_id
                TaskIdentity.node_id = task_input.context.node_id
                grid.set_run(run_from_proto(task_input.run))
                heart.start()
                yield grid
            finally:
                if heart.is_running:
                    heart.stop()
                _finish(client)


def register_nodes(folder: Path, keys: list[bytes]) -> None:
    """Register the nodes with these public keys (EC, PEM), the only ones that may connect. Run by the started SuperLink."""
    with _calls(folder), short_path(folder) as short:
        control = _Control(_BASE)
        control.reach(short / SOCKET)
        try:
            for key in keys:
                control.RegisterNode(RegisterNodeRequest(public_key=key))
        finally:
            control.close()


class _OverSocket:
    """Connects a Flower client through a Unix socket."""

    _client: httpx.Client

    def reach(self, path: Path, seconds: float = SECONDS) -> None:
        self._client.close()
        self._client = httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=seconds)


class _Control(_OverSocket, ControlHttpClient):  # type: ignore[misc]  # flwr has no types
    """Flower's client of the Control API."""


class _Runtime(_OverSocket, RuntimeHttpClient):  # type: ignore[misc]  # flwr has no types
    """Flower's client of the Runtime API, without retries: a lost run is repeated as a whole."""


class RunGrid(HttpGrid):  # type: ignore[misc]  # flwr has no types
    """Flower's Grid over a connected client."""

    def __init__(self, client: _Runtime, token: str) -> None:
        super().__init__(token=token)
        self._client = client
        self._replies: ArrivingReplies | None = None

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that have arrived completely. Unlike Flower's own, it waits for no reply that has only begun."""
        run_id, client = self.run.run_id, self._client
        if self._replies is None:

            def confirm(message_id: str) -> None:
                request = ConfirmMessageReceivedRequest(node=self.node, run_id=run_id, message_object_id=message_id)
                client.ConfirmMessageReceived(request)

            pull = make_pull_object_fn_protobuf(client.PullObject, self.node, run_id)
            self._replies = ArrivingReplies(pull, confirm, time.monotonic)
        if ids := self._replies.not_begun(message_ids):
            found = client.PullMessages(PullAppMessagesRequest(message_ids=ids))
            for envelope, tree in zip(found.messages_list, found.message_object_trees, strict=True):
                self._replies.begin(envelope, tree)
        return list(self._replies.take())

    def confirm(self) -> None:
        """Confirm the replies that were pulled, so that the SuperLink need not keep them."""
        if self._replies is not None:
            self._replies.confirm()


def _runtime(path: Path, token: str, seconds: float) -> _Runtime:
    """A client for a run's calls, which take so many seconds at most."""
    client = _Runtime(
        _BASE, interceptors=[RuntimeVersionHttpInterceptor(_COMPONENT), RuntimeTokenHttpInterceptor(token)]
    )
    client.reach(path, seconds)
    return client


def _start_run(path: Path, app: bytes) -> tuple[int, str]:
    """A new run's id, and the token of its task."""
    control, runtime = _Control(_BASE), _Runtime(_BASE, interceptors=[RuntimeVersionHttpInterceptor(_COMPONENT)])
    control.reach(path)
    runtime.reach(path)
    try:
        fab = Fab(hash_str=hashlib.sha256(app).hexdigest(), content=app)
        run_id = control.StartRun(StartRunRequest(fab=fab)).run_id
        while True:  # skip the tasks of older runs, whose coordinator died before it took them
            taken = runtime.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP]))
            if not taken.token:
                raise SuperLinkUnusable("the SuperLink gave no task for the new run; start the coordinator again")
            if taken.task.run_id == run_id:
                return run_id, taken.token
    finally:
        control.close()
        runtime.close()


def _app() -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("pyproject.toml"), _NO_APP)
    return packed.getvalue()


def _is_alive(client: _Runtime) -> bool:
    """Send the run's heartbeat. Flower's own heartbeat is not used, because it interrupts the process on a refusal."""
    try:
        return bool(client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success)
    except httpx.HTTPError:
        return False


def _finish(client: _Runtime) -> None:
    """End the run. If this fails, the SuperLink ends the run when it receives no heartbeat."""
    try:
        client.PushTaskOutput(PushTaskOutputRequest(sub_status="completed"))
    except httpx.HTTPError:
        return


def _require_listening(path: Path, folder: Path) -> None:
    """Return if the SuperLink listens. Raises SuperLinkUnusable, with the mend."""
    start = f"`covey start superlink` of the project {folder.parent.parent}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(path))
    except PermissionError:
        raise SuperLinkUnusable(
            f"the SuperLink in {folder} belongs to another user; run the coordinator as the user who ran {start}"
        ) from None
    except OSError:
        raise SuperLinkUnusable(f"no SuperLink listens in {folder}; first run {start}, on this machine") from None


@contextmanager
def _calls(folder: Path) -> Iterator[None]:
    """Turn an error of the connection into SuperLinkUnusable."""
    try:
        yield
    except httpx.HTTPError as error:
        raise SuperLinkUnusable(f"the SuperLink in {folder} cannot be used: {_why(error)}") from None


@contextmanager
def calls_of_a_run() -> Iterator[None]:
    """Turn an error of the connection into RunLost."""
    try:
        yield
    except httpx.HTTPError as error:
        raise RunLost(_why(error)) from None


def _why(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answers {error.response.status_code} to {error.request.url.path}"
    return str(error) or type(error).__name__
