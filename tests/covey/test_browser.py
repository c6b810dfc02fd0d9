"""Opening the browser: the token of the URL is in no command line."""

from __future__ import annotations

import os
from pathlib import Path
from queue import Queue
from urllib.parse import unquote, urlsplit

from covey.cli.browser import opened_in_browser

URL = "http://127.0.0.1:6580/console/#token=a-secret"


def test_the_browser_gets_a_private_file_that_leads_to_the_page(tmp_path: Path) -> None:
    asked: Queue[str] = Queue()
    with opened_in_browser(URL, tmp_path, asked.put):
        address = asked.get(timeout=60)
        file = Path(unquote(urlsplit(address).path))
        assert "a-secret" not in address
        assert file.is_relative_to(tmp_path)
        assert f"url={URL}" in file.read_text()
        assert file.parent.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_uid == os.getuid()
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_waits_for_its_user_does_not_hold_the_console(tmp_path: Path) -> None:
    ended: Queue[None] = Queue()
    with opened_in_browser(URL, tmp_path, lambda _: ended.get(timeout=60)):
        pass
    ended.put(None)
