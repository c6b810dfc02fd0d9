"""Archives that are no page: each is refused with its name and the reason, before it takes memory."""

from __future__ import annotations

import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from covey.console.archive import MANIFEST, MAX_BYTES, MAX_FILES, PageArchive, read_archive
from covey.console.assets import INDEX, AssetFiles
from covey.console.page import page_router
from covey.errors import PageDamaged
from docs.console_archive import write_archive

from .asking import TestClient

FILES = {INDEX: b"<!doctype html>", "assets/a-1.js": b"let a = 1;"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A page's archive."""
    write_archive(tmp_path / "assets.zip", PageArchive(FILES, "hash"))
    return tmp_path / "assets.zip"


def rewritten(path: Path, files: dict[str | zipfile.ZipInfo, bytes], **options: Any) -> None:
    """Write an archive with other files and the manifest of `FILES`."""
    manifest = PageArchive(FILES, "hash").manifest
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name twice
        for name, data in {**files, MANIFEST: manifest}.items():
            made.writestr(name, data)


def a_link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def bomb(path: Path) -> None:
    """A thousand times as large as it says: only the sizes of the list and of the entry are small."""
    data = bytes(40 * 2**20)
    rewritten(path, {INDEX: data})
    raw = path.read_bytes().replace(struct.pack("<I", len(data)), struct.pack("<I", 15))
    path.write_bytes(raw)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flipped(path: Path) -> None:
    """One byte of a file is another one."""
    raw = bytearray(path.read_bytes())
    at = 30 + len("assets/a-1.js") + 3
    raw[at] ^= 0xFF
    path.write_bytes(raw)


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def encrypted(path: Path) -> None:
    """Every entry is marked as encrypted."""
    raw = path.read_bytes()
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        parts = raw.split(mark)
        raw = mark.join([parts[0], *(one[: at - 4] + b"\x01\x00" + one[at - 2 :] for one in parts[1:])])
    path.write_bytes(raw)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (bomb, "cannot be read|not those of its manifest"),
        (endless, "1,099,511,627,776 bytes"),
        (lambda path: rewritten(path, {INDEX: bytes(MAX_BYTES), "more": b"1"}), "its files have 4,194"),
        (lambda path: rewritten(path, {f"a{i}": b"" for i in range(MAX_FILES)}), "it has 501 files"),
        (lambda path: rewritten(path, {**FILES, "../outside.js": b""}), "'../outside.js' is not a file"),
        (lambda path: rewritten(path, {**FILES, "/etc/passwd": b""}), "'/etc/passwd' is not a file"),
        (lambda path: rewritten(path, {**FILES, "a/../../b": b""}), "is not a file"),
        (lambda path: rewritten(path, {**FILES, "a\\b": b""}), "is not a file"),
        (lambda path: rewritten(path, {**FILES, "assets/": b""}), "'assets/' is not a file"),
        (lambda path: rewritten(path, {**FILES, a_link("assets/b.js"): b"/etc/passwd"}), "'assets/b.js' is not a file"),
        (lambda path: rewritten(path, {**FILES, zipfile.ZipInfo(INDEX): b"twice"}), "'index.html' is not a file"),
        (lambda path: rewritten(path, {**FILES, INDEX: b"other"}), "not those of its manifest"),
        (lambda path: rewritten(path, {INDEX: FILES[INDEX]}), "not those of its manifest"),
        (lambda path: rewritten(path, {**FILES, "assets/more.js": b"evil"}), "not those of its manifest"),
        (encrypted, "is not a file of a page"),
        (cut, "it cannot be read"),
        (flipped, "it cannot be read"),
        (a_folder, "it cannot be read"),
        (lambda path: path.write_bytes(b""), "it cannot be read"),
        (lambda path: path.write_bytes(b"<!doctype html>" * 100), "it cannot be read"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "it has no manifest.json"),
    ],
)
def test_an_archive_that_is_no_page_is_refused(path: Path, damage: Callable[[Path], object], why: str) -> None:
    damage(path)
    tracemalloc.start()
    try:
        with pytest.raises(PageDamaged, match=why) as refused:
            read_archive(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BYTES
    finally:
        tracemalloc.stop()
    assert refused.value.path == str(path)


@pytest.mark.parametrize("manifest", [b"", b"[]", b'{"sources": 3}', b'{"sources": "x"}', b"[" * 100_000, b"\xff"])
def test_a_manifest_that_is_none_is_refused(path: Path, manifest: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in {**FILES, MANIFEST: manifest}.items():
            made.writestr(name, data)
    with pytest.raises(PageDamaged, match="not those of its manifest"):
        read_archive(path)


def test_a_browser_is_told_how_a_damaged_page_is_mended_and_finds_the_mended_one(path: Path) -> None:
    whole = path.read_bytes()
    files = AssetFiles(path, path.parent / "static")
    app = FastAPI()
    app.include_router(page_router(files), prefix="/console")
    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.get("/console/").content == FILES[INDEX]
    cut(path)
    for _ in range(2):
        answer = client.get("/console/")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
        assert f"{path}, is damaged: it cannot be read" in answer.text
        assert "pip install --force-reinstall covey" in answer.text
    path.write_bytes(whole)
    assert client.get("/console/").content == FILES[INDEX]


def test_a_folder_with_too_much_or_with_what_cannot_be_read_is_refused(path: Path) -> None:
    folder = path.parent / "static"
    folder.mkdir()
    with (folder / INDEX).open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PageDamaged, match="at most 500 files and 4,194,304 bytes"):
        AssetFiles(path.with_name("none.zip"), folder).find(INDEX)
