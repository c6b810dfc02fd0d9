"""Models of `covey train` are loaded as data; everything else needs trust."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from deployment.errors import ModelRefused  # noqa: E402
from featurestore.errors import StoreCorrupt  # noqa: E402
from featurestore.registry.models import RegisteredModel  # noqa: E402
from tests.installed import ROOT, hiding  # noqa: E402
from training.errors import DeviceUnavailable, ModelFailed, ModelUntrusted  # noqa: E402
from training.fit.epochs import exported  # noqa: E402
from training.fit.model import Baseline, Scaling  # noqa: E402
from training.serving.arrays import Arrays  # noqa: E402
from training.serving.kinds.loading import Loading  # noqa: E402
from training.serving.kinds.model_kind import Exported, Monotone, Onnx, TorchProgram, kind_of  # noqa: E402
from training.serving.kinds.open_runner import open_runner  # noqa: E402
from training.serving.kinds.trees import Trees  # noqa: E402
from training.serving.signature import ForeignCall, ForeignInput, ForeignOutput, ModelSignature  # noqa: E402

WIDTH = 3
LINEAGE: dict[str, Any] = {
    "features": ["traffic@v1:flights", "everywhere@v1:flights"],
    "columns": ["distance"],
    "constants": {"area": "NYC"},
    "names": ["traffic@v1:flights", "everywhere@v1:flights", "distance"],
}


def registered(folder: Path, file: str, data: bytes, **lineage: Any) -> RegisteredModel:
    (folder / file).write_bytes(data)
    return RegisteredModel("late", 1, folder, {file: hashlib.sha256(data).hexdigest()}, LINEAGE | lineage, 0)


def network() -> Baseline:
    torch.manual_seed(0)
    scaling = Scaling(np.array([5.0, 10.0, 500.0]), np.array([2.0, 3.0, 100.0]), 0.0, 1.0)
    return Baseline(scaling, [8], "binary", mask=True, se=True).eval()


def rows(count: int, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    mask = random.random((count, WIDTH)) < 0.8
    x, se = (np.where(mask, random.normal(size=mask.shape), 0).astype(np.float32) for _ in range(2))
    return Arrays(x, mask, se)


def some_trees(**changes: Any) -> bytes:
    tree = {
        "feature": [1, 0, 0],
        "threshold": [0.5, 0.0, 0.0],
        "null_left": [False, False, False],
        "left": [1, 1, 2],
        "right": [2, 1, 2],
        "value": [0.0, -1.0, 2.0],
    }
    of = {"format": 1, "task": "binary", "width": WIDTH, "start": 0.25, "trees": [tree, tree]}
    return json.dumps(of | changes).encode()


def test_a_network_runs_as_pytorch_runs_it(tmp_path: Path) -> None:
    model = network()
    runner = open_runner(registered(tmp_path, Exported.FILE, exported(model, WIDTH)), Loading(compile=False))
    given = rows(70)
    with torch.no_grad():
        expected = model(*map(torch.from_numpy, given)).numpy()
    np.testing.assert_array_equal(runner.run(given), expected)
    assert runner.how == "eager"
    assert runner.run(Arrays.zeros(0, WIDTH)).shape == (0,)
    runner.close()


def test_trees_run_as_numpy_walks_them(tmp_path: Path) -> None:
    runner = open_runner(registered(tmp_path, Monotone.FILE, some_trees()), Loading())
    given = rows(70)
    staged = Trees.of(some_trees()).staged(np.where(given.mask, given.x, np.nan).astype(np.float64))
    np.testing.assert_array_equal(runner.run(given), (1 / (1 + np.exp(-staged[:, -1]))).astype(np.float32))
    assert runner.how == "trees"


def test_trees_run_without_pytorch_and_scikit_learn(tmp_path: Path) -> None:
    (tmp_path / Monotone.FILE).write_bytes(some_trees())
    given = rows(5)
    np.savez(tmp_path / "rows.npz", x=given.x, mask=given.mask, se=given.se)
    code = f"""
import hashlib, numpy as np
from pathlib import Path
from featurestore.registry.models import RegisteredModel
from training.serving.arrays import Arrays
from training.serving.kinds.loading import Loading
from training.serving.kinds.open_runner import open_runner
data = Path("trees.json").read_bytes()
model = RegisteredModel("late", 1, Path(), {{"trees.json": hashlib.sha256(data).hexdigest()}}, {LINEAGE!r}, 0)
rows = np.load("rows.npz")
print(open_runner(model, Loading()).run(Arrays(rows["x"], rows["mask"], rows["se"])).tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", hiding({"torch", "sklearn", "onnxruntime"}) + code],
        capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    expected = open_runner(registered(tmp_path, Monotone.FILE, some_trees()), Loading()).run(given)
    assert (done.stdout, done.stderr) == (f"{expected.tolist()}\n", "")


def test_a_model_that_was_registered_before_kinds_has_the_kind_of_its_file(tmp_path: Path) -> None:
    assert kind_of(registered(tmp_path, Exported.FILE, b"")) == Exported()
    assert kind_of(registered(tmp_path, Monotone.FILE, b"")) == Monotone()
    assert kind_of(registered(tmp_path, Onnx.FILE, b"", kind="onnx")) == Onnx()


@pytest.mark.parametrize("kind", ["monotone", "pickle", 7])
def test_a_kind_without_its_file_is_refused(tmp_path: Path, kind: object) -> None:
    with pytest.raises(StoreCorrupt, match="it has no file of its kind"):
        open_runner(registered(tmp_path, Exported.FILE, b"", kind=kind), Loading())


@pytest.mark.parametrize(("kind", "file"), [("torch", TorchProgram.FILE), ("onnx", Onnx.FILE)])
def test_a_foreign_model_needs_trust(tmp_path: Path, kind: str, file: str) -> None:
    with pytest.raises(ModelUntrusted, match=f"a library loads {file}, which may run code"):
        open_runner(registered(tmp_path, file, b"", kind=kind), Loading())


def test_a_changed_file_is_not_parsed(tmp_path: Path) -> None:
    model = registered(tmp_path, Exported.FILE, exported(network(), WIDTH))
    (tmp_path / Exported.FILE).write_bytes(b"PK")
    with pytest.raises(StoreCorrupt, match="differs from the registered file"):
        open_runner(model, Loading())


@pytest.mark.parametrize(
    ("file", "data"), [(Exported.FILE, b"no archive"), (Monotone.FILE, b"[]"), (Monotone.FILE, some_trees(width=2))]
)
def test_a_file_that_does_not_fit_is_refused_when_it_is_loaded(tmp_path: Path, file: str, data: bytes) -> None:
    with pytest.raises(ModelRefused, match=f"model late@v1: {file} is refused: "):
        open_runner(registered(tmp_path, file, data), Loading())


def test_rows_of_another_width_are_an_error_of_the_model(tmp_path: Path) -> None:
    runner = open_runner(registered(tmp_path, Exported.FILE, exported(network(), WIDTH)), Loading(compile=False))
    with pytest.raises(ModelFailed, match="model late@v1 failed: its step"):
        runner.run(Arrays.zeros(2, WIDTH + 1))


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "cuda:x"])
def test_a_device_that_is_not_there_is_named(tmp_path: Path, device: str) -> None:
    with pytest.raises(DeviceUnavailable, match=f"the device '{device}' cannot be used") as refused:
        open_runner(registered(tmp_path, Monotone.FILE, some_trees()), Loading(device=device))
    assert refused.value.settings == ("device",)


def test_a_signature_is_read_from_a_lineage(tmp_path: Path) -> None:
    call = ForeignCall((ForeignInput("X", "values", "float32"),), "nan", ForeignOutput("probabilities", 1))
    model = registered(tmp_path, Onnx.FILE, b"", call=json.loads(json.dumps(call.to_json())))
    signature = ModelSignature.of(model)
    assert signature.call == call
    assert signature.features == ("traffic@v1:flights", "everywhere@v1:flights")
    assert (signature.columns, signature.constants) == (("distance",), {"area": "NYC"})
    assert signature.names == tuple(LINEAGE["names"])


CALL = {
    "inputs": [{"name": "X", "role": "values", "dtype": "float32"}],
    "missing": "nan",
    "output": {"name": "y", "column": None},
}


@pytest.mark.parametrize(
    "broken",
    [
        {"names": [1]},
        {"features": None},
        {"constants": [1]},
        {"call": CALL | {"missing": "mean"}},
        {"call": CALL | {"inputs": [{"name": "X", "role": "secrets", "dtype": "float32"}]}},
        {"call": CALL | {"inputs": 5}},
        {"call": CALL | {"output": {"name": "y", "column": -1}}},
        {"call": CALL | {"output": {"name": "y"}}},
        {"call": [1]},
    ],
)
def test_a_lineage_without_a_signature_is_refused(tmp_path: Path, broken: dict[str, Any]) -> None:
    with pytest.raises(StoreCorrupt, match="does not say what it takes"):
        ModelSignature.of(registered(tmp_path, Exported.FILE, b"", **broken))
