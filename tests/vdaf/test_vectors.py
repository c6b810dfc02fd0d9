"""All official vectors of Prio3, positive and negative, on every implementation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.shared_files import shared_file
from tests.vdaf.implementations import IMPLEMENTATIONS, PLAIN
from tests.vdaf.interface import Implementation
from tests.vdaf.plain_field import FIELD128
from tests.vdaf.plain_xof import derive_seed, expand_into_vec
from tests.vdaf.vectors import FOLDER, Replay, vector_paths

PATHS = [pytest.param(path, id=path.stem) for path in vector_paths()] or [
    pytest.param(None, id="none", marks=pytest.mark.skip(reason=f"no official vectors in {FOLDER}"))
]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=lambda implementation: implementation.name)
@pytest.mark.parametrize("path", PATHS)
def test_vector(path: Path, implementation: Implementation):
    Replay.of_file(implementation, path).run()


def test_vector_of_the_xof():
    v: dict[str, Any] = json.loads(shared_file("vectors/vdaf/XofTurboShake128.json").read_text())
    seed, dst, binder = (bytes.fromhex(v[key]) for key in ("seed", "dst", "binder"))
    assert derive_seed(seed, dst, binder).hex() == v["derived_seed"]
    expanded = expand_into_vec(FIELD128, seed, dst, binder, v["length"])
    assert FIELD128.encode_vec(expanded).hex() == v["expanded_vec_field128"]


# The replay itself must be able to fail.


def parsed(name: str) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads(shared_file(f"vectors/vdaf/{name}.json").read_text())
    return vector


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The positions of the byte strings in a parsed vector."""
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in children:
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))
        elif isinstance(child, str) and child and key != "operation":
            yield (*path, key)


@pytest.mark.parametrize("name", ["Prio3Count_1", "Prio3Histogram_0", "Prio3SumVec_0"])
def test_a_vector_with_any_one_byte_string_changed_does_not_pass(name: str):
    original = parsed(name)
    found = list(places(original))
    assert len(found) > 10
    for *path, last in found:
        vector = deepcopy(original)
        parent: Any = vector
        for key in path:
            parent = parent[key]
        parent[last] = f"{int(parent[last][:2], 16) ^ 1:02x}{parent[last][2:]}"
        with pytest.raises((AssertionError, *PLAIN.refused)):
            Replay(PLAIN, name, vector).run()


@pytest.mark.parametrize("name", ["Prio3Sum_0", "Prio3MultihotCountVec_0", "Prio3SumVecWithMultiproof_0"])
def test_a_vector_with_another_measurement_or_result_does_not_pass(name: str):
    vector = parsed(name)
    measurement = vector["reports"][0]["measurement"]
    vector["reports"][0]["measurement"] = (
        measurement - 1 if isinstance(measurement, int) else [*measurement[1:], measurement[0]]
    )
    with pytest.raises(AssertionError):
        Replay(PLAIN, name, vector).run()
    vector = parsed(name)
    total = vector["agg_result"]
    vector["agg_result"] = total + 1 if isinstance(total, int) else [*total[:-1], total[-1] + 1]
    with pytest.raises(AssertionError):
        Replay(PLAIN, name, vector).run()


@pytest.mark.parametrize("path", PATHS)
def test_a_vector_whose_successes_are_told_the_other_way_round_does_not_pass(path: Path):
    vector = json.loads(path.read_text())
    # A failure that is relabelled as a success raises the refusal itself, because no vector holds its result.
    outcome = (pytest.fail.Exception, *PLAIN.refused)
    for i in range(len(vector["operations"])):
        changed = deepcopy(vector)
        changed["operations"][i]["success"] ^= True
        with pytest.raises(outcome):
            Replay(PLAIN, path.stem, changed).run()


def test_a_file_of_an_unknown_type_does_not_pass():
    with pytest.raises(KeyError):
        Replay(PLAIN, "Prio3Median_0", parsed("Prio3Count_0"))
