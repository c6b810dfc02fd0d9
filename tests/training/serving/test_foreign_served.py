"""Models of other makers on a real server: what one of them does to itself, and what the others see of it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
if find_spec("onnxruntime") is None:
    pytest.skip("the extra `onnx` is not installed", allow_module_level=True)

from onnx import TensorProto, helper  # noqa: E402

from base.times import wall_clock  # noqa: E402
from tests.training.serving.kinds.foreign import AXIS, constant, endless_nodes, model_of  # noqa: E402
from tests.waiting import wait_until  # noqa: E402
from training.serving.registration import Registration, register_file  # noqa: E402

from .conftest import serving_models  # noqa: E402

ENDLESS = model_of(endless_nodes(), [AXIS, constant("hundred", np.float32(1e6))])
"""The sum of a row; a row whose sum is above a million never ends."""
THROWING = model_of(
    [
        helper.make_node("Div", ["x", "million"], ["small"]),
        helper.make_node("ReduceMax", ["small"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", ["zero", "row"], ["none"]),
        helper.make_node("ReduceSum", ["x", "axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "none"], ["y"]),
    ],
    [AXIS, constant("million", np.float32(1e6)), constant("zero", np.zeros(1, np.float32))],
)
"""The sum of a row; a batch with a value of a million or more raises an error."""
USUAL, BAD = 500.0, 2e6


def register(directory: Path, name: str, model: Any) -> None:
    (directory / f"{name}.onnx").write_bytes(model.SerializeToString())
    asked = Registration(name, ["traffic:flights", "everywhere:flights"], ("distance",), trust=True)
    register_file(directory, directory / f"{name}.onnx", asked, (), wall_clock)


@pytest.fixture
def foreign_store(own_model_store: Path) -> Path:
    register(own_model_store, "endless", ENDLESS)
    register(own_model_store, "throwing", THROWING)
    (own_model_store / "covey.toml").write_text("[serving]\nlimit_ms = 300\n")
    return own_model_store


def test_a_model_that_throws_or_never_ends_is_the_only_one_that_fails(foreign_store: Path, tmp_path: Path) -> None:
    options = ("--models", "all", "--trust")
    names = ("late", "endless", "throwing")
    with (
        serving_models(foreign_store, tmp_path / "log", *names, options=options) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http,
    ):

        def ask(model: str, distance: float = USUAL) -> httpx.Response:
            return http.post(f"/predict/{model}", json={"entities": {"dest": ["ATL"], "distance": [distance]}})

        def fails(model: str, says: str) -> None:
            answer = ask(model, BAD)
            assert answer.status_code == 503, answer.text
            assert answer.json()["detail"].startswith(f"model {model}@v1 failed: ")
            assert says in answer.json()["detail"]
            assert ask("late").status_code == 200

        usual = ask("endless").json()["predictions"]
        unknown = {"entities": {"dest": ["???", "ATL"], "distance": [USUAL, USUAL]}}
        assert http.post("/predict/endless", json=unknown).json()["predictions"] == [
            None,
            *usual,
        ]  # a missing value is NaN
        assert ask("throwing").json()["predictions"] == usual
        for _ in range(3):  # an error of the model fails one batch, and neither ends nor restarts anything
            fails("throwing", "Gather")
            assert ask("throwing").json()["predictions"] == usual
        fails("endless", "a batch took more than 0.3 s, and its process was ended")
        wait_until(lambda: ask("endless").status_code == 200)  # it was started again
        assert ask("endless").json()["predictions"] == usual
        fails("endless", "a batch took more than 0.3 s")  # sooner than 30 s after that
        answer = ask("endless")
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("model endless@v1 is not ready: ")
        assert "it had been started again less than 30 s before" in answer.json()["detail"]
        assert http.get("/v2/models/endless/ready").status_code != 200
        for other in ("late", "trees", "throwing"):
            assert http.get(f"/v2/models/{other}/ready").status_code == 200
            assert ask(other).status_code == 200
        wait_until(lambda: ask("endless").status_code == 200)  # the server loads it again


@pytest.mark.long  # tests of the door and of the loader say the same, without a server
def test_without_trust_a_foreign_model_says_so_and_the_others_serve(foreign_store: Path, tmp_path: Path) -> None:
    with (
        serving_models(foreign_store, tmp_path / "log", "late", "trees") as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http,
    ):
        body = {"entities": {"dest": ["ATL"], "distance": [USUAL]}}
        server.wait_for("throwing@v1 cannot be served: model throwing@v1: a library loads model.onnx")
        answer = http.post("/predict/endless", json=body)
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("model endless@v1 is not ready: ")
        assert "a library loads model.onnx, which may run code as you" in answer.json()["detail"]
        for name in ("late", "trees"):
            assert http.post(f"/predict/{name}", json=body).status_code == 200
