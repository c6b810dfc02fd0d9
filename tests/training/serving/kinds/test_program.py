"""The graph of a network is read as data, and a graph that `covey train` does not write is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from tests.training.serving.kinds.test_open_runner import WIDTH, network, rows  # noqa: E402
from training.errors import ArchiveRefused  # noqa: E402
from training.fit.epochs import exported  # noqa: E402
from training.fit.model import Baseline, Scaling  # noqa: E402
from training.serving.kinds.program import Program  # noqa: E402

GRAPH = "archive/models/model.json"


def changed(change: Callable[[Any], Any], of: Baseline | None = None) -> bytes:
    """The file of a network after a change of its graph."""
    made, before = io.BytesIO(), exported(network() if of is None else of, WIDTH)
    with zipfile.ZipFile(io.BytesIO(before)) as archive, zipfile.ZipFile(made, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            if name == GRAPH:
                read = json.loads(content)
                change(read["graph_module"])
                content = json.dumps(read).encode()
            other.writestr(name, content)
    return made.getvalue()


def node(module: Any, name: str) -> Any:
    return next(one for one in module["graph"]["nodes"] if one["outputs"] == [{"as_tensor": {"name": name}}])


def reads(module: Any, name: str) -> None:
    node(module, "sub")["inputs"][0]["arg"]["as_tensor"]["name"] = name


def joins(module: Any, name: str) -> None:
    node(module, "cat")["inputs"][0]["arg"]["as_tensors"][2]["name"] = name


def gives(module: Any, name: str) -> None:
    module["signature"]["output_specs"][0]["user_output"]["arg"]["as_tensor"]["name"] = name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda module: reads(module, "linear"), "its step 'sub' reads a name that no earlier step makes"),
        (lambda module: joins(module, "relu"), "its step 'cat' reads a name that no earlier step makes"),
        (lambda module: node(module, "sub").update(outputs=[{"as_tensor": {"name": "x"}}]), "two of its steps make 'x'"),
        (lambda module: node(module, "sub")["inputs"][0].update(kind=2), "its step 'sub' has a named tensor"),
        (lambda module: gives(module, "other"), "its result 'other' is made by no step"),
        (lambda module: reads(module, []), "its graph is not as covey train writes it"),
        (lambda module: node(module, "sub")["inputs"][0].update(arg=7), "its graph is not as covey train writes it"),
        (lambda module: module["signature"]["input_specs"].insert(0, "x"), "its graph is not as covey train writes it"),
    ],
)  # fmt: skip
def test_a_graph_that_does_not_fit_together_is_refused(change: Callable[[Any], None], says: str) -> None:
    with pytest.raises(ArchiveRefused, match=says):
        Program.of(changed(change))


def test_a_graph_that_is_rewritten_alike_runs_alike() -> None:
    expected = Program.of(exported(network(), WIDTH)).predict(rows(9))
    np.testing.assert_array_equal(Program.of(changed(lambda module: None)).predict(rows(9)), expected)


def test_a_program_that_gives_more_than_a_number_a_row_is_refused() -> None:
    program = Program.of(changed(lambda module: gives(module, "cat")))
    with pytest.raises(ArchiveRefused, match=r"it gives torch.float32 of the shape \(9, 9\), not a number a row"):
        program.predict(rows(9))


def test_a_step_that_makes_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.serving.kinds.program.MAX_WIDTH", 8)
    with pytest.raises(ArchiveRefused, match=r"its step 'cat' makes 81 numbers of 9 row\(s\)"):
        Program.of(exported(network(), WIDTH)).predict(rows(9))


def test_steps_that_make_too_much_together_are_refused() -> None:
    """Each of 200 steps makes few enough numbers, but 64 rows would take 3 GB: results are kept until the last step."""
    wide = Baseline(Scaling(np.zeros(WIDTH), np.ones(WIDTH), 0.0, 1.0), [60_000], "binary", mask=True, se=True)

    def repeat(module: Any) -> None:
        nodes = module["graph"]["nodes"]
        relu = node(module, "relu")
        at = nodes.index(relu) + 1
        nodes[at:at] = [relu | {"outputs": [{"as_tensor": {"name": f"again_{i}"}}]} for i in range(200)]

    Program.of(exported(wide, WIDTH)).predict(rows(2))
    with pytest.raises(ArchiveRefused, match="its steps make more than 524,288 numbers a row"):
        Program.of(changed(repeat, wide)).predict(rows(2))


def test_a_step_that_cannot_be_computed_is_named() -> None:
    def turn(module: Any) -> None:
        node(module, "cat")["inputs"][1]["arg"]["as_int"] = 0

    def large(module: Any) -> None:
        node(module, "div")["inputs"][1]["arg"] = {"as_int": 10**30}

    for change, name in ((turn, "linear"), (large, "div")):
        with pytest.raises(ArchiveRefused, match=f"its step '{name}' cannot be computed"):
            Program.of(changed(change)).predict(rows(9))
