"""Every file and folder that a command leaves, and who may read it. A file that no pattern names fails the test."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

PRIVATE: Final = (
    r"keys(/[\w-]+\.key)?",  # secret keys
    r"ledgers(/(operator|site-[\w-]+)\.db(-wal|-shm|-journal|\.head)?)?",
    r"roles(/(leader|helper|keyholder|coordinator|superlink|site-[\w-]+))?",
    r"keys/tls(/\w+\.(crt|key))?|keys/trust(/\w+\.crt)?",
    r"roles/(leader|helper|keyholder)/(state\.db(-wal|-shm|-journal)?|live(/[0-9a-f]+)?)",
    r"roles/(superlink|leader|helper|keyholder)/lock",
    r"roles/coordinator/((lease|schedule)\.lock|schedule\.db(-wal|-shm|-journal)?|answers\.jsonl)",
    r"roles/coordinator/unfinished(/(job\.json|superlink|announced\.json|progress\.jsonl|result\.\w+|logs(/[\w-]+\.log)?))?",
    r"sites(/[\w-]+\.(toml|parquet))?",  # a site's own settings; for a simulated site also its events
    r"consumers\.json",  # digests of the readers' API keys
    r"job\.json|announced\.json|progress\.jsonl|result\.(json|lock|failed)|logs(/[\w-]+\.log)?",  # of a run over the wire
    r"logs/spans\.jsonl",  # COVEY_TRACES of a test
)
"""Of a project (or `--store`) directory, or of the one of an unfinished run."""
HANDED_OUT: Final = (r"keys/[\w-]+\.pub",)
"""Files whose copies go to others. They lie in a private folder."""
WRITTEN_BY_FLOWER: Final = (r"roles/superlink/flower(/.*)?",)
"""Files in a private folder whose modes Covey does not set."""
PUBLIC: Final = (
    r"",
    r"views\.py|covey\.toml|policy\.toml",
    r"store/traces\.json",  # written only while the publisher traces
    r"store(/(registry\.db|writer\.lock)(-wal|-shm)?)?",
    r"store/(online|offline|blocks|models)(/.*)?",
)
UNFINISHED: Final = (r"", r"covey\.toml|policy\.toml", r"flower", *PRIVATE, *HANDED_OUT)
"""The project of an unfinished run is private as a whole, its own folder included."""
IN_FLOWER: Final = (r"flower/.*",)
"""Files that Flower writes into its own private folder of a run, and that a killed run leaves."""


def umask_now() -> int:
    """The umask of this process."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def assert_modes(directory: Path, umask: int, *, also: tuple[str, ...] = ()) -> set[str]:
    """Check a project (or `--store`) directory. Returns all names that were found.

    Args:
        also: further public names: files that the test itself put there.
    """
    found = set()
    for name, path in _walk(directory):
        if _matches(PRIVATE, name):
            _require_private(path)
        elif _matches((*HANDED_OUT, *WRITTEN_BY_FLOWER), name):
            _require_private(directory / Path(*Path(name).parts[: 1 + name.startswith("roles/")]))
        else:
            assert _matches((*PUBLIC, *also), name), f"{path} is on no list: say in {__name__} who may read it"
            wanted = (0o777 if path.is_dir() else 0o666) & ~umask
            mode = stat.S_IMODE(path.lstat().st_mode)
            assert not name or mode & 0o444 == 0o444, f"{path}, for many readers, has mode {mode:o}"
            assert mode & ~wanted == 0, f"{path} has mode {mode:o}, the umask allows {wanted:o}"
        assert path.lstat().st_uid == os.geteuid()
        found.add(name)
    return found


def assert_unfinished(folder: Path) -> set[str]:
    """Check the folder of an unfinished run. Returns all names that were found."""
    found = set()
    for name, path in _walk(folder):
        assert _matches((*UNFINISHED, *IN_FLOWER), name), f"{path} is on no list: say in {__name__} who may read it"
        if not _matches((*HANDED_OUT, *IN_FLOWER), name):
            _require_private(path)
        found.add(name)
    return found


def assert_wholly_private(folder: Path) -> None:
    """Check a folder in which other programs write too: no other user may enter it."""
    _require_private(folder)


def _walk(directory: Path) -> list[tuple[str, Path]]:
    paths = [directory, *directory.rglob("*")]
    assert not [path for path in paths if path.is_symlink()]
    return [("" if path == directory else str(path.relative_to(directory)), path) for path in paths]


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _require_private(path: Path) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    wanted = 0o700 if path.is_dir() else 0o600
    assert mode == wanted, f"{path} has mode {mode:o}, need {wanted:o}"
