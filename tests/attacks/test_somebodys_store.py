"""Somebody opens a store or a project that an attacker made. None of the attacker's code runs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from deployment.errors import ModelRefused  # noqa: E402
from featurestore.online.blocks import CURRENT  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY  # noqa: E402
from tests.training.program import DAYS, make_labels, make_store, write_config  # noqa: E402
from training.fit.epochs import exported  # noqa: E402
from training.fit.model import Baseline, Scaling  # noqa: E402
from training.lineage import views_of  # noqa: E402
from training.serving.in_process.opened_model import OpenedModel  # noqa: E402
from training.serving.kinds.model_kind import Exported  # noqa: E402

REFS = ["traffic@v1:flights"]
GRAPH, WEIGHTS = "archive/models/model.json", "archive/data/weights/model_weights_config.json"
CONSTANTS, SAMPLE = "archive/data/constants/model_constants_config.json", "archive/data/sample_inputs/model.pt"

Members = dict[str, bytes]


class _Evil:
    """A class whose pickle runs a command when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._marker}",)


def _saved(value: object) -> bytes:
    data = io.BytesIO()
    torch.save(value, data)
    return data.getvalue()


def _in_json(members: Members, name: str, change: Callable[[Any], Any]) -> None:
    read = json.loads(members[name])
    change(read)
    members[name] = json.dumps(read).encode()


def _sample_inputs(members: Members, marker: Path) -> None:
    members[SAMPLE] = _saved(_Evil(marker))


def _weight(members: Members, marker: Path) -> None:
    members["archive/data/weights/weight_0"] = _saved(_Evil(marker))
    _in_json(members, WEIGHTS, lambda read: next(iter(read["config"].values())).update(use_pickle=True))


def _constant(members: Members, marker: Path) -> None:
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    import pickle

    members["archive/data/constants/opaque_obj_0"] = pickle.dumps(_Evil(marker))
    _in_json(members, CONSTANTS, lambda read: read["config"].update(evil=entry))


def _size(members: Members, marker: Path) -> None:
    code = f"__import__('os').system('touch {marker}')"
    size = {"as_expr": {"expr_str": code, "hint": None}}
    _in_json(
        members, GRAPH, lambda read: read["graph_module"]["graph"]["tensor_values"]["x"]["sizes"].__setitem__(0, size)
    )


def _operation(members: Members, marker: Path) -> None:
    """A model that creates a file of the attacker's choice when it is called."""
    node = {
        "target": "torch.ops.aten.from_file.default",
        "inputs": [
            {"name": "filename", "arg": {"as_string": str(marker)}, "kind": 1},
            {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
            {"name": "size", "arg": {"as_int": 4}, "kind": 1},
        ],
        "outputs": [{"as_tensor": {"name": "evil"}}],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": "evil",
    }

    def change(read: Any) -> None:
        graph = read["graph_module"]["graph"]
        graph["nodes"].insert(0, node)
        graph["tensor_values"]["evil"] = graph["tensor_values"]["b_mean"]

    _in_json(members, GRAPH, change)


ATTACKS = {
    "a pickle as sample inputs": (_sample_inputs, "posix system"),
    "a pickle as a weight": (_weight, "is a pickle"),
    "a pickle as a constant": (_constant, "opaque_obj_0"),
    "code as a size": (_size, None),  # sizes are not read, so the model predicts
    "an operation that writes a file": (_operation, "torch.ops.aten.from_file.default"),
}


@pytest.fixture(scope="module")
def good() -> Members:
    scaling = Scaling(np.zeros(1), np.ones(1), 0.0, 1.0)
    data = exported(Baseline(scaling, (4,), "binary", mask=True, se=False), 1)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    make_store(tmp_path / "store")
    return tmp_path / "store"


def _register(directory: Path, members: Members) -> None:
    """Register the model as the store's owner, whom nobody can stop."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with Publisher(directory, lambda: 100 * DAY) as publisher, Store.open(directory) as store:
        lineage = {
            "torch": "2.13.0", "features": REFS, "columns": [], "names": REFS, "constants": {},
            "views": views_of(store, REFS), "views_file_sha256": None,
        }  # fmt: skip
        publisher.register_model("late", {Exported.FILE: data.getvalue()}, json.dumps(lineage))


def _covey(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "covey", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_registered_model_runs_nothing(good: Members, store: Path, tmp_path: Path, name: str) -> None:
    attack, says = ATTACKS[name]
    members, marker = dict(good), tmp_path / "it-ran"
    attack(members, marker)
    _register(store, members)
    refused: Exception | None = None
    with Store.open(store) as opened:
        try:
            assert OpenedModel.open(opened, "late").predict({"dest": ["ATL"]}).values.shape == (1,)
        except Exception as error:  # noqa: BLE001 - what matters first is what ran until then
            refused = error
    assert not marker.exists()
    if says is None:
        assert refused is None
    else:
        assert isinstance(refused, ModelRefused)
        assert says in str(refused)


def test_predict_refuses_a_model_that_holds_a_pickle(good: Members, store: Path, tmp_path: Path) -> None:
    members, marker = dict(good), tmp_path / "it-ran"
    _sample_inputs(members, marker)
    _register(store, members)
    done = _covey("predict", "late", "dest=ATL", "--store", store, cwd=tmp_path)
    assert not marker.exists()
    assert (done.returncode, done.stdout) == (4, "")
    assert (
        "model late@v1: model.pt2 is refused: its sample inputs are a pickle that names 'posix system'" in done.stderr
    )
    _register(store, good)
    done = _covey("predict", "late", "dest=ATL", "--store", store, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_serving_a_store_from_its_own_folder_imports_nothing_from_it(store: Path, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    (store / "orjson.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    command = [sys.executable, "-P", "-m", "covey", "serve", "--store", ".", "--port", "0", "--workers", "2"]
    # -P: the script `covey` runs this way too
    with subprocess.Popen(command, cwd=store, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert "serving" in server.stderr.readline()
            url = next(line for line in server.stderr if "GET " in line).split("GET ")[1].split("/health")[0]
            assert _answers(f"{url}/health")
        finally:
            server.terminate()
    assert not marker.exists()


def _answers(url: str) -> bool:
    import urllib.error
    import urllib.request

    for _ in range(600):  # a minute: workers start late on a busy machine
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    return False


@pytest.mark.parametrize("section", ["features", "collect"])
def test_a_training_file_that_names_python_runs_it_only_with_trust(store: Path, tmp_path: Path, section: str) -> None:
    marker = tmp_path / "it-ran"
    (store / "views.py").write_text(f"open({str(marker)!r}, 'w').close()\nraise SystemExit(1)\n")
    make_labels(store, np.zeros((DAYS, 3)) + 100)
    named: dict[str, Any] = {"features": {"views": "views.py"}}
    if section == "collect":
        words = {"views": "views.py", "events": "e.parquet", "client_column": "who", "time_column": "at"}
        named = {"": {"store": "new"}, "collect": words}
    config = write_config(store, **named)
    done = _covey("train", config, cwd=tmp_path)
    assert not marker.exists()
    assert done.returncode == 4
    assert f"[{section}] views names {store / 'views.py'}, Python code that would run as you" in done.stderr
    _covey("train", config, "--trust", cwd=tmp_path)
    assert marker.exists()


def test_a_stores_names_are_no_code_in_the_feast_repository(store: Path, tmp_path: Path) -> None:
    """The attacker replaces a number in a block's header by text, which would be part of the generated program."""
    import hashlib

    import pyarrow as pa

    current = json.loads((store / "store" / "blocks" / CURRENT).read_text())
    (entry,) = (one for one in current["views"] if one["view"] == "traffic")
    path = store / "store" / "blocks" / entry["file"]
    marker = tmp_path / "it-ran"
    with pa.ipc.open_file(path) as block:
        batches, schema = [block.get_batch(i) for i in range(block.num_record_batches)], block.schema
    ((key, text),) = schema.metadata.items()
    header = json.loads(text)
    header["ttl_us"] = f"open({str(marker)!r}, 'w').close()"
    schema = schema.with_metadata({key: json.dumps(header).encode()})
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    data = path.read_bytes()
    entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (store / "store" / "blocks" / CURRENT).write_text(json.dumps(current))
    out_dir = tmp_path / "feast"
    _covey("views", "--store", store, "--feast", out_dir, cwd=tmp_path)
    generated = out_dir / "covey_views.py"
    assert not generated.exists() or str(marker) not in generated.read_text()
