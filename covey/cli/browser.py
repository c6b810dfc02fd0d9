"""Opens a page of this machine in its browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Final

_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Covey console</title>
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url={url}">
<a href="{url}">Open the console</a>
"""


@contextmanager
def opened_in_browser(
    url: str, directory: Path, open_page: Callable[[str], object] = webbrowser.open
) -> Iterator[None]:
    """Open a URL with a token.

    All users of a machine can read the command line of a browser. So the browser gets the name of a private file, which leads
    to the URL and exists until the end of the block.

    Args:
        directory: where the file is made. Browsers in a sandbox may read the user's folders, and not `/tmp`.
        open_page: called in a thread, because a browser in a terminal returns only at its end.
    """
    with TemporaryDirectory(prefix="covey-console-", dir=directory) as folder:  # only its owner may enter it
        page = Path(folder) / "open.html"
        page.write_text(_PAGE.format(url=escape(url)), encoding="utf-8")
        Thread(target=open_page, args=(page.absolute().as_uri(),), daemon=True).start()
        yield
