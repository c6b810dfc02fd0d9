"""The commands and the script of docs/open-inference.md work as written, and its tables name what the code has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from featurestore.read.messages import MAX_ROWS
from featurestore.server.request import MAX_BODY
from tests.training.serving.conftest import ModelServer
from training.serving.oip.infer_request import OUTPUTS, PARAMETERS
from training.serving.oip.openapi import PATHS
from training.serving.oip.stream_order import MAX_AHEAD, MAX_BYTES, MAX_UNREAD
from training.serving.oip.tensors import MAX_TENSORS

PAGE = (Path(__file__).parents[4] / "docs" / "open-inference.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_its_commands_answer_as_it_shows(model_server: ModelServer) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = block("sh").replace("localhost:6566", f"localhost:{model_server.port}")
    metadata, answer = subprocess.run(
        ["sh", "-c", script.replace("\ncurl", "\necho; curl")], capture_output=True, check=True
    ).stdout.split(b"\n")
    assert [one["name"] for one in json.loads(metadata)["inputs"]][:2] == ["dest", "distance"]
    shown, found = json.loads(block("json")), json.loads(answer)
    assert found.keys() == shown.keys()
    assert found["outputs"][0].keys() == shown["outputs"][0].keys()
    assert found["outputs"][0]["shape"] == [2]


def test_its_script_runs(model_server: ModelServer) -> None:
    pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (extra: dev)")
    script = block("python").replace("localhost:6566", f"localhost:{model_server.port}")
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=300)
    assert "[b'OK', b'OK', b'']" in found.stdout


def test_its_tables_name_all_outputs_parameters_and_routes() -> None:
    named = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))
    assert named >= {*OUTPUTS, *PARAMETERS}
    shown = {one.removeprefix("GET ").removeprefix("POST ") for one in named}
    for path in PATHS:
        of_model = re.sub(r"/v2/models/{name}(/versions/{version})?", "…", path)
        assert {
            path,
            of_model,
            of_model.replace("…", "/v2/models/NAME[/versions/N]"),
        } & shown or "/repository/models/" in path


def test_its_limits_are_those_of_the_code() -> None:
    assert f"at most {MAX_BODY // 2**20} MiB" in PAGE
    assert f"at most {MAX_ROWS:,} rows, {MAX_TENSORS:,} inputs and {MAX_TENSORS:,} outputs" in PAGE
    assert f"most {MAX_AHEAD} requests and {MAX_BYTES // 2**20} MiB" in PAGE
    assert f"{MAX_UNREAD // 2**20} MiB of answers" in PAGE
