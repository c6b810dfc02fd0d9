"""A views file that is opened and saved is the same file."""

from __future__ import annotations

import pytest

from deployment.view_source.render import render
from deployment.view_source.source import parse

from .view_files import view_files

ODD = [
    "",
    "\n",
    "x=1",
    "x=1\n\n\n   ",
    "x=1\ry=2\r",
    "\ufefffrom covey import *\r\nb = Bounds(3)\r\n",
    "# -*- coding: latin-1 -*-\n\n# é\nfrom covey import Bounds\nb = Bounds( 3 ,)  # é\n",
    "\\\nx=1\n",
    "\f\nfrom covey import Bounds\n\f\nb = Bounds(3)\f\n",
    "if a:\n\tx=1\n  # c\n# d\n    # e\ny=1\n   # f",
    "from covey import *\nb = (Bounds)(3)\nc = (Bounds((3)))\nd: Bounds = Bounds(\n  # a\n  3  # b\n  # c\n  , # d\n)",
    "from covey import *\nv = FeatureView(features=[Count('n')\n  + x, y := 1, *z], pane=1 +\n  2)\n",
    "from covey import *\nx = 1; b = Bounds(3);\nclass A:\n  b = Bounds(2)\n\n\n",
]


@pytest.mark.parametrize("where", view_files())
def test_a_views_file_is_the_same_after_open_and_save(where: str) -> None:
    text = view_files()[where]
    rendered = render(text, parse(text).graph)
    assert rendered.text == text
    assert rendered.problems == ()
    assert {*rendered.ids.items()} == {(node.id, node.id) for node in parse(text).graph}


@pytest.mark.parametrize("text", ODD)
def test_an_odd_text_is_the_same_after_open_and_save(text: str) -> None:
    rendered = render(text, parse(text).graph)
    assert (rendered.text, rendered.problems) == (text, ())


def test_there_are_many_views_files() -> None:
    assert len(view_files()) >= 24
