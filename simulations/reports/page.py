"""A self-contained page: one HTML file with its style and pictures, without scripts and without requests.

A page is data: sections of blocks. The templates escape every text. The page's content security policy forbids scripts and
requests, so a mistake in a template leaves a gap and runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from base.atomic_files import replace_file

from .plots import Drawable, svg
from .texts import without_isolates

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_LONG: Final = 24
"""A cell with at least so many characters may break its lines."""


@dataclass(frozen=True)
class Paragraph:
    """A text; `lead` precedes it in bold."""

    macro: ClassVar = "paragraph"
    text: str
    lead: str = ""


@dataclass(frozen=True)
class Failure:
    """The name of a failed run or experiment, and the error."""

    macro: ClassVar = "failure"
    what: str
    why: str


@dataclass(frozen=True)
class Failures:
    """A list of failures."""

    macro: ClassVar = "failures"
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Items:
    """A list of texts."""

    macro: ClassVar = "items"
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """A list of names with their values."""

    macro: ClassVar = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table that scrolls if it is too wide; cells that look like numbers do not break."""

    macro: ClassVar = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """Panels side by side; `legend`: (name, colour)."""

    macro: ClassVar = "figure"
    number: int
    caption: str
    panels: tuple[Drawable, ...]
    legend: tuple[tuple[str, str], ...] = ()


PageBlock = Paragraph | Failure | Failures | Items | Facts | Table | Figure
"""A block of a section; `macro` names its template in `blocks.html`."""


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; a section with an empty title has no heading."""

    title: str
    blocks: tuple[PageBlock, ...]

    @classmethod
    def of(cls, title: str, *blocks: PageBlock | str) -> Section:
        """Make a section; a text becomes a paragraph."""
        return cls(title, tuple(Paragraph(block) if isinstance(block, str) else block for block in blocks))


@dataclass(frozen=True)
class Page:
    """A whole document."""

    title: str
    sections: tuple[Section, ...]

    def render(self) -> str:
        """Return the document as HTML."""
        return _environment().get_template("page.html").render(page=self, policy=POLICY)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    made.filters["svg"] = lambda panel, name: Markup(svg(panel, name))  # noqa: S704 - matplotlib makes it, see `svg`
    made.tests["numeric"] = _looks_numeric
    made.tests["long"] = lambda text: len(text) > _LONG
    return made


def _finalized(value: Any) -> Any:
    """Prepare a text before it is escaped; markup is escaped already and stays unchanged."""
    return without_isolates(value) if type(value) is str else value


def _looks_numeric(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in ("–", "−", "<", "±")


def write_page(path: Path, page: Page) -> None:
    """Write the document atomically."""
    replace_file(path, page.render(), private=False, durable=False)
