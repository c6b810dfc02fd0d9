"""The views file: read and save."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from base.plain import is_text
from covey.console.api.form import Body, Form
from covey.console.commands import command
from covey.console.console import Console
from covey.console.roles import Author, Reader
from covey.console.views_file import read_views, replace_views
from covey.errors import ViewsFileUnusable
from deployment.errors import ViewSourceInvalid

from .graph import Text
from .reading import parsed_for
from .texts import EMPTY, ParsedText


class ViewsFile(ParsedText):
    """The views file of the console.

    Attributes:
        path: empty: the console has none.
        sha256: of the bytes that were read; empty: there is no file yet.
        editable: whether it can be saved; why_not: the reason, and the mend.
        commands: what one does next with a saved file.
    """

    path: str
    text: str
    sha256: str
    editable: bool
    why_not: str
    commands: tuple[str, ...]


class SaveBody(Body):
    """A new text of the views file, and the hash of the one that it is based on."""

    text: Text
    based_on: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class SavedFile(Form):
    """The file as it is now, and the commands that one runs next."""

    sha256: str
    commands: tuple[str, ...]


def add_routes(router: APIRouter, console: Console) -> None:
    """Add the routes of the views file."""

    @router.get("/file", operation_id="getViewsFile")
    def get_views_file(user: Reader) -> ViewsFile:
        """The views file of the console, and its graph."""
        path = console.inputs.views_file
        if path is None:
            return _unopened("", "this console has no views file; `covey console --views FILE` names one")
        try:
            found = read_views(path)
        except ViewsFileUnusable as error:
            return _unopened(str(path), str(error))
        read = parsed_for(console, user, found.text)
        return ViewsFile(
            **dict(read),
            path=str(path),
            text=found.text,
            sha256=found.sha256,
            editable=True,
            why_not="",
            commands=_next(console),
        )

    @router.put("/file", operation_id="saveViewsFile")
    def save_views_file(body: SaveBody, user: Author) -> SavedFile:
        """Replace the views file, if it still is the one that the text is based on."""
        if not is_text(body.text):
            raise ViewsFileUnusable(str(console.inputs.views_file), "its text is not valid Unicode")
        if (fault := parsed_for(console, user, body.text).fault) is not None:  # the composer could not open it again
            raise ViewSourceInvalid(fault.line, fault.column, fault.message)
        saved = replace_views(console.inputs.views_file, body.text, body.based_on)
        return SavedFile(sha256=saved.sha256, commands=_next(console))


def _unopened(path: str, why_not: str) -> ViewsFile:
    return ViewsFile(
        path=path,
        text="",
        sha256="",
        graph=EMPTY,
        problems=(),
        fault=None,
        editable=False,
        why_not=why_not,
        commands=(),
    )


def _next(console: Console) -> tuple[str, ...]:
    """The commands that compare a saved file with the store, and take it over."""
    where = "--project" if console.has_project else "--store"
    views, directory = str(console.inputs.views_file), str(console.directory)
    return command("covey", "diff", views, where, directory), command("covey", "apply", views, where, directory)
