"""The whole way, with the real server."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from base.ports import free_port
from tests.training.bundle.test_deploy import QUICK, fewer_labels
from tests.training.program import make_labels, make_store, write_config
from tests.waiting import wait_until
from training.bundle.server_files import ServerFolder, ServerState

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration with a server, which is stopped afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_labels(tmp_path, make_store(tmp_path))
    path = write_config(tmp_path, model=QUICK, serve={"port": free_port()})
    yield path
    covey("deploy", path, "--stop")


def outcomes(covey: Covey, config: Path) -> dict[str, str]:
    code, out, err = covey("deploy", config, "--json")
    assert code == 0, err
    return {one["step"]: one["did"] for one in json.loads(out)["steps"]}


def state_of(config: Path) -> ServerState:
    state = ServerState.running(ServerFolder(config.parent, "late"))
    assert state is not None
    return state


def answered(config: Path, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://{state_of(config).address}{path}", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.long  # each start takes seconds; the test of the page always starts a server
def test_a_deployed_model_is_served_and_a_promotion_needs_no_restart(covey: Covey, config: Path) -> None:
    assert outcomes(covey, config)["serve"] == "run"
    first = state_of(config)
    assert first.is_ready
    assert answered(config, "/v2/models/late/versions/1/ready") == 200
    assert {*outcomes(covey, config).values()} == {"skip", "left_out"}
    fewer_labels(config.parent)
    after = outcomes(covey, config)
    assert (after["promote"], after["serve"]) == ("run", "skip")
    assert answered(config, "/v2/models/late/versions/2/ready") == 200
    assert state_of(config) == first


@pytest.mark.long
def test_the_server_is_started_again_for_what_it_read_when_it_started(covey: Covey, config: Path) -> None:
    outcomes(covey, config)
    first = state_of(config)
    (config.parent / "covey.toml").write_text("[serving]\nmax_batch = 32\n")
    assert outcomes(covey, config) == {
        "collect": "left_out", "train": "skip", "register": "skip", "promote": "skip", "serve": "run",
    }  # fmt: skip
    assert not first.supervisor.runs
    os.kill(state_of(config).supervisor.pid, signal.SIGKILL)
    wait_until(lambda: ServerState.running(ServerFolder(config.parent, "late")) is None)
    assert outcomes(covey, config)["serve"] == "run"
    assert covey("deploy", config, "--stop")[0] == 0
    assert outcomes(covey, config)["serve"] == "run"
