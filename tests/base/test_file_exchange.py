"""Two names are exchanged in one step, or nothing is done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from base import file_exchange
from base.file_exchange import exchange


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges names")
def test_both_names_have_the_other_file(tmp_path: Path) -> None:
    one, other = tmp_path / "ä", tmp_path / "other"
    one.write_text("one")
    other.write_text("other")
    assert exchange(one, other)
    assert (one.read_text(), other.read_text()) == ("other", "one")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges names")
def test_a_name_that_is_missing_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("one")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "none")
    assert (tmp_path / "one").read_text() == "one"


def test_a_system_that_cannot_exchange_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_exchange, "_renameat2", lambda: None)
    assert not exchange(tmp_path / "one", tmp_path / "other")
