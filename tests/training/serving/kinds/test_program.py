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
from training.serving.kinds.program import Program  # noqa: E402

GRAPH = "archive/models/model.json"


def changed(change: Callable[[Any], Any]) -> bytes:
    """The file of a network after a change of its graph."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(exported(network(), WIDTH))) as archive, zipfile.ZipFile(made, "w") as other:
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


def test_a_step_that_cannot_be_computed_is_named() -> None:
    def turn(module: Any) -> None:
        node(module, "cat")["inputs"][1]["arg"]["as_int"] = 0

    with pytest.raises(ArchiveRefused, match="its step 'linear' cannot be computed"):
        Program.of(changed(turn)).predict(rows(9))
