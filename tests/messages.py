"""Every message that a user can see, read from the product code's syntax trees: errors, help, talk, other sentences.

A message is a text as written in the code. A placeholder of an f-string appears as its expression in braces. A text with
several branches is one message a branch. SQL, markup and texts of fewer than three words are no messages.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import click
import typer

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "covey", "simulations", "training", "deployment", "edge_client", "aggregator", "federation", "crypto", "featurestore", "base",
)  # fmt: skip
Kind = Literal["error", "help", "talk", "other"]

_TALK = re.compile(r"^(print|echo|secho|say|tell|warn|warning|info|confirm|add_column|add_row|title|set_title)$")
_CODE = re.compile(
    r"\b(SELECT|FROM|WHERE|CREATE|INSERT|PRAGMA|ORDER BY|DELETE|UPDATE \w+ SET)\b|</?[a-z]+[ >]|[{;]\n|=>|^\n?:root"
)
_GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")


@dataclass(frozen=True)
class Message:
    """One text of the product.

    Attributes:
        place: `path:line`, or the command line for a help text.
        text: as it stands in the code, placeholders in braces.
    """

    kind: Kind
    path: str
    place: str
    text: str


def messages() -> list[Message]:
    """Every message of the product, by file and line. Help texts come from the tree of commands."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in product_files()}
    errors = error_classes(trees.values())
    found = [message for path, tree in trees.items() for message in _Texts(path, errors).of(tree)]
    return [*found, *help_texts()]


def product_files() -> list[Path]:
    """The modules of the product, without generated ones."""
    files = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return [path for path in files if not _GENERATED.search(path.name)]


def error_classes(trees: Iterable[ast.Module]) -> frozenset[str]:
    """The names of all classes that derive from an exception, directly or not."""
    bases: dict[str, set[str]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(name for base in node.bases if (name := _name(base)))
    known = {"Exception", "ValueError", "RuntimeError", "OSError", "ClickException", "BadParameter", "UsageError"}
    while True:
        more = {name for name, above in bases.items() if above & known} - known
        if not more:
            return frozenset(known)
        known |= more


def help_texts() -> list[Message]:
    """The `--help` texts of every command, argument and option."""
    from covey.cli import app

    return [
        message for command, path in _commands(typer.main.get_command(app), "covey") for message in _help(command, path)
    ]


def _commands(command: click.Command, path: str) -> Iterator[tuple[click.Command, str]]:
    yield command, path
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _commands(below, f"{path} {name}")


def _help(command: click.Command, path: str) -> Iterator[Message]:
    if command.help:
        for paragraph in command.help.replace("\f", "").split("\n\n"):
            table = paragraph.startswith("\b")  # lines that Click does not wrap
            yield Message("help", path, path, paragraph[2:] if table else " ".join(paragraph.split()))
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        if text and parameter.name != "help":
            yield Message("help", path, f"{path} {parameter.opts[0]}", text)


class _Texts(ast.NodeVisitor):
    """The texts of one file, each with its use."""

    def __init__(self, path: Path, errors: frozenset[str]) -> None:
        self._path = path.relative_to(ROOT).as_posix()
        self._errors = errors
        self._kind: Kind = "other"
        self._found: list[Message] = []

    def of(self, tree: ast.Module) -> list[Message]:
        self.visit(tree)
        return self._found

    def _within(self, kind: Kind, node: ast.AST) -> None:
        before, self._kind = self._kind, kind
        self.generic_visit(node)
        self._kind = before

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring, or the text below an attribute
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._within("error", node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._within("error" if node.name in self._errors else self._kind, node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func) or ""
        if name in ("Option", "Argument", "Typer"):
            return  # `help_texts` reads them
        if name in self._errors:
            self._within("error", node)
        elif _TALK.match(name) and self._kind == "other":
            self._within("talk", node)
        else:
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._add(node, [node.value])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._add(node, _branches(node))

    def visit_BinOp(self, node: ast.BinOp) -> None:
        branches = _branches(node)
        if branches:
            self._add(node, branches)
        else:
            self.generic_visit(node)

    def _add(self, node: ast.expr, branches: list[str]) -> None:
        for text in dict.fromkeys(branches):
            if is_sentence(text):
                self._found.append(Message(self._kind, self._path, f"{self._path}:{node.lineno}", text))


def is_sentence(text: str) -> bool:
    """Whether a text is for people: at least three words outside of placeholders, and no SQL or markup."""
    words = re.findall(r"(?<![\w./-])[A-Za-z']{2,}(?![\w/=(])", re.sub(r"\{[^}]*\}", "…", text))
    return len(words) >= 3 and not _CODE.search(text)


def _branches(node: ast.expr) -> list[str]:
    """All texts that an expression of literals can give; none if it is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            choices = [
                _placeholder(part) if isinstance(part, ast.FormattedValue) else _branches(part) for part in parts
            ]
            return ["".join(parts) for parts in product(*choices)][:8]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            before, after = _branches(left), _branches(right)
            return [a + b for a in before or ["{…}"] for b in after or ["{…}"]][:8] if before or after else []
        case ast.IfExp(body=body, orelse=other):
            return [*_branches(body), *_branches(other)]
    return []


def _placeholder(node: ast.FormattedValue) -> list[str]:
    """A placeholder's own texts if it chooses between two texts, otherwise its expression in braces."""
    if isinstance(node.value, ast.IfExp) and (texts := _branches(node.value)):
        return texts
    return ["{" + ast.unparse(node.value) + "}"]


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None
