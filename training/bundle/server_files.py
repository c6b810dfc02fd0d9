"""The private folder of a bundle's server: what it runs, its state, its lock and its logs.

roles/deploy/NAME/server.json     the command and the address, written by `covey deploy`
roles/deploy/NAME/state.json      the supervisor and the server's process, written by the supervisor
roles/deploy/NAME/logs/           server.log of the server, deploy.log of the supervisor
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from base.atomic_files import replace_file
from base.private_files import private_folder
from deployment.errors import DeploymentStateBroken
from deployment.local.processes import Processes
from deployment.local.supervision.identity import ProcessIdentity

SERVER: Final = "server"
SUPERVISOR: Final = "deploy"
_SETTINGS: Final = "server.json"
_STATE: Final = "state.json"


@dataclass(frozen=True)
class ServerFolder:
    """The folder of the server of a bundle.

    Attributes:
        directory: the directory of the store.
        name: of the bundle.
    """

    directory: Path
    name: str

    @property
    def path(self) -> Path:
        """The folder."""
        return self.directory.resolve() / "roles" / "deploy" / self.name

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.path / "logs"

    def processes(self) -> Processes:
        """The server's processes. Their mark is the folder's, so that a later process finds those that were left."""
        mark = hashlib.sha256(str(private_folder(self.path)).encode()).hexdigest()[:32]
        return Processes(self.logs, mark=mark, keeps_logs=True)


@dataclass(frozen=True)
class ServerSettings:
    """What the supervisor runs.

    Attributes:
        address: `host:port` where it listens.
    """

    command: tuple[str, ...]
    address: str

    def save(self, folder: ServerFolder) -> None:
        """Write it for the supervisor."""
        replace_file(private_folder(folder.path) / _SETTINGS, json.dumps(asdict(self)), private=True)

    @classmethod
    def load(cls, folder: ServerFolder) -> Self:
        """Read what `save` wrote. Raises DeploymentStateBroken."""
        path = folder.path / _SETTINGS
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(map(str, read["command"])), str(read["address"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeploymentStateBroken(str(path), str(error)) from None


@dataclass(frozen=True)
class ServerState:
    """A supervised server.

    Attributes:
        pid: of the server's process; None: it is not running now.
        waits_for: what the running server waits for; None: it is ready, or not running.
        why: how the last process ended, while no other one runs.
        restarts: how often it was started again.
    """

    supervisor: ProcessIdentity
    address: str
    pid: int | None
    waits_for: str | None
    why: str | None
    restarts: int

    @property
    def is_ready(self) -> bool:
        """Whether it answers, with all its models."""
        return self.pid is not None and self.waits_for is None

    def save(self, folder: ServerFolder) -> None:
        """Write it for `covey deploy`. Raises OSError."""
        replace_file(folder.path / _STATE, json.dumps(asdict(self)), private=True, durable=False)

    @classmethod
    def running(cls, folder: ServerFolder) -> Self | None:
        """The state of the server that is supervised now; None: none is, whatever file an earlier one left."""
        try:
            read = json.loads((folder.path / _STATE).read_text(encoding="utf-8"))
            state = cls(**read | {"supervisor": ProcessIdentity(**read["supervisor"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return state if state.supervisor.runs else None
