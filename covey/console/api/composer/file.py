"""The views file: read, parse, write as a graph, compare, save."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from base.plain import is_text
from covey.console.api.form import Body, Form
from covey.console.commands import command
from covey.console.console import Console
from covey.console.evaluation import views_of
from covey.console.roles import Author, Reader
from covey.console.views_file import read_views, replace_views
from covey.errors import ViewsFileUnusable
from deployment.errors import ViewSourceInvalid
from deployment.view_source.render import render
from deployment.view_source.source import parse

from .comparison import DiffLine, diff_of
from .graph import Graph, GraphProblem, Text, graph_of, problems_of

EMPTY = Graph(nodes=())


class SyntaxFault(Form):
    """Where a text is no Python; lines and columns count from 1."""

    line: int
    column: int
    message: str


class ParsedText(Form):
    """A text as a graph. `fault`: the text is no Python, and has no graph."""

    graph: Graph
    problems: tuple[GraphProblem, ...]
    fault: SyntaxFault | None


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


class TextBody(Body):
    """A text of a views file."""

    text: Text


class RenderBody(Body):
    """A text, and what its graph was edited to."""

    text: Text
    graph: Graph


class RenderedText(Form):
    """The text with the edits of the graph.

    Attributes:
        graph: of the new text; ids: by id in the edited graph, the id in the new one.
    """

    text: str
    graph: Graph
    ids: dict[str, str]
    problems: tuple[GraphProblem, ...]


class CompareBody(Body):
    """Two texts."""

    before: Text
    after: Text


class Comparison(Form):
    """Every line of two texts."""

    diff: tuple[DiffLine, ...]


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
    def get_views_file() -> ViewsFile:
        """The views file of the console, and its graph."""
        path = console.views_file
        if path is None:
            return _unopened("", "this console has no views file; `covey console --views FILE` names one")
        try:
            found = read_views(path)
        except ViewsFileUnusable as error:
            return _unopened(str(path), str(error))
        read = _parsed(console, found.text)
        return ViewsFile(
            **dict(read),
            path=str(path),
            text=found.text,
            sha256=found.sha256,
            editable=True,
            why_not="",
            commands=_next(console),
        )

    @router.post("/parse", operation_id="parseViews")
    def parse_views(body: TextBody, _user: Reader) -> ParsedText:
        """A text as a graph. Nothing is executed."""
        return _parsed(console, body.text)

    @router.post("/render", operation_id="renderViews")
    def render_views(body: RenderBody, _user: Reader) -> RenderedText:
        """A text with the edits of its graph."""
        made = render(body.text, body.graph.read())
        source = parse(made.text)
        return RenderedText(
            text=made.text,
            graph=graph_of(source.graph),
            ids=dict(made.ids),
            problems=problems_of(made.problems),
        )

    @router.post("/compare", operation_id="compareViews")
    def compare_views(body: CompareBody, _user: Reader) -> Comparison:
        """Two texts, line by line."""
        return Comparison(diff=diff_of(body.before, body.after))

    @router.put("/file", operation_id="saveViewsFile")
    def save_views_file(body: SaveBody, _user: Author) -> SavedFile:
        """Replace the views file, if it still is the one that the text is based on."""
        if not is_text(body.text):
            raise ViewsFileUnusable(str(console.views_file), "its text is not valid Unicode")
        parse(body.text)  # the composer writes no file that it could not open again
        saved = replace_views(console.views_file, body.text, body.based_on)
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


def _parsed(console: Console, text: str) -> ParsedText:
    try:
        source = parse(text)
    except ViewSourceInvalid as error:
        fault = SyntaxFault(line=error.line, column=error.column, message=error.why)
        return ParsedText(graph=EMPTY, problems=(), fault=fault)
    return ParsedText(graph=graph_of(source.graph), problems=problems_of(views_of(console, text).problems), fault=None)


def _next(console: Console) -> tuple[str, ...]:
    """The commands that compare a saved file with the store, and take it over."""
    where = "--project" if console.has_project else "--store"
    views, directory = str(console.views_file), str(console.directory)
    return command("covey", "diff", views, where, directory), command("covey", "apply", views, where, directory)
