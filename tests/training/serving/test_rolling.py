"""Versions of a model follow each other under constant load: no request fails, and no answer mixes versions, epochs or requests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final, Literal, TypeAlias

import psutil
import pytest

from base.times import wall_clock
from featurestore.publish.model_versions import delete_models, promote, roll_back
from featurestore.registry.serving_versions import Weights, parse_serving
from featurestore.store import Store
from tests.waiting import wait_until

from .conftest import ModelServer, serving_models
from .known_models import MOST_PANES, KnownStore
from .load import Answer, Load, PredictClient, Question

Kind: TypeAlias = Literal["monotone", "onnx"]
NAME: Final = "late"
SETTINGS: Final = "[serving]\nmax_queue_delay_us = 2_000\nthreads = 2\n"
"""Requests wait for each other, so that batches of several requests are made, and two of them at a time."""


class Rolling:
    """What an operator does to the model while it is asked."""

    def __init__(self, known: KnownStore, server: ModelServer, workers: int, kind: Kind) -> None:
        self.known, self.server, self.workers, self.kind, self.last = known, server, workers, kind, 1
        self._client = PredictClient(server, NAME)

    def close(self) -> None:
        self._client.close()

    def step(self, number: int) -> None:
        """The next version comes into force, in one of the ways that there are, and with features of the next pane."""
        before = self.last
        if len(self.known.panes) < MOST_PANES:
            epoch = self.known.publish()
            wait_until(lambda: self._ask().epoch == epoch)
        match number % 5:
            case 0:  # a registration takes over by itself
                self._promote("newest")
                self._register()
            case 1:  # a few requests first, then all
                self._promote(f"v{before}")
                self._register()
                self._promote(f"v{before}=0.7", f"v{self.last}=0.3")
                self._wait_for(before, self.last)
                self._promote(f"v{self.last}")
            case 2:  # it is rolled back, and promoted again
                self._register()
                self._promote(f"v{self.last}")
                self._wait_for(self.last)
                roll_back(self.known.directory, NAME, wall_clock)
                self._wait_for(before)
                self._promote(f"v{self.last}")
            case 3:  # its file is damaged: the one before stays in force until it is mended
                self._promote(f"v{before}")
                self._register()
                (path,) = (self.known.directory / "store" / "models" / NAME / f"v{self.last}").iterdir()
                content = path.read_bytes()
                path.write_bytes(b"damaged")
                self._promote(f"v{self.last}")
                self.server.wait_for(f"{NAME}@v{self.last} cannot be served")
                assert self._ask().version == before
                path.write_bytes(content)
                self._promote(f"v{self.last}")
            case _:  # two at once, without waiting for the first; the one before them is deleted
                self._register()
                self._register()
                self._promote("newest")
                self._wait_for(self.last)
                delete_models(self.known.directory, f"{NAME}@v{before}", wall_clock)
        self._wait_for(self.last)

    def _register(self) -> None:
        self.last += 1
        self.known.register(NAME, self.last, self.kind)

    def _promote(self, *words: str) -> None:
        promote(self.known.directory, NAME, parse_serving(NAME, words), wall_clock)

    def _wait_for(self, *versions: int) -> None:
        """Wait until these versions answer and, of a single worker, no other one."""
        idents = [str(i) for i in range(24 if len(versions) > 1 or self.workers > 1 else 1)]

        def follows() -> bool:
            found = {self._ask(ident).version for ident in idents}
            return found == set(versions) if self.workers == 1 else found >= set(versions)

        wait_until(follows)

    def _ask(self, ident: str = "") -> Answer:
        return self._client.ask(Question(["ATL"], [0], None, ident))


def roll(tmp_path: Path, versions: int, workers: int = 1, kind: Kind = "monotone") -> None:
    known = KnownStore(tmp_path / "project")
    known.register(NAME, 1, kind)
    (known.directory / "covey.toml").write_text(SETTINGS)
    options = ("--models", NAME, "--workers", str(workers), *(("--trust",) if kind == "onnx" else ()))
    with serving_models(known.directory, tmp_path / "log", NAME, options=options) as server:
        load, rolling, number = Load(server, NAME, named=(1,)), Rolling(known, server, workers, kind), 0
        with load.running():
            wait_until(lambda: {one.protocol for one in load.answers} == {"predict", "infer", "grpc"})
            while rolling.last < versions:
                rolling.step(number)
                number += 1
        rolling.close()
        if kind == "onnx":  # one process for the version in force, and one for v1, which requests name
            wait_until(lambda: len(psutil.Process(server.process.pid).children(recursive=True)) == 2)
        assert server.process.poll() is None
    assert not load.errors
    failed = [one for one in load.answers if one.refused]
    assert not failed, failed[:3]
    for one in load.answers:
        asked = one.question
        assert asked.named in (None, one.version), one
        assert [*one.predictions] == known.expected(one.version, one.epoch, asked.dests, asked.distances), one
    answered = Counter(one.version for one in load.answers if one.question.named is None)
    with Store.open(known.directory) as store:
        promotions = [one.serving for one in store.model_history(NAME).promotions]
    assert {version for one in promotions if isinstance(one, Weights) for version in one.versions} <= answered.keys()
    assert {one.epoch for one in load.answers} == known.panes.keys()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_seven_versions_follow_each_other_under_load_without_a_failed_or_mixed_answer(tmp_path: Path) -> None:
    roll(tmp_path, 7)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_fifty_versions_follow_each_other_under_load_without_a_failed_or_mixed_answer(
    tmp_path: Path, workers: int
) -> None:
    roll(tmp_path, 50, workers)


@pytest.mark.long
def test_foreign_versions_follow_each_other_and_each_process_ends_after_its_last_batch(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    roll(tmp_path, 13, kind="onnx")
