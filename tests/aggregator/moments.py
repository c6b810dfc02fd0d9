"""The moments of a scene at which a process can die, and the scene played once for each of them.

A scene is played once without a death. Before every write and around every message, the files are copied as a kill would
leave them. Many of these moments leave the same files. From each different set of files both aggregators start again and
continue at the step that was cut off. A helper that dies alone leaves the leader with its memory; in that case the scene is
played again from its start, with a death at each of these moments.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.aggregator.mortals import Countdown, Pair, spare

LEAST = {"leader": 60, "helper": 45, "link": 10}
"""Moments of one collection at which somebody writes, or a message is on its way."""


@dataclass(frozen=True)
class Moment:
    """What a kill of both leaves: a copy of their files, how many steps were done, and the time."""

    files: Path
    steps: int
    now: int


class Moments:
    """The moments of a scene that is played without a death, in so far as they leave other files than earlier ones of a step.

    Attributes:
        counts: how many moments each victim has, whatever it leaves.
        given: what each step gave.
        of_both: what a kill of both leaves.
        of_helper: by number, the moments of the helper after which it, or the leader that waits for it, goes on from another
            state.
    """

    def __init__(self, path: Path, scene: Callable[[Pair], None], files: Path | None) -> None:
        self.counts = dict.fromkeys(LEAST, 0)
        self.of_both: dict[tuple[int, bytes], Moment] = {}
        self.of_helper: dict[tuple[int, int, bytes], int] = {}
        pair = Pair(begin(path / "whole", files), dict.fromkeys(LEAST, spare))
        self._pair, pair.strikes = pair, {victim: partial(self._strike, victim) for victim in LEAST}
        try:
            scene(pair)
        finally:
            pair.close()
        assert not pair.kills
        self.given = pair.given

    def _strike(self, victim: str) -> None:
        self.counts[victim] += 1
        pair = self._pair
        step, state = len(pair.given), state_of(pair.path)
        if victim == "helper":
            self.of_helper.setdefault((step, pair.link.calls, state), self.counts[victim])
        if (step, state) not in self.of_both:
            copy = pair.path.with_name(f"moment-{len(self.of_both)}")
            shutil.copytree(pair.path, copy, ignore=shutil.ignore_patterns("*-shm"))
            self.of_both[step, state] = Moment(copy, step, pair.clock.now)


def begin(folder: Path, files: Path | None) -> Path:
    """A folder with these files."""
    if files is None:
        folder.mkdir()
    else:
        shutil.copytree(files, folder)
    return folder


def state_of(path: Path) -> bytes:
    """Names and bytes of all files; the index of SQLite's -wal file, which every start makes anew, is left out."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.endswith("-shm"):
            content = file.read_bytes()
            found.update(f"{file.relative_to(path)} {len(content)} ".encode() + content)
    return found.digest()


def sweep(path: Path, victim: str, files: Path | None, scene: Callable[[Pair], None]) -> dict[str, int]:
    """Let somebody die at every moment of a scene, and play it to its end: how many moments each victim has."""
    moments = Moments(path, scene, files)
    nobody = dict.fromkeys(LEAST, spare)

    def pairs() -> Iterator[tuple[Pair, int]]:
        if victim == "both":
            for left in moments.of_both.values():
                yield Pair(left.files, nobody, done=moments.given[: left.steps], now=left.now), 0
        else:
            for number in moments.of_helper.values():
                folder = begin(path / f"helper-{number}", files)
                yield Pair(folder, nobody | {"helper": Countdown(number)}, apart=True), 1

    for pair, deaths in pairs():
        try:
            scene(pair)
        finally:
            pair.close()
        assert pair.kills == deaths
        shutil.rmtree(pair.path)
    return moments.counts
