"""Reading the section `[online]` of a store's covey.toml."""

from __future__ import annotations

from pathlib import Path

from base.toml import toml_entries

from .settings import FILE, MAX_FILE_BYTES, TABLE, OnlineSettings


def load_settings(directory: Path) -> OnlineSettings:
    """Read the covey.toml of the store's directory; without one, the defaults apply.

    Raises:
        ConfigInvalid: the file, or its section `[online]`, cannot be used.
    """
    path = directory / FILE
    try:
        section = toml_entries(path, MAX_FILE_BYTES).get(TABLE)
    except FileNotFoundError:
        return OnlineSettings()
    if section is None:
        return OnlineSettings()
    from .online_section import read_section  # pydantic's import takes a quarter of the time of a read

    return read_section(section, path)
