"""The built page: which build is served, how it is kept by browsers, and what is never served."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from covey.console.archive import MANIFEST, PageArchive
from covey.console.assets import AssetFiles
from covey.console.page import page_router
from covey.console.problems import answer_with_problems
from docs.console_archive import write_archive

from .asking import TestClient

PAGE = b"<!doctype html>" + b" " * 500


@pytest.fixture
def built(tmp_path: Path) -> AssetFiles:
    """An archive, and a folder with a newer page."""
    files = {"index.html": PAGE, "assets/a-1.js": b"let a = 1;"}
    write_archive(tmp_path / "assets.zip", PageArchive(files, "hash"))
    return AssetFiles(tmp_path / "assets.zip", tmp_path / "static")


@pytest.fixture
def client(built: AssetFiles) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(page_router(built), prefix="/console")
    answer_with_problems(app)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def write_folder(folder: Path, text: bytes, at: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_bytes(text)
    os.utime(folder / "index.html", ns=(at, at))


def test_the_newer_of_archive_and_folder_is_served(built: AssetFiles, tmp_path: Path) -> None:
    written = (tmp_path / "assets.zip").stat().st_mtime_ns
    write_folder(tmp_path / "static", b"old", written - 1)
    assert built.find("").data == PAGE
    write_folder(tmp_path / "static", b"new", written + 1)
    assert built.find("").data == b"new"
    assert built.find("assets/a-1.js") is None


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    app = FastAPI()
    app.include_router(page_router(AssetFiles(tmp_path / "none.zip", tmp_path / "none")), prefix="/console")
    answer = TestClient(app, base_url="http://127.0.0.1").get("/console/")
    assert (answer.status_code, "make console" in answer.text) == (503, True)


def test_a_file_with_its_hash_in_the_name_is_kept_and_the_page_is_not(client: TestClient) -> None:
    page, script = client.get("/console/"), client.get("/console/assets/a-1.js")
    assert page.headers["cache-control"] == "no-store"
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"


def test_the_page_is_compressed_for_browsers_that_can_read_that(built: AssetFiles, client: TestClient) -> None:
    asset = built.find("")
    assert gzip.decompress(asset.compressed) == PAGE
    assert client.get("/console/", headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/console/", headers={"accept-encoding": ""}).headers
    assert client.get("/console/assets/a-1.js", headers={"accept-encoding": "gzip"}).text == "let a = 1;"


def test_the_head_of_the_page_has_no_body(client: TestClient) -> None:
    answer = client.head("/console/")
    assert (answer.status_code, answer.content) == (200, b"")


def test_links_and_the_manifest_are_not_served(built: AssetFiles, tmp_path: Path) -> None:
    assert built.find("") is not None
    assert built.find(MANIFEST) is None
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "static"
    write_folder(folder, b"new", 2**62)
    (folder / "linked.js").symlink_to(tmp_path / "secret")
    (folder / "more").symlink_to(tmp_path, target_is_directory=True)
    assert built.find("").data == b"new"
    assert built.find("linked.js") is None
    assert built.find("more/secret") is None


@pytest.mark.parametrize("path", ["none.js", "assets/", "assets", "../assets.py", "index.html/x"])
def test_a_file_that_the_page_does_not_have_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(f"/console/{path}")
    assert (answer.status_code, answer.json().get("code")) in ((404, "PAGE_NOT_FOUND"), (404, "HTTP_404"))
