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

from tests.aggregator.mortals import Countdown, Pair, no_strike

LEAST = {"leader": 60, "helper": 45, "link": 10}
"""The fewest moments of one collection, by victim: writes of a role, and messages on the link."""


@dataclass(frozen=True)
class Moment:
    """The state after a kill of both: a copy of their files, the number of finished steps, and the time."""

    files: Path
    steps: int
    now: int


class Moments:
    """The moments of a scene that is played without a death. A step's moments with equal files count once.

    Attributes:
        counts: the number of moments of each victim, equal files included.
        given: the result of each step.
        of_both: the moments at which both can die.
        of_helper: the numbers of the helper's moments after which the helper, or the waiting leader, continues from a
            different state.
    """

    def __init__(self, path: Path, scene: Callable[[Pair], None], files: Path | None) -> None:
        self.counts = dict.fromkeys(LEAST, 0)
        self.of_both: dict[tuple[int, bytes], Moment] = {}
        self.of_helper: dict[tuple[int, int, bytes], int] = {}
        pair = Pair(begin(path / "whole", files), dict.fromkeys(LEAST, no_strike))
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
    """A folder that contains these files."""
    if files is None:
        folder.mkdir()
    else:
        shutil.copytree(files, folder)
    return folder


def state_of(path: Path) -> bytes:
    """A digest of the names and bytes of all files, without the index of SQLite's -wal file, which every start rebuilds."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.endswith("-shm"):
            content = file.read_bytes()
            found.update(f"{file.relative_to(path)} {len(content)} ".encode() + content)
    return found.digest()


def sweep(
    path: Path,
    victim: str,
    files: Path | None,
    scene: Callable[[Pair], None],
    first_steps: Callable[[Pair], None] | None = None,
) -> dict[str, int]:
    """Play a scene once for each moment at which the victim can die. Returns how many moments each victim has.

    Args:
        first_steps: the first steps of the scene, if the victim can die in these only.
    """
    moments = Moments(path, first_steps or scene, files)
    nobody = dict.fromkeys(LEAST, no_strike)

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
