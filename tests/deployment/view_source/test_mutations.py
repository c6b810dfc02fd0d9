"""Mutated views files: they are read, or refused by name; nothing else happens."""

from __future__ import annotations

import random

import pytest

from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge
from deployment.view_source.evaluate import evaluate
from deployment.view_source.render import render
from deployment.view_source.source import parse

from .test_edits import COMMENTED
from .view_files import view_files

PIECES = [
    "(", ")", "[", "]", "{", "}", ",", "\n", "\r", "\r\n", "\t", "\\\n", "\f", "'", '"', '"""', "#", "*", "**", "=", ":=", ";",
    ":", "\0", "\ufeff", "\ud800", "é", "\u2028", " ", "    ", "if x:\n    ", "lambda: ", "def f():\n  ", "f'{", "@on_demand()\n",
    "1e999", "9" * 5_000, "-", "~", "await ", "yield ", "b'x'", "match x:\n  case ", "*x", "covey.", "Bounds(", "None", "range(10)",
    "(" * 150, "-" * 3_000, "x." * 2_000, "\x1a", "class A: ", "global v\n", "import covey\n", "from x import *\n", "__file__",
]  # fmt: skip


@pytest.mark.parametrize("count", [150, pytest.param(5_000, marks=pytest.mark.long)])
def test_a_mutated_text_is_read_or_refused_by_name(count: int) -> None:
    rng = random.Random(count)
    texts = [*view_files().values(), COMMENTED]
    read = 0
    for _ in range(count):
        text = _mutated(rng.choice(texts), rng)
        try:
            source = parse(text)
        except (ViewSourceInvalid, ViewSourceTooLarge):
            continue
        rendered = render(text, source.graph)
        assert (rendered.text, rendered.problems) == (text, ())
        evaluate(source)
        read += 1
    assert read > count // 20


def _mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.choice([1, 1, 2, 4])):
        at, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        end = min(end, at + rng.choice([0, 1, 3, 30]))
        match rng.randrange(4):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + rng.choice(PIECES) + text[end:]
            case _:
                text = text[:at] + text[at:end] * 2 + text[end:]
    return text


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 10_000,
        "x = " + "[" * 10_000 + "]" * 10_000,
        "from covey import Bounds\nb = Bounds(" + "-" * 100_000 + "1)",
        "from covey import Bounds\nb = Bounds(1" + " + 1" * 100_000 + ")",
        "x = a" + ".b" * 100_000,
        "x = a" + "()" * 100_000,
        "if a:\n    pass\n" + "elif a: pass\n" * 20_000,
        "x = " + "1 if a else " * 20_000 + "1",
        "x = " + "a and " * 19_000 + "a",
        "x = [a " + "for a in b " * 7_000 + "]",
        "import a" + ".a" * 100_000,
        "from a" + " . a" * 30_000 + " import b",
        "import " + "a, " * 10 + "a" + ".\\\na" * 500,
        "".join(" " * i + "if a:\n" for i in range(99)) + " " * 99 + "b = " + "not " * 60 + "c",
    ],
)
def test_deep_nesting_is_refused_by_name(text: str) -> None:
    with pytest.raises(ViewSourceInvalid):
        parse(text)


@pytest.mark.parametrize("text", ["import a" + ".a" * 200, "from a" + " . a" * 200 + " import b"])
def test_a_long_dotted_name_is_refused_before_a_parser_reads_it(text: str) -> None:
    with pytest.raises(ViewSourceInvalid) as refused:
        parse(f"x = 1\n{text}")
    assert (refused.value.line, refused.value.why) == (2, "a dotted name has more than 120 parts")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("\n" * 900_000, "lines"),
        ("\r\n" * 400_000, "lines"),
        ("x = f'" + "{a}" * 200_000 + "'", "opening braces"),
        ("def f():\n    global " + "a, " * 200_000 + "a", "expressions"),
        ("from " + "." * 900_000 + " import a", "expressions"),
    ],
    ids=["line feeds", "carriage returns", "f-string", "global", "dots"],
)
def test_a_text_whose_tree_would_be_large_is_refused_by_name(text: str, what: str) -> None:
    with pytest.raises(ViewSourceTooLarge) as refused:
        parse(text)
    assert refused.value.what == what


@pytest.mark.parametrize(
    "text",
    ["#" * 999_999 + "\n", "x = 1\n" * 5_000, "x = '" + "a" * 900_000 + "'\n", "x = [" + "1, " * 30_000 + "]\n"],
    ids=["comment", "lines", "text", "list"],
)
def test_a_text_of_almost_the_largest_size_is_the_same_after_open_and_save(text: str) -> None:
    assert render(text, parse(text).graph).text == text
