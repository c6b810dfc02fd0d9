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

from covey.console.archive import MANIFEST, PageArchive, read_archive
from covey.console.assets import ARCHIVE, FOLDER, INDEX
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


def write_archive(archive: Path, page: PageArchive) -> None:
    """Write the archive as a whole: the same files make the same bytes."""
    half = archive.with_name(f"{archive.name}.part")
    try:
        with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
            for name, data in sorted({**page.files, MANIFEST: page.manifest}.items()):
                entry = zipfile.ZipInfo(name, _DATE)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                opened.writestr(entry, data)
        half.replace(archive)
    finally:
        half.unlink(missing_ok=True)


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
        try:
            write_archive(ARCHIVE, PageArchive(files, now))
        except OSError as error:
            sys.stderr.write(f"{ARCHIVE} cannot be written: {error}\n")
            return 1
        sizes = f"{sum(map(len, files.values())):,} bytes, {ARCHIVE.stat().st_size:,} compressed"
        sys.stdout.write(f"{ARCHIVE}: {len(files)} files, {sizes}\n")
        return 0
    packed = read_archive(ARCHIVE)
    found = differences(files, packed.files)
    if found or packed.sources != now:
        what = f"other files: {', '.join(found)}" if found else "other sources"
        sys.stderr.write(f"{ARCHIVE} was built from {what}; run `make console`, and commit it\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
