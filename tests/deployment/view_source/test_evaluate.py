"""The declarations of a views file without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import CoveyError
from deployment.view_source import arithmetic
from deployment.view_source.evaluate import Evaluated, evaluate
from deployment.view_source.graph import Problem
from deployment.view_source.source import parse
from featurestore.define.on_demand import OnDemandView
from featurestore.define.views_file import Declared, load_declared
from featurestore.errors import OnDemandFailed

from .view_files import view_files

VIEW = """from covey import *
v = FeatureView("v", entity=Entity("a", domain=["x"]), features=[Count("n")], pane="1d", bounds=Bounds(1), privacy=Privacy(0.1))
"""


def _evaluated(text: str, folder: Path | None = None) -> Evaluated:
    return evaluate(parse(text), folder)


def _problem(text: str, folder: Path | None = None) -> Problem:
    (problem,) = _evaluated(text, folder).not_evaluated
    return problem


def _plain(declared: Declared) -> tuple[object, ...]:
    """Declarations without the functions of on-demand views."""
    on_demand = [(one.name, one.outputs, dict(one.features), dict(one.inputs)) for one in declared.on_demand]
    return declared.views, on_demand, declared.services


def test_what_is_evaluated_is_what_running_the_file_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some files write one where they run
    loadable = evaluated = 0
    for where, text in view_files().items():
        path = tmp_path / "views.py"
        path.write_text(text, encoding="utf-8", newline="")
        found = _evaluated(text, tmp_path)
        try:
            loaded = load_declared(path, need_views=False)
        except CoveyError:
            assert found.not_evaluated, where
            continue
        loadable += 1
        if not found.not_evaluated:
            assert _plain(found.declared) == _plain(loaded), where
            evaluated += 1
        else:
            assert {*found.declared.views} <= {*loaded.views}, where
    assert evaluated >= 0.9 * loadable > 0.6 * len(view_files())


def test_an_on_demand_view_is_read_and_not_executed() -> None:
    text = VIEW + (
        "@on_demand(outputs=['risk'], name='late')\n"
        "def f(n: Annotated[X, Feature('v:n')], hour: Annotated[X, Input('int64')]):\n    1 / 0\n"
    )
    (view,) = _evaluated(text).declared.on_demand
    assert isinstance(view, OnDemandView)
    assert (view.name, view.outputs, view.features, view.inputs) == ("late", ("risk",), {"n": "v:n"}, {"hour": "int64"})
    with pytest.raises(OnDemandFailed, match="its function was read and not executed"):
        view.function(n=1, hour=2)


@pytest.mark.parametrize(
    ("old", "new", "node", "field", "message"),
    [
        ('Privacy(0.1)', 'Privacy(-0.1)', "v.privacy", "rho", "rho"),
        ('Privacy(0.1)', 'Privacy(0.1, min_clients=1)', "v.privacy", "min_clients", "at least 2"),
        ('Privacy(0.1)', 'Privacy(0.1, mechanims="x")', "v.privacy", "mechanims", "mechanims is no parameter"),
        ('Bounds(1)', 'Bounds()', "v.bounds", "max_cells", "max_cells is missing"),
        ('Bounds(1)', 'Bounds(0)', "v.bounds", "max_cells", "must be a whole number"),
        ('Bounds(1)', 'make_bounds()', "v", "bounds", "`make_bounds()` is known only when the file runs"),
        ('Count("n")', 'Mean("m", clip=(3, 1))', "v.features.0", "clip", "low < high"),
        ('Count("n")', 'Rate("r", where="a ==")', "v.features.0", "where", "feature 'r'"),
        ('Count("n")', '*MORE', "v.features.0", "text", "known only when the file runs"),
        ('"1d"', '"2d"', "v", "pane", "must be one of"),
        ('"1d"', '"1d", windows=["36h"]', "v", "windows", "is not a multiple"),
        ('["x"]', '[]', "v.entity", "domain", "the domain is empty"),
        ('["x"]', '"/etc/passwd"', "v.entity", "domain", "is read only when the file runs"),
        ('["x"]', 'range(10**9)', "v.entity", "domain", "10**9"),
        ('["x"]', 'range(1000000000)', "v.entity", "domain", "1,000,000,000"),
        ('["x"]', 'Path(__file__).with_name("d.csv")', "v.entity", "domain", "Path"),
        ('["x"]', 'open("d.csv")', "v.entity", "domain", "known only when the file runs"),
        ('bounds=Bounds(1), ', '', "v", "bounds", "bounds is missing"),
    ],
)  # fmt: skip
def test_a_problem_names_its_node_and_field(old: str, new: str, node: str, field: str, message: str) -> None:
    text = VIEW.replace(old, new)
    assert text != VIEW
    problem = _problem(text)
    assert (problem.node, problem.field, problem.line) == (node, field, 2)
    assert message in problem.message
    assert _evaluated(text).declared.views == ()


@pytest.mark.parametrize(
    "code",
    [
        "for i in range(3):\n    globals()[f'v{i}'] = make(i)\n",
        "a, b = f(), f()\n",
        "w = make()\n",
        "if X:\n    w = 1\n",
        "v = fix(v)\n",
        "from .others import w\n",
    ],
)
def test_code_that_may_declare_a_view_is_a_problem(code: str) -> None:
    assert _problem(VIEW + code).field == "text"


def test_an_import_from_a_file_beside_the_views_file_is_a_problem(tmp_path: Path) -> None:
    text = VIEW + "from others import w\n"
    assert _evaluated(text, tmp_path).not_evaluated == ()
    (tmp_path / "others.py").touch()
    assert "others" in _problem(text, tmp_path).message


@pytest.mark.parametrize(
    "code",
    [
        "'A text.'\n",
        "print(v)\n",
        "def f():\n    return v\n",
        "class A:\n    pass\n",
        "import numpy as np\nfrom elsewhere import x\n",
        "N = len([1])\n",
        "ALL = [v]\n",
        "N = {[1]: 2}\n",
        "if TYPE_CHECKING:\n    from x import y\n",
        "assert v\n",
        "w: FeatureView\n",
    ],
)
def test_code_that_declares_nothing_is_no_problem(code: str) -> None:
    found = _evaluated(VIEW + code)
    assert found.not_evaluated == ()
    assert [view.name for view in found.declared.views] == ["v"]


@pytest.mark.parametrize(
    "domain",
    [
        "['x', *MORE]", "('x',) + tuple(MORE)", "sorted({'x', 'y'})", "[*{'x': 1, 'y': 2}]", "NAMES", "[('x')]",
        "list(MORE)", "set(MORE) ", "[\"x\" 'z']",
    ],
)  # fmt: skip
def test_a_domain_may_be_computed_in_closed_ways(domain: str) -> None:
    text = VIEW.replace("v = ", "MORE = ['y', 'w']\nNAMES = OTHER = MORE\nv = ").replace('["x"]', domain)
    scope: dict[str, object] = {}
    exec(text, scope)
    found = _evaluated(text)
    assert found.not_evaluated == ()
    assert found.declared.views == (scope["v"],)


@pytest.mark.parametrize("number", ["1 + 2 * 3 - 1", "-(-2)", "+2", "0x10", "1_0", "N"])
def test_numbers_may_be_computed(number: str) -> None:
    text = VIEW.replace("v = ", "N = 5\nv = ").replace("Bounds(1)", f"Bounds(1, {number})")
    (view,) = _evaluated(text).declared.views
    assert view.bounds.max_events_per_cell == eval(number, {"N": 5})


@pytest.mark.parametrize("imports", ["from itertools import product as p", "import itertools as i"])
def test_a_product_is_known_by_its_import(imports: str) -> None:
    name = "p" if " as p" in imports else "i.product"
    text = VIEW.replace("v = ", f"{imports}\nv = ").replace(
        '"a", domain=["x"]', f"['a', 'b'], domain={name}(range(2), range(3))"
    )
    (view,) = _evaluated(text).declared.views
    assert len(view.entity.domain) == 6
    assert _problem(text.replace(f"{imports}\n", "p = print\n")).node == "v.entity"


@pytest.mark.parametrize(
    "value",
    [
        "product(range(1000000), range(1000000))",
        "[*range(1000000), *range(1000000), *range(1000000), *range(1000000), *range(1000000)]",
        "range(2**70)",
        "range(99999999999999999999999)",
        "range(1, 2, 0)",
        "[" + "9" * 4000 + " * " + "9" * 4000 + "]",
        "['x'] * 1000000000",
        "'x' * 1000000000",
    ],
)
def test_a_large_value_is_refused_before_it_is_made(value: str) -> None:
    text = VIEW.replace("v = ", "from itertools import product\nv = ").replace('["x"]', value)
    problem = _problem(text)
    assert (problem.node, problem.field) == ("v.entity", "domain")


def test_many_large_domains_are_refused_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "MAX_ELEMENTS", 4_000)
    entity = "E{0} = Entity('a', domain=R)\n"
    text = "from covey import *\nR = range(1000)\n" + "".join(entity.format(i) for i in range(4))
    assert {problem.node for problem in _evaluated(text).not_evaluated} == {"E2", "E3"}


def _from_file(name: str) -> str:
    imports = "from pathlib import Path\nv = "
    return VIEW.replace("v = ", imports).replace('["x"]', f"Path(__file__).with_name({name!r})")


def test_a_domain_file_beside_the_views_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("b\na\n")
    (view,) = _evaluated(_from_file("keys.txt"), tmp_path).declared.views
    assert view.entity.domain == (("a",), ("b",))


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "/etc/passwd", "link.txt", "gone.txt", "", ".", "..", "folder", "a\0b", ".env", "covey.toml"],
)
def test_no_other_file_is_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "project"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("key\n")
    for other in (".env", "covey.toml"):
        (folder / other).write_text("SECRET=1\n")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    problem = _problem(_from_file(name), folder)
    assert (problem.node, problem.field) == ("v.entity", "domain")
    assert "SECRET" not in problem.message
    assert _problem(_from_file("keys.txt")).message.endswith("this text is no file; save it first")


def test_a_large_domain_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "keys.txt").open("wb") as file:
        file.truncate(16_000_001)
    assert "16,000,001 bytes" in _problem(_from_file("keys.txt"), tmp_path).message


@pytest.mark.parametrize(
    "change",
    [
        "MORE.append('y')",
        "MORE[0] = 'y'",
        "MORE[:] = ['y']",
        "OTHER.clear()",
        "fill(MORE)",
        "added = MORE.pop()",
        "del MORE[0]",
        "MORE += ['y']",
        "for name in 'yz':\n    MORE.append(name)",
        "def more():\n    MORE.append('y')\nmore()",
        "from elsewhere import *",
        "b = Bounds(fill(MORE))",
    ],
)
def test_a_collection_that_code_changes_is_known_only_when_the_file_runs(change: str) -> None:
    text = VIEW.replace("v = ", f"MORE = OTHER = ['x']\n{change}\nv = ").replace('["x"]', "MORE")
    text = text if "elsewhere" not in change else text.replace("v = ", "from covey import *\nv = ")
    found = _evaluated(text)
    assert ("v.entity", "domain") in {(one.node, one.field) for one in found.not_evaluated}
    assert found.declared.views == ()


@pytest.mark.parametrize("use", ["N = len(MORE)", "assert len(MORE) == 1", "print(MORE)", "N = MORE.index('x')"])
def test_a_collection_that_code_reads_is_known(use: str) -> None:
    text = VIEW.replace("v = ", f"MORE = ['x']\n{use}\nv = ").replace('["x"]', "MORE")
    assert len(_evaluated(text).declared.views) == 1


@pytest.mark.parametrize("number", [f"{2**1023} * 2.0", f"{2**1024 - 1} * 1.5", f"{2**1024 - 1} + 0.5"])
def test_a_number_that_overflows_is_a_problem(number: str) -> None:
    assert _problem(VIEW.replace("Bounds(1)", f"Bounds({number})")).node


def test_problems_do_not_repeat_a_long_value() -> None:
    text = "from covey import *\nL = '" + "x" * 100_000 + "'\n" + "e = Entity(['a', 'b'], domain=[L])\n" * 100
    problems = _evaluated(text).not_evaluated
    assert len(problems) == 100
    assert max(len(one.message) for one in problems) < 2_000


def test_an_on_demand_view_with_the_name_of_a_view_is_a_problem() -> None:
    function = '@on_demand(outputs=["o"], name="v")\ndef f(a: Annotated[object, Feature("v:n")]):\n    return a\n'
    problem = _problem(VIEW + "from typing import Annotated\n" + function)
    assert (problem.node, problem.field) == ("f", "name")


def test_two_views_of_one_name_are_a_problem() -> None:
    problem = _problem(VIEW + VIEW.partition("\n")[2].replace("v = ", "w = "))
    assert (problem.node, problem.field) == ("w", "name")
