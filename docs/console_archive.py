"""Packs the built page of the console into `covey/console/assets.zip`: `python -m docs.console_archive`, by `make console`.

The archive is committed, so that `make demo` needs no Node. It names the hash of its sources, which a test compares.
`--check` compares the files of a new build with those of the archive.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from covey.console.assets import ARCHIVE, FOLDER, INDEX, MANIFEST
from covey.console.openapi import document

SOURCES: Final = Path(__file__).parents[1] / "console"
MAX_BYTES: Final = 1_500_000
MAX_COMPRESSED: Final = 450_000

_TOP: Final = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", ".node-version")
"""The files beside `src` that change a build."""
_TYPES: Final = "schema.d.ts"
"""Written from the document of the API, which is hashed itself."""
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def sources_hash(sources: Path, api: object) -> str:
    """The hash of what a build is made from. Tests are not part of it.

    Args:
        api: the OpenAPI document, as JSON.
    """
    whole = hashlib.sha256(json.dumps(api, sort_keys=True).encode())
    for path in sorted(_sources(sources)):
        name, data = path.relative_to(sources).as_posix(), path.read_bytes()
        whole.update(f"\n{name} {hashlib.sha256(data).hexdigest()}".encode())
    return whole.hexdigest()


def _sources(sources: Path) -> Iterator[Path]:
    yield from (sources / name for name in _TOP)
    for path in (sources / "src").rglob("*"):
        if path.is_file() and ".test." not in path.name and path.name != _TYPES:
            yield path


def built(folder: Path) -> dict[str, bytes]:
    """The files of a build, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_archive(archive: Path, files: Mapping[str, bytes], sources: str) -> None:
    """Write the archive: the same files make the same bytes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        for name, data in sorted({**files, MANIFEST: _manifest(files, sources)}.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            opened.writestr(entry, data)


def _manifest(files: Mapping[str, bytes], sources: str) -> bytes:
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    return (json.dumps({"sources": sources, "files": hashes}, indent=1) + "\n").encode()


def read_archive(archive: Path) -> tuple[dict[str, bytes], str]:
    """(files, hash of the sources) of an archive. Raises ValueError: a file is not the one of the manifest."""
    with zipfile.ZipFile(archive) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    manifest = files.pop(MANIFEST)
    sources: str = json.loads(manifest)["sources"]
    if manifest != _manifest(files, sources):
        raise ValueError(f"{archive}: its files are not those of its manifest; run `make console`")
    return files, sources


def differences(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> list[str]:
    """The names of files that only one side has, or that differ."""
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def main(arguments: list[str]) -> int:
    """Write the archive, or compare it with the build."""
    files = built(FOLDER)
    if INDEX not in files:
        sys.stderr.write(f"{FOLDER} has no {INDEX}: run `npm run build` in console/\n")
        return 1
    now = sources_hash(SOURCES, document())
    if arguments != ["--check"]:
        write_archive(ARCHIVE, files, now)
        sizes = f"{sum(map(len, files.values())):,} bytes, {ARCHIVE.stat().st_size:,} compressed"
        sys.stdout.write(f"{ARCHIVE}: {len(files)} files, {sizes}\n")
        return 0
    packed, sources = read_archive(ARCHIVE)
    found = differences(files, packed)
    if found or sources != now:
        what = f"other files: {', '.join(found)}" if found else "other sources"
        sys.stderr.write(f"{ARCHIVE} was built from {what}; run `make console`, and commit it\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
