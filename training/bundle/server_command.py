"""The command of a bundle's server."""

from __future__ import annotations

import sys

from base.tls.hosts import join_address
from training.fit.config import TrainConfig
from training.fit.deploy_sections import ServeConfig

from .server_files import ServerSettings


def server_settings(config: TrainConfig, serve: ServeConfig, *, trust: bool) -> ServerSettings:
    """`covey serve` with the bundle's model, and where it listens."""
    models = ",".join(dict.fromkeys((config.name, *serve.models)))
    words = ["--store", str(config.store.resolve()), "--models", models]
    words += ["--host", serve.host, "--port", str(serve.port), "--workers", str(serve.workers)]
    words += [] if serve.grpc_port is None else ["--grpc-port", str(serve.grpc_port)]
    words += [] if config.features.views is None else ["--views", str(config.features.views.resolve())]
    words += ["--trust"] if trust else []
    command = (sys.executable, "-P", "-m", "covey", "serve", *words)  # -P: do not import from the working directory
    return ServerSettings(command, join_address(serve.host, serve.port))
