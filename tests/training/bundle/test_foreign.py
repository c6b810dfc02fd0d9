"""A running version that Covey did not train: it is compared, and scores files, if it is trusted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
if find_spec("onnxruntime") is None:
    pytest.skip("the extra `onnx` is not installed", allow_module_level=True)

from onnx import helper  # noqa: E402

from base.times import wall_clock  # noqa: E402
from tests.training.bundle.test_deploy import QUICK  # noqa: E402
from tests.training.program import make_labels, make_store, write_config  # noqa: E402
from tests.training.serving.kinds.foreign import AXIS, constant, model_of  # noqa: E402
from training.bundle.deploy import Watch, deploy  # noqa: E402
from training.fit.config import TrainConfig  # noqa: E402
from training.serving.registration import Registration, register_file  # noqa: E402

Covey = Callable[..., tuple[int, str, str]]

MEAN = model_of(
    [
        helper.make_node("ReduceSum", ["x", "axis"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "small"], ["y"]),
    ],
    [AXIS, constant("small", np.float32(1e-4))],
)
"""A small multiple of the sum of a row, between 0 and 1."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store whose model `late` is the one above."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_labels(tmp_path, make_store(tmp_path))
    (tmp_path / "mean.onnx").write_bytes(MEAN.SerializeToString())
    asked = Registration("late", ["traffic:flights", "everywhere:flights"], ("distance",), trust=True)
    register_file(tmp_path, tmp_path / "mean.onnx", asked, (), wall_clock)
    return tmp_path


def decision(project: Path, *, trust: bool) -> Any:
    config = TrainConfig.load(write_config(project, model=QUICK))
    return deploy(config, Watch(), trust=trust)[3].said


def test_it_is_compared_if_it_is_trusted_and_else_it_stays(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "other")
    kept = decision(project, trust=False)
    assert kept.startswith(
        "late@v1 stays in force. late@v2: late@v1 cannot be tested on these rows: model late@v1: a library"
    )
    assert decision(tmp_path / "other", trust=True).startswith("late@v2 replaces late@v1: auc 0.")


def test_it_scores_a_file_if_it_is_trusted(covey: Covey, project: Path) -> None:
    out = project / "scored.parquet"
    words = [
        "predict",
        "late",
        "--labels",
        project / "labels.parquet",
        "--time",
        "at",
        "--store",
        project,
        "--out",
        out,
    ]
    code, _, err = covey(*words)
    assert code == 4
    assert "model.onnx, which may run code as you" in err
    assert not out.exists()
    code, _, err = covey(*words, "--trust")
    assert code == 0, err
    table = pq.read_table(out)
    assert table.num_rows == 3000
    rest = np.asarray(table["prediction"]) * 1e4 - table["distance"].to_numpy()
    assert 20 < rest.min() < rest.max() < 300  # the counts of flights of both views
