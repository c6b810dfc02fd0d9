"""The files of a source: one file, all files of a folder, or the files that a pattern matches, in order of their paths.

A program that adds a file writes it under a temporary name and renames it: names that begin with `.` or `_`, and names of
unfinished files, are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

from ...errors import EventFilesAway, EventsError

FileKind = Literal["Parquet", "CSV", "JSON"]

MAX_FILES: Final = 10_000
"""Most files of one source: 400 days of hourly files. Each plan looks at all of them."""
_KINDS: Final[Mapping[str, FileKind]] = {
    ".parquet": "Parquet",
    ".csv": "CSV",
    ".jsonl": "JSON",
    ".ndjson": "JSON",
    ".json": "JSON",
}
_UNFINISHED: Final = ("~", ".tmp", ".temp", ".part", ".partial", ".crdownload")
"""Ends of the names of files that other programs are writing."""
_MAGIC: Final = frozenset("*?[")


def event_files(path: Path) -> list[Path]:
    """The files of a source, in order of their paths.

    Args:
        path: a file; a folder, which stands for the files in it and in its folders; or a pattern with `*`, `?`, `[…]`, and
            `**` for any folders. A path that exists is not a pattern.

    Raises:
        EventFilesAway: there is no file, or a folder cannot be read. EventsError: there are more than `MAX_FILES`, the suffix of
            one names no kind of file, or there are files of two kinds.
    """
    is_file, is_folder = _kind_of_path(path)
    if is_file:
        found = [path]
    else:
        if not is_folder and not _is_pattern(str(path)):
            raise EventFilesAway(f"no event file {path}: there is no such file or folder")
        found = sorted(_bounded(path, _files_below(path) if is_folder else _files_of_pattern(path)))
        if not found:
            what = f"the folder {path} has no file of events" if is_folder else f"no file of events matches {path}"
            raise EventFilesAway(f"{what}. Files with hidden or unfinished names are skipped")
    for file in found:
        if file_kind(file) is None:
            mend = (
                "" if file == path else f". Move it out of {path}, or name the files by a pattern such as '*.parquet'"
            )
            raise EventsError(
                f"{file}: events are read from {', '.join(_KINDS)}, not {file.suffix or 'a file without suffix'!r}{mend}"
            )
        if file_kind(file) != file_kind(found[0]):
            raise EventsError(
                f"{path} has files of two kinds, {found[0]} and {file}; all must be Parquet, or all CSV, or all JSON"
            )
    return found


def _kind_of_path(path: Path) -> tuple[bool, bool]:
    """Whether it is a file, and whether it is a folder. Raises EventFilesAway: a folder above it cannot be read."""
    try:
        return path.is_file(), path.is_dir()
    except OSError as error:
        raise EventFilesAway(f"{path} cannot be read: {error.strerror}") from None


def _bounded(path: Path, files: Iterator[Path]) -> set[Path]:
    """Different files. Raises EventsError: there are too many, or a folder cannot be read."""
    found: set[Path] = set()
    try:
        for file in files:
            found.add(file)
            if len(found) > MAX_FILES:
                raise EventsError(f"{path} has more than {MAX_FILES:,} files; merge them, for example by day")
    except OSError as error:
        raise EventFilesAway(f"{path}: {error.filename} cannot be read: {error.strerror}") from None
    return found


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in _visible(folder):
        if not entry.is_dir():
            yield _regular(entry)
        elif entry.is_symlink():  # it might lead back here
            raise EventsError(f"{entry} is a link to a folder, which is not followed. Move it, and name that folder")
        else:
            yield from _files_below(entry)


def _files_of_pattern(pattern: Path) -> Iterator[Path]:
    parts = pattern.parts
    fixed = next(at for at, part in enumerate(parts) if _is_pattern(part))
    for match in _matches(Path(*parts[:fixed]), parts[fixed:]):
        if match.is_dir():
            yield from _files_below(match)
        else:
            yield _regular(match)


def _regular(file: Path) -> Path:
    """The same file. Raises EventFilesAway: it is none, such as a pipe, which would keep its reader waiting."""
    if not file.is_file():
        raise EventFilesAway(f"{file} is no regular file, or a link to one that is away. Move it, or mend the link")
    return file


def _matches(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Existing paths below a folder that match the parts of a pattern."""
    if not parts:
        yield folder
        return
    first, rest = parts[0], parts[1:]
    if not _is_pattern(first):
        if (folder / first).exists():
            yield from _matches(folder / first, rest)
        return
    if first == "**":
        yield from _matches(folder, rest)
    for entry in _visible(folder) if folder.is_dir() else []:
        if first == "**" and entry.is_dir() and not entry.is_symlink():
            yield from _matches(entry, parts)
        elif first != "**" and fnmatchcase(entry.name, first):
            yield from _matches(entry, rest)


def _visible(folder: Path) -> Iterator[Path]:
    """What a folder holds, without hidden and unfinished files."""
    for entry in folder.iterdir():
        if not entry.name.startswith((".", "_")) and not entry.name.lower().endswith(_UNFINISHED):
            yield entry


def _is_pattern(part: str) -> bool:
    return not _MAGIC.isdisjoint(part)


def file_kind(path: Path) -> FileKind | None:
    """The kind of a file, by its suffix."""
    return _KINDS.get(path.suffix.lower())
