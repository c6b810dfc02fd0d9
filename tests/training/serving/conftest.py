"""A store with two trained models, made once, and a running `covey serve --models` that tests of every protocol share."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.program import make_labels, make_store, write_config
from tests.waiting import wait_until

NETWORK_KEYS = dict.fromkeys(("epochs", "learning_rate"))
MLP = {"kind": "mlp", "hidden": [16], "epochs": 2}
MONOTONE = NETWORK_KEYS | {"kind": "monotone", "rising": ["traffic:flights"]}


@dataclass(frozen=True)
class ModelServer:
    """A running server. Its models `late` and `trees` take `dest` (ATL, LAX, SFO) and `distance`."""

    directory: Path
    process: subprocess.Popen[bytes]
    log: Path
    host: str
    port: int
    grpc_port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def grpc(self) -> str:
        return f"{self.host}:{self.grpc_port}"

    def wait_for(self, text: str) -> None:
        """Wait until the log has a text."""
        wait_until(lambda: text in self.log.read_text() or self.process.poll() is not None)
        assert text in self.log.read_text(), self.log.read_text()


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with `late` (mlp) and `trees` (monotone). Tests that change it copy it first."""
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    pytest.importorskip("sklearn", reason="the extra `train` is not installed")
    from training.fit.config import TrainConfig
    from training.fit.train import train

    directory = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        make_labels(directory, make_store(directory))
        train(TrainConfig.load(write_config(directory, model=MLP)))
        train(TrainConfig.load(write_config(directory, "trees.toml", **{"": {"name": "trees"}}, model=MONOTONE)))
    return directory


@pytest.fixture
def own_model_store(model_store: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(model_store, tmp_path / "models"))


@pytest.fixture(scope="session")
def model_server(model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """`covey serve --models all` on that store, which tests share and leave as it is."""
    with serving_models(model_store, tmp_path_factory.mktemp("serve") / "log", "late", "trees") as server:
        yield server


@contextmanager
def serving_models(
    directory: Path, log: Path, *ready: str, options: tuple[str, ...] = ("--models", "all")
) -> Iterator[ModelServer]:
    """A server on free ports, after the first version of each of these models is ready."""
    command = [sys.executable, "-m", "covey", "serve", "--store", str(directory), "--port", "0", "--grpc-port", "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen([*command, "--no-compile", *options], stdout=subprocess.DEVNULL, stderr=errors)
    try:
        wait_until(lambda: b"worker(s)" in log.read_bytes() or process.poll() is not None)
        found = dict(re.findall(r"(grpc|http)://127\.0\.0\.1:([0-9]+) ?", log.read_text()))
        assert process.poll() is None, log.read_text()
        server = ModelServer(directory, process, log, "127.0.0.1", int(found["http"]), int(found["grpc"]))
        for name in ready:
            server.wait_for(f"{name}@v1 is ready")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
