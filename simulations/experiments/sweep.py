"""Sweeps: their runs and the order of the runs. A sweep is a tree of blocks; an inner block sweeps within its outer block.

    {name: ..., overrides: [fleet=1k,10k], runs: [{overrides: [view.rho=0.01,0.1]}, {overrides: [noise=off]}]}

has six runs: both fleets, each with three settings. Runs are ordered as in a nested loop. Runs with the same fleet have the
same events (`fleet.seed`), noise seed and arrivals. With these common random numbers two runs differ only by their settings.
`seed=0,1,2` draws new noise for each seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from deployment.errors import ItemMissing, UsageError

from .config import CONF, MAX_RUNS, Composer, Resolved, choices, nearest

MAX_FILE_BYTES: Final = 2**20
MAX_DEPTH: Final = 16
MAX_BLOCKS: Final = 1_000
_KEYS: Final = {"name", "overrides", "runs"}


@dataclass(frozen=True)
class SweepBlock:
    """One block of a sweep.

    Attributes:
        runs: inner blocks; without any, the settings of the block are its runs.
    """

    overrides: tuple[str, ...]
    runs: tuple[SweepBlock, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    Attributes:
        swept: {setting: value}, the settings that differ between runs.
    """

    number: int
    resolved: Resolved
    swept: dict[str, str]


def plan(composer: Composer, block: SweepBlock, asked: Sequence[str]) -> list[Planned]:
    """Compose every run of a sweep, once and in order. Overrides in `asked` replace those of the sweep.

    Raises:
        UsageError: the sweep has too many runs, or a run cannot be composed; the error names the run.
    """
    all_runs = (
        given for one in _runs(composer, SweepBlock(tuple(asked), ())) for given in _around(composer, block, one)
    )
    found = list(islice(all_runs, MAX_RUNS + 1))
    if len(found) > MAX_RUNS:
        raise UsageError(f"the sweep has more than {MAX_RUNS:,} runs: use fewer values")
    found = list({frozenset(_settings(given).items()): given for given in found}.values())
    settings = [_settings(given) for given in found]
    names = dict.fromkeys(name for given in settings for name in given)
    varied = [name for name in names if len({given.get(name) for given in settings}) > 1]
    return [
        Planned(number, _composed(composer, given, number), {name: of[name] for name in varied if name in of})
        for number, (given, of) in enumerate(zip(found, settings, strict=True), 1)
    ]


def load(name_or_path: str) -> SweepBlock:
    """Read a sweep by its name in conf/sweep, or from a file.

    Raises:
        ItemMissing: there is no such name or file. UsageError: the file is no sweep.
    """
    known = choices("sweep")
    path = CONF / "sweep" / f"{name_or_path}.yaml" if name_or_path in known else Path(name_or_path)
    if not path.is_file():
        raise ItemMissing(
            f"there is no sweep {name_or_path!r}{nearest(name_or_path, list(known))} There are {', '.join(known)}, or a .yaml file"
        )
    return _block(_parsed(path), str(path), 0, count())


def _settings(given: Sequence[str]) -> dict[str, str]:
    """Return {setting: value}; the later of two values counts."""
    return {name: value.replace("\\", "") for name, value in (text.split("=", 1) for text in given)}


def _runs(composer: Composer, block: SweepBlock) -> Iterator[tuple[str, ...]]:
    for given in composer.expand(block.overrides):
        for inner in block.runs or (SweepBlock(()),):
            if inner.overrides or inner.runs:
                yield from ((*given, *more) for more in _runs(composer, inner))
            else:
                yield given


def _around(composer: Composer, block: SweepBlock, asked: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for given in _runs(composer, block):
        yield (*given, *asked)


def _composed(composer: Composer, overrides: Sequence[str], number: int) -> Resolved:
    try:
        return composer.compose(overrides)
    except UsageError as error:
        raise UsageError(f"run {number}: {error}") from None


def _parsed(path: Path) -> Any:
    import yaml  # type: ignore[import-untyped]  # PyYAML has no types of its own

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path} is no sweep: it has more than {MAX_FILE_BYTES:,} bytes")
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path} is no sweep: {' '.join(str(error).split())}") from None


def _block(tree: Any, where: str, depth: int, number: Iterator[int]) -> SweepBlock:
    """Parse a block strictly: {name, overrides, runs}, with at least one of overrides and runs.

    Args:
        number: counts the blocks, because an alias of YAML can make any number of them.
    """
    if depth > MAX_DEPTH or next(number) == MAX_BLOCKS:
        raise UsageError(
            f"{where}: the sweep has more than {MAX_BLOCKS:,} blocks, or blocks nested deeper than {MAX_DEPTH}"
        )
    if not isinstance(tree, dict) or not tree.keys() <= _KEYS or not tree.keys() & {"overrides", "runs"}:
        got = f"{', '.join(map(str, tree))}" if isinstance(tree, dict) else repr(tree)
        raise UsageError(
            f"{where}: a block has overrides: […], runs: […] or both, and an optional name; got {got[:200]}"
        )
    overrides, runs, name = tree.get("overrides") or [], tree.get("runs") or [], tree.get("name")
    if not isinstance(overrides, list) or not all(isinstance(one, str) for one in overrides):
        raise UsageError(f"{where}: overrides is a list of texts, such as ['view.k=20,50']")
    if not isinstance(runs, list):
        raise UsageError(f"{where}: runs is a list of blocks")
    if not isinstance(name, str | None):
        raise UsageError(f"{where}: name is a text")
    inner = tuple(_block(one, f"{where}, runs[{at}]", depth + 1, number) for at, one in enumerate(runs))
    return SweepBlock(tuple(overrides), inner, name)
