"""The last step: serve the model. A running server takes up a new promotion by itself, so it is started once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from base.toml import toml_entries
from featurestore.store import Store
from training.fit.config import TrainConfig
from training.fit.deploy_sections import ServeConfig
from training.lineage import file_hash

from .server_command import server_settings
from .server_control import start_server
from .server_files import ServerFolder, ServerState
from .step import Inputs, Made, Progress, digest
from .take_up import wait_until_served

SERVE: Final = "serve"
_OWN_SECTIONS: Final = ("online", "serving")
"""The sections of covey.toml that a server reads when it starts."""


@dataclass(frozen=True)
class ServeStep:
    """Start `covey serve` in the background. Its output is where it listens.

    Attributes:
        trust: serve models that may run code.
    """

    config: TrainConfig
    serve: ServeConfig
    trust: bool
    name = SERVE

    @property
    def folder(self) -> ServerFolder:
        """The files of the server."""
        return ServerFolder(self.config.store, self.config.name)

    def inputs(self) -> Inputs:
        """The command, what it reads when it starts, and the version of Covey; but no model."""
        try:
            entries: dict[str, Any] = toml_entries(self.config.store / "covey.toml")
        except FileNotFoundError:
            entries = {}
        own = {name: entries[name] for name in _OWN_SECTIONS if name in entries}
        command = server_settings(self.config, self.serve, trust=self.trust).command
        views = self.config.features.views
        code = {} if views is None else {"on-demand views": file_hash(views)}
        return {"[serve]": digest(command), "covey.toml": digest(own), **code, "covey": version("covey")}

    def lost(self, output: str) -> str | None:
        """Whether the server does not run."""
        state = ServerState.running(self.folder)
        return None if state is not None and state.address == output else "the server does not run"

    def wait(self) -> str | None:
        """Wait until the running server answers with the versions in force; returns a line for people. Raises VersionNotServed."""
        state = ServerState.running(self.folder)
        if state is None:
            return None
        with Store.open(self.config.store) as store:
            versions = store.in_force(self.config.name).versions
        return wait_until_served(state.address, self.config.name, versions)

    def run(self, progress: Progress) -> Made:
        """Start the server, or start it again, and wait until its models are ready. Raises ServeAddressTaken, ServerNotStarted."""
        progress(self.config.name, "start", 0, 1)
        settings = server_settings(self.config, self.serve, trust=self.trust)
        state = start_server(self.folder, settings)
        progress(self.config.name, "start", 1, 1)
        return Made(settings.address, f"process {state.pid}; log: {self.folder.logs}")
