from __future__ import annotations

from pathlib import Path

from .units import FILES, rank_of, unit_of

ROOT = Path(__file__).resolve().parents[1]


def test_every_file_that_has_a_unit_or_a_place_exists() -> None:
    assert [file for file in FILES if not (ROOT / file).is_file()] == []
    assert len(set(FILES)) == len(FILES)


def test_files_that_must_not_run_beside_each_other_are_one_unit_and_others_are_their_own() -> None:
    wire, ports = "tests/deployment/test_wire.py::test_x[a::b]", "tests/attacks/test_run_ports.py::test_y"
    assert unit_of(wire) == unit_of(ports) == "a simulated fleet"
    assert unit_of("tests/federation/test_plan.py::TestX::test_y[1]") == "tests/federation/test_plan.py"
    assert rank_of(wire) < rank_of("tests/aggregator/test_crashes.py::t") < rank_of("tests/federation/test_plan.py::t")


def test_the_tests_that_share_a_browser_are_one_unit() -> None:
    places, axe = (f"tests/covey/console/browser/test_{name}.py::t" for name in ("places", "axe"))
    assert unit_of(places) == unit_of(axe)
    assert rank_of(places) < rank_of("tests/federation/test_plan.py::t")
