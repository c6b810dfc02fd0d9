"""What a page asks about a text: its graph, what an edited graph makes of it, and how it differs from another text.

libcst is imported where a text is read; see `covey.console.evaluation`.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from covey.console.api.form import Body, Form
from covey.console.evaluation import views_of
from covey.console.roles import Reader
from covey.console.text_pool import TextSettings
from deployment.errors import ViewSourceInvalid

from .comparison import DiffLine, diff_of
from .graph import Graph, GraphProblem, Text, graph_of, problems_of

EMPTY: Final = Graph(nodes=())


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


def add_routes(router: APIRouter, settings: TextSettings) -> None:
    """Add the routes of texts."""

    @router.post("/parse", operation_id="parseViews")
    def parse_views(body: TextBody, _user: Reader) -> ParsedText:
        """A text as a graph. Nothing is executed."""
        return parsed(settings, body.text)

    @router.post("/render", operation_id="renderViews")
    def render_views(body: RenderBody, _user: Reader) -> RenderedText:
        """A text with the edits of its graph."""
        from deployment.view_source.render import render
        from deployment.view_source.source import parse

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


def parsed(settings: TextSettings, text: str) -> ParsedText:
    """A text as the page has it."""
    from deployment.view_source.source import parse

    try:
        source = parse(text)
    except ViewSourceInvalid as error:
        fault = SyntaxFault(line=error.line, column=error.column, message=error.why)
        return ParsedText(graph=EMPTY, problems=(), fault=fault)
    return ParsedText(graph=graph_of(source.graph), problems=problems_of(views_of(settings, text).problems), fault=None)
