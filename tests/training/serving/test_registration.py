"""`covey models register`: a model that was trained elsewhere gets its lineage, or is refused by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
if find_spec("onnxruntime") is None:
    pytest.skip("the extra `onnx` is not installed", allow_module_level=True)

from onnx import TensorProto, helper  # noqa: E402

from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY  # noqa: E402
from tests.training.program import make_store, traffic  # noqa: E402
from tests.training.serving.kinds.foreign import AXIS, constant, endless_nodes, model_of  # noqa: E402
from tests.training.serving.kinds.test_open_runner import network, some_trees  # noqa: E402
from training.fit.epochs import exported  # noqa: E402
from training.lineage import require_same  # noqa: E402
from training.serving import registration  # noqa: E402
from training.serving.arrays import INPUTS  # noqa: E402
from training.serving.in_process.opened_model import OpenedModel  # noqa: E402
from training.serving.inputs.model_inputs import ModelInputs  # noqa: E402
from training.serving.signature import ModelSignature  # noqa: E402

Covey = Callable[..., tuple[int, str, str]]
FEATURES = ["--features", "traffic:flights,everywhere:flights", "--column", "distance"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    make_store(directory)
    return directory


@pytest.fixture
def register(covey: Covey, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Covey:
    """Register bytes: (exit code, stdout, stderr). The store is shared, so each test takes a name of its own."""
    monkeypatch.setattr(registration, "SIZES", (1, 2))

    def run(name: str, data: bytes, *words: str) -> tuple[int, str, str]:
        (tmp_path / "file").write_bytes(data)
        return covey("models", "register", tmp_path / "file", "--name", name, *FEATURES, "--store", filled, *words)

    return run


def onnx_bytes() -> bytes:
    return model_of().SerializeToString()


def test_an_onnx_file_gets_a_lineage_and_predicts(register: Covey, covey: Covey, filled: Path) -> None:
    code, out, err = register("onnx_sum", onnx_bytes(), "--trust", "--json")
    assert code == 0, err
    shown = json.loads(out)
    assert (shown["model"], shown["kind"]) == ("onnx_sum@v1", "onnx")
    with Store.open(filled) as store:
        model = store.model("onnx_sum")
        require_same(model, store, None)
        lineage = model.lineage
        assert lineage == json.loads(model.read("lineage.json"))
        assert lineage["features"] == ["traffic@v1:flights", "everywhere@v1:flights"]
        assert lineage["names"] == [*lineage["features"], "distance"]
        assert lineage["file"] == {"name": "file", "sha256": hashlib.sha256(onnx_bytes()).hexdigest()}
        assert [(view["name"], view["version"]) for view in lineage["views"]] == [("traffic", 1), ("everywhere", 1)]
        assert all(view["releases"] for view in lineage["views"])
        inputs = ModelInputs.of(model, ModelSignature.of(model), store)
        assert dict(inputs.types) == {"dest": "string", "distance": "float64"}
        with OpenedModel.open(store, "onnx_sum", trust=True) as served:
            given = {"dest": ["ATL", "???"], "distance": [100.0, 5.0]}
            first, second = served.predict(given).values
            row = store.reader(served.features).read({"dest": ["ATL"]}).values[0]
    np.testing.assert_allclose(first, row.sum() + 100, rtol=1e-6)
    assert np.isnan(second)
    words = ["predict", "onnx_sum", "dest=ATL,distance=100", "--store", filled, "--json"]
    code, out, err = covey(*words)
    assert (code, out) == (4, "")
    assert "model onnx_sum@v1: a library loads model.onnx, which may run code as you" in err
    assert "see --trust" in err
    code, out, err = covey(*words, "--trust")
    assert code == 0, err
    np.testing.assert_allclose(json.loads(out)[0]["prediction"], first, rtol=1e-6)
    assert "onnx" in covey("models", "list", "onnx_sum", "--store", filled)[1]
    assert covey("models", "show", "onnx_sum", "--store", filled)[0] == 0


def test_a_constant_is_no_input_of_requests(register: Covey, filled: Path) -> None:
    code, _, err = register("constant", onnx_bytes(), "--constant", "dest=ATL", "--trust")
    assert code == 0, err
    with Store.open(filled) as store:
        model = store.model("constant")
        assert list(ModelInputs.of(model, ModelSignature.of(model), store).types) == ["distance"]


def test_models_of_covey_train_are_recognised_and_need_no_trust(register: Covey, filled: Path) -> None:
    assert register("net", exported(network(), 3))[0] == 0
    assert register("trees", some_trees())[0] == 0
    with Store.open(filled) as store:
        assert [store.model(name).lineage["kind"] for name in ("net", "trees")] == ["exported", "monotone"]
        with OpenedModel.open(store, "net") as served:
            assert 0 < served.predict({"dest": ["ATL"], "distance": [100.0]}).values[0] < 1


def test_a_network_that_was_saved_under_a_path_is_recognised_too(register: Covey, tmp_path: Path) -> None:
    """torch.export.save calls the folder inside the archive as the file is called."""
    model, x = network(), torch.zeros((2, 3))
    shapes = {name: {0: torch.export.Dim("rows")} for name in INPUTS}
    torch.export.save(
        torch.export.export(model, (x, x > 0, torch.ones((2, 3))), dynamic_shapes=shapes), tmp_path / "own.pt2"
    )
    code, out, err = register("saved", (tmp_path / "own.pt2").read_bytes(), "--json")
    assert code == 0, err
    assert json.loads(out)["kind"] == "exported"


def test_a_second_registration_is_the_next_version_and_pins_views_at_their_version(
    covey: Covey, tmp_path: Path
) -> None:
    make_store(tmp_path)
    newer = traffic(windows=["2d"])
    for version in (1, 2):
        (tmp_path / "trees.json").write_bytes(some_trees())
        code, out, err = covey(
            "models", "register", tmp_path / "trees.json", "--name", "late", *FEATURES, "--store", tmp_path
        )
        assert code == 0, err
        assert f"registered as late@v{version}, kind monotone" in out
        with Publisher(tmp_path, lambda: 101 * DAY) as publisher:
            publisher.apply([newer])
    with Store.open(tmp_path) as store:
        assert store.model("late@v1").lineage["features"][0] == "traffic@v1:flights"
        require_same(store.model("late@v1"), store, None)


TWO = model_of(
    inputs=[("x", TensorProto.FLOAT, ["rows", 3]), ("z", TensorProto.FLOAT, ["rows", 3])],
    nodes=[helper.make_node("Add", ["x", "z"], ["s"]), helper.make_node("ReduceSum", ["s", "axis"], ["y"], keepdims=0)],
).SerializeToString()
BROKEN = model_of(
    [helper.make_node("Reshape", ["x", "axis"], ["y"])], outputs=[("y", TensorProto.FLOAT, ["rows"])]
).SerializeToString()
ENDLESS = model_of(
    endless_nodes(), [AXIS, constant("hundred", np.float32(-1))]
).SerializeToString()  # fmt: skip


@pytest.mark.parametrize(
    ("data", "words", "code", "says"),
    [
        (onnx_bytes(), [], 4, "a library loads file, which may run code as you"),
        (b"", ["--trust"], 4, "model m: file is refused: it is no ONNX model"),
        (b"\x80\x04pickle", ["--trust"], 4, "model m: file is refused: it is no ONNX file"),
        (b"PK\x03\x04broken", ["--trust"], 4, "model m: file is refused: it is no whole zip file"),
        (b"{}", [], 4, "model m: file is refused: it must be an object"),
        (some_trees(width=4), [], 4, "model m: file is refused: it takes 4 features, but 3 are given"),
        (TWO, ["--trust"], 2, "file has several inputs: x (float32 [N, 3]), z (float32 [N, 3])"),
        (TWO, ["--trust", "--input", "x=values", "--input", "z=other"], 2, "must have the form NAME=values|mask|se"),
        (onnx_bytes(), ["--trust", "--missing", "mean"], 2, "--missing mean must be nan or zero"),
        (
            onnx_bytes(),
            ["--trust", "--output", "probability"],
            2,
            "has no output 'probability'; it has: y (float32 [N])",
        ),
        (onnx_bytes(), ["--trust", "--column", "hour"], 2, "4 features and plain columns are named"),
        (onnx_bytes(), ["--trust", "--column", "distance"], 2, "is named twice"),
        (onnx_bytes(), ["--trust", "--constant", "origin=JFK"], 2, "no join key 'origin'"),
        (some_trees(), ["--missing", "zero"], 2, "takes x, mask and se as the models of covey train do"),
        (BROKEN, ["--trust"], 1, "model m failed: "),
        (ENDLESS, ["--trust"], 1, "model m failed: a batch took more than 0.3 s"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_registered(
    register: Covey, filled: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, words: list[str], code: int, says: str
) -> None:
    monkeypatch.setattr(registration, "_LIMIT_S", 0.3)
    got, out, err = register("m", data, *words)
    assert (got, out) == (code, ""), err
    assert says in err
    assert err.count("\n") == 1
    with Store.open(filled) as store:
        assert "m" not in {one.name for one in store.models()}


def test_a_file_that_is_not_there_or_too_large_is_named(covey: Covey, filled: Path, tmp_path: Path) -> None:
    words = ["--name", "m", *FEATURES, "--store", filled]
    code, _, err = covey("models", "register", tmp_path / "none", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert "none cannot be read (No such file or directory)" in err
    with (tmp_path / "large").open("wb") as file:
        file.truncate(257 * 2**20)
    code, _, err = covey("models", "register", tmp_path / "large", *words)
    assert code == 4
    assert "it has 269,484,032 bytes; the limit is 268,435,456" in err


def test_masks_and_errors_are_inputs_by_name_or_by_choice(register: Covey, filled: Path) -> None:
    code, _, err = register("two", TWO, "--trust", "--input", "z=se", "--missing", "zero")
    assert code == 0, err
    with Store.open(filled) as store:
        call = ModelSignature.of(store.model("two")).call
    assert call is not None
    assert [(one.name, one.role) for one in call.inputs] == [("x", "values"), ("z", "se")]
    assert call.missing == "zero"
