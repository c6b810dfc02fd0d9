"""Versions of a model follow each other under constant load: no request fails, and no answer mixes versions, epochs or requests."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest

from base.times import wall_clock
from featurestore.publish.model_versions import delete_models, promote, roll_back
from featurestore.registry.serving_versions import Weights, parse_serving
from featurestore.store import Store
from tests.training.program import DESTS
from tests.waiting import wait_until

from .conftest import ModelServer, serving_models
from .known_models import DISTANCES, MOST_PANES, KnownStore

CLIENTS: Final = 3
NAME: Final = "late"
SETTINGS: Final = "[serving]\nmax_queue_delay_us = 2_000\nthreads = 2\n"
"""Requests wait for each other, so that batches of several requests are made, and two of them at a time."""


@dataclass(frozen=True)
class Answer:
    """An answer, with what was asked for.

    Attributes:
        named: the version that the request named; None: it named none.
    """

    named: int | None
    dests: list[str]
    distances: list[int]
    status: int
    body: dict[str, Any]


@dataclass
class Load:
    """Clients that ask without a pause, each over its own connection.

    Attributes:
        named: versions that requests may name.
    """

    server: ModelServer
    named: tuple[int, ...] = ()
    answers: list[Answer] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask until the end of the block."""
        threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, seed: int) -> None:
        draw = random.Random(seed)
        connection = HTTPConnection(self.server.host, self.server.port, timeout=60)
        try:
            while not self._stop.is_set():
                rows = draw.randint(1, 3)
                named = draw.choice(self.named) if self.named and draw.random() < 0.1 else None
                dests, distances = draw.choices(DESTS, k=rows), [draw.randrange(DISTANCES) for _ in range(rows)]
                self.answers.append(ask(connection, dests, distances, named, str(draw.random())))
        except BaseException as error:  # noqa: BLE001 - the test reports it
            self.errors.append(error)
        finally:
            connection.close()


def ask(
    connection: HTTPConnection, dests: list[str], distances: list[int], named: int | None = None, ident: str = ""
) -> Answer:
    """Ask the model once."""
    body = json.dumps({"entities": {"dest": dests, "distance": distances}, "id": ident})
    path = f"/predict/{NAME}" if named is None else f"/predict/{NAME}@v{named}"
    connection.request("POST", path, body)
    response = connection.getresponse()
    return Answer(named, dests, distances, response.status, json.loads(response.read()))


class Rolling:
    """What an operator does to the model while it is asked."""

    def __init__(self, known: KnownStore, server: ModelServer, load: Load, workers: int) -> None:
        self.known, self.load, self.workers, self.last = known, load, workers, 1
        self._connection = HTTPConnection(server.host, server.port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def register(self) -> None:
        self.last += 1
        self.known.register(NAME, self.last)

    def promote(self, *words: str) -> None:
        promote(self.known.directory, NAME, parse_serving(NAME, words), wall_clock)

    def roll_back(self) -> None:
        roll_back(self.known.directory, NAME, wall_clock)

    def delete(self, version: int) -> None:
        delete_models(self.known.directory, f"{NAME}@v{version}", wall_clock)

    def wait_for(self, *versions: int) -> None:
        """Wait until these versions answer, and no other one; with several workers: until each of them has answered."""
        idents = [str(i) for i in range(24 if len(versions) > 1 or self.workers > 1 else 1)]

        def follows() -> bool:
            found = {ask(self._connection, ["ATL"], [0], None, ident).body.get("version") for ident in idents}
            return found == set(versions) if self.workers == 1 else found >= set(versions)

        wait_until(follows)

    def step(self, number: int) -> None:
        """The next version comes into force, in one of the ways that there are."""
        before = self.last
        if len(self.known.panes) < MOST_PANES:
            epoch = self.known.publish()
            wait_until(lambda: ask(self._connection, ["ATL"], [0]).body.get("epoch") == epoch)
        match number % 4:
            case 0:  # a registration takes over by itself
                self.promote("newest")
                self.register()
                self.wait_for(self.last)
            case 1:  # a few requests first, then all
                self.promote(f"v{before}")
                self.register()
                self.promote(f"v{before}=0.7", f"v{self.last}=0.3")
                self.wait_for(before, self.last)
                self.promote(f"v{self.last}")
                self.wait_for(self.last)
            case 2:  # it is rolled back, and promoted again
                self.register()
                self.promote(f"v{self.last}")
                self.wait_for(self.last)
                self.roll_back()
                self.wait_for(before)
                self.promote(f"v{self.last}")
                self.wait_for(self.last)
            case _:  # two at once, without waiting for the first; the one before the last is deleted
                self.register()
                self.register()
                self.promote("newest")
                self.wait_for(self.last)
                self.delete(before)


def roll(tmp_path: Path, versions: int, workers: int) -> None:
    known = KnownStore(tmp_path / "project")
    known.register(NAME, 1)
    (known.directory / "covey.toml").write_text(SETTINGS)
    options = ("--models", NAME, "--workers", str(workers))
    with serving_models(known.directory, tmp_path / "log", NAME, options=options) as server:
        load = Load(server, named=(1,))
        rolling = Rolling(known, server, load, workers)
        with load.running():
            number = 0
            while rolling.last < versions:
                rolling.step(number)
                number += 1
        rolling.close()
        assert server.process.poll() is None
    assert not load.errors
    failed = [one for one in load.answers if one.status != 200]
    assert not failed, failed[:3]
    for one in load.answers:
        version, epoch = one.body["version"], one.body["epoch"]
        assert one.body["model"] == NAME
        assert one.named in (None, version)
        assert one.body["predictions"] == known.expected(version, epoch, one.dests, one.distances), one
    answered = Counter(one.body["version"] for one in load.answers if one.named is None)
    with Store.open(known.directory) as store:
        promoted = {
            version
            for one in store.model_history(NAME).promotions
            if isinstance(one.serving, Weights)
            for version in one.serving.versions
        }
    assert promoted <= answered.keys()
    assert {one.body["version"] for one in load.answers if one.named is not None} == {1}
    assert len({one.body["epoch"] for one in load.answers}) >= min(len(known.panes), MOST_PANES) - 1
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_six_versions_follow_each_other_under_load_without_a_failed_or_mixed_answer(tmp_path: Path) -> None:
    roll(tmp_path, 6, workers=1)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_fifty_versions_follow_each_other_under_load_without_a_failed_or_mixed_answer(
    tmp_path: Path, workers: int
) -> None:
    roll(tmp_path, 50, workers)
