"""What is refused of a `torch.export` program before PyTorch loads it, and how one runs in its process."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from training.errors import ArchiveRefused, ModelFailed  # noqa: E402
from training.serving.arrays import Arrays  # noqa: E402
from training.serving.kinds.ports import Port, Ports  # noqa: E402
from training.serving.kinds.process import Foreign, ForeignRunner  # noqa: E402
from training.serving.kinds.torch_file import read_torch_program  # noqa: E402
from training.serving.signature import ForeignCall, ForeignInput, ForeignOutput  # noqa: E402

Members = dict[str, bytes]
ROWS = torch.export.Dim("rows")


class Other(torch.nn.Module):
    """A model of operations that `covey train` does not use, with a constant and two outputs in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(3)
        self.out = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, known: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = torch.tanh(self.norm(torch.nan_to_num(x) * torch.tensor([1.0, 2.0, 3.0])))
        scores = self.out(hidden) + known.sum(1, keepdim=True)
        return {"both": scores, "first": scores[:, 0] * x.shape[0]}


def saved(model: torch.nn.Module, *example: torch.Tensor, **named: torch.Tensor) -> bytes:
    shapes = {name: {0: ROWS} for name in ("x", "known", "se")[: len(example)] + tuple(named)}
    program = torch.export.export(model.eval(), example, named or None, dynamic_shapes=shapes)
    data = io.BytesIO()
    torch.export.save(program, data)
    return data.getvalue()


@pytest.fixture(scope="module")
def other() -> tuple[Other, bytes]:
    torch.manual_seed(0)
    model = Other()
    return model, saved(model, torch.zeros(2, 3), torch.zeros(2, 3))


def test_it_says_what_the_program_takes_and_gives(other: tuple[Other, bytes]) -> None:
    ports = read_torch_program(other[1])
    assert ports.inputs == (Port("x", "float32", (None, 3)), Port("known", "float32", (None, 3)))
    assert [(one.dtype, one.shape) for one in ports.outputs] == [("float32", (None, 2)), ("float32", (None,))]


def test_a_program_runs_in_its_process_as_pytorch_runs_it(other: tuple[Other, bytes]) -> None:
    model, data = other
    output = read_torch_program(data).outputs[1].name
    call = ForeignCall(
        (ForeignInput("x", "values", "float32"), ForeignInput("known", "mask", "float32")),
        "nan",
        ForeignOutput(output, None),
    )
    runner = ForeignRunner(Foreign("late@v1", "torch", data, call, 3, "cpu", 30.0, output_at=1))
    random = np.random.default_rng(0)
    for count in (1, 5, 64):
        mask = random.random((count, 3)) < 0.7
        x = np.where(mask, random.normal(size=(count, 3)), 0).astype(np.float32)
        with torch.no_grad():
            due = model(torch.from_numpy(x), torch.from_numpy(mask).float())["first"].numpy()
        np.testing.assert_allclose(runner.run(Arrays(x, mask, np.zeros_like(x))), due, rtol=1e-5, atol=1e-6)
    assert runner.how == "eager"
    runner.close()
    with pytest.raises(ModelFailed, match="model late@v1 failed: "):
        ForeignRunner(Foreign("late@v1", "torch", data[:-200], call, 3, "cpu", 30.0))


def packed(members: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def graph_of(members: Members) -> dict[str, Any]:
    return json.loads(members["archive/models/model.json"])


def _graph(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], None]:
    def changed(members: Members) -> None:
        graph = graph_of(members)
        change(graph)
        members["archive/models/model.json"] = json.dumps(graph).encode()

    return changed


def _target(name: str) -> Callable[[Members], None]:
    return _graph(lambda graph: graph["graph_module"]["graph"]["nodes"][0].update(target=name))


def _size(text: str) -> Callable[[Members], None]:
    def change(graph: dict[str, Any]) -> None:
        graph["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = text

    return _graph(change)


def _tree(of: str, kind: str) -> Callable[[Members], None]:
    def change(graph: dict[str, Any]) -> None:
        signature = graph["graph_module"]["module_call_graph"][0]["signature"]
        tree = json.loads(signature[of])
        tree[1]["type"] = kind
        signature[of] = json.dumps(tree)

    return _graph(change)


def _pickled_sample(members: Members) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return print, ("ran",)

    sample = {"archive/data.pkl": pickle.dumps(Evil(), 2), "archive/version": b"3\n", "archive/byteorder": b"little"}
    members["archive/data/sample_inputs/model.pt"] = packed(sample)


def _pickled_weight(members: Members) -> None:
    name = "archive/data/weights/model_weights_config.json"
    config = json.loads(members[name])
    next(iter(config["config"].values()))["use_pickle"] = True
    members[name] = json.dumps(config).encode()


def _object(members: Members) -> None:
    members["archive/data/constants/custom_obj_0"] = b""


def _extra(members: Members) -> None:
    members["archive/extra/__init__.py"] = b"print('ran')"


def _outside(members: Members) -> None:
    members["../evil.so"] = b""


def _deep_tree(members: Members) -> None:
    read = json.loads(members["archive/models/model.json"])
    read["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = "[" * 100_000
    members["archive/models/model.json"] = json.dumps(read).encode()


def _without_graph(members: Members) -> None:
    del members["archive/models/model.json"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_pickled_sample, "its sample inputs are a pickle that names '__builtin__ print'"),
        (_pickled_weight, "is a pickle or an object: loading would run it"),
        (_object, "it holds 'data/constants/custom_obj_0'"),
        (_extra, "it holds 'extra/__init__.py'"),
        (_outside, "its members are not in one folder"),
        (_without_graph, "it has no 'models/model.json'"),
        (_target("os.system"), "its graph calls 'os.system'"),
        (_target("torch.ops.evil.run.default"), "its graph calls 'torch.ops.evil.run.default'"),
        (_target("torch.ops.aten.from_file.default"), "its graph calls 'torch.ops.aten.from_file.default'"),
        (_target("_operator.attrgetter"), "its graph calls '_operator.attrgetter'"),
        (_target("torch.ops.aten.add.Tensor\n"), "its graph calls"),
        (_size("__import__('os').system('id')"), "it has the size \"__import__('os')"),
        (_size("Symbol('s0').__class__"), "which PyTorch would evaluate as Python"),
        (_size("exit()"), "which PyTorch would evaluate as Python"),
        (_tree("in_spec", "os.Evil"), "it takes or gives the type 'os.Evil', which PyTorch would import"),
        (_tree("out_spec", "collections.namedtuple"), "which PyTorch would import"),
        (_graph(lambda graph: graph.update(guards_code=["__import__('os')"])), "which PyTorch would run as Python"),
        (_graph(lambda graph: graph.update(guards_code=["L['x'].evil"])), "which PyTorch would run as Python"),
        (_graph(lambda graph: graph.update(schema_version={"major": 99})), "but only 8 is supported"),
        (_deep_tree, "its graph is not as torch.export.save writes it (RecursionError"),
        (_graph(lambda graph: graph.pop("graph_module")), "its graph is not as torch.export.save writes it"),
        (_graph(lambda graph: graph["graph_module"]["graph"].update(more={"as_custom_obj": {"name": "x"}})),
         "it has objects of other classes than tensors"),
    ],
)  # fmt: skip
def test_a_program_that_could_run_code_when_it_is_loaded_is_refused(
    other: tuple[Other, bytes], change: Callable[[Members], None], says: str
) -> None:
    with zipfile.ZipFile(io.BytesIO(other[1])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert read_torch_program(packed(members)).inputs
    change(members)
    with pytest.raises(ArchiveRefused) as refused:
        read_torch_program(packed(members))
    assert says in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive"])
def test_bytes_that_are_no_archive_are_refused(data: bytes) -> None:
    with pytest.raises(ArchiveRefused, match="it is no whole zip file"):
        read_torch_program(data)


def test_a_compressed_archive_is_refused(other: tuple[Other, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(other[1])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with pytest.raises(ArchiveRefused, match="is compressed or occurs twice"):
        read_torch_program(packed(members, zipfile.ZIP_DEFLATED))


def test_inputs_by_keyword_are_refused_with_the_mend() -> None:
    class Named(torch.nn.Module):
        def forward(self, x: torch.Tensor, *, se: torch.Tensor) -> torch.Tensor:
            return (x - se).sum(1)

    with pytest.raises(ArchiveRefused, match="export it with positional tensors only"):
        read_torch_program(saved(Named(), torch.zeros(2, 3), se=torch.zeros(2, 3)))


def test_sizes_and_guards_of_ordinary_programs_are_accepted() -> None:
    class Shapes(torch.nn.Module):
        def forward(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
            rows = x.shape[0]
            return (torch.cat([x, known]).reshape(2 * rows, 3)[:rows] + torch.arange(rows)[:, None]).sum(1)

    assert read_torch_program(saved(Shapes(), torch.zeros(4, 3), torch.zeros(4, 3))) == Ports(
        (Port("x", "float32", (None, 3)), Port("known", "float32", (None, 3))), (Port("sum_1", "float32", (None,)),)
    )
