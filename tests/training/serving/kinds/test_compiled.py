"""A network is compiled beside its eager runner, and taken up only if it agrees."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from tests.training.serving.kinds.children import children_of  # noqa: E402
from tests.training.serving.kinds.test_open_runner import WIDTH, network, registered, rows  # noqa: E402
from tests.training.serving.kinds.test_torch_file import Other, saved  # noqa: E402
from tests.waiting import wait_until  # noqa: E402
from training.errors import ModelFailed  # noqa: E402
from training.fit.epochs import exported  # noqa: E402
from training.serving.arrays import Arrays, Floats32  # noqa: E402
from training.serving.kinds import compiled as module  # noqa: E402
from training.serving.kinds.compiled import (  # noqa: E402
    CompilingRunner,
    PackageRunner,
    compile_foreign,
    compile_program,
    has_compiler,
)
from training.serving.kinds.loading import Loading  # noqa: E402
from training.serving.kinds.model_kind import Exported  # noqa: E402
from training.serving.kinds.open_runner import open_runner  # noqa: E402
from training.serving.kinds.process import Foreign, ForeignRunner  # noqa: E402
from training.serving.kinds.program import Program, Traced  # noqa: E402
from training.serving.kinds.torch_file import read_torch_program  # noqa: E402
from training.serving.signature import ForeignCall, ForeignInput, ForeignOutput  # noqa: E402


class Eager:
    """Sums the features of a row, and counts its calls."""

    how, failure, calls, closed = "eager", None, 0, 0

    def run(self, arrays: Arrays) -> Floats32:
        self.calls += 1
        return arrays.x.sum(axis=1)

    def close(self) -> None:
        self.closed += 1


class Made(Eager):
    """What a compilation made."""

    how = "AOTInductor"

    def __init__(self, compute: Callable[[Arrays], Floats32]) -> None:
        self._compute = compute

    def run(self, arrays: Arrays) -> Floats32:
        self.calls += 1
        return self._compute(arrays)


def compiling(compiled: Callable[[Arrays], Floats32] | Exception) -> tuple[CompilingRunner, Eager]:
    def compile_model(stop: threading.Event) -> Made:
        if isinstance(compiled, Exception):
            raise compiled
        return Made(compiled)

    eager = Eager()
    made = CompilingRunner("late@v1", eager, WIDTH, compile_model, settle_s=0)
    wait_until(lambda: not made.is_compiling)
    return made, eager


def test_a_compiled_program_that_agrees_takes_over() -> None:
    made, eager = compiling(lambda arrays: arrays.x.sum(axis=1))
    before = eager.calls
    np.testing.assert_array_equal(made.run(rows(5)), rows(5).x.sum(axis=1))
    assert (made.how, eager.calls) == ("AOTInductor", before)
    assert eager.closed == 1  # it may have a process, which is needed no more
    made.run(rows(5))
    made.close()
    assert eager.closed == 1


def test_what_was_compiled_is_closed_with_its_runner_even_if_that_was_closed_before() -> None:
    one, late = Made(lambda arrays: arrays.x.sum(axis=1)), Made(lambda arrays: arrays.x.sum(axis=1))
    made = CompilingRunner("late@v1", Eager(), WIDTH, lambda _: one, settle_s=0)
    wait_until(lambda: not made.is_compiling)
    made.close()
    assert one.closed == 1
    begun, go_on = threading.Event(), threading.Event()
    made = CompilingRunner("late@v1", Eager(), WIDTH, lambda _: (begun.set(), go_on.wait(), late)[2], settle_s=0)
    begun.wait()
    made.close()
    go_on.set()
    wait_until(lambda: not made.is_compiling)
    assert (late.closed, made.how) == (1, "eager")


def test_a_compiled_model_that_has_failed_says_so() -> None:
    one = Made(lambda arrays: arrays.x.sum(axis=1))
    made = CompilingRunner("late@v1", Eager(), WIDTH, lambda _: one, settle_s=0)
    wait_until(lambda: not made.is_compiling)
    assert made.failure is None
    one.failure = "it ended"
    assert made.failure == "it ended"


@pytest.mark.parametrize(
    ("compiled", "says"),
    [
        (lambda arrays: arrays.x.sum(axis=1) + 0.01, "the compiled program gives other predictions"),
        (lambda arrays: arrays.x.sum(axis=1)[:1], "the compiled program gives other predictions"),
        (lambda arrays: arrays.x.sum(axis=1) * np.float32("nan"), "the compiled program gives other predictions"),
        (OSError("no such option -mtune"), "no such option -mtune"),
    ],
)
def test_one_that_differs_or_was_not_made_is_not_taken_and_the_log_says_why(
    compiled: Callable[[Arrays], Floats32] | Exception, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made, _ = compiling(compiled)
    assert made.how == "eager"
    assert made.run(rows(5)).shape == (5,)
    assert [record.getMessage() for record in caplog.records] == [
        f"late@v1 stays eager, because it was not compiled: {says}"
    ]


def test_an_error_of_the_compiled_program_names_the_model() -> None:
    def compiled(*_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("cannot allocate\nin a file")

    made = object.__new__(PackageRunner)
    made._model, made._program = "late@v1", compiled
    with pytest.raises(ModelFailed, match=r"model late@v1 failed: cannot allocate$"):
        made.run(rows(7))


def test_more_rows_than_were_compiled_for_are_given_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 4)
    sizes: list[int] = []

    def compiled(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return x.sum(dim=1)

    made = object.__new__(PackageRunner)
    made._model, made._program = "late@v1", compiled
    np.testing.assert_array_equal(made.run(rows(9)), torch.from_numpy(rows(9).x).sum(dim=1).numpy())
    assert sizes == [4, 4, 1]


def test_batches_of_another_form_do_not_reach_what_was_compiled() -> None:
    made, _ = compiling(lambda arrays: arrays.x.sum(axis=1))
    assert made.run(Arrays.zeros(0, WIDTH)).shape == (0,)
    with pytest.raises(ModelFailed, match="it takes 3 features, but 4 are given"):
        made.run(Arrays.zeros(2, WIDTH + 1))


def test_a_version_that_is_closed_soon_is_not_compiled(caplog: pytest.LogCaptureFixture) -> None:
    called = threading.Event()
    made = CompilingRunner("late@v1", Eager(), WIDTH, lambda _: called.set(), settle_s=600)
    made.close()
    wait_until(lambda: not made.is_compiling)
    assert not called.is_set()
    assert not caplog.records


def test_the_module_that_is_compiled_computes_what_the_program_does() -> None:
    program, given = Program.of(exported(network(), WIDTH)), rows(9)
    with torch.inference_mode():
        traced = Traced(program)(*map(torch.from_numpy, given)).numpy()
    np.testing.assert_array_equal(traced, program.predict(given))


def test_networks_are_compiled_by_default_where_a_compiler_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = registered(tmp_path, Exported.FILE, exported(network(), WIDTH))
    for there in (True, False):
        monkeypatch.setattr("training.serving.kinds.open_runner.has_compiler", lambda there=there: there)
        made = open_runner(model, Loading())
        assert isinstance(made, CompilingRunner) is there
        assert made.how == "eager"  # at first
        made.close()


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(OSError, match=r"must belong to this user alone \(chmod 700\)"):
        compile_program("late@v1", b"", WIDTH, tmp_path / "open")(threading.Event())


def test_another_processor_gets_a_package_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def run(_kind: str, _data: bytes, _width: int, package: Path, *_: object) -> bool:
        package.write_bytes(b"made")
        made.append(package)
        return True

    monkeypatch.setattr(module, "_run", run)
    for processor in ("flags: avx2", "flags: avx2 avx512f", "flags: avx2"):
        monkeypatch.setattr(module, "_processor", lambda processor=processor: processor)
        module._package("exported", b"data", WIDTH, tmp_path / "cache", threading.Event())
    assert len(made) == len({one.name for one in made}) == 2


def test_a_compilation_is_ended_with_its_version(tmp_path: Path) -> None:
    """The process waits for a file that never comes whole, as a long compilation would."""
    stop, ended = threading.Event(), threading.Event()

    def compile_it() -> None:
        assert compile_program("late@v1", exported(network(), WIDTH), WIDTH, tmp_path / "cache")(stop) is None
        ended.set()

    threading.Thread(target=compile_it, daemon=True).start()

    def compilers() -> list[psutil.Process]:
        return children_of("training.serving.kinds.compiler")

    wait_until(lambda: bool(compilers()))
    (process,) = compilers()
    waiting = compile_program("late@v1", b"", WIDTH, tmp_path / "cache")  # another one waits for the first
    both = threading.Event()
    threading.Thread(target=lambda: (waiting(stop), both.set()), daemon=True).start()
    stop.set()
    wait_until(ended.is_set)
    wait_until(both.is_set)
    assert not process.is_running()
    assert not compilers()
    assert [one.name for one in (tmp_path / "cache").iterdir()] == ["lock"]


@pytest.mark.long
@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler is installed")
def test_a_network_is_compiled_and_agrees_and_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "SETTLE_S", 0.0)
    model = registered(tmp_path, Exported.FILE, exported(network(), WIDTH))
    for _ in range(2):
        made = open_runner(model, Loading())
        assert isinstance(made, CompilingRunner)
        wait_until(lambda made=made: not made.is_compiling, 1800)
        assert made.how == "AOTInductor"
        for count in (1, 2, 64, 1000):
            due = open_runner(model, Loading(compile=False)).run(rows(count))
            np.testing.assert_allclose(made.run(rows(count)), due, rtol=1e-5, atol=1e-6)
        made.close()
        monkeypatch.setattr(module, "_run", None)  # the second one finds the package
    folder = tmp_path / "cache" / "covey" / "compiled"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(list(folder.glob("*.pt2"))) == 1


@pytest.mark.long
@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler is installed")
def test_a_program_of_another_maker_is_compiled_into_a_process_of_its_own(tmp_path: Path) -> None:
    data = saved(Other(), torch.zeros(2, 3), torch.zeros(2, 3))
    call = ForeignCall(
        (ForeignInput("x", "values", "float32"), ForeignInput("known", "mask", "float32")),
        "nan",
        ForeignOutput(read_torch_program(data).outputs[1].name, None),
    )
    foreign = Foreign("late@v1", "torch", data, call, 3, "cpu", 30.0, output_at=1)
    eager = ForeignRunner(foreign)
    due = [eager.run(rows(count)) for count in (1, 2, 64)]
    made = CompilingRunner("late@v1", eager, 3, compile_foreign(foreign, tmp_path / "cache"), settle_s=0)
    wait_until(lambda: not made.is_compiling, 1800)
    assert made.how == "AOTInductor"
    for count, expected in zip((1, 2, 64), due, strict=True):
        np.testing.assert_allclose(made.run(rows(count)), expected, rtol=1e-5, atol=1e-6)
    assert eager.pid is None
    made.close()
