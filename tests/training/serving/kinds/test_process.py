"""The process of a foreign model: what the model gets, what it may do to the server, and when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")
if find_spec("onnxruntime") is None:  # it is not imported here: it sends data of its use to its maker
    pytest.skip("the extra `onnx` is not installed", allow_module_level=True)

from onnx import TensorProto, helper

from tests.installed import ROOT
from tests.training.serving.kinds.children import children_of
from tests.training.serving.kinds.foreign import (
    AXIS,
    CALL,
    WIDTH,
    constant,
    endless_nodes,
    foreign,
    model_of,
    runner,
)
from tests.waiting import wait_until
from training.errors import ModelFailed, TooLittleMemory
from training.serving.arrays import Arrays
from training.serving.kinds import process
from training.serving.kinds.process import ForeignRunner
from training.serving.kinds.turns import rows_of
from training.serving.signature import ForeignInput, ForeignOutput


def rows(x: Any, mask: Any = None) -> Arrays:
    values = np.asarray(x, np.float32)
    known = np.ones(values.shape, bool) if mask is None else np.asarray(mask)
    return Arrays(np.where(known, values, np.float32(0)), known, np.full(values.shape, 0.5, np.float32))


def children() -> list[psutil.Process]:
    return children_of("training.serving.kinds.child")


@pytest.fixture(scope="module")
def summing() -> Iterator[ForeignRunner]:
    made = runner()
    yield made
    made.close()


def test_it_computes_each_row_of_a_batch_of_any_size(summing: ForeignRunner) -> None:
    random = np.random.default_rng(0)
    for count in (1, 2, 64, rows_of(WIDTH), rows_of(WIDTH) + 1, 0):
        x = random.normal(size=(count, WIDTH)).astype(np.float32)
        np.testing.assert_allclose(summing.run(rows(x)), x.sum(axis=1), rtol=1e-4, atol=1e-5)
    assert summing.how == "onnxruntime"
    assert summing.failure is None


def test_an_answer_is_not_overwritten_by_the_next_one(summing: ForeignRunner) -> None:
    first = summing.run(rows([[1, 2, 3]]))
    summing.run(rows([[4, 5, 6]]))
    assert first.tolist() == [6.0]


def test_a_runner_that_is_closed_during_a_batch_fails_it_and_closes_each_pipe_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A number that is closed twice may be another client's connection the second time."""
    made = runner(model_of(endless_nodes(), [AXIS, constant("hundred", np.float32(100))]), limit_s=60.0)
    child = psutil.Process(made.pid)
    wait_until(lambda: child.status() == psutil.STATUS_SLEEPING)
    closed: list[int] = []
    real = os.close
    monkeypatch.setattr(os, "close", lambda number: (closed.append(number), real(number)))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.run, rows([[100, 2, 3]]))
        wait_until(lambda: child.status() == psutil.STATUS_RUNNING)
        made.close()
        with pytest.raises(ModelFailed, match="its process ended with signal SIGKILL"):
            running.result()
    assert len(closed) == len(set(closed)) == 2
    assert not made.is_starting
    assert not child.is_running()
    made.close()


def test_a_missing_value_is_nan_or_zero_and_a_row_without_a_number_spoils_no_other(summing: ForeignRunner) -> None:
    given = rows([[1, 2, 3], [1, 2, 3]], [[True, True, True], [True, False, True]])
    np.testing.assert_array_equal(summing.run(given), [6.0, np.nan])
    with_zeros = runner(call=replace(CALL, missing="zero"))
    assert with_zeros.run(given).tolist() == [6.0, 4.0]
    with_zeros.close()


def test_masks_and_errors_are_given_in_the_types_that_the_model_takes() -> None:
    inputs = [
        ("x", TensorProto.DOUBLE, ["rows", WIDTH]),
        ("m", TensorProto.BOOL, ["rows", WIDTH]),
        ("e", TensorProto.FLOAT, ["rows", WIDTH]),
    ]
    nodes = [
        helper.make_node("Cast", ["x"], ["x1"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["m"], ["m1"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["x1", "m1", "e"], ["all"], axis=1),
        helper.make_node("ReduceSum", ["all", "axis"], ["y"], keepdims=1),
    ]
    call = replace(
        CALL,
        missing="zero",
        inputs=(
            ForeignInput("x", "values", "float64"),
            ForeignInput("m", "mask", "bool"),
            ForeignInput("e", "se", "float32"),
        ),
    )
    made = runner(model_of(nodes, inputs=inputs, outputs=[("y", TensorProto.FLOAT, ["rows", 1])]), call=call)
    assert made.run(rows([[1, 2, 3]], [[True, False, True]])).tolist() == [4 + 2 + 1.5]
    made.close()


def test_a_column_of_the_output_is_the_prediction() -> None:
    made = runner(
        model_of([helper.make_node("Softmax", ["x"], ["y"], axis=1)], outputs=[("y", TensorProto.FLOAT, ["rows", 3])]),
        call=replace(CALL, output=ForeignOutput("y", 2)),
    )
    np.testing.assert_allclose(made.run(rows([[0, 0, 0], [0, 0, np.log(2)]])), [1 / 3, 0.5], rtol=1e-6)
    made.close()


@pytest.mark.parametrize(
    ("nodes", "output", "says"),
    [
        ([helper.make_node("Identity", ["x"], ["y"])], ForeignOutput("y", None), r"y is float32 of the shape \(2, 3\)"),
        ([helper.make_node("Identity", ["x"], ["y"])], ForeignOutput("y", 3), r"y is float32 of the shape \(2, 3\)"),
        ([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], ForeignOutput("y", None), "len|shape"),
        ([helper.make_node("Shape", ["x"], ["n"]), helper.make_node("Reshape", ["x", "axis"], ["y"])],
         ForeignOutput("y", None), "Reshape"),
    ],
)  # fmt: skip
def test_a_model_that_throws_or_gives_another_shape_fails_its_batch_only(
    nodes: list[Any], output: ForeignOutput, says: str
) -> None:
    made = runner(model_of(nodes, outputs=[("y", TensorProto.FLOAT, None)]), call=replace(CALL, output=output))
    (child,) = (one for one in children() if one.status() != psutil.STATUS_ZOMBIE and one.pid == made.pid)
    for _ in range(2):
        with pytest.raises(ModelFailed, match=f"model late@v1 failed: .*({says})"):
            made.run(rows([[1, 2, 3], [4, 5, 6]]))
    assert child.is_running()
    assert made.failure is None
    made.close()
    assert not child.is_running()


def test_a_model_that_never_ends_is_ended_and_started_again_once() -> None:
    now = [0.0]
    endless = model_of(endless_nodes(), [AXIS, constant("hundred", np.float32(100))])
    made = ForeignRunner(foreign(endless, limit_s=0.3), clock=lambda: now[0])
    first = made.pid
    assert made.run(rows([[1, 2, 3]])).tolist() == [6.0]
    with pytest.raises(ModelFailed, match=r"a batch took more than 0\.3 s, and its process was ended"):
        made.run(rows([[100, 2, 3]]))
    assert first is not None
    assert not psutil.pid_exists(first)
    wait_until(lambda: made.pid is not None)
    assert made.pid != first
    assert made.run(rows([[1, 2, 3]])).tolist() == [6.0]
    now[0] = 30.0  # long enough after the last start
    with pytest.raises(ModelFailed):
        made.run(rows([[100, 2, 3]]))
    wait_until(lambda: made.pid is not None)
    now[0] = 59.0
    with pytest.raises(ModelFailed):
        made.run(rows([[100, 2, 3]]))
    assert made.pid is None
    assert "had been started again less than 30 s before" in str(made.failure)
    with pytest.raises(ModelFailed, match="had been started again less than 30 s before"):
        made.run(rows([[1, 2, 3]]))
    made.close()


def test_a_process_that_is_killed_fails_its_batch_and_is_started_again() -> None:
    made = runner()
    assert made.pid is not None
    os.kill(made.pid, signal.SIGKILL)
    with pytest.raises(ModelFailed, match="its process ended with signal SIGKILL"):
        made.run(rows([[1, 2, 3]]))
    wait_until(lambda: made.pid is not None)
    assert made.run(rows([[1, 2, 3]])).tolist() == [6.0]
    made.close()


def test_a_runner_that_is_closed_while_it_starts_again_leaves_no_process() -> None:
    made = runner()
    assert made.pid is not None
    os.kill(made.pid, signal.SIGKILL)
    with pytest.raises(ModelFailed):
        made.run(rows([[1, 2, 3]]))
    made.close()
    wait_until(lambda: not made.is_starting)
    assert made.pid is None


def test_a_model_that_needs_more_memory_than_it_may_have_fails_by_name() -> None:
    greedy = [
        helper.make_node("Tile", ["x", "times"], ["big"]),
        helper.make_node("ReduceSum", ["big", "axis"], ["y"], keepdims=0),
    ]
    made = runner(model_of(greedy, [AXIS, constant("times", np.array([1, 2**28], np.int64))]))
    with pytest.raises(ModelFailed, match=r"it needs more than 1,024 MiB beside its library"):
        made.run(rows([[1, 2, 3]]))
    assert made.failure is None
    made.close()


def test_too_little_memory_is_named_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LIBRARY_BYTES", 2**60)
    before = len(children())
    with pytest.raises(
        TooLittleMemory, match=r"model late@v1: 1,099,511,627,776 MiB of memory are needed to load it"
    ) as refused:
        runner()
    assert refused.value.need >= 2**60 > refused.value.have
    assert len(children()) == before


@pytest.mark.parametrize("data", [b"no model", b""])
def test_bytes_that_the_library_does_not_load_are_an_error_that_names_the_model(data: bytes) -> None:
    with pytest.raises(ModelFailed, match="model late@v1 failed: "):
        ForeignRunner(replace(foreign(), data=data))


def test_the_process_has_no_secret_no_file_of_the_server_and_writes_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_API_KEY", "planted-secret")
    held = os.open(ROOT / "pyproject.toml", os.O_RDONLY)
    os.set_inheritable(held, True)
    made = runner()
    assert made.pid is not None
    child = psutil.Process(made.pid)
    assert "COVEY_API_KEY" not in child.environ()
    assert child.environ()["ORT_DISABLE_TELEMETRY"] == "1"
    assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    bound, _ = child.rlimit(psutil.RLIMIT_DATA)
    assert 2**30 < bound < 2**33
    opened = {str(one.readlink()) for one in Path(f"/proc/{made.pid}/fd").iterdir()}
    assert str(ROOT / "pyproject.toml") not in opened
    assert {
        one for one in opened if not one.startswith(("pipe:", "/memfd:", "anon_inode:", "/dev/null"))
    } == set()  # no telemetry
    os.close(held)
    made.close()


def test_the_process_ends_with_its_server_even_while_it_computes(tmp_path: Path) -> None:
    code = """
import os, sys
from tests.training.serving.kinds.foreign import AXIS, constant, endless_nodes, foreign, model_of
from training.serving.arrays import Arrays
from training.serving.kinds.process import ForeignRunner
import numpy as np, threading
made = ForeignRunner(foreign(model_of(endless_nodes(), [AXIS, constant("hundred", np.float32(100))]), limit_s=600.0))
x = np.full((1, 3), 100, np.float32)
threading.Thread(target=made.run, args=(Arrays(x, x > 0, x),), daemon=True).start()
print(made.pid, flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    child = psutil.Process(pid)
    used = child.cpu_times().user
    wait_until(lambda: child.cpu_times().user > used + 0.2)  # it computes
    server.stdin.close()
    server.wait()
    server.stdout.close()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
