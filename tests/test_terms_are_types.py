"""Terms are compared as types, only edges use their spelling, and no function takes more than nine parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from federation.terms import Finish, Noise, Participation, Protection, ReportPer, Validity

ROOT: Final = Path(__file__).parents[1]
ROOMS: Final = (
    "base", "featurestore", "crypto", "federation", "edge_client", "aggregator", "deployment", "training", "simulations",
    "covey",
)  # fmt: skip
TERMS: Final = {"noise", "protection", "validity", "finish", "report_per", "participation"}
SPELLINGS: Final = {
    one.value for kind in (Noise, Protection, Validity, Finish, ReportPer, Participation) for one in kind
}
EDGES: Final = {
    "deployment/run.py": "the words of `covey.run`",
    "featurestore/define/release.py": "a release's record, which stands below plans",
    "simulations/reports/paper/items.py": "the report's configuration",
}
MOST_PARAMETERS: Final = 9
WIDE: Final = {
    "deployment/run.py run": "`covey.run`",
    "edge_client/event_log/log.py __init__": "the constructor of `covey.EventLog`",
    "featurestore/define/definitions.py __init__": "the constructor of a feature view",
    "featurestore/read/gather_numpy.py gather": "the twin of a kernel, with the kernel's arguments",
    "featurestore/read/part_loops_numpy.py fill_scalars": "the twin of a kernel, with the kernel's arguments",
    "featurestore/read/part_loops_numpy.py fill_list": "the twin of a kernel, with the kernel's arguments",
    "simulations/attacks/attack.py result_of": "all that a result holds",
    "training/data/dataset.py __init__": "the constructor of `covey.torch.FeatureDataset`",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "_pb2" not in path.name:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def spelled(tree: ast.Module) -> Iterator[int]:
    """The lines that compare a term with its spelling, match it, or take it by default."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                if any(_names_term(side) for side in sides) and any(_spells(side) for side in sides):
                    yield node.lineno
            case ast.Match(subject=subject, cases=cases) if _names_term(subject):
                yield from (case.pattern.lineno for case in cases if any(map(_spells, ast.walk(case.pattern))))
            case ast.FunctionDef(args=args):
                named = [*args.posonlyargs, *args.args]
                pairs = [
                    *zip(reversed(named), reversed(args.defaults), strict=False),
                    *zip(args.kwonlyargs, args.kw_defaults, strict=True),
                ]
                yield from (arg.lineno for arg, default in pairs if arg.arg in TERMS and default and _spells(default))


def _names_term(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name in TERMS
    return False


def _spells(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=value):
            return value in SPELLINGS
        case ast.Tuple(elts=elements) | ast.Set(elts=elements) | ast.List(elts=elements):
            return any(map(_spells, elements))
    return False


def test_no_module_but_the_edges_compares_a_term_with_its_spelling() -> None:
    found = [f"{path}:{line}" for path, tree in modules() if path not in EDGES for line in spelled(tree)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'plan.protection == "he"',
        'if validity not in ("none", "prio3"): pass',
        'asked["finish"] != "mpc"',
        'match noise:\n    case "full": pass',
        'def f(*, report_per="client"): pass',
    ],
)
def test_a_comparison_with_a_spelling_is_found(source: str) -> None:
    assert list(spelled(ast.parse(source))) != []


@pytest.mark.parametrize(
    "source", ["plan.terms.validity is Validity.PRIO3", 'state == "open"', "def f(finish=None): pass"]
)
def test_what_is_no_comparison_with_a_spelling_is_not_found(source: str) -> None:
    assert list(spelled(ast.parse(source))) == []


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    args = node.args
    own = [*args.posonlyargs, *args.args]
    of_method = bool(own) and own[0].arg in ("self", "cls")
    return len(own) + len(args.kwonlyargs) + bool(args.vararg) + bool(args.kwarg) - of_method


def _is_exempt(path: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A kernel, whose arguments numba needs one by one, or a command, whose arguments are its options."""
    decorators = {ast.unparse(one).partition("(")[0] for one in node.decorator_list}
    return bool(decorators & {"njit", "vectorize"}) or path.startswith("covey/cli/")


def test_no_function_takes_more_than_nine_parameters() -> None:
    functions = (
        (path, node)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    wide = {
        f"{path} {node.name}"
        for path, node in functions
        if _parameters(node) > MOST_PARAMETERS and not _is_exempt(path, node)
    }
    assert wide <= set(WIDE), wide - set(WIDE)
