"""The composer reads, compares and saves one file, and nobody's work is lost."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

from base.atomic_files import Replacement, staged_file
from covey.console import views_file
from covey.console.api.composer.comparison import MOST, diff_of
from covey.console.views_file import MAX_BYTES, read_views, replace_views
from covey.errors import NoViewsFile, ViewsFileChanged, ViewsFileUnusable
from deployment.errors import ViewSourceTooLarge
from deployment.view_source.checked_text import MAX_LINES
from tests.covey.console.asking import Api, console_of

TEXT = '# ours\r\nfrom covey import *\r\nx = Entity("a", value="é")\r\n'


def test_a_text_comes_back_with_its_own_ends_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    for text in (TEXT, "", "\ufeffx = 1", "a\rb\n"):
        path.write_bytes(text.encode())
        assert read_views(path).text == text
        saved = replace_views(path, text + "#\n", read_views(path).sha256)
        assert path.read_bytes() == (text + "#\n").encode()
        assert saved.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_keeps_its_mode_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    path.write_text("a = 1\n")
    path.chmod(0o640)
    replace_views(path, "a = 2\n", read_views(path).sha256)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["views.py"]


def test_a_file_that_was_changed_or_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    path.write_text("a = 1\n")
    based_on = read_views(path).sha256
    path.write_text("theirs = 1\n")
    with pytest.raises(ViewsFileChanged):
        replace_views(path, "mine = 1\n", based_on)
    with pytest.raises(ViewsFileChanged):
        replace_views(path, "mine = 1\n", "")
    path.unlink()
    with pytest.raises(ViewsFileChanged):
        replace_views(path, "mine = 1\n", based_on)
    replace_views(path, "mine = 1\n", "")
    assert path.read_text() == "mine = 1\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges names")
@pytest.mark.parametrize("written", ["in place", "as a new file", "as a link", "away", "as bytes"])
def test_a_file_that_is_written_during_a_save_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    path, other = tmp_path / "views.py", tmp_path / "other.py"
    path.write_text("a = 1\n")
    other.write_text("theirs = 1\n")
    based_on = read_views(path).sha256

    def stage(*given: object, **named: object) -> AbstractContextManager[tuple[BinaryIO, Replacement]]:
        match written:
            case "in place":
                path.write_text("theirs = 1\n")
            case "as a new file":
                other.replace(path)
            case "as a link":
                path.unlink()
                path.symlink_to(other)
            case "away":
                path.unlink()
            case _:
                path.write_bytes(b"\xff")
        return staged_file(*given, **named)

    monkeypatch.setattr(views_file, "staged_file", stage)
    with pytest.raises(ViewsFileChanged):
        replace_views(path, "mine = 1\n", based_on)
    found = path.read_bytes() if path.exists() else None
    assert found == {"away": None, "as bytes": b"\xff"}.get(written, b"theirs = 1\n")
    assert {one.name for one in tmp_path.iterdir()} <= {"views.py", "other.py"}


def test_a_file_that_is_made_during_a_first_save_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "views.py"

    def stage(*given: object, **named: object) -> AbstractContextManager[tuple[BinaryIO, Replacement]]:
        path.write_text("theirs = 1\n")
        return staged_file(*given, **named)

    monkeypatch.setattr(views_file, "staged_file", stage)
    with pytest.raises(ViewsFileChanged):
        replace_views(path, "mine = 1\n", "")
    assert path.read_text() == "theirs = 1\n"
    assert [one.name for one in tmp_path.iterdir()] == ["views.py"]


def test_a_system_without_an_exchange_saves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_file, "exchange", lambda *_: False)
    path = tmp_path / "views.py"
    path.write_text("a = 1\n")
    replace_views(path, "a = 2\n", read_views(path).sha256)
    assert path.read_text() == "a = 2\n"
    assert [one.name for one in tmp_path.iterdir()] == ["views.py"]


def test_links_folders_pipes_and_large_or_odd_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("secret = 1\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "other.py")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "large.py").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    for name in ("link.py", "gone.py", "folder.py", "pipe.py", "large.py", "latin.py"):
        with pytest.raises(ViewsFileUnusable):
            read_views(tmp_path / name)
        with pytest.raises(ViewsFileUnusable):
            replace_views(tmp_path / name, "a = 1\n", "")
    assert (tmp_path / "other.py").read_text() == "secret = 1\n"
    with pytest.raises(ViewsFileUnusable):
        replace_views(tmp_path / "new.py", "#" * (MAX_BYTES + 1), "")
    with pytest.raises(NoViewsFile):
        replace_views(None, "a = 1\n", "")


def test_a_page_opens_edits_and_saves_the_file_and_a_second_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    path.write_bytes(TEXT.encode())
    with console_of(tmp_path, views_file=path) as console:
        page = Api(console)
        found = page.get("/composer/file")
        assert (found["text"], found["editable"], found["fault"]) == (TEXT, True, None)
        assert [node["kind"] for node in found["graph"]["nodes"]] == ["code", "entity"]
        body = {"text": TEXT + "y = 1\n", "based_on": found["sha256"]}
        saved = page.ask("PUT", "/composer/file", json=body)
        assert saved[0] == 200
        assert saved[1]["commands"][1] == f"covey apply {path} --store {tmp_path}"
        status, problem = page.ask("PUT", "/composer/file", json=body)
        assert (status, problem["code"]) == (409, "VIEWS_FILE_CHANGED")
        assert path.read_bytes() == (TEXT + "y = 1\n").encode()
        assert page.ask("PUT", "/composer/file", json=body | {"based_on": saved[1]["sha256"]})[0] == 200


def test_a_reader_looks_and_does_not_save(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    path.write_text("a = 1\n")
    with console_of(tmp_path, views_file=path) as console:
        reader = Api(console, "reader")
        based_on = reader.get("/composer/file")["sha256"]
        status, problem = reader.ask("PUT", "/composer/file", json={"text": "b = 1\n", "based_on": based_on})
    assert (status, problem["code"], path.read_text()) == (403, "ROLE_TOO_SMALL", "a = 1\n")


@pytest.mark.parametrize("text", ["x = (", "\ud800", "a = 1\n\tb = 2", "(" * 9_000])
def test_a_text_that_is_no_python_is_shown_with_its_place_and_never_saved(tmp_path: Path, text: str) -> None:
    path = tmp_path / "views.py"
    path.write_text("a = 1\n")
    with console_of(tmp_path, views_file=path) as console:
        page = Api(console)
        based_on = page.get("/composer/file")["sha256"]
        body = b'{"text": "' + text.encode("unicode_escape") + b'"}'
        status, parsed = page.ask("POST", "/composer/parse", content=body, headers={"content-type": "application/json"})
        assert status in (200, 422)
        if status == 200:
            assert parsed["fault"]["line"] >= 1
            assert parsed["fault"]["message"]
        body = body[:-1] + b', "based_on": "%s"}' % based_on.encode()
        assert page.ask("PUT", "/composer/file", content=body, headers={"content-type": "application/json"})[0] == 422
    assert path.read_text() == "a = 1\n"


def test_a_console_without_a_usable_file_says_why_and_how_to_mend_it(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        found = Api(console).get("/composer/file")
        assert (found["editable"], found["path"]) == (False, "")
        assert "--views" in found["why_not"]
        status, problem = Api(console).ask("PUT", "/composer/file", json={"text": "a = 1", "based_on": ""})
        assert (status, problem["code"], problem["mend"]) == (
            409,
            "NO_VIEWS_FILE",
            "`covey console --views FILE` names one",
        )
    (tmp_path / "link.py").symlink_to(tmp_path / "other.py")
    with console_of(tmp_path, views_file=tmp_path / "link.py") as console:
        assert "it is a link" in Api(console).get("/composer/file")["why_not"]
    with console_of(tmp_path, views_file=tmp_path / "new.py") as console:
        found = Api(console).get("/composer/file")
        assert (found["editable"], found["text"], found["sha256"]) == (True, "", "")


def test_a_comparison_has_every_line_of_both_texts() -> None:
    old, new = "a\nb\nc\nd\n", "a\nx\nc\nd\ne\n"
    lines = [(one.kind, one.text) for one in diff_of(old, new)]
    assert lines == [
        ("same", "a"),
        ("removed", "b"),
        ("added", "x"),
        ("same", "c"),
        ("same", "d"),
        ("added", "e"),
    ]
    assert [one.kind for one in diff_of("a\n", "a\n")] == ["same"]
    assert diff_of("", "") == ()


def test_a_comparison_of_many_different_lines_is_quick_and_whole() -> None:
    old, new = ("".join(f"{a}{i % 7}\n" if i % 1_000 else "a line of both\n" for i in range(1, MOST + 5)) for a in "ab")
    lines = diff_of(old, new)
    assert [one.kind for one in lines] == ["removed"] * (MOST + 4) + ["added"] * (MOST + 4)  # lines were not matched
    assert [one.text for one in lines if one.kind != "added"] == old.splitlines()
    assert [one.text for one in lines if one.kind != "removed"] == new.splitlines()


def test_a_text_with_very_many_lines_is_not_compared() -> None:
    with pytest.raises(ViewSourceTooLarge, match="has 40,001 lines"):
        diff_of("", "#\n" * (MAX_LINES + 1))
    assert len(diff_of("", "#\n" * MAX_LINES)) == MAX_LINES
