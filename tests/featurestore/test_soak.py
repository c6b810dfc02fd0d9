"""Readers of every kind run while releases, late panes and services are published: no error, and no answer of two epochs.

A few seconds by default; COVEY_SOAK_SECONDS=600 is the long run by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import psutil
import pytest

from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.services import FeatureService
from featurestore.publish.publish import Publisher

from .making import HOUR, a_release, a_view
from .soaking import KEYS, SERVICE, VIEWS, Observations, Resources, service_refs

SECONDS = float(os.environ.get("COVEY_SOAK_SECONDS", "3"))
WORKERS = 2
MORE_MB, MORE_FILES = 48, 24
"""The allowed growth between the first third and the last. One retained epoch exceeds it."""
MAPPED = 3 * len(VIEWS)
"""Blocks of the current epoch, of the one before, and of the next one while it is loaded."""

DEFINITIONS = [
    a_view(name, entity=Entity("dest", domain=KEYS), features=[Count("flights")], min_coverage=0.5) for name in VIEWS
]


class Publishing:
    """The writer: a new pane of both views, then the pane before it, which comes late. The service changes after each."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        for view in DEFINITIONS:
            publisher.register(view)
        self._pane(1)
        self.publication = 1
        for _ in range(2):
            self.next()

    def next(self) -> None:
        """Publish once."""
        self.publication += 1
        k, late = divmod(self.publication, 2)
        self._pane(2 * k if late else 2 * k + 1)
        self._publisher.register_services([FeatureService(SERVICE, service_refs(self.publication))])

    def _pane(self, pane: int) -> None:
        self._publisher.publish([a_release(view, pane * HOUR, pane) for view in DEFINITIONS])


class Reader:
    """A process of `soaking`."""

    def __init__(self, kind: str, where: str) -> None:
        self.kind = kind
        command = [sys.executable, "-m", "tests.featurestore.soaking", kind, where]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", self.kind

    def finish(self, publication: int) -> Observations:
        """Let the reader run until it has seen this publication."""
        said, _ = self._process.communicate(f"{publication}\n", timeout=120)
        read = json.loads(said)
        return Observations(**(read | {"held": [Resources(**one) for one in read["held"]]}))

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def serving(directory: Path) -> Iterator[tuple[str, str, list[int]]]:
    """(HTTP, gRPC, pids of the workers) of a running `covey serve`."""
    command = [sys.executable, "-m", "covey", "serve", "--store", str(directory), "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen([*command, "--workers", str(WORKERS)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if f": {WORKERS} worker(s)" in line:
                    break
            addresses = [line.split("://")[1].split()[0] for line in said if ": serving " in line or "grpc://" in line]
            assert len(addresses) == 2, said
            workers: list[int] = []
            while len(workers) < WORKERS:
                assert process.poll() is None
                workers = [one.pid for one in psutil.Process(process.pid).children()]
                time.sleep(0.05)
            yield addresses[0], addresses[1], workers
        finally:
            process.terminate()


def require_steady(who: str, held: Sequence[Resources]) -> None:
    third = max(1, len(held) // 3)
    first, last = held[third : 2 * third] if len(held) > 3 * third else held[:third], held[-third:]
    assert median(one.rss for one in last) - median(one.rss for one in first) < MORE_MB, (who, held)
    assert max(one.files for one in last) - max(one.files for one in first) < MORE_FILES, (who, held)
    assert max(one.blocks for one in held) <= MAPPED, (who, held)


@pytest.mark.parametrize("settings", ["", "[online]\nblock_mib = 0\n"], ids=["blocks", "rocksdb"])
def test_readers_see_whole_epochs_and_hold_no_old_ones(tmp_path: Path, settings: str) -> None:
    (tmp_path / "covey.toml").write_text(settings)
    blocks = tmp_path / "store" / "blocks"
    with ExitStack() as stack:
        publishing = Publishing(stack.enter_context(Publisher(tmp_path, lambda: 0)))
        over_http, over_grpc, workers = stack.enter_context(serving(tmp_path))
        where = {"http": over_http, "grpc": over_grpc, "reader": str(tmp_path), "get": str(tmp_path)}
        readers = [Reader(kind, one) for kind, one in where.items()]
        for reader in readers:
            stack.callback(reader.kill)
        for reader in readers:
            reader.wait_until_ready()
        of_workers: dict[int, list[Resources]] = {pid: [] for pid in workers}
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            publishing.next()
            assert len(list(blocks.glob("*.arrow"))) == len(VIEWS)  # the blocks of the service's epoch
            for pid, held in of_workers.items():
                held.append(Resources.now(pid))
        seen = {reader.kind: reader.finish(publishing.publication) for reader in readers}
        counts = ", ".join(f"{kind} {one.reads} in {one.epochs}" for kind, one in seen.items())
        sys.stdout.write(f"{publishing.publication} publications; answers in epochs: {counts}\n")
        for kind, one in seen.items():
            assert one.errors == [], kind
            assert one.last == publishing.publication, kind
            assert one.epochs > 2, kind
            require_steady(kind, one.held)
        for pid, held in of_workers.items():
            require_steady(f"worker {pid}", held)
