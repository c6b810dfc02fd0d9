"""`traces.json` in a store: the span of each view's last publication, so that the first reads of it join its trace.

The publisher writes the file only while it traces, and only a traced server reads it. It is not part of a release: manifests are
signed and public, and a trace's id belongs to neither. A lost or damaged file costs a parent of a span, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from base.atomic_files import replace_file
from base.trace_parent import TraceParent

FILE: Final = "traces.json"
_MOST_BYTES: Final = 2**20


def keep_publication(root: Path, views: Iterable[tuple[str, int, int]], span: TraceParent) -> None:
    """Note the span that publishes these views: name, version, and number of the publication.

    Args:
        root: the store's directory.
    """
    kept = _read(root)
    kept |= {f"{view}@v{version}": [seq, str(span)] for view, version, seq in views}
    with suppress(OSError):
        replace_file(root / FILE, json.dumps(kept, indent=1), private=False)


def publication_of(root: Path, view: str, version: int, seq: int) -> TraceParent | None:
    """The span of a publication; None: it was not traced."""
    match _read(root).get(f"{view}@v{version}"):
        case [int(found), str(text)] if found == seq:
            return TraceParent.parse(text)
        case _:
            return None


def _read(root: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError), (root / FILE).open("rb") as file:
        found = json.loads(file.read(_MOST_BYTES))
        if isinstance(found, dict):
            return found
    return {}
