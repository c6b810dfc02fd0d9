"""The value of `--store`: a store's or project's directory, or the folder `store` in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

_Where = TypeVar("_Where", Path, str, Path | None)


def store_directory(where: _Where) -> _Where:
    """The directory that holds the store: the callback of `--store`. A URL stays as it is."""
    from featurestore.online.settings import directory_of

    if where is None or (isinstance(where, str) and "://" in where):
        return where
    return type(where)(directory_of(Path(where)))


StoreOption = Annotated[
    Path,
    typer.Option(
        "--store",
        "--project",
        metavar="DIR",
        callback=store_directory,
        help="The store's or project's directory. Default: here.",
    ),
]
"""The option of commands that read the store of a directory, or of a project."""
