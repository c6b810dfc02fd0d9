"""Brings a site's file of an earlier version to this one: its entries about events become a section [source].

Version 1 had `events`, a path, `client_column` and `time_column`. Version 2 has [source].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from base.atomic_files import replace_file
from base.errors import ConfigInvalid
from base.toml import parse_toml, toml_text

from .site_config import OUTDATED, toml_line

VERSION: Final = 2
_RENAMED: Final = {"events": "url", "client_column": "client", "time_column": "time"}


def version_of_site_file(path: Path) -> int | None:
    """The version of a site's file; None: it is of none, and its reader says why."""
    try:
        entries = parse_toml(toml_text(path), path)
    except (ConfigInvalid, FileNotFoundError):
        return None
    if "source" in entries:
        return VERSION
    return 1 if entries.keys() >= OUTDATED else None


def migrate_site_file(path: Path) -> None:
    """Rewrite a file of version 1. It is old or new after a crash, and keeps its comments and other entries.

    Raises:
        OSError: it could not be written, and is as before.
    """
    text = toml_text(path)
    old = parse_toml(text, path)
    source = {new: old[name] for name, new in _RENAMED.items()}
    if "://" in str(source["url"]):
        source["url"] = str(Path(source["url"]))  # it was a path, and of one the second slash says nothing
    rest = {name: value for name, value in old.items() if name not in _RENAMED}
    section = "".join(["\n[source]\n", *(toml_line(name, value) for name, value in source.items())])
    kept = re.sub(rf"^[ \t]*({'|'.join(_RENAMED)})[ \t]*=.*\n?", "", text, flags=re.M)
    new = kept.rstrip("\n") + "\n" + section
    if not _says(new, path, rest | {"source": source}):
        new = "".join(toml_line(name, value) for name, value in rest.items()) + section
    replace_file(path, new, private=True)


def _says(text: str, path: Path, entries: Mapping[str, Any]) -> bool:
    try:
        return parse_toml(text, path) == entries
    except ConfigInvalid:
        return False
