"""Every views file of the repository: the examples, those of the documentation, and those that tests write."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@cache
def view_files() -> dict[str, str]:
    """The texts by where they are from."""
    return dict(_found())


def _found() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "examples").rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_bytes().decode()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for i, block in enumerate(_BLOCK.finditer(path.read_text(encoding="utf-8"))):
            if "FeatureView(" in block[2]:
                yield f"{path.relative_to(ROOT)}#{i}", textwrap.dedent(block[2])
    for path in sorted(ROOT.glob("tests/**/*.py")):
        text = path.read_text(encoding="utf-8")
        if path.is_relative_to(Path(__file__).parent) or "FeatureView(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and "FeatureView(" in node.value
                and _is_python(node.value)
            ):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def _is_python(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True
