"""Every sentence of SECURITY.md about a role's attacks names its test, and tests/attacks/README.md lists every attack."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ATTACKS = ROOT / "tests" / "attacks"
LISTED = (ATTACKS / "README.md").read_text(encoding="utf-8")
WORST = "## What each role could do at worst"
ROLES = ("site", "coordinator", "leader", "helper", "key holder", "provider", "store", "network", "other users")


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The names of all test functions in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name for one in functions if one.name.startswith("test_"))


def named_tests(text: str) -> list[tuple[Path, str]]:
    """The tests that a text names as `tests/…/test_file.py::test_name`."""
    found = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    return [(ROOT / path, name) for path, name in found]


def rows(section: str) -> list[list[str]]:
    """The cells of each row of the tables in a text, without the header rows."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    body = [line for at, line in enumerate(lines) if at >= 2 and not set(line) <= set("|-: ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body]


def worst() -> list[list[str]]:
    _, _, rest = SECURITY.partition(WORST)
    assert rest, f"SECURITY.md has no section {WORST!r}"
    return rows(rest.partition("\n## ")[0])


def test_each_sentence_on_what_a_role_could_do_names_a_test() -> None:
    table = worst()
    assert table
    for row in table:
        assert len(row) == 3, f"role | at worst | test: {row}"
        assert named_tests(row[2]), f"no test is named: {row[1]}"


@pytest.mark.parametrize("role", ROLES)
def test_security_md_speaks_of_every_role(role: str) -> None:
    assert any(role in row[0].lower() for row in worst())


def test_every_test_that_a_page_names_exists() -> None:
    named = named_tests(SECURITY) + named_tests(LISTED)
    missing = [f"{path}::{name}" for path, name in named if not path.is_file() or name not in functions_of(path)]
    assert not missing, missing


def test_every_attack_is_listed_with_what_the_attacker_holds() -> None:
    listed = set(named_tests(LISTED))
    attacks = {(path, name) for path in ATTACKS.glob("test_*.py") for name in functions_of(path)}
    assert attacks
    assert not attacks - listed, "these attacks are not in tests/attacks/README.md"
    for row in rows(LISTED):
        assert len(row) == 4, f"attack | the attacker holds | test | before: {row}"
        assert all(row), f"an empty cell: {row}"
        assert named_tests(row[2]), f"no test: {row}"
